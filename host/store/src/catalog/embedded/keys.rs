//! Keys of the rows. Grammar (`key` is [`ResourceKey::encode`]: `namespace NUL type NUL id`; a seq, time or
//! generation is 8 bytes, big-endian; a digest 32 bytes; values in parentheses):
//!
//! ```text
//! meta            := "format" (u32 LE) | "generation" (u64 LE: none above it was ever handed out)
//! heads           := key (see head.rs)
//! versions        := key NUL seq (BSON, see record.rs)
//! created         := namespace NUL type NUL time id NUL seq ()          time: ms + 2^63
//! edges           := key(dependency) NUL key(dependent) ()              of latest versions
//! references      := key(dependency) NUL seq key(dependent) NUL seq ()  of versions not dropped
//! blobs           := digest (BSON)
//! blob_refs       := digest "v" key NUL seq () | digest "m" digest(recipe) ()
//! memos           := digest(recipe) (BSON)
//! reports         := id (BSON)
//! reports_by_key  := key NUL time id ()
//! access          := key (count: u64 LE, last_at: i64 LE)
//! ```
//! No part of a key holds a NUL, so no row's key is a prefix of a foreign resource's.

use floret_model::{Digest, Namespace, ResourceKey, ResourceType, Seq, TimestampMs, VersionRef};

use crate::Error;

pub(super) const FORMAT: &[u8] = b"format";
pub(super) const GENERATION: &[u8] = b"generation";

/// `key NUL seq`.
pub(super) fn version(key: &[u8], seq: Seq) -> Vec<u8> {
    let mut row = Vec::with_capacity(key.len() + 9);
    row.extend_from_slice(key);
    row.push(0);
    row.extend_from_slice(&seq.0.to_be_bytes());
    row
}

/// `key NUL`: what all rows about one resource begin with.
pub(super) fn prefix(key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(key.len() + 1);
    row.extend_from_slice(key);
    row.push(0);
    row
}

/// What follows the last row of a prefix.
pub(super) fn after_prefix(mut prefix: Vec<u8>) -> Vec<u8> {
    while prefix.last() == Some(&0xff) {
        prefix.pop();
    }
    if let Some(last) = prefix.last_mut() {
        *last += 1;
    }
    prefix
}

fn time(at: TimestampMs) -> [u8; 8] {
    ((at.0 as u64) ^ (1 << 63)).to_be_bytes()
}

/// Prefix of a type's rows in `created`, and of its keys in `heads`.
pub(super) fn type_prefix(namespace: &Namespace, resource_type: &ResourceType) -> Vec<u8> {
    let mut row = prefix(namespace.as_str().as_bytes());
    row.extend_from_slice(resource_type.as_str().as_bytes());
    row.push(0);
    row
}

pub(super) fn created_from(prefix: &[u8], at: TimestampMs) -> Vec<u8> {
    [prefix, &time(at)].concat()
}

pub(super) fn created(key: &ResourceKey, at: TimestampMs, seq: Seq) -> Vec<u8> {
    let mut row = type_prefix(&key.namespace, &key.resource_type);
    row.extend_from_slice(&time(at));
    row.extend_from_slice(key.resource_id.as_str().as_bytes());
    row.push(0);
    row.extend_from_slice(&seq.0.to_be_bytes());
    row
}

/// The version that a row of `created` names; `prefix_bytes` is the length of its type's prefix.
pub(super) fn parse_created(row: &[u8], prefix_bytes: usize) -> Result<VersionRef, Error> {
    let parse = || {
        let mut key = row.get(..prefix_bytes)?.to_vec();
        let tail = row.get(prefix_bytes + 8..)?;
        key.extend_from_slice(tail);
        parse_version_bytes(&key)
    };
    parse().ok_or_else(|| damaged("created", row))
}

