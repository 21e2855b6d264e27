//! A catalog that the hosts of a test share, as hosts share a server: it tells what is published, and can be made to
//! keep it to itself.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use floret_model::{
    CascadeReport, Digest, Memo, Namespace, ResourceKey, ResourceType, Seq, TimestampMs, Version, VersionRef,
};
use floret_store::{
    Access, BlobRecord, Catalog, CatalogProbe, CatalogStatistics, Change, ChangeStream, ChangeToken, Claim,
    Error, Lease, Leased, ListQuery, Outcome, Publish,
};
use futures::StreamExt;
use tokio::sync::watch;

/// A catalog as several hosts see it.
#[derive(Debug)]
pub struct SharedCatalog {
    inner: Arc<dyn Catalog>,
    state: watch::Sender<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    published: Vec<(String, Vec<VersionRef>)>,
    /// Streams of an earlier generation are broken.
    generation: u64,
    refuses: bool,
    loses: bool,
    is_silent: bool,
    streams: usize,
    refused_leases: usize,
}

impl SharedCatalog {
    /// Over a catalog of one process.
    pub fn over(inner: Arc<dyn Catalog>) -> Arc<Self> {
        Arc::new(Self { inner, state: watch::Sender::default() })
    }

    /// Break every stream, and let no other begin.
    pub fn cut(&self) {
        self.state.send_modify(|state| {
            state.generation += 1;
            state.refuses = true;
        });
    }

    /// Let streams begin again; with `lost`, not after a token of before.
    pub fn mend(&self, lost: bool) {
        self.state.send_modify(|state| {
            state.refuses = false;
            state.loses = lost;
        });
    }

    /// Whether publishes are kept from streams from now on, for good.
    pub fn silence(&self, is_silent: bool) {
        self.state.send_modify(|state| state.is_silent = is_silent);
    }

    /// Wait until so many streams have begun.
    pub async fn streams(&self, count: usize) {
        self.wait(|state| state.streams >= count).await;
    }

    /// Wait until so many askers were told that a lease is another's.
    pub async fn refused_leases(&self, count: usize) {
        self.wait(|state| state.refused_leases >= count).await;
    }

    async fn wait(&self, until: impl FnMut(&State) -> bool) {
        self.state.subscribe().wait_for(until).await.expect("the catalog has the sender");
    }

    fn tell(&self, outcomes: &[Outcome]) {
        let appended = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Appended(version) => Some(version),
            Outcome::Unchanged(_) => None,
        });
        let appended: Vec<_> = appended.collect();
        self.state.send_modify(|state| {
            if let Some(first) = appended.first()
                && !state.is_silent
            {
                let heads = appended.iter().map(|version| version.reference()).collect();
                state.published.push((first.publish_id.clone(), heads));
            }
        });
    }

    fn begin(&self, after: Option<ChangeToken>) -> Result<ChangeStream, Error> {
        let state = self.state.borrow().clone();
        if state.refuses {
            return Err(broken());
        }
        let place = match after {
            None => state.published.len(),
            Some(_) if state.loses => {
                self.mend(false);
                return Err(Error::ChangesLost { catalog: self.to_string(), problem: "told to".to_owned() });
            }
            Some(token) => usize::from_le_bytes(token.0[..].try_into().expect("a token of this catalog")),
        };
        self.state.send_modify(|state| state.streams += 1);
        let seen = self.state.subscribe();
        let stream = futures::stream::unfold(Some((seen, place)), move |at| async move {
            let (mut seen, place) = at?;
            let moved = |now: &State| now.generation != state.generation || now.published.len() > place;
            let (publish_id, heads) = match seen.wait_for(moved).await {
                Ok(now) if now.generation == state.generation => now.published[place].clone(),
                _ => return Some((Err(broken()), None)),
            };
            let place = place + 1;
            let token = ChangeToken(Bytes::copy_from_slice(&place.to_le_bytes()));
            Some((Ok(Change { publish_id, heads, token }), Some((seen, place))))
        });
        Ok(stream.boxed())
    }
}

