use std::collections::BTreeSet;

use bson::RawBsonRef;
use bson::raw::RawDocument;
use bytes::Bytes;
use floret_model::{
    CascadeReport, CompressionType, ContentLocation, Dependency, Digest, Memo, Metadata, Namespace,
    ResourceId, ResourceKey, ResourceType, Seq, StorageType, TimestampMs, Version, VersionRef,
};
use serde::de::DeserializeOwned;

use super::write::storage_name;
use crate::{BlobRecord, BlobState, Error};

type Problem = String;
type Read<T> = Result<T, Problem>;

/// The version that a document holds.
///
/// # Errors
/// [`Error::Integrity`] when it is not a version's document.
pub fn version_from_document(bytes: &[u8]) -> Result<Version, Error> {
    version(bytes).map_err(|problem| damaged("a version's record", problem))
}

/// The blob row that a document holds, and the oldest generation that may be settled.
///
/// # Errors
/// [`Error::Integrity`] when it is not a blob row's document.
pub fn blob_from_document(bytes: &[u8]) -> Result<(BlobRecord, u64), Error> {
    blob(bytes).map_err(|problem| damaged("a blob's record", problem))
}

/// The memo that a document holds.
///
/// # Errors
/// [`Error::Integrity`] when it is not a memo's document.
pub fn memo_from_document(bytes: &[u8]) -> Result<Memo, Error> {
    bson::deserialize_from_slice(bytes).map_err(|error| damaged("a memo's record", error.to_string()))
}

/// The report that a document holds.
///
/// # Errors
/// [`Error::Integrity`] when it is not a report's document.
pub fn report_from_document(bytes: &[u8]) -> Result<CascadeReport, Error> {
    bson::deserialize_from_slice(bytes).map_err(|error| damaged("a cascade's record", error.to_string()))
}

fn damaged(what: &str, problem: Problem) -> Error {
    Error::Integrity { what: what.to_owned(), problem }
}

/// One field of a document, with its name for messages.
#[derive(Clone, Copy)]
struct Field<'a> {
    name: &'a str,
    value: RawBsonRef<'a>,
}

fn fields<'a>(document: &'a RawDocument, mut each: impl FnMut(Field<'a>) -> Read<()>) -> Read<()> {
    for element in document.iter() {
        let (name, value) = element.map_err(|error| error.to_string())?;
        let name = name.as_str();
        each(Field { name, value })?;
    }
    Ok(())
}

impl<'a> Field<'a> {
    fn wrong(&self, expected: &str) -> Problem {
        format!("{} is not {expected}", self.name)
    }

