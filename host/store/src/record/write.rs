use bson::raw::{CStr, RawArrayBuf, RawDocumentBuf, cstr};
use bson::spec::BinarySubtype;
use bson::{DateTime, RawBinaryRef};
use floret_model::{
    CascadeReport, CompressionType, ContentLocation, Dependency, Memo, Seq, StorageType, TimestampMs, Version,
};
use serde::Serialize;

use crate::{BlobRecord, BlobState, Error};

/// Largest record: what MongoDB takes as one document, less what the driver adds. 16 MiB − 64 KiB.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024 - 64 * 1024;

type Problem = String;

/// The fields of a version that are known before the log gives it its place, already encoded.
#[derive(Debug)]
pub struct VersionBody {
    /// Elements only: no length before and no NUL after them.
    elements: Vec<u8>,
    dependencies: Option<RawArrayBuf>,
}

impl VersionBody {
    /// Encode what does not depend on the place in the log.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the version cannot be a BSON document.
    pub fn new(version: &Version) -> Result<Self, Error> {
        body(version).map_err(|problem| invalid(&version.key.to_string(), problem))
    }

    /// The whole document of `version`, whose body this is.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is larger than [`RECORD_BYTES_MAX`].
    pub fn document(&self, version: &Version) -> Result<Vec<u8>, Error> {
        let head = header(version, self.dependencies.as_ref())
            .map_err(|problem| invalid(&version.reference().to_string(), problem))?;
        let head = head.as_bytes();
        let length = head.len() + self.elements.len();
        if length > RECORD_BYTES_MAX {
            let problem = format!(
                "its record takes {length} bytes, more than {RECORD_BYTES_MAX}; keep large contents outside"
            );
            return Err(invalid(&version.reference().to_string(), problem));
        }
        let mut bytes = Vec::with_capacity(length);
        let prefix = i32::try_from(length).expect("the limit on records is below 2^31");
        bytes.extend_from_slice(&prefix.to_le_bytes());
        bytes.extend_from_slice(&head[4..head.len() - 1]);
        bytes.extend_from_slice(&self.elements);
        bytes.push(0);
        Ok(bytes)
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
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("digest"), record.digest.to_string());
        document.append(cstr!("generation"), int64("generation", record.generation)?);
        document.append(cstr!("since"), int64("since", since)?);
        document.append(cstr!("location"), location(&record.location)?);
        document.append(cstr!("state"), state);
        document.append(cstr!("at"), moment(at));
        Ok(document.into_bytes())
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

fn int64(what: &str, value: u64) -> Result<i64, Problem> {
    i64::try_from(value).map_err(|_| format!("{what} is {value}, and records hold less than 2^63"))
}

fn moment(at: TimestampMs) -> DateTime {
    DateTime::from_millis(at.0)
}

fn seq(value: Seq) -> Result<i64, Problem> {
    int64("seq", value.0)
}

fn header(version: &Version, dependencies: Option<&RawArrayBuf>) -> Result<RawDocumentBuf, Problem> {
    let mut info = RawDocumentBuf::new();
    info.append(cstr!("version"), version.version.to_string());
    info.append(cstr!("created_at"), moment(version.created_at));
    info.append(cstr!("data_hash"), version.data_hash.to_string());
    if let Some(dependencies) = dependencies {
        info.append(cstr!("dependencies"), dependencies);
    }
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("namespace"), version.key.namespace.as_str());
    document.append(cstr!("resource_type"), version.key.resource_type.as_str());
    document.append(cstr!("resource_id"), version.key.resource_id.as_str());
    document.append(cstr!("seq"), seq(version.seq)?);
    document.append(cstr!("version_info"), info);
    document.append(cstr!("publish_id"), version.publish_id.as_str());
    if let Some(at) = version.dropped_at {
        document.append(cstr!("dropped_at"), moment(at));
    }
    Ok(document)
}

fn body(version: &Version) -> Result<VersionBody, Problem> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("media_type"), version.media_type.as_str());
    document.append(cstr!("content_location"), location(&version.content_location)?);
    if let Some(bytes) = &version.content_inline {
        let subtype = BinarySubtype::Generic;
        document.append(cstr!("content_inline"), RawBinaryRef { subtype, bytes });
    }
    embed(&mut document, cstr!("metadata"), &version.metadata)?;
    if !version.tags.is_empty() {
        let mut tags = RawArrayBuf::new();
        version.tags.iter().for_each(|tag| tags.push(tag.as_str()));
        document.append(cstr!("tags"), tags);
    }
    if let Some(ttl_ms) = version.ttl_ms {
        document.append(cstr!("ttl_ms"), int64("ttl_ms", ttl_ms)?);
    }
    if let Some(spec) = &version.spec {
        embed(&mut document, cstr!("spec"), spec)?;
    }
    if let Some(build) = &version.build {
        embed(&mut document, cstr!("build"), build)?;
    }
    if let Some(policy) = &version.policy {
        embed(&mut document, cstr!("policy"), policy)?;
    }
    let mut elements = document.into_bytes();
    elements.pop();
    elements.drain(..4);
    let dependencies =
        (!version.dependencies.is_empty()).then(|| dependencies(&version.dependencies)).transpose()?;
    Ok(VersionBody { elements, dependencies })
}

fn dependencies(of: &[Dependency]) -> Result<RawArrayBuf, Problem> {
    let mut array = RawArrayBuf::new();
    for dependency in of {
        let key = &dependency.on.key;
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("role"), dependency.role.as_str());
        document.append(cstr!("namespace"), key.namespace.as_str());
        document.append(cstr!("resource_type"), key.resource_type.as_str());
        document.append(cstr!("resource_id"), key.resource_id.as_str());
        document.append(cstr!("seq"), seq(dependency.on.seq)?);
        array.push(document);
    }
    Ok(array)
}

fn location(of: &ContentLocation) -> Result<RawDocumentBuf, Problem> {
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("storage_type"), storage_name(of.storage_type));
    document.append(cstr!("cache_namespace"), of.cache_namespace.as_str());
    document.append(cstr!("cache_key"), of.cache_key.as_str());
    if let Some(path) = &of.path {
        document.append(cstr!("path"), path.as_str());
    }
    document.append(cstr!("compression"), compression_name(of.compression));
    document.append(cstr!("compression_level"), of.compression_level);
    document.append(cstr!("size_bytes"), int64("size_bytes", of.size_bytes)?);
    let stored = int64("size_compressed", of.size_compressed)?;
    document.append(cstr!("size_compressed"), stored);
    document.append(cstr!("checksum"), of.checksum.to_string());
    Ok(document)
}

fn embed<T: Serialize>(into: &mut RawDocumentBuf, name: &CStr, value: &T) -> Result<(), Problem> {
    let document =
        bson::serialize_to_raw_document_buf(value).map_err(|error| format!("{}: {error}", name.as_str()))?;
    into.append(name, document);
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
