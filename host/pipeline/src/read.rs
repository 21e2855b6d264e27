use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use floret_cache::{CacheValue, LoadError, NamespaceHandle, Put, PutOptions, Ticket};
use floret_model::{Digest, Namespace, ResourceKey, ResourceType, Seq, TimestampMs, Version, VersionRef};
use floret_store::{Access, ListQuery};
use parking_lot::Mutex;

use crate::{Error, Floret};

/// A version with its bytes: an immutable picture, whatever happens after.
#[derive(Debug)]
pub struct Snapshot {
    /// What is known of it.
    pub version: Arc<Version>,
    /// Its raw bytes, verified.
    pub content: Bytes,
    /// Of the version; here, so that a hit need not look there.
    visible_until: Option<TimestampMs>,
    reads: Arc<AtomicU64>,
}

impl Snapshot {
    /// A version with its bytes; `reads` counts how often it is asked for.
    pub(crate) fn of(version: Arc<Version>, content: Bytes, reads: Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self { visible_until: version.visible_until(), version, content, reads })
    }
}

/// Where the latest versions of a namespace are cached, and for how long.
pub(crate) struct Heads {
    cache: NamespaceHandle<Cached>,
    ttl: Option<Duration>,
}

impl Heads {
    /// Put a latest version into the cache, unless a newer one is there or came since the ticket was taken.
    async fn put(&self, key: &ResourceKey, head: Cached, ticket: Option<Ticket>) -> Put {
        let order = head.order();
        self.cache.put_if_newer(head_key(key), head, order, PutOptions { ttl: self.ttl, ticket }).await
    }

    /// Tell the cache of a version that was just published. The ticket is from before the publish: if the key
    /// has been written since, nobody knows whether what is there is newer, so nothing stays.
    pub async fn published(&self, key: &ResourceKey, head: Cached, ticket: Option<Ticket>) {
        if self.put(key, head, ticket).await == Put::Overtaken {
            self.cache.invalidate(head_key(key)).await;
        }
    }
}

/// What the cache keeps: latest versions by name (memory only, never replaced by an older one), and contents by
/// digest (both tiers, never stale).
#[derive(Clone, Debug)]
pub enum Cached {
    /// The latest version of a resource, with its bytes.
    Head(Arc<Snapshot>),
    /// The latest version of a resource, its bytes not read yet.
    HeadOnly(Arc<Version>),
    /// Raw bytes.
    Content(Bytes),
}

/// Memory that a snapshot takes beside its content: an estimate of its fields.
const SNAPSHOT_BYTES: u64 = 1024;

impl CacheValue for Cached {
    fn weight_bytes(&self) -> u64 {
        match self {
            Self::Head(snapshot) => SNAPSHOT_BYTES + snapshot.content.len() as u64,
            Self::HeadOnly(_) => SNAPSHOT_BYTES,
            Self::Content(bytes) => bytes.len() as u64,
        }
    }

    fn encode(&self) -> Option<Bytes> {
        match self {
            Self::Head(_) | Self::HeadOnly(_) => None,
            Self::Content(bytes) => Some(bytes.clone()),
        }
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        Some(Self::Content(bytes))
    }

    fn order(&self) -> u64 {
        match self {
            Self::Head(snapshot) => snapshot.version.seq.0,
            Self::HeadOnly(version) => version.seq.0,
            Self::Content(_) => 0,
        }
    }
}

/// Key of a resource's latest version in the cache.
pub(crate) fn head_key(key: &ResourceKey) -> Vec<u8> {
    key.encode_after([b'h'])
}

/// Room on the stack for a head key: an id of some 80 bytes.
const HEAD_KEY_BYTES: usize = 120;

/// The same for the time of a look, without an allocation where the key is of ordinary length.
fn with_head_key<T>(key: &ResourceKey, look: impl FnOnce(&[u8]) -> T) -> T {
    let mut room = [b'h'; HEAD_KEY_BYTES];
    let mut length = 1;
    for piece in key.pieces() {
        let Some(place) = room.get_mut(length..length + piece.len()) else { return look(&head_key(key)) };
        place.copy_from_slice(piece);
        length += piece.len();
    }
    look(&room[..length])
}

