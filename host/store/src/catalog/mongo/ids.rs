//! The `_id`s of documents: readable, and sorted as keys and seqs are.
//!
//! ```text
//! resource := namespace TAB type TAB id
//! version  := resource TAB seq            seq: 20 decimal digits
//! ```
//! No part of a key holds a control character, so TAB sorts before whatever an id may hold, and ends each part.

use floret_model::{ResourceKey, Seq, VersionRef};

use crate::Error;

const SEPARATOR: char = '\t';

/// `_id` of a resource.
pub(super) fn resource(key: &ResourceKey) -> String {
    format!("{}\t{}\t{}", key.namespace, key.resource_type, key.resource_id)
}

/// `_id` of a version.
pub(super) fn version(reference: &VersionRef) -> String {
    version_of(&resource(&reference.key), reference.seq)
}

/// `_id` of a version, by its resource's.
pub(super) fn version_of(resource: &str, seq: Seq) -> String {
    format!("{resource}\t{:020}", seq.0)
}

pub(super) fn parse_resource(id: &str) -> Result<ResourceKey, Error> {
    let mut parts = id.splitn(3, SEPARATOR);
    let (namespace, resource_type) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    ResourceKey::parse(namespace, resource_type, parts.next().unwrap_or_default())
        .map_err(|error| damaged(id, &error.to_string()))
}

pub(super) fn parse_version(id: &str) -> Result<VersionRef, Error> {
    let (key, seq) = id.rsplit_once(SEPARATOR).ok_or_else(|| damaged(id, "it has no seq"))?;
    let seq = seq.parse().map_err(|_| damaged(id, "its seq is no number"))?;
    Ok(VersionRef { key: parse_resource(key)?, seq: Seq(seq) })
}

fn damaged(id: &str, problem: &str) -> Error {
    Error::Integrity { what: format!("the _id {id:?}"), problem: problem.to_owned() }
}

/// What follows every `_id` that begins so.
pub(super) fn after_prefix(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_sort_as_references_do() {
        let reference = |id: &str, seq| VersionRef {
            key: ResourceKey::parse("default", "corpus", id).expect("a key"),
            seq: Seq(seq),
        };
        let mut references =
            [reference("a", 10), reference("a", 9), reference("a b", 1), reference("a/ü@3", 2)];
        for reference in &references {
            assert_eq!(parse_version(&version(reference)).expect("ours"), *reference);
        }
        let mut ids = references.each_ref().map(version);
        ids.sort();
        references.sort();
        assert_eq!(ids, references.each_ref().map(version));
        for foreign in ["", "a", "a\tb", "default\tcorpus\tx\tnine", "No\tb\tc\t00000000000000000001"] {
            assert!(parse_version(foreign).is_err(), "{foreign:?}");
        }
    }
}
