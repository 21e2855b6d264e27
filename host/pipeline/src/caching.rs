//! Tending the cache by the names of resources.

use std::sync::Arc;

use floret_cache::{HotKey, Invalidated, Pattern, Warmed};
use floret_model::{Digest, Namespace, ResourceKey};
use floret_store::ListQuery;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::read::{content_key, head_key};
use crate::{Cached, Error, Floret};

/// Versions of a log read at once.
const PAGE: usize = 256;
/// Resources whose names are looked at at once.
const NAMES_PAGE: usize = 1_000;

/// Of what cached copies are dropped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Uncaching {
    /// Of resources whose whole names, e.g. `corpus/lincoln` or `work:corpus/lincoln`, one of these globs matches.
    Matching(Vec<String>),
    /// Of a namespace.
    Namespace(Namespace),
    /// Everything.
    All,
}

/// What was dropped from the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Uncached {
    /// Resources whose names matched; absent unless names were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<u64>,
    /// Entries from memory.
    pub memory: u64,
    /// Entries from disk.
    pub disk: u64,
}

impl Floret {
    /// Bring what was asked for most back into memory, at most `limit` entries, from disk or else from the store.
    pub async fn warm(&self, limit: usize) -> Warmed {
        self.cache.warm(limit, |hot| self.load_again(hot)).await
    }

    /// Drop cached copies. Globs are matched against the names of all resources, page by page.
    ///
    /// # Errors
    /// A glob that is none, before anything is dropped; an unknown namespace; a store that fails.
    pub async fn uncache_all(&self, what: &Uncaching) -> Result<Uncached, Error> {
        let gone = match what {
            Uncaching::All => self.cache.invalidate_all().await,
            Uncaching::Namespace(namespace) => self.cache.invalidate_namespace(namespace.as_str()).await?,
            Uncaching::Matching(globs) => return self.uncache_matching(globs).await,
        };
        Ok(Uncached { resources: None, memory: gone.memory, disk: gone.disk })
    }

    async fn uncache_matching(&self, globs: &[String]) -> Result<Uncached, Error> {
        let patterns = globs.iter().map(|glob| Pattern::glob(glob)).collect::<Result<Vec<_>, _>>()?;
        let (mut matched, mut uncached) = (0, Uncached::default());
        let mut after = None;
        loop {
            let query = ListQuery { after: after.take(), limit: NAMES_PAGE, ..ListQuery::default() };
            // The catalog's list: what has outlived its time may still be cached.
            let page = self.catalog.list(&query).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            for version in &page {
                let name = version.key.to_string();
                // Others who share the catalog may have namespaces that this host does not: nothing of them is cached here.
                let is_here = self.cache.get_namespace(version.key.namespace.as_str()).is_some();
                if is_here && patterns.iter().any(|pattern| pattern.matches(name.as_bytes())) {
                    matched += 1;
                    let gone = self.uncache(&version.key).await?;
                    uncached.memory += gone.memory;
                    uncached.disk += gone.disk;
                }
            }
        }
        Ok(Uncached { resources: Some(matched), ..uncached })
    }

    /// Drop the cached copies of a resource: its latest version, and the contents of all its versions. Contents that
    /// other resources share are read again, too.
    ///
    /// # Errors
    /// An unknown namespace; a store that fails.
    pub async fn uncache(&self, key: &ResourceKey) -> Result<Invalidated, Error> {
        self.check_namespace(&key.namespace)?;
        let cache = self.cache.namespace(key.namespace.as_str())?;
        let mut gone = cache.invalidate(head_key(key)).await;
        let mut before = None;
        loop {
            let page = self.catalog.log(key, before, PAGE).await?;
            let Some(last) = page.last() else { return Ok(gone) };
            before = Some(last.seq);
            for version in page {
                let dropped = cache.invalidate(content_key(&version.data_hash)).await;
                gone.memory += dropped.memory;
                gone.disk += dropped.disk;
            }
        }
    }

    async fn load_again(&self, hot: HotKey) -> Result<Cached, Error> {
        let gone = || Error::not_found("what was asked for most");
        if let Some((b'h', key)) = hot.key.split_first().map(|(first, rest)| (*first, rest)) {
            let key = ResourceKey::decode(key).ok_or_else(gone)?;
            let ticket = self.head_ticket(&key);
            let head = self.head(&key).await?.ok_or_else(gone)?;
            // Put here, with the time to live of latest versions; the cache keeps what a put overtook of a load.
            let heads = self.heads_of(&key.namespace)?;
            heads.published(&key, Cached::HeadOnly(Arc::clone(&head)), ticket).await;
            return Ok(Cached::HeadOnly(head));
        }
        let digest = hot.key.get(1..).and_then(|digest| digest.try_into().ok()).ok_or_else(gone)?;
        let bytes = self.blobs.get_by_digest(&Digest::from_bytes(digest)).await?;
        Ok(Cached::Content(bytes.ok_or_else(gone)?))
    }
}