/// Key of a content in the cache.
pub(crate) fn content_key(digest: &Digest) -> [u8; 33] {
    let mut key = [b'c'; 33];
    key[1..].copy_from_slice(digest.as_bytes());
    key
}

/// Which version of a resource.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Selector {
    /// The newest.
    #[default]
    Latest,
    /// By its place in the log.
    Seq(Seq),
    /// By its semantic version.
    Version(semver::Version),
}

impl std::str::FromStr for Selector {
    type Err = Error;

    /// `latest`, a seq such as `3`, or a semantic version such as `1.0.2`.
    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        if let Ok(seq @ 1..) = text.parse() {
            return Ok(Self::Seq(Seq(seq)));
        }
        let expected = "expected `latest`, a seq such as 3, or a version such as 1.0.2";
        let version =
            text.parse().map_err(|_| Error::invalid(format!("{text:?} names no version: {expected}")))?;
        Ok(Self::Version(version))
    }
}

/// Whether the cache may answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Freshness {
    /// It may: it is told of every publish, of this host at once, of others within moments (see
    /// [`Floret::follow`]).
    #[default]
    Cached,
    /// It may, with this version or a later one: whoever saved it reads what was saved, on every host.
    AtLeast(Seq),
    /// The catalog is asked, and the content read and verified again.
    Strong,
}

impl Freshness {
    /// Whether a cached latest version may be the answer.
    fn allows(self, head: &Cached) -> bool {
        match self {
            Self::Cached => true,
            Self::AtLeast(seq) => head.order() >= seq.0,
            Self::Strong => false,
        }
    }
}

/// A version that was found, with its bytes if they were at hand.
#[derive(Debug)]
pub enum Found {
    /// They were.
    Whole(Arc<Snapshot>),
    /// They are still to be read.
    Version {
        /// The version.
        version: Arc<Version>,
        /// From before it was read.
        ticket: Option<Ticket>,
        /// Whether it was asked for as the latest one.
        is_latest: bool,
        /// Where its bytes may come from.
        freshness: Freshness,
    },
}

impl Found {
    /// What is known of it.
    pub fn version(&self) -> &Arc<Version> {
        match self {
            Self::Whole(snapshot) => &snapshot.version,
            Self::Version { version, .. } => version,
        }
    }
}

/// How often resources were read, until it is written.
#[derive(Debug, Default)]
pub(crate) struct AccessLog(Mutex<HashMap<ResourceKey, Arc<AtomicU64>>>);

impl AccessLog {
    pub(crate) fn counter(&self, key: &ResourceKey) -> Arc<AtomicU64> {
        self.0.lock().entry(key.clone()).or_default().clone()
    }

    /// What was counted since the last time. A count of nothing that nobody else holds is forgotten: one who asks for
    /// it again gets it under the lock, so none is lost, and the log grows no longer than what is read in between.
    fn take(&self, now: TimestampMs) -> Vec<(ResourceKey, Access)> {
        let mut grown = Vec::new();
        self.0.lock().retain(|key, reads| {
            // Looked at before the count: whoever lets go of it later has counted before, or never will.
            let is_held = Arc::strong_count(reads) > 1;
            let count = reads.swap(0, Ordering::Relaxed);
            if count > 0 {
                grown.push((key.clone(), Access { count, last_at: now }));
            }
            is_held || count > 0
        });
        grown
    }
}

impl Floret {
    /// A version with its bytes: from memory, from disk, or from the store.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`Error::Dropped`].
    pub async fn get(
        &self,
        key: &ResourceKey,
        selector: &Selector,
        freshness: Freshness,
    ) -> Result<Arc<Snapshot>, Error> {
        let found = self.find(key, selector, freshness).await?;
        self.read(found).await
    }

