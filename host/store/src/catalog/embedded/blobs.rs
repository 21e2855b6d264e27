//! Blob rows. All of these are applied by the committer, so a claim, a publish and a condemnation of one blob
//! are always one after the other. None needs a sync of its own:
//! - a claim or settlement lost in a crash leaves an orphaned object, which the sweep finds;
//! - a publish that refers to a settled row comes after it in the journal, and syncing one syncs the other;
//! - a condemnation lost leaves the blob stored, and its object is still there: the sweep flushes before it
//!   deletes any object;
//! - a forgotten row that comes back is condemned still, and the next sweep deletes nothing and forgets it.

use floret_model::{CompressionType, ContentLocation, Digest, StorageType, TimestampMs};

use super::keys;
use super::staged::Staged;
use super::tables::Table;
use crate::Error;
use crate::blob::blob_path;
use crate::catalog::{BlobRecord, BlobState, Claim};
use crate::record::{blob_from_document, blob_to_document};

/// Generations that are handed out between two syncs of the counter.
const GENERATIONS: u64 = 64;

/// Numbers for generations: never the same twice, also over crashes, so that whoever deletes an object by its
/// generation cannot hit a newer one.
#[derive(Debug, Default)]
pub(super) struct Generations {
    last: u64,
    /// None above it may be handed out until a greater one is on disk.
    reserved: u64,
}

impl Generations {
    pub fn after(reserved: u64) -> Self {
        Self { last: reserved, reserved }
    }

    fn next(&mut self, staged: &mut Staged<'_>) -> u64 {
        self.last += 1;
        if self.last > self.reserved {
            self.reserved = self.last + GENERATIONS - 1;
            let value = self.reserved.to_le_bytes().to_vec();
            staged.put(Table::Meta, keys::GENERATION.to_vec(), value);
            staged.require_sync();
        }
        self.last
    }
}

/// The row, and the oldest generation that may be settled.
fn row(staged: &Staged<'_>, digest: &Digest) -> Result<Option<(BlobRecord, u64)>, Error> {
    let row = staged.get(Table::Blobs, digest.as_bytes())?;
    row.map(|row| blob_from_document(&row)).transpose()
}

fn put(staged: &mut Staged<'_>, record: &BlobRecord, since: u64) -> Result<(), Error> {
    let document = blob_to_document(record, since)?;
    staged.put(Table::Blobs, record.digest.as_bytes().to_vec(), document);
    Ok(())
}

pub(super) fn claim(
    staged: &mut Staged<'_>,
    digest: &Digest,
    lease_until: TimestampMs,
    generations: &mut Generations,
) -> Result<Claim, Error> {
    let (lease_until, since) = match row(staged, digest)? {
        Some((mut record, since)) => match record.state {
            BlobState::Stored { lease_until: held } => {
                if lease_until > held {
                    record.state = BlobState::Stored { lease_until };
                    put(staged, &record, since)?;
                }
                return Ok(Claim::Present(record));
            }
            BlobState::Pending { lease_until: held } => (lease_until.max(held), Some(since)),
            BlobState::Condemned { .. } => (lease_until, None),
        },
        None => (lease_until, None),
    };
    let generation = generations.next(staged);
    let record = BlobRecord {
        digest: *digest,
        generation,
        location: nowhere_yet(digest, generation),
        state: BlobState::Pending { lease_until },
    };
    put(staged, &record, since.unwrap_or(generation))?;
    Ok(Claim::Put { generation })
}

/// Of a claimed blob only the path is known.
fn nowhere_yet(digest: &Digest, generation: u64) -> ContentLocation {
    ContentLocation {
        storage_type: StorageType::Disk,
        cache_namespace: String::new(),
        cache_key: String::new(),
        path: Some(blob_path(digest, generation)),
        compression: CompressionType::None,
        compression_level: 0,
        size_bytes: 0,
        size_compressed: 0,
        checksum: *digest,
    }
}

/// Whoever claimed since the row was last absent or condemned may settle, and the first one does: each has an
/// object of its own, and the others' are orphans.
pub(super) fn settle(staged: &mut Staged<'_>, new: &BlobRecord) -> Result<BlobRecord, Error> {
    let lost = || Error::LeaseLost { digest: new.digest };
    let (record, since) = row(staged, &new.digest)?.ok_or_else(lost)?;
    match record.state {
        BlobState::Stored { .. } => Ok(record),
        BlobState::Condemned { .. } => Err(lost()),
        BlobState::Pending { lease_until } => {
            if !(since..=record.generation).contains(&new.generation) {
                return Err(lost());
            }
            let settled = BlobRecord { state: BlobState::Stored { lease_until }, ..new.clone() };
            put(staged, &settled, since)?;
            Ok(settled)
        }
    }
}

pub(super) fn condemn(staged: &mut Staged<'_>, digest: &Digest, now: TimestampMs) -> Result<bool, Error> {
    let Some((mut record, since)) = row(staged, digest)? else {
        return Ok(false);
    };
    match record.state {
        BlobState::Condemned { .. } => return Ok(true),
        BlobState::Pending { lease_until } | BlobState::Stored { lease_until } if lease_until > now => {
            return Ok(false);
        }
        BlobState::Pending { .. } | BlobState::Stored { .. } => {}
    }
    if staged.any(Table::BlobRefs, digest.as_bytes())? {
        return Ok(false);
    }
    record.state = BlobState::Condemned { at: now };
    put(staged, &record, since)?;
    Ok(true)
}

pub(super) fn forget(staged: &mut Staged<'_>, digest: &Digest, generation: u64) -> Result<(), Error> {
    if let Some((record, _)) = row(staged, digest)?
        && record.generation == generation
        && matches!(record.state, BlobState::Condemned { .. })
    {
        staged.remove(Table::Blobs, digest.as_bytes().to_vec());
    }
    Ok(())
}
