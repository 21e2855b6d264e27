//! Blob rows. Each step is one update of one document that names what it was decided by; if that has changed, it is
//! decided again. Only a condemnation looks at other documents, so it is a transaction, and it writes where whoever
//! begins to refer to the blob writes, too.

use async_trait::async_trait;
use bson::{Document, doc};
use floret_model::{CompressionType, ContentLocation, Digest, StorageType, TimestampMs};
use mongodb::ClientSession;
use mongodb::options::ReturnDocument;
use parking_lot::Mutex;

use super::failure;
use super::head::{date, long};
use super::home::Home;
use super::transaction::{Attempted, Failure, Work, patiently};
use crate::Error;
use crate::blob::blob_path;
use crate::catalog::{BlobRecord, BlobState, Claim};
use crate::record::{blob_from_document, blob_to_document};

/// Generations that a host takes at once.
const GENERATIONS: u64 = 64;
/// Races that one step may lose. Each lost race is another's step forward.
const RACES_MAX: usize = 1000;

/// Generations that are this host's to hand out: `next .. end`.
#[derive(Debug, Default)]
pub(super) struct Generations(Mutex<(u64, u64)>);

impl Home {
    /// A number that was never handed out before, and never will be again, above that of the row as it is: a host whose
    /// share is older than the last claimer's passes over the rest of it.
    async fn next_generation(&self, ours: &Generations, above: u64) -> Result<u64, Error> {
        loop {
            {
                let mut ours = ours.0.lock();
                ours.0 = ours.0.max(above + 1);
                if ours.0 < ours.1 {
                    ours.0 += 1;
                    return Ok(ours.0 - 1);
                }
            }
            let taken = self
                .meta
                .find_one_and_update(
                    doc! { "_id": "generation" },
                    doc! { "$inc": { "last": long(GENERATIONS) } },
                )
                .return_document(ReturnDocument::After)
                .await
                .map_err(|error| self.told(&error))?;
            let last =
                taken.and_then(|taken| taken.get_i64("last").ok()).and_then(|last| u64::try_from(last).ok());
            let last = last.ok_or_else(|| Error::Integrity {
                what: "the counter of generations".to_owned(),
                problem: "it is missing, or no number".to_owned(),
            })?;
            // Of two tasks that ask at once, one's share is passed over: there are 2^63.
            *ours.0.lock() = (last - GENERATIONS + 1, last + 1);
        }
    }

    /// Repeated when the server goes away: a claim whose answer was lost is a generation without an object.
    pub async fn claim(
        &self,
        digest: &Digest,
        lease_until: TimestampMs,
        generations: &Generations,
    ) -> Result<Claim, Error> {
        patiently(move || self.claim_once(digest, lease_until, generations)).await
    }

    async fn claim_once(
        &self,
        digest: &Digest,
        lease_until: TimestampMs,
        generations: &Generations,
    ) -> Result<Claim, Error> {
        for _ in 0..RACES_MAX {
            let found = self.read_blob(digest).await?;
            let (lease_until, since) = match &found {
                Some((record, since)) => match record.state {
                    BlobState::Stored { lease_until: held } => {
                        let longer = lease_until.max(held);
                        let extended = doc! { "$max": { "at": date(longer) }, "$inc": { "uses": 1_i64 } };
                        if self.update_row(same_life(record), extended).await? {
                            let state = BlobState::Stored { lease_until: longer };
                            return Ok(Claim::Present(BlobRecord { state, ..record.clone() }));
                        }
                        continue;
                    }
                    BlobState::Pending { lease_until: held } => (lease_until.max(held), Some(*since)),
                    BlobState::Condemned { .. } => (lease_until, None),
                },
                None => (lease_until, None),
            };
            let above = found.as_ref().map_or(0, |(record, _)| record.generation);
            let generation = self.next_generation(generations, above).await?;
            let record = BlobRecord {
                digest: *digest,
                generation,
                location: nowhere_yet(digest, generation),
                state: BlobState::Pending { lease_until },
            };
            let row = row(&record, since.unwrap_or(generation))?;
            let written = match &found {
                Some((old, _)) => self.replace_row(same_state(old), row).await?,
                None => self.insert_row(row).await?,
            };
            if written {
                return Ok(Claim::Put { generation });
            }
        }
        Err(self.busy())
    }

    /// Whoever claimed since the row was last absent or condemned may settle, and the first one does. Repeated when the
    /// server goes away: what is settled is answered as it is.
    pub async fn settle(&self, new: &BlobRecord) -> Result<BlobRecord, Error> {
        patiently(move || self.settle_once(new)).await
    }

    async fn settle_once(&self, new: &BlobRecord) -> Result<BlobRecord, Error> {
        let lost = || Error::LeaseLost { digest: new.digest };
        for _ in 0..RACES_MAX {
            let (record, since) = self.read_blob(&new.digest).await?.ok_or_else(lost)?;
            match record.state {
                BlobState::Stored { .. } => return Ok(record),
                BlobState::Condemned { .. } => return Err(lost()),
                BlobState::Pending { lease_until } => {
                    if !(since..=record.generation).contains(&new.generation) {
                        return Err(lost());
                    }
                    let settled = BlobRecord { state: BlobState::Stored { lease_until }, ..new.clone() };
                    if self.replace_row(same_state(&record), row(&settled, since)?).await? {
                        return Ok(settled);
                    }
                }
            }
        }
        Err(self.busy())
    }