/// `dependency NUL dependent`.
pub(super) fn edge(dependency: &[u8], dependent: &[u8]) -> Vec<u8> {
    let mut row = prefix(dependency);
    row.extend_from_slice(dependent);
    row
}

/// `dependency NUL seq dependent NUL seq`.
pub(super) fn reference(dependency: &VersionRef, dependent: &[u8]) -> Vec<u8> {
    let mut row = version(&dependency.key.encode(), dependency.seq);
    row.extend_from_slice(dependent);
    row
}

pub(super) fn blob_refs(digest: &Digest, kind: u8) -> Vec<u8> {
    let mut row = digest.as_bytes().to_vec();
    row.push(kind);
    row
}

/// `digest "v" key NUL seq`; `version` is the version's row.
pub(super) fn blob_version(digest: &Digest, version: &[u8]) -> Vec<u8> {
    let mut row = blob_refs(digest, b'v');
    row.extend_from_slice(version);
    row
}

pub(super) fn blob_memo(digest: &Digest, recipe: &Digest) -> Vec<u8> {
    let mut row = blob_refs(digest, b'm');
    row.extend_from_slice(recipe.as_bytes());
    row
}

pub(super) fn report(key: &ResourceKey, at: TimestampMs, id: &str) -> Vec<u8> {
    let mut row = prefix(&key.encode());
    row.extend_from_slice(&time(at));
    row.extend_from_slice(id.as_bytes());
    row
}

pub(super) fn parse_key(row: &[u8]) -> Result<ResourceKey, Error> {
    ResourceKey::decode(row).ok_or_else(|| damaged("a resource", row))
}

/// The version that `key NUL seq` names.
pub(super) fn parse_version(row: &[u8]) -> Result<VersionRef, Error> {
    parse_version_bytes(row).ok_or_else(|| damaged("a version", row))
}

fn parse_version_bytes(row: &[u8]) -> Option<VersionRef> {
    let (key, seq) = row.split_at_checked(row.len().checked_sub(9)?)?;
    let (0, seq) = (*seq.first()?, &seq[1..]) else {
        return None;
    };
    Some(VersionRef { key: ResourceKey::decode(key)?, seq: Seq(u64::from_be_bytes(seq.try_into().ok()?)) })
}

pub(super) fn damaged(what: &str, row: &[u8]) -> Error {
    Error::Integrity {
        what: format!("the catalog's row {}", row.escape_ascii()),
        problem: format!("its key does not name {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> ResourceKey {
        ResourceKey::parse("default", "corpus", id).expect("a valid key")
    }

    #[test]
    fn v4_rows_of_odd_ids_stay_apart_and_read_back() {
        for id in ["a", "a/b", "😀", "a b", "..", "ÿ"] {
            let encoded = key(id).encode();
            let row = version(&encoded, Seq(258));
            let reference = VersionRef { key: key(id), seq: Seq(258) };
            assert_eq!(parse_version(&row).expect("a version"), reference);
            assert!(!row.starts_with(&prefix(&key("a/").encode())), "{id}");
            let type_rows = type_prefix(&key(id).namespace, &key(id).resource_type);
            let row = created(&key(id), TimestampMs(-5), Seq(258));
            assert_eq!(parse_created(&row, type_rows.len()).expect("a version"), reference);
        }
    }

    #[test]
    fn m7_creation_rows_sort_by_time_before_and_after_the_epoch() {
        let rows: Vec<_> = [i64::MIN, -1, 0, 1, i64::MAX]
            .into_iter()
            .map(|at| created(&key("a"), TimestampMs(at), Seq(1)))
            .collect();
        assert!(rows.is_sorted());
    }

    #[test]
    fn the_end_of_a_prefix_follows_all_of_its_rows() {
        assert_eq!(after_prefix(vec![1, 2]), [1, 3]);
        assert_eq!(after_prefix(vec![1, 0xff]), [2]);
        assert!(after_prefix(prefix(b"a")) > version(b"a", Seq(u64::MAX)));
    }
}