    /// A version, for those who decide by it whether its bytes are read at once, by [`read`](Self::read), into a file, by
    /// [`export`](Self::export), or not at all.
    ///
    /// # Errors
    /// [`Error::NotFound`] also for a version whose time to live has passed, and where the latest version is below
    /// that of [`Freshness::AtLeast`].
    pub async fn find(
        &self,
        key: &ResourceKey,
        selector: &Selector,
        freshness: Freshness,
    ) -> Result<Found, Error> {
        let cached = match selector {
            Selector::Latest => self.cached_head(key)?.filter(|head| freshness.allows(head)),
            _ => None,
        };
        if let Some(Cached::Head(snapshot)) = cached {
            return Ok(Found::Whole(snapshot));
        }
        // In a box: who finds it in the cache has no room made for all that is done otherwise.
        Box::pin(self.find_stored(key, selector, freshness, cached)).await
    }

    async fn find_stored(
        &self,
        key: &ResourceKey,
        selector: &Selector,
        freshness: Freshness,
        cached: Option<Cached>,
    ) -> Result<Found, Error> {
        // Taken before the catalog is read, so that what was read is never put over something newer.
        let ticket = self.head_ticket(key);
        let version = match cached {
            Some(Cached::HeadOnly(version)) => version,
            _ => self.resolve(key, selector).await?,
        };
        if let (Freshness::AtLeast(seq), Selector::Latest) = (freshness, selector)
            && version.seq < seq
        {
            let hint = format!("its latest version here is @{}", version.seq);
            return Err(Error::NotFound { what: format!("{key}@{seq}"), hint: Some(hint) });
        }
        let is_latest = *selector == Selector::Latest;
        Ok(Found::Version { version, ticket, is_latest, freshness })
    }

    /// A version that was found, with its bytes.
    ///
    /// # Errors
    /// [`Error::Dropped`]; a store that fails.
    pub async fn read(&self, found: Found) -> Result<Arc<Snapshot>, Error> {
        match found {
            Found::Whole(snapshot) => {
                snapshot.reads.fetch_add(1, Ordering::Relaxed);
                Ok(snapshot)
            }
            Found::Version { version, ticket, is_latest, freshness } => {
                Box::pin(self.read_stored(version, ticket, is_latest, freshness)).await
            }
        }
    }

    async fn read_stored(
        &self,
        version: Arc<Version>,
        ticket: Option<Ticket>,
        is_latest: bool,
        freshness: Freshness,
    ) -> Result<Arc<Snapshot>, Error> {
        let content = match freshness {
            Freshness::Strong => self.stored_content(&version).await?,
            Freshness::Cached | Freshness::AtLeast(_) => self.content(&version).await?,
        };
        let snapshot = self.snapshot(version, content);
        snapshot.reads.fetch_add(1, Ordering::Relaxed);
        if is_latest {
            let key = &snapshot.version.key;
            self.heads_of(&key.namespace)?.put(key, Cached::Head(Arc::clone(&snapshot)), ticket).await;
        }
        Ok(snapshot)
    }

    /// What is known of a version, without its bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`] also for a version whose time to live has passed.
    pub async fn resolve(&self, key: &ResourceKey, selector: &Selector) -> Result<Arc<Version>, Error> {
        self.check_namespace(&key.namespace)?;
        let found = match selector {
            Selector::Latest => self.head(key).await?,
            Selector::Seq(seq) => self.catalog.version(&VersionRef { key: key.clone(), seq: *seq }).await?,
            Selector::Version(version) => self.by_semantic_version(key, version).await?,
        };
        match found {
            Some(version) if version.is_expired(self.now()) => Err(Error::NotFound {
                what: version.reference().to_string(),
                hint: Some("its time to live has passed".to_owned()),
            }),
            Some(version) => Ok(version),
            None => Err(match selector {
                Selector::Latest => Error::not_found(key),
                Selector::Seq(seq) => Error::not_found(format!("{key}@{seq}")),
                Selector::Version(version) => Error::not_found(format!("{key} {version}")),
            }),
        }
    }

