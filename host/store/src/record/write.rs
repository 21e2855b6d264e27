use floret_model::{CascadeReport, CompressionType, ContentLocation, Dependency, Memo, StorageType, Version};
use serde::Serialize;

use super::elements::Elements;
use crate::{BlobRecord, BlobState, Error};

/// Largest record: what MongoDB takes as one document, less what the driver adds. 16 MiB − 64 KiB.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024 - 64 * 1024;

type Problem = String;

/// The fields of a version that are known before the log gives it its place, already encoded.
#[derive(Debug)]
pub struct VersionBody {
    /// Elements of the document, behind those that name the place.
    elements: Vec<u8>,
    /// Elements of `version_info`, behind version, time and digest.
    info: Vec<u8>,
}

impl VersionBody {
    /// Encode what does not depend on the place in the log.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the version cannot be a BSON document.
    pub fn new(version: &Version) -> Result<Self, Error> {
        let encode = || {
            let mut info = Elements::default();
            if !version.dependencies.is_empty() {
                info.array("dependencies", &version.dependencies, dependency)?;
            }
            Ok(Self { elements: body(version)?, info: info.0 })
        };
        encode().map_err(|problem| invalid(&version.key.to_string(), problem))
    }

    /// The whole document of `version`, whose body this is.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is larger than [`RECORD_BYTES_MAX`].
    pub fn document(&self, version: &Version) -> Result<Vec<u8>, Error> {
        let place = || {
            let place = place(version, &self.info)?;
            let document = Elements::finish(&[&place.0, &self.elements])?;
            let length = document.len();
            if length > RECORD_BYTES_MAX {
                return Err(format!(
                    "its record takes {length} bytes, more than {RECORD_BYTES_MAX}; keep large contents outside"
                ));
            }
            Ok(document)
        };
        place().map_err(|problem| invalid(&version.reference().to_string(), problem))
    }
}

/// The document of a version.
///
/// # Errors
/// [`Error::Invalid`] when it cannot be a BSON document.
pub fn version_to_document(version: &Version) -> Result<Vec<u8>, Error> {
    VersionBody::new(version)?.document(version)
}

/// The document of a blob's row. `since` is the catalog's own: the oldest generation that may be settled.
///
/// # Errors
/// [`Error::Invalid`] when a length is 2^63 or more.
pub fn blob_to_document(record: &BlobRecord, since: u64) -> Result<Vec<u8>, Error> {
    let write = || -> Result<Vec<u8>, Problem> {
        let (state, at) = match record.state {
            BlobState::Pending { lease_until } => ("pending", lease_until),
            BlobState::Stored { lease_until } => ("stored", lease_until),
            BlobState::Condemned { at } => ("condemned", at),
        };
        let mut row = Elements::default();
        row.digest("digest", &record.digest)?;
        row.int64("generation", record.generation)?;
        row.int64("since", since)?;
        row.document("location", |to| location(to, &record.location))?;
        row.string("state", state)?;
        row.moment("at", at);
        Elements::finish(&[&row.0])
    };
    write().map_err(|problem| invalid(&format!("blob {}", record.digest), problem))
}

/// The document of a memo.
///
/// # Errors
/// [`Error::Invalid`] when a number is 2^63 or more, or a name holds a NUL.
pub fn memo_to_document(memo: &Memo) -> Result<Vec<u8>, Error> {
    bson::serialize_to_vec(memo).map_err(|error| invalid("a memo", error.to_string()))
}

/// The document of a cascade's report.
///
/// # Errors
/// [`Error::Invalid`] when a number is 2^63 or more, or it is larger than [`RECORD_BYTES_MAX`].
pub fn report_to_document(report: &CascadeReport) -> Result<Vec<u8>, Error> {
    let what = format!("the report of cascade {}", report.id);
    let bytes = bson::serialize_to_vec(report).map_err(|error| invalid(&what, error.to_string()))?;
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(invalid(&what, format!("it takes {} bytes", bytes.len())));
    }
    Ok(bytes)
}

