//! The catalog in a folder of its own, over fjall: no server, one process at a time.
//!
//! One thread writes (committer.rs): it takes all that wait, decides each in order over what is committed and what is
//! staged before it (staged.rs), commits the group as one batch with one `fdatasync`, and then answers. So
//! every write is serialised, durable before it is acknowledged, and cheap when many wait. Readers take a
//! snapshot and never wait for the writer. Short reads run where they are called (a few microseconds, from memory
//! or the page cache); long ones go to the blocking pool. Rows: keys.rs, head.rs, and `record.rs`.
//!
//! When a commit fails (disk full, fsync failed), those who waited for it get the error, none of it is visible,
//! and the catalog takes no more writes until it is opened again; reads go on.

mod blobs;
mod check;
mod committer;
mod head;
mod keys;
mod publish;
mod reads;
mod staged;
mod tables;
mod upkeep;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use floret_model::{
    CascadeReport, Digest, Memo, Namespace, ResourceKey, ResourceType, Seq, TimestampMs, Version, VersionRef,
};
use parking_lot::Mutex;

use self::blobs::Generations;
use self::committer::{Committer, Durability};
use self::publish::{ReadyPublish, ReadyReport};
use self::reads::Reader;
use self::tables::{Table, Tables};
use super::lease::LocalLeases;
use super::{
    Access, BlobRecord, Catalog, CatalogProbe, CatalogStatistics, ChangeStream, ChangeToken, Claim, Lease,
    Leased, ListQuery, Outcome, Publish,
};
use crate::Error;

/// Rows that a read may look at where it is called: some 0.3 ms at 5 µs each.
const SHORT_READ_ROWS: usize = 64;
/// Memos forgotten in one write.
const FORGET_MAX: usize = 1024;

/// A [`Catalog`] in a local folder.
pub struct EmbeddedCatalog {
    // First, so that the thread has ended before the tables close.
    committer: Committer,
    tables: Arc<Tables>,
    generations: Arc<Mutex<Generations>>,
    /// One process owns the store, so nobody outside it needs to know of them.
    leases: LocalLeases,
}

impl EmbeddedCatalog {
    /// Open or create the catalog in a folder. Blocks for some milliseconds, longer after a crash: up to 512 MB
    /// of journal are read.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process, or this one, has it open; [`Error::NewerFormat`]; [`Error::Io`]
    /// when the folder cannot be created, read or written; [`Error::Backend`] when fjall cannot read its files.
    pub fn open(folder: impl AsRef<Path>) -> Result<Arc<Self>, Error> {
        let tables = Arc::new(Tables::open(folder.as_ref())?);
        let reserved = Reader::new(&tables).get(Table::Meta, keys::GENERATION)?;
        let reserved = match reserved.as_deref().map(<[u8; 8]>::try_from) {
            None => 0,
            Some(Ok(bytes)) => u64::from_le_bytes(bytes),
            Some(Err(_)) => return Err(keys::damaged("a generation", keys::GENERATION)),
        };
        Ok(Arc::new(Self {
            committer: Committer::start(Arc::clone(&tables))?,
            tables,
            generations: Arc::new(Mutex::new(Generations::after(reserved))),
            leases: LocalLeases::default(),
        }))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.tables.folder
    }

    /// Read here if it is short, else on the blocking pool.
    async fn read<T, F>(&self, rows: usize, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Reader<'_>) -> Result<T, Error> + Send + 'static,
    {
        if rows <= SHORT_READ_ROWS {
            return read(&Reader::new(&self.tables));
        }
        let tables = Arc::clone(&self.tables);
        let reading = tokio::task::spawn_blocking(move || read(&Reader::new(&tables)));
        reading.await.map_err(|error| Error::Backend {
            catalog: self.to_string(),
            problem: format!("a read did not end: {error}"),
        })?
    }
}

impl fmt::Display for EmbeddedCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the catalog in {}", self.folder().display())
    }
}

impl fmt::Debug for EmbeddedCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder: PathBuf = self.folder().to_owned();
        f.debug_struct("EmbeddedCatalog").field("folder", &folder).finish_non_exhaustive()
    }
}