    /// Versions of a resource, newest first, at most `limit`, only those below `before`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a resource without versions.
    pub async fn log(
        &self,
        key: &ResourceKey,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>, Error> {
        self.check_namespace(&key.namespace)?;
        let log = self.catalog.log(key, before, limit).await?;
        if log.is_empty() && before.is_none() && limit > 0 {
            return Err(Error::not_found(key));
        }
        Ok(log)
    }

    /// Latest versions by key, without those whose time to live has passed.
    ///
    /// # Errors
    /// An unknown namespace; a store that fails.
    pub async fn list(&self, query: &ListQuery) -> Result<Vec<Arc<Version>>, Error> {
        if let Some(namespace) = &query.namespace {
            self.check_namespace(namespace)?;
        }
        let now = self.now();
        let mut found = Vec::new();
        let mut page = query.clone();
        loop {
            let heads = self.catalog.list(&page).await?;
            let is_last = heads.len() < page.limit;
            page.after = heads.last().map(|version| version.key.clone());
            found.extend(heads.into_iter().filter(|version| !version.is_expired(now)));
            // What is shorter than was asked for is the end: a page that lost expired ones is filled up.
            if is_last || found.len() == query.limit {
                return Ok(found);
            }
            page.limit = query.limit - found.len();
        }
    }

    /// Resources of one namespace that are built from this one, sorted.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn dependents(
        &self,
        key: &ResourceKey,
        of: Option<&ResourceType>,
    ) -> Result<Vec<ResourceKey>, Error> {
        let mut found = self.catalog.dependents(std::slice::from_ref(key)).await?.pop().unwrap_or_default();
        found.retain(|dependent| of.is_none_or(|of| dependent.resource_type == *of));
        Ok(found)
    }

