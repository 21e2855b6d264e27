//! The catalog in MongoDB: for any number of hosts at once.
//!
//! Every publish is one transaction of metadata, with snapshot reads and majority writes; contents are put before.
//! One task commits for all writers of a process (committer.rs): it decides by `heads`, where every log ends, and inserts the
//! versions under a unique key of namespace, type, id and seq. What two processes must not do at once, both write to
//! the same document for, so that the server lets one of them try again: who appends to a log writes its head; who
//! refers to a version or a blob counts it up, and who drops or condemns it writes there, too; who gives an old resource a
//! new dependency counts the graph up, because two such edges could close a cycle that neither sees.
//!
//! A transaction is tried again when it lost a race or the server went away, for 45 s. Whether a commit whose answer
//! was lost went through is told by the document that it left in `publishes`, so that no save is made twice.
//!
//! Collections, indexes and validators: schema.rs.

mod blobs;
mod changes;
mod check;
mod committer;
mod draft;
mod failure;
mod head;
mod home;
mod ids;
mod reads;
mod schema;
mod staged;
mod transaction;
mod upkeep;
mod write;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use floret_model::{
    CascadeReport, Digest, Memo, Namespace, ResourceKey, ResourceType, Seq, TimestampMs, Version, VersionRef,
};
use mongodb::ClientSession;

use self::blobs::Generations;
use self::committer::Committer;
use self::draft::{Ready, ReadyPublish};
use self::home::Home;
use self::staged::Staged;
use self::transaction::{Attempted, Failure, Work};
use super::{
    Access, BlobRecord, Catalog, CatalogProbe, CatalogStatistics, ChangeStream, ChangeToken, Claim, Lease,
    Leased, ListQuery, Outcome, Publish,
};
use crate::Error;

pub use self::home::CommandObserver;

/// A [`Catalog`] in a MongoDB database.
pub struct MongoCatalog {
    home: Home,
    committer: Committer,
    generations: Generations,
}

impl MongoCatalog {
    /// Connect, and make the collections and indexes that are missing. Must be called within a tokio runtime, in which
    /// its committer runs until the catalog is dropped. The database is the one that the URI names, else `floret`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a URI that cannot be read; [`Error::Unavailable`] when no server answers within
    /// `serverSelectionTimeoutMS` (10 s unless the URI has it); [`Error::Refused`] for a wrong password, a server
    /// that is no member of a replica set, or TLS that does not fit; [`Error::NewerFormat`].
    pub async fn connect(uri: &str) -> Result<Arc<Self>, Error> {
        Self::open(Home::connect(uri, None).await?).await
    }

    /// As [`connect`](Self::connect), and show every command to an observer: to count round trips, or to explain them.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_observed(uri: &str, observer: CommandObserver) -> Result<Arc<Self>, Error> {
        Self::open(Home::connect(uri, Some(observer)).await?).await
    }

    async fn open(home: Home) -> Result<Arc<Self>, Error> {
        home.ensure_schema().await?;
        let committer = Committer::start(home.clone());
        Ok(Arc::new(Self { home, committer, generations: Generations::default() }))
    }
}

impl fmt::Display for MongoCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.home.name)
    }
}

