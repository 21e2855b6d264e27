//! Following what other hosts publish, so that a latest version in the cache is overtaken within moments.
//!
//! Where hosts share a catalog, cached latest versions are served only while a stream of changes stands: without one
//! nobody would tell that they were overtaken, so every read asks the catalog. A time to live
//! ([`Options::head_ttl`](crate::Options)) bounds what a stream that loses something can do. It also bounds what happens while
//! the driver of the catalog takes up by itself a stream that broke, of which nobody is told: what is cached may be
//! overtaken meanwhile for as long as that.
//!
//! Why an old version does not come back. A change raises the history of its key in the cache, whether the key is there or not; a read
//! that asked the catalog before took its ticket before, and is refused. One that asks after the change was published
//! gets the new version. So is a version which the stream announces late: a newer one is never replaced.

use std::sync::atomic::Ordering;
use std::time::Duration;

use floret_cache::{CacheValue, Pattern};
use floret_model::{Namespace, VersionRef};
use floret_store::{Change, ChangeStream, ChangeToken, Error as StoreError};
use futures::StreamExt;

use crate::Floret;
use crate::pause::Pauses;
use crate::read::head_key;

/// Pauses between two tries to take the stream up.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

impl Floret {
    /// Follow what other hosts publish, for as long as the host runs: drop the future to stop. Returns where the
    /// catalog is not shared, as there is nothing to follow.
    ///
    /// A broken stream is taken up again where it ended, or from now on where the catalog no longer keeps what follows.
    /// Either way every cached latest version is read again, and nothing else.
    pub async fn follow(&self) {
        let mut token = None;
        let mut pauses = Pauses::between(RETRY_MIN, RETRY_MAX, self.seed());
        loop {
            let broken = match self.catalog.changes(token.clone()).await {
                Ok(None) => return,
                Ok(Some(changes)) => self.follow_stream(changes, &mut token, &mut pauses).await,
                Err(error) => error,
            };
            tracing::warn!(error = %broken, "changes of other hosts are not heard of; latest versions are read again meanwhile");
            if let StoreError::ChangesLost { .. } = broken {
                token = None;
            }
            tokio::time::sleep(pauses.next()).await;
        }
    }

    /// Follow one stream to its end, and answer with why it ended.
    async fn follow_stream(
        &self,
        mut changes: ChangeStream,
        token: &mut Option<ChangeToken>,
        pauses: &mut Pauses,
    ) -> StoreError {
        let _deaf_again = DeafAgain(self);
        // The stream stands already, so that whatever is read from here on is told of when it is overtaken. Nobody can say
        // when it has brought all that was missed, so nothing from before is served.
        self.forget_heads().await;
        self.hears.store(true, Ordering::Release);
        tracing::info!(catalog = %self.catalog, "following what other hosts publish");
        pauses.reset();
        loop {
            let next = changes.next().await;
            if let Err(error) = self.hear(next, token).await {
                return error;
            }
        }
    }

    async fn hear(
        &self,
        next: Option<Result<Change, StoreError>>,
        token: &mut Option<ChangeToken>,
    ) -> Result<(), StoreError> {
        let ended = || StoreError::Backend {
            catalog: self.catalog.to_string(),
            problem: "its stream of changes ended".to_owned(),
        };
        let change = next.ok_or_else(ended)??;
        self.overtaken(&change.heads).await;
        self.heard_of(&change);
        *token = Some(change.token);
        Ok(())
    }

    /// Drop what is cached of resources of which somebody published these versions, unless it is as new.
    async fn overtaken(&self, heads: &[VersionRef]) {
        for head in heads {
            let Some(cache) = self.cache.get_namespace(head.key.namespace.as_str()) else { continue };
            let key = head_key(&head.key);
            if cache.get_memory(&key).is_none_or(|cached| cached.order() < head.seq.0) {
                cache.invalidate(&key).await;
            }
            if head.key.namespace == Namespace::plugins() {
                self.bindings_in_use.forget();
            }
        }
    }

    /// Drop every latest version in the cache, and what is bound.
    async fn forget_heads(&self) {
        let heads = Pattern::prefix(b"h");
        for name in self.cache.stats().namespaces.into_keys() {
            if let Some(cache) = self.cache.get_namespace(&name) {
                cache.invalidate_matching(&heads).await;
            }
        }
        self.bindings_in_use.forget();
    }
}

/// Cached latest versions are not served from when this is dropped, also when the future that follows is.
struct DeafAgain<'a>(&'a Floret);

impl Drop for DeafAgain<'_> {
    fn drop(&mut self) {
        self.0.hears.store(false, Ordering::Release);
    }
}