    /// How often a resource was read, what is not written yet included.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn access(&self, key: &ResourceKey) -> Result<Access, Error> {
        self.flush_accesses().await?;
        Ok(self.catalog.access(key).await?)
    }

    /// Write the access counts that have grown, and forget those that nothing in the cache counts on. The time of the
    /// last read is that of the write. A host that runs on calls this from time to time: what it has not written is
    /// lost with it.
    ///
    /// # Errors
    /// A store that fails; the counts of this call are lost then.
    pub async fn flush_accesses(&self) -> Result<(), Error> {
        let grown = self.accesses.take(self.now());
        if !grown.is_empty() {
            self.catalog.add_accesses(&grown).await?;
        }
        Ok(())
    }

    pub(crate) async fn head(&self, key: &ResourceKey) -> Result<Option<Arc<Version>>, Error> {
        Ok(self.catalog.heads(std::slice::from_ref(key)).await?.pop().flatten())
    }

    /// Raw bytes of a version, by way of the cache.
    pub(crate) async fn content(&self, version: &Version) -> Result<Bytes, Error> {
        if version.content_inline.is_some() {
            return self.stored_content(version).await;
        }
        self.check_kept(version)?;
        let load = async { self.blobs.get(&version.content_location).await.map(Cached::Content) };
        self.cached_content(&version.key.namespace, &version.data_hash, load).await
    }

    /// Raw bytes of an intermediate result, by digest.
    pub(crate) async fn content_of_digest(
        &self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Result<Bytes, Error> {
        let load = async {
            let bytes = self.blobs.get_by_digest(digest).await?;
            bytes.map(Cached::Content).ok_or_else(|| floret_store::Error::Integrity {
                what: format!("blob {digest}"),
                problem: "a build that is remembered made it, and it is not stored".to_owned(),
            })
        };
        self.cached_content(namespace, digest, load).await
    }

    async fn cached_content(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        load: impl Future<Output = Result<Cached, floret_store::Error>>,
    ) -> Result<Bytes, Error> {
        let cache = self.cache.namespace(namespace.as_str())?;
        let loaded = cache.get_or_load(&content_key(digest), PutOptions::default(), || load).await;
        match loaded {
            Ok(Cached::Content(bytes)) => Ok(bytes),
            Ok(Cached::Head(_) | Cached::HeadOnly(_)) => {
                unreachable!("keys of contents begin with `c`, and heads are put under `h` only")
            }
            Err(LoadError::Loader(error)) => Err(Error::Store(error)),
        }
    }

    async fn stored_content(&self, version: &Version) -> Result<Bytes, Error> {
        self.check_kept(version)?;
        Ok(match version.content_inline {
            Some(_) => floret_store::read_inline(version)?,
            None => self.blobs.get(&version.content_location).await?,
        })
    }

    pub(crate) fn check_kept(&self, version: &Version) -> Result<(), Error> {
        match version.dropped_at {
            Some(_) => Err(Error::Dropped(version.reference())),
            None => Ok(()),
        }
    }

    /// A moment in the history of a resource's entry in the cache, to be taken before the catalog is asked.
    pub(crate) fn head_ticket(&self, key: &ResourceKey) -> Option<Ticket> {
        let cache = self.cache.get_namespace(key.namespace.as_str())?;
        Some(with_head_key(key, |key| cache.ticket(key)))
    }

    /// The cached latest version, unless its time to live has passed, or nobody would tell this host of a newer one.
    fn cached_head(&self, key: &ResourceKey) -> Result<Option<Cached>, Error> {
        let Some(cache) = self.cache.get_namespace(key.namespace.as_str()) else {
            return Err(self.unknown_namespace(&key.namespace));
        };
        if self.shared && !self.hears.load(Ordering::Acquire) {
            return Ok(None);
        }
        let Some(cached) = with_head_key(key, |key| cache.get_memory(key)) else { return Ok(None) };
        let visible_until = match &cached {
            Cached::Head(snapshot) => snapshot.visible_until,
            Cached::HeadOnly(version) => version.visible_until(),
            Cached::Content(_) => return Ok(None),
        };
        let visible = visible_until.is_none_or(|until| self.now() < until);
        Ok(visible.then_some(cached))
    }

    /// The latest version, by way of the cache.
    pub(crate) async fn latest(&self, key: &ResourceKey) -> Result<Arc<Version>, Error> {
        match self.cached_head(key)? {
            Some(Cached::Head(snapshot)) => Ok(Arc::clone(&snapshot.version)),
            Some(Cached::HeadOnly(version)) => Ok(version),
            _ => self.resolve(key, &Selector::Latest).await,
        }
    }

    /// Where the latest versions of a namespace are cached.
    pub(crate) fn heads_of(&self, namespace: &Namespace) -> Result<Heads, Error> {
        let cache = self.cache.namespace(namespace.as_str())?;
        let ttl = self.shared.then(|| {
            let most = self.options.head_ttl;
            cache.memory_ttl().map_or(most, |ttl| ttl.min(most))
        });
        Ok(Heads { cache, ttl })
    }

    fn snapshot(&self, version: Arc<Version>, content: Bytes) -> Arc<Snapshot> {
        let reads = self.accesses.counter(&version.key);
        Snapshot::of(version, content, reads)
    }

    /// Binary search: semantic versions grow with seq.
    async fn by_semantic_version(
        &self,
        key: &ResourceKey,
        wanted: &semver::Version,
    ) -> Result<Option<Arc<Version>>, Error> {
        let Some(head) = self.head(key).await? else { return Ok(None) };
        let (mut low, mut high) = (1, head.seq.0);
        while low <= high {
            let middle = low + (high - low) / 2;
            let reference = VersionRef { key: key.clone(), seq: Seq(middle) };
            let Some(found) = self.catalog.version(&reference).await? else { return Ok(None) };
            match found.version.cmp(wanted) {
                std::cmp::Ordering::Equal => return Ok(Some(found)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle - 1,
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_taken_once_and_forgotten_when_nobody_holds_them() {
        let log = AccessLog::default();
        let key: ResourceKey = "literature/a".parse().expect("a key");
        let taken =
            || log.take(TimestampMs(1)).into_iter().map(|(_, access)| access.count).collect::<Vec<_>>();
        let counter = log.counter(&key);
        counter.fetch_add(2, Ordering::Relaxed);
        assert_eq!(taken(), [2]);
        assert_eq!(taken(), [0; 0]);
        counter.fetch_add(1, Ordering::Relaxed);
        drop(counter);
        assert_eq!(taken(), [1], "it is counted, though nobody holds it any more");
        assert_eq!(log.0.lock().len(), 1);
        assert_eq!(taken(), [0; 0]);
        assert!(log.0.lock().is_empty());
    }
}