impl fmt::Debug for MongoCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoCatalog").field("home", &self.home.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Catalog for MongoCatalog {
    async fn heads(&self, keys: &[ResourceKey]) -> Result<Vec<Option<Arc<Version>>>, Error> {
        self.home.read_heads(keys).await
    }

    async fn version(&self, reference: &VersionRef) -> Result<Option<Arc<Version>>, Error> {
        self.home.read_version(reference).await
    }

    async fn log(
        &self,
        key: &ResourceKey,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>, Error> {
        self.home.read_log(key, before, limit).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<Arc<Version>>, Error> {
        self.home.read_list(query).await
    }

    async fn created_between(
        &self,
        namespace: &Namespace,
        resource_type: &ResourceType,
        from: TimestampMs,
        to: TimestampMs,
        limit: usize,
    ) -> Result<Vec<VersionRef>, Error> {
        self.home.read_created(namespace, resource_type, (from, to), limit).await
    }

    async fn dependents(&self, keys: &[ResourceKey]) -> Result<Vec<Vec<ResourceKey>>, Error> {
        self.home.read_dependents(keys).await
    }

    async fn referrers(&self, reference: &VersionRef) -> Result<Vec<VersionRef>, Error> {
        self.home.read_referrers(reference).await
    }

    async fn publish(&self, publish: Publish) -> Result<Vec<Outcome>, Error> {
        if publish.drafts.is_empty() && publish.report.is_none() {
            return Ok(Vec::new());
        }
        self.committer.publish(ReadyPublish::new(publish)?).await
    }

    async fn put_report(&self, report: &CascadeReport) -> Result<(), Error> {
        self.home.put_report(report).await
    }

    async fn cascades_of(&self, key: &ResourceKey, limit: usize) -> Result<Vec<CascadeReport>, Error> {
        self.home.read_reports(key, limit).await
    }

    async fn memos(&self, recipes: &[Digest]) -> Result<Vec<Option<Memo>>, Error> {
        self.home.read_memos(recipes).await
    }

    async fn put_memo(&self, memo: &Memo) -> Result<(), Error> {
        self.home.put_memo(memo).await
    }

    async fn forget_memos(&self, before: TimestampMs) -> Result<u64, Error> {
        self.home.forget_memos(before).await
    }

    async fn blob(&self, digest: &Digest) -> Result<Option<BlobRecord>, Error> {
        Ok(self.home.read_blob(digest).await?.map(|(record, _)| record))
    }

    async fn claim_blob(&self, digest: &Digest, lease_until: TimestampMs) -> Result<Claim, Error> {
        self.home.claim(digest, lease_until, &self.generations).await
    }

    async fn settle_blob(&self, record: &BlobRecord) -> Result<BlobRecord, Error> {
        self.home.settle(record).await
    }

    async fn blobs(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<BlobRecord>, Error> {
        self.home.scan_blobs(after, limit).await
    }

    async fn condemn_blob(&self, digest: &Digest, now: TimestampMs) -> Result<bool, Error> {
        self.home.condemn(digest, now).await
    }

    async fn blob_is_referenced(&self, digest: &Digest) -> Result<bool, Error> {
        self.home.is_referenced(digest).await
    }

    async fn forget_blob(&self, digest: &Digest, generation: u64) -> Result<(), Error> {
        self.home.forget(digest, generation).await
    }

    async fn drop_versions(
        &self,
        references: &[VersionRef],
        now: TimestampMs,
    ) -> Result<Vec<VersionRef>, Error> {
        self.home.drop_versions(references, now).await
    }

    async fn scan(&self, after: Option<&VersionRef>, limit: usize) -> Result<Vec<Arc<Version>>, Error> {
        self.home.read_scan(after, limit).await
    }

    async fn verify_indexes(&self) -> Result<Vec<String>, Error> {
        self.home.read_problems().await
    }

    async fn add_accesses(&self, accesses: &[(ResourceKey, Access)]) -> Result<(), Error> {
        self.home.add_accesses(accesses).await
    }

    async fn access(&self, key: &ResourceKey) -> Result<Access, Error> {
        self.home.read_access(key).await
    }

    async fn statistics(&self) -> Result<CatalogStatistics, Error> {
        self.home.read_statistics().await
    }

    async fn flush(&self) -> Result<(), Error> {
        // Every write waits for a majority, so nothing is left to do.
        Ok(())
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn acquire_lease(&self, lease: &Lease, now: TimestampMs) -> Result<Leased, Error> {
        self.home.acquire_lease(lease, now).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), Error> {
        self.home.release_lease(lease).await
    }

    async fn changes(&self, after: Option<ChangeToken>) -> Result<Option<ChangeStream>, Error> {
        self.home.watch(after).await.map(Some)
    }

    async fn import(&self, versions: &[Version]) -> Result<(), Error> {
        let versions = versions.iter().cloned().map(Ready::of).collect::<Result<_, _>>()?;
        self.home.transact(&mut Import { versions }).await
    }

    async fn scan_memos(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<Memo>, Error> {
        self.home.scan_memos(after, limit).await
    }

    async fn scan_reports(&self, after: Option<&str>, limit: usize) -> Result<Vec<CascadeReport>, Error> {
        self.home.scan_reports(after, limit).await
    }

    async fn scan_accesses(
        &self,
        after: Option<&ResourceKey>,
        limit: usize,
    ) -> Result<Vec<(ResourceKey, Access)>, Error> {
        self.home.scan_accesses(after, limit).await
    }

    async fn probe(&self) -> Result<CatalogProbe, Error> {
        self.home.ask().await
    }
}

/// Versions of another catalog, written together. What is there already is passed over, so doing it twice is harmless.
struct Import {
    versions: Vec<Ready>,
}

#[async_trait]
impl Work for Import {
    type Done = ();

    async fn attempt(&mut self, home: &Home, session: &mut ClientSession) -> Result<Attempted<()>, Failure> {
        let mut staged = Staged::load(home, session, &self.versions).await?;
        for ready in &self.versions {
            staged.import(home, session, ready).await?;
        }
        let (appended, new_edge) = staged.into_appended();
        let Some(last) = appended.last() else {
            return Ok(Attempted { done: (), wrote: false, mark: None });
        };
        let at = last.version.created_at;
        let heads: Vec<VersionRef> = appended.iter().map(|new| new.version.reference()).collect();
        let mark = home.tell_publish(session, "import", at, &heads).await?;
        home.write_versions(session, appended, new_edge).await?;
        Ok(Attempted { done: (), wrote: true, mark: Some(mark) })
    }
}
