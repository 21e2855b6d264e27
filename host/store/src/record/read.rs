use std::collections::{BTreeMap, BTreeSet};

use bson::raw::RawDocument;
use floret_model::{
    BuildRecord, CascadeReport, ComponentRef, CompressionType, ContentLocation, Dependency, Digest, Memo,
    Metadata, RecordedInput, StorageType, TimestampMs, TypedMetadata, Version,
};

use super::fields::{Field, Problem, Read, Reference, fields, needed, object, reference};
use super::write::storage_name;
use crate::{BlobRecord, BlobState, Error};

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
            "metadata" => metadata = Some(read_metadata(field.document()?)?),
            "tags" => field.items(|item| {
                tags.insert(item.text()?.to_owned());
                Ok(())
            })?,
            "ttl_ms" => ttl_ms = Some(field.count()?),
            "spec" => spec = Some(field.value()?),
            "build" => build = Some(read_build(field.document()?)?),
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

/// By hand, as the build record below, because every head that a plan looks at has both.
fn read_metadata(document: &RawDocument) -> Read<Metadata> {
    let (mut typed, mut custom) = (None, BTreeMap::new());
    fields(document, |field| {
        match field.name {
            "typed" => typed = Some(read_typed(field)?),
            "custom" => custom = object(field.document()?)?.into_iter().collect(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Metadata { typed: needed(typed, "typed")?, custom })
}

fn read_typed(field: Field<'_>) -> Read<TypedMetadata> {
    let kind = field.document()?.get_str("kind");
    match kind.map_err(|error| error.to_string())? {
        "none" => Ok(TypedMetadata::None),
        _ => field.value(),
    }
}

fn read_build(document: &RawDocument) -> Read<BuildRecord> {
    let (mut component, mut config, mut inputs) = (None, None, Vec::new());
    let (mut recipe, mut profile, mut from_memo, mut time) = (None, None, None, None);
    let (mut read, mut written) = (None, None);
    fields(document, |field| {
        match field.name {
            "component" if field.is_null() => {}
            "component" => component = Some(read_component(field.document()?)?),
            "config" => config = Some(field.json()?),
            "inputs" => field.items(|item| {
                inputs.push(read_input(item.document()?)?);
                Ok(())
            })?,
            "recipe" => recipe = Some(field.digest()?),
            "profile" => profile = Some(field.text()?.to_owned()),
            "from_memo" => from_memo = Some(field.flag()?),
            "build_time_ms" => time = Some(field.double()?),
            "input_bytes" => read = Some(field.count()?),
            "output_bytes" => written = Some(field.count()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(BuildRecord {
        component,
        config: needed(config, "config")?,
        inputs,
        recipe: needed(recipe, "recipe")?,
        profile: needed(profile, "profile")?,
        from_memo: needed(from_memo, "from_memo")?,
        build_time_ms: needed(time, "build_time_ms")?,
        input_bytes: needed(read, "input_bytes")?,
        output_bytes: needed(written, "output_bytes")?,
    })
}

fn read_component(document: &RawDocument) -> Read<ComponentRef> {
    let (mut plugin, mut digest, mut contract) = (None, None, None);
    fields(document, |field| {
        match field.name {
            "plugin" => plugin = Some(reference(field.document()?)?),
            "digest" => digest = Some(field.digest()?),
            "contract" => contract = Some(field.text()?.to_owned()),
            _ => {}
        }
        Ok(())
    })?;
    Ok(ComponentRef {
        plugin: needed(plugin, "plugin")?,
        digest: needed(digest, "digest")?,
        contract: needed(contract, "contract")?,
    })
}

fn read_input(document: &RawDocument) -> Read<RecordedInput> {
    let (mut role, mut version, mut digest) = (None, None, None);
    fields(document, |field| {
        match field.name {
            "role" => role = Some(field.text()?.to_owned()),
            "version" => version = Some(reference(field.document()?)?),
            "digest" => digest = Some(field.digest()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(RecordedInput {
        role: needed(role, "role")?,
        version: needed(version, "version")?,
        digest: needed(digest, "digest")?,
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
