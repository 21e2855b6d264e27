//! Tending the cache by the names of resources.

use std::sync::Arc;

use floret_cache::{HotKey, Invalidated, Warmed};
use floret_model::{Digest, ResourceKey};

use crate::read::{content_key, head_key};
use crate::{Cached, Error, Floret};

/// Versions of a log read at once.
const PAGE: usize = 256;

impl Floret {
    /// Bring what was asked for most back into memory, at most `limit` entries, from disk or else from the store.
    pub async fn warm(&self, limit: usize) -> Warmed {
        self.cache.warm(limit, |hot| self.load_again(hot)).await
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
            self.published(&head, Cached::HeadOnly(Arc::clone(&head)), ticket).await?;
            return Ok(Cached::HeadOnly(head));
        }
        let digest = hot.key.get(1..).and_then(|digest| digest.try_into().ok()).ok_or_else(gone)?;
        let bytes = self.blobs.get_by_digest(&Digest::from_bytes(digest)).await?;
        Ok(Cached::Content(bytes.ok_or_else(gone)?))
    }
}