#[async_trait]
impl Catalog for EmbeddedCatalog {
    async fn heads(&self, keys: &[ResourceKey]) -> Result<Vec<Option<Arc<Version>>>, Error> {
        if keys.len() <= SHORT_READ_ROWS {
            return Reader::new(&self.tables).heads(keys);
        }
        let keys = keys.to_vec();
        self.read(keys.len(), move |reader| reader.heads(&keys)).await
    }

    async fn version(&self, reference: &VersionRef) -> Result<Option<Arc<Version>>, Error> {
        Reader::new(&self.tables).version(reference)
    }

    async fn log(
        &self,
        key: &ResourceKey,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>, Error> {
        let key = key.clone();
        self.read(limit, move |reader| reader.log(&key, before, limit)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<Arc<Version>>, Error> {
        let scans = query.namespace.is_none() || (query.resource_type.is_none() && query.id_prefix.is_some());
        let rows = if scans { usize::MAX } else { query.limit };
        let query = query.clone();
        self.read(rows, move |reader| reader.list(&query)).await
    }

    async fn created_between(
        &self,
        namespace: &Namespace,
        resource_type: &ResourceType,
        from: TimestampMs,
        to: TimestampMs,
        limit: usize,
    ) -> Result<Vec<VersionRef>, Error> {
        let (namespace, resource_type) = (namespace.clone(), resource_type.clone());
        self.read(limit, move |reader| reader.created_between(&namespace, &resource_type, (from, to), limit))
            .await
    }

    async fn dependents(&self, keys: &[ResourceKey]) -> Result<Vec<Vec<ResourceKey>>, Error> {
        let keys = keys.to_vec();
        self.read(keys.len(), move |reader| reader.dependents(&keys)).await
    }

    async fn referrers(&self, reference: &VersionRef) -> Result<Vec<VersionRef>, Error> {
        let reference = reference.clone();
        self.read(usize::MAX, move |reader| reader.referrers(&reference)).await
    }

    async fn publish(&self, publish: Publish) -> Result<Vec<Outcome>, Error> {
        let ready = if publish.drafts.len() <= SHORT_READ_ROWS {
            ReadyPublish::new(publish)?
        } else {
            self.read(usize::MAX, move |_| ReadyPublish::new(publish)).await?
        };
        self.committer.submit(Durability::Synced, move |staged| ready.apply(staged)).await
    }

    async fn put_report(&self, report: &CascadeReport) -> Result<(), Error> {
        let ready = ReadyReport::new(report)?;
        self.committer
            .submit(Durability::Synced, move |staged| {
                ready.apply(staged);
                Ok(())
            })
            .await
    }

    async fn cascades_of(&self, key: &ResourceKey, limit: usize) -> Result<Vec<CascadeReport>, Error> {
        let key = key.clone();
        // A report may be long.
        self.read(usize::MAX, move |reader| reader.cascades_of(&key, limit)).await
    }

    async fn memos(&self, recipes: &[Digest]) -> Result<Vec<Option<Memo>>, Error> {
        let recipes = recipes.to_vec();
        self.read(recipes.len(), move |reader| reader.memos(&recipes)).await
    }

    async fn put_memo(&self, memo: &Memo) -> Result<(), Error> {
        let (memo, document) = (memo.clone(), upkeep::memo_document(memo)?);
        self.committer
            .submit(Durability::Buffered, move |staged| upkeep::put_memo(staged, &memo, document))
            .await
    }

    async fn forget_memos(&self, before: TimestampMs) -> Result<u64, Error> {
        let stale = self.read(usize::MAX, move |reader| reader.stale_memos(before)).await?;
        let mut forgotten = 0;
        for some in stale.chunks(FORGET_MAX) {
            let some = some.to_vec();
            forgotten += self
                .committer
                .submit(Durability::Buffered, move |staged| upkeep::forget_memos(staged, &some, before))
                .await?;
        }
        Ok(forgotten)
    }

    async fn blob(&self, digest: &Digest) -> Result<Option<BlobRecord>, Error> {
        Reader::new(&self.tables).blob(digest)
    }

    async fn claim_blob(&self, digest: &Digest, lease_until: TimestampMs) -> Result<Claim, Error> {
        let (digest, generations) = (*digest, Arc::clone(&self.generations));
        self.committer
            .submit(Durability::Buffered, move |staged| {
                blobs::claim(staged, &digest, lease_until, &mut generations.lock())
            })
            .await
    }

    async fn settle_blob(&self, record: &BlobRecord) -> Result<BlobRecord, Error> {
        let record = record.clone();
        self.committer.submit(Durability::Buffered, move |staged| blobs::settle(staged, &record)).await
    }

    async fn blobs(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<BlobRecord>, Error> {
        let after = after.copied();
        self.read(limit, move |reader| reader.blobs(after.as_ref(), limit)).await
    }

    async fn condemn_blob(&self, digest: &Digest, now: TimestampMs) -> Result<bool, Error> {
        let digest = *digest;
        self.committer.submit(Durability::Buffered, move |staged| blobs::condemn(staged, &digest, now)).await
    }

    async fn blob_is_referenced(&self, digest: &Digest) -> Result<bool, Error> {
        Reader::new(&self.tables).is_referenced(digest)
    }

    async fn forget_blob(&self, digest: &Digest, generation: u64) -> Result<(), Error> {
        let digest = *digest;
        self.committer
            .submit(Durability::Buffered, move |staged| blobs::forget(staged, &digest, generation))
            .await
    }

    async fn drop_versions(
        &self,
        references: &[VersionRef],
        now: TimestampMs,
    ) -> Result<Vec<VersionRef>, Error> {
        let references = references.to_vec();
        self.committer
            .submit(Durability::Buffered, move |staged| upkeep::drop_versions(staged, references, now))
            .await
    }

    async fn scan(&self, after: Option<&VersionRef>, limit: usize) -> Result<Vec<Arc<Version>>, Error> {
        let after = after.cloned();
        self.read(limit, move |reader| reader.scan(after.as_ref(), limit)).await
    }

    async fn verify_indexes(&self) -> Result<Vec<String>, Error> {
        self.read(usize::MAX, check::verify_indexes).await
    }

    async fn add_accesses(&self, accesses: &[(ResourceKey, Access)]) -> Result<(), Error> {
        let accesses = accesses.to_vec();
        self.committer
            .submit(Durability::Buffered, move |staged| upkeep::add_accesses(staged, &accesses))
            .await
    }

    async fn access(&self, key: &ResourceKey) -> Result<Access, Error> {
        Reader::new(&self.tables).access(key)
    }

    async fn statistics(&self) -> Result<CatalogStatistics, Error> {
        self.read(usize::MAX, check::statistics).await
    }

    async fn flush(&self) -> Result<(), Error> {
        // An empty synced write would be no write, so this one goes to fjall by itself: all before it are in the journal.
        let tables = Arc::clone(&self.tables);
        self.read(usize::MAX, move |_| {
            let persisted = tables.database.persist(fjall::PersistMode::SyncData);
            persisted.map_err(|error| tables.failure("write to", &error))
        })
        .await
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn acquire_lease(&self, lease: &Lease, now: TimestampMs) -> Result<Leased, Error> {
        Ok(self.leases.acquire(lease, now))
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), Error> {
        self.leases.release(lease);
        Ok(())
    }

    async fn changes(&self, _after: Option<ChangeToken>) -> Result<Option<ChangeStream>, Error> {
        Ok(None)
    }

    async fn import(&self, versions: &[Version]) -> Result<(), Error> {
        let versions = versions.to_vec();
        self.committer
            .submit(Durability::Synced, move |staged| {
                versions.iter().try_for_each(|version| publish::import(staged, version))
            })
            .await
    }

    async fn scan_memos(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<Memo>, Error> {
        let after = after.copied();
        self.read(limit, move |reader| reader.scan_memos(after.as_ref(), limit)).await
    }

    async fn scan_reports(&self, after: Option<&str>, limit: usize) -> Result<Vec<CascadeReport>, Error> {
        let after = after.map(str::to_owned);
        self.read(usize::MAX, move |reader| reader.scan_reports(after.as_deref(), limit)).await
    }

    async fn scan_accesses(
        &self,
        after: Option<&ResourceKey>,
        limit: usize,
    ) -> Result<Vec<(ResourceKey, Access)>, Error> {
        let after = after.cloned();
        self.read(limit, move |reader| reader.scan_accesses(after.as_ref(), limit)).await
    }

    async fn probe(&self) -> Result<CatalogProbe, Error> {
        Ok(CatalogProbe {
            engine: "fjall, embedded".to_owned(),
            format: tables::FORMAT,
            ..CatalogProbe::default()
        })
    }
}