    fn text(&self) -> Read<&'a str> {
        match self.value {
            RawBsonRef::String(text) => Ok(text),
            _ => Err(self.wrong("a string")),
        }
    }

    fn count(&self) -> Read<u64> {
        let value = match self.value {
            RawBsonRef::Int64(value) => value,
            RawBsonRef::Int32(value) => value.into(),
            _ => return Err(self.wrong("an integer")),
        };
        u64::try_from(value).map_err(|_| self.wrong("positive"))
    }

    fn level(&self) -> Read<i32> {
        match self.value {
            RawBsonRef::Int32(value) => Ok(value),
            _ => Err(self.wrong("an int32")),
        }
    }

    fn moment(&self) -> Read<TimestampMs> {
        match self.value {
            RawBsonRef::DateTime(at) => Ok(TimestampMs(at.timestamp_millis())),
            _ => Err(self.wrong("a datetime")),
        }
    }

    fn digest(&self) -> Read<Digest> {
        self.text()?.parse().map_err(|error| format!("{}: {error}", self.name))
    }

    fn document(&self) -> Read<&'a RawDocument> {
        match self.value {
            RawBsonRef::Document(document) => Ok(document),
            _ => Err(self.wrong("a document")),
        }
    }

    fn items(&self, mut each: impl FnMut(Field<'a>) -> Read<()>) -> Read<()> {
        let RawBsonRef::Array(array) = self.value else {
            return Err(self.wrong("an array"));
        };
        for item in array {
            let value = item.map_err(|error| format!("{}: {error}", self.name))?;
            each(Field { value, ..*self })?;
        }
        Ok(())
    }

    fn bytes(&self) -> Read<Bytes> {
        match self.value {
            RawBsonRef::Binary(binary) => Ok(Bytes::copy_from_slice(binary.bytes)),
            _ => Err(self.wrong("binary")),
        }
    }

    fn value<T: DeserializeOwned>(&self) -> Read<T> {
        bson::deserialize_from_slice(self.document()?.as_bytes())
            .map_err(|error| format!("{}: {error}", self.name))
    }

    fn name_of<T>(&self, new: impl FnOnce(&'a str) -> Result<T, floret_model::KeyError>) -> Read<T> {
        new(self.text()?).map_err(|error| error.to_string())
    }
}

fn needed<T>(value: Option<T>, name: &str) -> Read<T> {
    value.ok_or_else(|| format!("{name} is missing"))
}

#[derive(Default)]
struct Reference {
    namespace: Option<Namespace>,
    resource_type: Option<ResourceType>,
    resource_id: Option<ResourceId>,
    seq: Option<Seq>,
}

impl Reference {
    /// Takes the field if it is one of a reference.
    fn take(&mut self, field: Field<'_>) -> Read<bool> {
        match field.name {
            "namespace" => self.namespace = Some(field.name_of(Namespace::new)?),
            "resource_type" => self.resource_type = Some(field.name_of(ResourceType::new)?),
            "resource_id" => self.resource_id = Some(field.name_of(ResourceId::new)?),
            "seq" => self.seq = Some(Seq(field.count()?)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self) -> Read<VersionRef> {
        Ok(VersionRef {
            key: ResourceKey {
                namespace: needed(self.namespace, "namespace")?,
                resource_type: needed(self.resource_type, "resource_type")?,
                resource_id: needed(self.resource_id, "resource_id")?,
            },
            seq: needed(self.seq, "seq")?,
        })
    }
}

#[derive(Default)]
struct Info {
    version: Option<semver::Version>,
    created_at: Option<TimestampMs>,
    data_hash: Option<Digest>,
    dependencies: Vec<Dependency>,
}

fn info(document: &RawDocument) -> Read<Info> {
    let mut info = Info::default();
    fields(document, |field| {
        match field.name {
            "version" => {
                let parsed = field.text()?.parse::<semver::Version>();
                info.version = Some(parsed.map_err(|error| format!("version: {error}"))?);
            }
            "created_at" => info.created_at = Some(field.moment()?),
            "data_hash" => info.data_hash = Some(field.digest()?),
            "dependencies" => field.items(|item| {
                info.dependencies.push(dependency(item.document()?)?);
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(info)
}

fn dependency(document: &RawDocument) -> Read<Dependency> {
    let (mut role, mut on) = (None, Reference::default());
    fields(document, |field| {
        if !on.take(field)? && field.name == "role" {
            role = Some(field.text()?.to_owned());
        }
        Ok(())
    })?;
    Ok(Dependency { role: needed(role, "role")?, on: on.finish()? })
}

fn version(bytes: &[u8]) -> Read<Version> {
    let document = RawDocument::from_bytes(bytes).map_err(|error| error.to_string())?;
    let mut reference = Reference::default();
    let (mut seen, mut place, mut media_type, mut publish_id) = (None, None, None, None);
    let (mut metadata, mut tags, mut inline) = (None::<Metadata>, BTreeSet::new(), None);
    let (mut ttl_ms, mut spec, mut build, mut policy, mut dropped_at) = (None, None, None, None, None);
    fields(document, |field| {
        match field.name {
            "version_info" => seen = Some(info(field.document()?)?),
            "publish_id" => publish_id = Some(field.text()?.to_owned()),
            "dropped_at" => dropped_at = Some(field.moment()?),
            "media_type" => media_type = Some(field.text()?.to_owned()),
            "content_location" => place = Some(location(field.document()?)?),
            "content_inline" => inline = Some(field.bytes()?),
            "metadata" => metadata = Some(field.value()?),
            "tags" => field.items(|item| {
                tags.insert(item.text()?.to_owned());
                Ok(())
            })?,
            "ttl_ms" => ttl_ms = Some(field.count()?),
            "spec" => spec = Some(field.value()?),
            "build" => build = Some(field.value()?),
            "policy" => policy = Some(field.value()?),
            _ => {
                reference.take(field)?;
            }
        }
        Ok(())
    })?;
    let (reference, info) = (reference.finish()?, needed(seen, "version_info")?);
    Ok(Version {
        key: reference.key,
        seq: reference.seq,
        version: needed(info.version, "version")?,
        created_at: needed(info.created_at, "created_at")?,
        data_hash: needed(info.data_hash, "data_hash")?,
        media_type: needed(media_type, "media_type")?,
        content_location: needed(place, "content_location")?,
        content_inline: inline,
        dependencies: info.dependencies,
        metadata: needed(metadata, "metadata")?,
        tags,
        ttl_ms,
        spec,
        build,
        policy,
        publish_id: needed(publish_id, "publish_id")?,
        dropped_at,
    })
}

fn location(document: &RawDocument) -> Read<ContentLocation> {
    let (mut storage, mut namespace, mut key, mut path) = (None, None, None, None);
    let (mut compression, mut level, mut raw, mut stored, mut checksum) = (None, None, None, None, None);
    fields(document, |field| {
        match field.name {
            "storage_type" => storage = Some(storage_type(field.text()?)?),
            "cache_namespace" => namespace = Some(field.text()?.to_owned()),
            "cache_key" => key = Some(field.text()?.to_owned()),
            "path" => path = Some(field.text()?.to_owned()),
            "compression" => {
                let parsed = field.text()?.parse::<CompressionType>();
                compression = Some(parsed.map_err(|error| error.to_string())?);
            }
            "compression_level" => level = Some(field.level()?),
            "size_bytes" => raw = Some(field.count()?),
            "size_compressed" => stored = Some(field.count()?),
            "checksum" => checksum = Some(field.digest()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(ContentLocation {
        storage_type: needed(storage, "storage_type")?,
        cache_namespace: needed(namespace, "cache_namespace")?,
        cache_key: needed(key, "cache_key")?,
        path,
        compression: needed(compression, "compression")?,
        compression_level: needed(level, "compression_level")?,
        size_bytes: needed(raw, "size_bytes")?,
        size_compressed: needed(stored, "size_compressed")?,
        checksum: needed(checksum, "checksum")?,
    })
}

fn storage_type(text: &str) -> Read<StorageType> {
    use StorageType::{Cache, Database, Disk, Memory, S3};
    [Memory, Cache, Disk, Database, S3]
        .into_iter()
        .find(|storage| storage_name(*storage) == text)
        .ok_or_else(|| format!("unknown storage type {text:?}"))
}

fn blob(bytes: &[u8]) -> Read<(BlobRecord, u64)> {
    let document = RawDocument::from_bytes(bytes).map_err(|error| error.to_string())?;
    let (mut digest, mut generation, mut since, mut place) = (None, None, None, None);
    let (mut state, mut at) = (None, None);
    fields(document, |field| {
        match field.name {
            "digest" => digest = Some(field.digest()?),
            "generation" => generation = Some(field.count()?),
            "since" => since = Some(field.count()?),
            "location" => place = Some(location(field.document()?)?),
            "state" => state = Some(field.text()?),
            "at" => at = Some(field.moment()?),
            _ => {}
        }
        Ok(())
    })?;
    let at = needed(at, "at")?;
    let state = match needed(state, "state")? {
        "pending" => BlobState::Pending { lease_until: at },
        "stored" => BlobState::Stored { lease_until: at },
        "condemned" => BlobState::Condemned { at },
        other => return Err(format!("unknown state {other:?}")),
    };
    let record = BlobRecord {
        digest: needed(digest, "digest")?,
        generation: needed(generation, "generation")?,
        location: needed(place, "location")?,
        state,
    };
    Ok((record, needed(since, "since")?))
}