    pub async fn condemn(&self, digest: &Digest, now: TimestampMs) -> Result<bool, Error> {
        self.transact(&mut Condemnation { digest: *digest, now }).await
    }

    pub async fn forget(&self, digest: &Digest, generation: u64) -> Result<(), Error> {
        let row = doc! { "_id": digest.to_string(), "generation": long(generation), "state": "condemned" };
        let forget = || async {
            let deleted = self.blobs.delete_one(row.clone()).await;
            deleted.map(drop).map_err(|error| self.told(&error))
        };
        patiently(forget).await
    }

    pub async fn is_referenced(&self, digest: &Digest) -> Result<bool, Error> {
        let digest = digest.to_string();
        let version = self.version_documents.find_one(doc! { "blob": &digest }).projection(doc! { "_id": 1 });
        if version.await.map_err(|error| self.told(&error))?.is_some() {
            return Ok(true);
        }
        let memo = self.memos.find_one(doc! { "output": &digest }).projection(doc! { "_id": 1 });
        Ok(memo.await.map_err(|error| self.told(&error))?.is_some())
    }

    async fn update_row(&self, row: Document, update: Document) -> Result<bool, Error> {
        let updated = self.blobs.update_one(row, update).await;
        Ok(updated.map_err(|error| self.told(&error))?.matched_count == 1)
    }

    async fn replace_row(&self, old: Document, new: Document) -> Result<bool, Error> {
        let replaced = self.blob_documents.replace_one(old, new).await;
        Ok(replaced.map_err(|error| self.told(&error))?.matched_count == 1)
    }

    async fn insert_row(&self, row: Document) -> Result<bool, Error> {
        match self.blob_documents.insert_one(row).await {
            Ok(_) => Ok(true),
            Err(error) if failure::is_duplicate(&error) => Ok(false),
            Err(error) => Err(self.told(&error)),
        }
    }
}

/// The row, while it is of this generation and in this state: its lease may have been extended.
fn same_life(record: &BlobRecord) -> Document {
    let (state, _) = state_of(record);
    doc! { "_id": record.digest.to_string(), "generation": long(record.generation), "state": state }
}

/// The row as it was read.
fn same_state(record: &BlobRecord) -> Document {
    let (_, at) = state_of(record);
    let mut row = same_life(record);
    row.insert("at", date(at));
    row
}

fn state_of(record: &BlobRecord) -> (&'static str, TimestampMs) {
    match record.state {
        BlobState::Pending { lease_until } => ("pending", lease_until),
        BlobState::Stored { lease_until } => ("stored", lease_until),
        BlobState::Condemned { at } => ("condemned", at),
    }
}

fn row(record: &BlobRecord, since: u64) -> Result<Document, Error> {
    let bytes = blob_to_document(record, since)?;
    let mut row: Document = bson::deserialize_from_slice(&bytes).map_err(|error| Error::Invalid {
        what: format!("blob {}", record.digest),
        problem: error.to_string(),
    })?;
    row.insert("_id", record.digest.to_string());
    Ok(row)
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

struct Condemnation {
    digest: Digest,
    now: TimestampMs,
}

#[async_trait]
impl Work for Condemnation {
    type Done = bool;

    async fn attempt(
        &mut self,
        home: &Home,
        session: &mut ClientSession,
    ) -> Result<Attempted<bool>, Failure> {
        let nothing = |done| Ok(Attempted { done, wrote: false, mark: None });
        let id = self.digest.to_string();
        let Some(row) = home.blobs.find_one(doc! { "_id": &id }).session(&mut *session).await? else {
            return nothing(false);
        };
        let (record, _) = blob_from_document(row.as_bytes())?;
        match record.state {
            BlobState::Condemned { .. } => return nothing(true),
            BlobState::Pending { lease_until } | BlobState::Stored { lease_until }
                if lease_until > self.now =>
            {
                return nothing(false);
            }
            BlobState::Pending { .. } | BlobState::Stored { .. } => {}
        }
        let versions = &home.version_documents;
        let version = versions.find_one(doc! { "blob": &id }).projection(doc! { "_id": 1 });
        if version.session(&mut *session).await?.is_some() {
            return nothing(false);
        }
        let memo = home.memos.find_one(doc! { "output": &id }).projection(doc! { "_id": 1 });
        if memo.session(&mut *session).await?.is_some() {
            return nothing(false);
        }
        let condemned = doc! { "$set": { "state": "condemned", "at": date(self.now) } };
        let updated = home.blobs.update_one(same_state(&record), condemned).session(&mut *session).await?;
        match updated.matched_count {
            1 => Ok(Attempted { done: true, wrote: true, mark: None }),
            _ => Err(Failure::Stale),
        }
    }
}