fn invalid(what: &str, problem: Problem) -> Error {
    Error::Invalid { what: what.to_owned(), problem }
}

fn place(version: &Version, info: &[u8]) -> Result<Elements, Problem> {
    let mut to = Elements(Vec::with_capacity(256 + info.len()));
    to.string("namespace", version.key.namespace.as_str())?;
    to.string("resource_type", version.key.resource_type.as_str())?;
    to.string("resource_id", version.key.resource_id.as_str())?;
    to.int64("seq", version.seq.0)?;
    to.document("version_info", |to| {
        to.string("version", &version.version.to_string())?;
        to.moment("created_at", version.created_at);
        to.digest("data_hash", &version.data_hash)?;
        to.0.extend_from_slice(info);
        Ok(())
    })?;
    to.string("publish_id", &version.publish_id)?;
    if let Some(at) = version.dropped_at {
        to.moment("dropped_at", at);
    }
    Ok(to)
}

fn body(version: &Version) -> Result<Vec<u8>, Problem> {
    let inline = version.content_inline.as_ref();
    let mut to = Elements(Vec::with_capacity(512 + inline.map_or(0, |bytes| bytes.len())));
    to.string("media_type", &version.media_type)?;
    to.document("content_location", |to| location(to, &version.content_location))?;
    if let Some(bytes) = inline {
        to.binary("content_inline", bytes)?;
    }
    embed(&mut to, "metadata", &version.metadata)?;
    if !version.tags.is_empty() {
        to.array("tags", &version.tags, |to, index, tag| to.string(index, tag))?;
    }
    if let Some(ttl_ms) = version.ttl_ms {
        to.int64("ttl_ms", ttl_ms)?;
    }
    if let Some(spec) = &version.spec {
        embed(&mut to, "spec", spec)?;
    }
    if let Some(build) = &version.build {
        embed(&mut to, "build", build)?;
    }
    if let Some(policy) = &version.policy {
        embed(&mut to, "policy", policy)?;
    }
    Ok(to.0)
}

fn dependency(to: &mut Elements, index: &str, dependency: &Dependency) -> Result<(), Problem> {
    to.document(index, |to| {
        let key = &dependency.on.key;
        to.string("role", &dependency.role)?;
        to.string("namespace", key.namespace.as_str())?;
        to.string("resource_type", key.resource_type.as_str())?;
        to.string("resource_id", key.resource_id.as_str())?;
        to.int64("seq", dependency.on.seq.0)
    })
}

fn location(to: &mut Elements, of: &ContentLocation) -> Result<(), Problem> {
    to.string("storage_type", storage_name(of.storage_type))?;
    to.string("cache_namespace", &of.cache_namespace)?;
    to.string("cache_key", &of.cache_key)?;
    if let Some(path) = &of.path {
        to.string("path", path)?;
    }
    to.string("compression", compression_name(of.compression))?;
    to.int32("compression_level", of.compression_level);
    to.int64("size_bytes", of.size_bytes)?;
    to.int64("size_compressed", of.size_compressed)?;
    to.digest("checksum", &of.checksum)
}

fn embed<T: Serialize>(to: &mut Elements, name: &str, value: &T) -> Result<(), Problem> {
    let document = bson::serialize_to_vec(value).map_err(|error| format!("{name}: {error}"))?;
    to.encoded(name, &document);
    Ok(())
}

pub(super) fn storage_name(storage: StorageType) -> &'static str {
    match storage {
        StorageType::Memory => "memory",
        StorageType::Cache => "cache",
        StorageType::Disk => "disk",
        StorageType::Database => "database",
        StorageType::S3 => "s3",
    }
}

fn compression_name(compression: CompressionType) -> &'static str {
    match compression {
        CompressionType::None => "none",
        CompressionType::Zstd => "zstd",
        CompressionType::Lz4 => "lz4",
        CompressionType::Gzip => "gzip",
    }
}