fn broken() -> Error {
    Error::Unavailable {
        service: "the catalog of a test".to_owned(),
        problem: "its streams are cut".to_owned(),
        remedy: "mend them".to_owned(),
    }
}

impl fmt::Display for SharedCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, shared", self.inner)
    }
}

/// What the catalog below answers, and what this one does itself.
macro_rules! catalog {
    ($(fn $name:ident($($given:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Catalog for SharedCatalog {
            $(async fn $name(&self, $($given: $type),*) -> Result<$answer, Error> {
                self.inner.$name($($given),*).await
            })*

            async fn publish(&self, publish: Publish) -> Result<Vec<Outcome>, Error> {
                let outcomes = self.inner.publish(publish).await?;
                self.tell(&outcomes);
                Ok(outcomes)
            }

            fn is_shared(&self) -> bool {
                true
            }

            async fn changes(&self, after: Option<ChangeToken>) -> Result<Option<ChangeStream>, Error> {
                self.begin(after).map(Some)
            }

            async fn acquire_lease(&self, lease: &Lease, now: TimestampMs) -> Result<Leased, Error> {
                let leased = self.inner.acquire_lease(lease, now).await?;
                if let Leased::Held(_) = leased {
                    self.state.send_modify(|state| state.refused_leases += 1);
                }
                Ok(leased)
            }
        }
    };
}

catalog! {
    fn heads(keys: &[ResourceKey]) -> Vec<Option<Arc<Version>>>;
    fn version(reference: &VersionRef) -> Option<Arc<Version>>;
    fn log(key: &ResourceKey, before: Option<Seq>, limit: usize) -> Vec<Arc<Version>>;
    fn list(query: &ListQuery) -> Vec<Arc<Version>>;
    fn created_between(
        namespace: &Namespace, resource_type: &ResourceType, from: TimestampMs, to: TimestampMs, limit: usize
    ) -> Vec<VersionRef>;
    fn dependents(keys: &[ResourceKey]) -> Vec<Vec<ResourceKey>>;
    fn referrers(reference: &VersionRef) -> Vec<VersionRef>;
    fn put_report(report: &CascadeReport) -> ();
    fn cascades_of(key: &ResourceKey, limit: usize) -> Vec<CascadeReport>;
    fn memos(recipes: &[Digest]) -> Vec<Option<Memo>>;
    fn put_memo(memo: &Memo) -> ();
    fn forget_memos(before: TimestampMs) -> u64;
    fn blob(digest: &Digest) -> Option<BlobRecord>;
    fn claim_blob(digest: &Digest, lease_until: TimestampMs) -> Claim;
    fn settle_blob(record: &BlobRecord) -> BlobRecord;
    fn blobs(after: Option<&Digest>, limit: usize) -> Vec<BlobRecord>;
    fn condemn_blob(digest: &Digest, now: TimestampMs) -> bool;
    fn blob_is_referenced(digest: &Digest) -> bool;
    fn forget_blob(digest: &Digest, generation: u64) -> ();
    fn drop_versions(references: &[VersionRef], now: TimestampMs) -> Vec<VersionRef>;
    fn scan(after: Option<&VersionRef>, limit: usize) -> Vec<Arc<Version>>;
    fn verify_indexes() -> Vec<String>;
    fn add_accesses(accesses: &[(ResourceKey, Access)]) -> ();
    fn access(key: &ResourceKey) -> Access;
    fn statistics() -> CatalogStatistics;
    fn flush() -> ();
    fn release_lease(lease: &Lease) -> ();
    fn import(versions: &[Version]) -> ();
    fn scan_memos(after: Option<&Digest>, limit: usize) -> Vec<Memo>;
    fn scan_reports(after: Option<&str>, limit: usize) -> Vec<CascadeReport>;
    fn scan_accesses(after: Option<&ResourceKey>, limit: usize) -> Vec<(ResourceKey, Access)>;
    fn probe() -> CatalogProbe;
}
