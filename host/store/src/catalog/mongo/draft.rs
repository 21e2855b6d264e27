//! Drafts made ready outside of any transaction: hashed, and encoded as far as their place in the log does not
//! matter. A transaction may be tried many times, and none of that is done again.

use bson::raw::cstr;
use bson::{Document, RawArrayBuf, RawDocumentBuf, doc};
use floret_model::{Bump, CascadeReport, Digest, ResourceKey, StorageType, Version};

use super::head::{Head, date};
use super::ids;
use crate::Error;
use crate::catalog::{IfUnchanged, Precondition, Publish};
use crate::record::{RECORD_BYTES_MAX, VersionBody, report_to_document};

/// A version without its place in the log.
pub(super) struct Ready {
    pub version: Version,
    pub id: String,
    pub fingerprint: Digest,
    pub body: VersionBody,
    pub bump: Bump,
    pub precondition: Precondition,
    pub if_unchanged: IfUnchanged,
}

/// A publish made ready.
pub(super) struct ReadyPublish {
    pub id: String,
    pub at: floret_model::TimestampMs,
    pub drafts: Vec<Ready>,
    pub report: Option<Document>,
}

impl ReadyPublish {
    pub fn new(publish: Publish) -> Result<Self, Error> {
        let Publish { id, at, drafts, report } = publish;
        let ready = |draft: crate::catalog::Draft| {
            let (bump, precondition, if_unchanged) = (draft.bump, draft.precondition, draft.if_unchanged);
            let version = draft.into_version(&id, at);
            Ok(Ready { bump, precondition, if_unchanged, ..Ready::of(version)? })
        };
        Ok(Self {
            drafts: drafts.into_iter().map(ready).collect::<Result<_, Error>>()?,
            report: report.as_ref().map(report_document).transpose()?,
            id,
            at,
        })
    }

    /// What it weighs in a transaction, about: contents inline, and a record's usual length.
    pub fn bytes(&self) -> usize {
        let inline = |ready: &Ready| ready.version.content_inline.as_ref().map_or(0, bytes::Bytes::len);
        self.drafts.iter().map(|ready| 2048 + inline(ready)).sum()
    }
}

impl Ready {
    /// A version whose place is known.
    pub fn of(version: Version) -> Result<Self, Error> {
        Ok(Self {
            id: ids::resource(&version.key),
            fingerprint: version.fingerprint(),
            body: VersionBody::new(&version)?,
            version,
            bump: Bump::Patch,
            precondition: Precondition::Any,
            if_unchanged: IfUnchanged::Append,
        })
    }

    /// The document of `version`, which is ours at its place.
    pub fn document(&self, version: &Version) -> Result<RawDocumentBuf, Error> {
        let mut document = RawDocumentBuf::from_bytes(self.body.document(version)?).map_err(|error| {
            Error::Invalid { what: version.reference().to_string(), problem: error.to_string() }
        })?;
        document.append(cstr!("_id"), ids::version_of(&self.id, version.seq));
        if version.dropped_at.is_none() {
            if !version.dependencies.is_empty() {
                let mut refers_to = RawArrayBuf::new();
                version.dependencies.iter().for_each(|on| refers_to.push(ids::version(&on.on)));
                document.append(cstr!("refers_to"), refers_to);
            }
            if let Some(digest) = blob_of(version) {
                document.append(cstr!("blob"), digest.to_string());
            }
        }
        // Its head is shorter: it names each resource that this depends on once, and without seq and role.
        check_length(|| version.reference().to_string(), document.as_bytes().len())?;
        Ok(document)
    }

    pub fn head(&self, version: &Version) -> Head {
        Head::of(version, self.fingerprint)
    }

    pub fn key(&self) -> &ResourceKey {
        &self.version.key
    }
}

/// The blob that a version's content is, unless it is inline.
pub(super) fn blob_of(version: &Version) -> Option<&Digest> {
    let location = &version.content_location;
    (location.storage_type != StorageType::Database).then_some(&location.checksum)
}

/// The document of a report, with what finds it.
pub(super) fn report_document(report: &CascadeReport) -> Result<Document, Error> {
    let bytes = report_to_document(report)?;
    let inner = Document::try_from(bytes_document(&bytes)?).map_err(|error| Error::Invalid {
        what: format!("the report of cascade {}", report.id),
        problem: error.to_string(),
    })?;
    let mut keys: Vec<String> = report.steps.iter().map(|step| ids::resource(&step.key)).collect();
    keys.sort_unstable();
    keys.dedup();
    let document = doc! {
        "_id": &report.id,
        "keys": keys,
        "started_at": date(report.started_at),
        "report": inner,
    };
    let what = || format!("the report of cascade {}", report.id);
    let written = document.to_vec();
    let length = written.map_err(|error| Error::Invalid { what: what(), problem: error.to_string() })?.len();
    check_length(what, length)?;
    Ok(document)
}

/// What we add to a record counts, too: the server takes it whole or not at all.
fn check_length(what: impl Fn() -> String, length: usize) -> Result<(), Error> {
    if length <= RECORD_BYTES_MAX {
        return Ok(());
    }
    let problem = format!(
        "its record takes {length} bytes with what finds it, more than {RECORD_BYTES_MAX}; keep large contents outside"
    );
    Err(Error::Invalid { what: what(), problem })
}

fn bytes_document(bytes: &[u8]) -> Result<&bson::RawDocument, Error> {
    bson::RawDocument::from_bytes(bytes)
        .map_err(|error| Error::Invalid { what: "a record".to_owned(), problem: error.to_string() })
}
