//! Dropped versions, memos and access counts, applied by the committer. A write lost here in a crash is work
//! done again: a version dropped again, a build repeated, a read not counted. So none is synced by itself.

use std::collections::{BTreeMap, BTreeSet};

use floret_model::{Digest, Memo, ResourceKey, StorageType, TimestampMs, VersionRef};

use super::keys;
use super::publish::{head, version};
use super::staged::Staged;
use super::tables::Table;
use crate::Error;
use crate::catalog::Access;
use crate::record::{memo_from_document, memo_to_document, version_to_document};

/// Drops whatever can be, in whatever order it is named: what was kept only by a version that is dropped here is
/// looked at again.
pub(super) fn drop_versions(
    staged: &mut Staged<'_>,
    references: Vec<VersionRef>,
    now: TimestampMs,
) -> Result<Vec<VersionRef>, Error> {
    let mut waiting: BTreeSet<VersionRef> = references.iter().cloned().collect();
    let mut queue: Vec<VersionRef> = references;
    let mut dropped = BTreeSet::new();
    while let Some(reference) = queue.pop() {
        if !waiting.contains(&reference) {
            continue;
        }
        if let Some(freed) = drop_one(staged, &reference, now)? {
            waiting.remove(&reference);
            dropped.insert(reference);
            queue.extend(freed.into_iter().filter(|on| waiting.contains(on)));
        }
    }
    Ok(dropped.into_iter().collect())
}

/// What it depended on, if it was dropped.
fn drop_one(
    staged: &mut Staged<'_>,
    reference: &VersionRef,
    now: TimestampMs,
) -> Result<Option<Vec<VersionRef>>, Error> {
    let Some(mut record) = version(staged, reference)? else {
        return Ok(None);
    };
    let key = reference.key.encode();
    let row = keys::version(&key, reference.seq);
    let latest = head(staged, &key)?.filter(|head| head.seq == reference.seq);
    let kept = record.dropped_at.is_some()
        || (latest.is_some() && !record.is_expired(now))
        || staged.any(Table::References, &row)?;
    if kept {
        return Ok(None);
    }
    record.dropped_at = Some(now);
    record.content_inline = None;
    if record.content_location.storage_type != StorageType::Database {
        let digest = &record.content_location.checksum;
        staged.remove(Table::BlobRefs, keys::blob_version(digest, &row));
    }
    for dependency in &record.dependencies {
        staged.remove(Table::References, keys::reference(&dependency.on, &row));
    }
    if let Some(mut head) = latest {
        head.dropped = true;
        staged.put(Table::Heads, key, head.encode());
    }
    staged.put(Table::Versions, row, version_to_document(&record)?);
    let freed = record.dependencies.into_iter();
    Ok(Some(freed.map(|dependency| dependency.on).collect()))
}

/// A memo's output is kept while the memo is.
pub(super) fn put_memo(staged: &mut Staged<'_>, memo: &Memo, document: Vec<u8>) -> Result<(), Error> {
    remove_memo(staged, &memo.recipe)?;
    let reference = keys::blob_memo(&memo.output, &memo.recipe);
    staged.put(Table::BlobRefs, reference, Vec::new());
    staged.put(Table::Memos, memo.recipe.as_bytes().to_vec(), document);
    Ok(())
}

pub(super) fn memo_document(memo: &Memo) -> Result<Vec<u8>, Error> {
    memo_to_document(memo)
}

fn remove_memo(staged: &mut Staged<'_>, recipe: &Digest) -> Result<bool, Error> {
    let Some(row) = staged.get(Table::Memos, recipe.as_bytes())? else {
        return Ok(false);
    };
    let memo = memo_from_document(&row)?;
    staged.remove(Table::BlobRefs, keys::blob_memo(&memo.output, recipe));
    staged.remove(Table::Memos, recipe.as_bytes().to_vec());
    Ok(true)
}

/// Forgets those of the recipes that are still old and whose output no version has come to refer to.
pub(super) fn forget_memos(
    staged: &mut Staged<'_>,
    recipes: &[Digest],
    before: TimestampMs,
) -> Result<u64, Error> {
    let mut forgotten = 0;
    for recipe in recipes {
        let Some(row) = staged.get(Table::Memos, recipe.as_bytes())? else {
            continue;
        };
        let memo = memo_from_document(&row)?;
        let referred = staged.any(Table::BlobRefs, &keys::blob_refs(&memo.output, b'v'))?;
        if memo.created_at < before && !referred && remove_memo(staged, recipe)? {
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

pub(super) fn add_accesses(staged: &mut Staged<'_>, accesses: &[(ResourceKey, Access)]) -> Result<(), Error> {
    let mut sums: BTreeMap<Vec<u8>, Access> = BTreeMap::new();
    for (key, access) in accesses {
        add(sums.entry(key.encode()).or_default(), access);
    }
    for (key, mut sum) in sums {
        if let Some(row) = staged.get(Table::Access, &key)? {
            add(&mut sum, &decode_access(&row)?);
        }
        let mut row = sum.count.to_le_bytes().to_vec();
        row.extend_from_slice(&sum.last_at.0.to_le_bytes());
        staged.put(Table::Access, key, row);
    }
    Ok(())
}

fn add(sum: &mut Access, access: &Access) {
    sum.count = sum.count.saturating_add(access.count);
    sum.last_at = sum.last_at.max(access.last_at);
}

pub(super) fn decode_access(row: &[u8]) -> Result<Access, Error> {
    let parse = || {
        let (count, last_at) = row.split_first_chunk::<8>()?;
        Some(Access {
            count: u64::from_le_bytes(*count),
            last_at: TimestampMs(i64::from_le_bytes(last_at.try_into().ok()?)),
        })
    };
    parse().ok_or_else(|| Error::Integrity {
        what: "an access count".to_owned(),
        problem: format!("it takes {} bytes; expected 16", row.len()),
    })
}
