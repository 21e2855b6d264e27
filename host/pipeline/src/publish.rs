//! Publishing: a commit, and what this process has to know of it. Whoever waits for it may go away in the middle: the commit
//! cannot be taken back then, and a cache that never heard of it would answer with the version before.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use floret_cache::Ticket;
use floret_model::{Namespace, ResourceKey, Version};
use floret_store::{Outcome, Publish};
use tracing::{Instrument, trace_span};

use crate::read::{Cached, Heads, Snapshot};
use crate::{Error, Floret};

/// What the cache is told of a draft that was published.
pub(crate) struct NewHead {
    /// Its bytes, where they are in memory.
    pub content: Option<Bytes>,
    /// From before the publish.
    pub ticket: Option<Ticket>,
}

/// The same with everything that telling the cache takes.
struct Told {
    heads: Heads,
    content: Option<(Bytes, Arc<AtomicU64>)>,
    ticket: Option<Ticket>,
}

impl Told {
    async fn tell(self, version: &Arc<Version>) {
        let head = match self.content {
            Some((bytes, reads)) => Cached::Head(Snapshot::of(Arc::clone(version), bytes, reads)),
            None => Cached::HeadOnly(Arc::clone(version)),
        };
        self.heads.published(&version.key, head, self.ticket).await;
    }
}

impl Floret {
    /// Commit, then tell this process: the cache, whoever uses bindings, and whoever listens. All of it is done when this
    /// returns, and is done, too, if this is dropped once it has begun.
    pub(crate) async fn publish(&self, publish: Publish, heads: Vec<NewHead>) -> Result<Vec<Outcome>, Error> {
        let keys = publish.drafts.iter().map(|draft| &draft.key);
        let told = keys.zip(heads).map(|(key, head)| self.told(key, head)).collect::<Result<Vec<_>, _>>()?;
        let (id, at) = (publish.id.clone(), publish.at);
        let span = trace_span!(
            target: "floret::span", "store commit", floret.publish = id, floret.versions = publish.drafts.len() as i64,
        );
        let catalog = Arc::clone(&self.catalog);
        let (bindings, announcer) = (Arc::clone(&self.bindings_in_use), Arc::clone(&self.announcer));
        let work = async move {
            let outcomes = catalog.publish(publish).instrument(span).await?;
            for (outcome, told) in outcomes.iter().zip(told) {
                told.tell(outcome.version()).await;
            }
            let appended = outcomes.iter().filter_map(|outcome| match outcome {
                Outcome::Appended(version) => Some(version.reference()),
                Outcome::Unchanged(_) => None,
            });
            if appended.clone().any(|version| version.key.namespace == Namespace::plugins()) {
                bindings.forget();
            }
            announcer.announce(id, at, true, appended);
            Ok(outcomes)
        };
        match tokio::spawn(work.in_current_span()).await {
            Ok(published) => published,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going.
                Err(_) => Err(Error::Interrupted),
            },
        }
    }

    fn told(&self, key: &ResourceKey, head: NewHead) -> Result<Told, Error> {
        let content = head.content.map(|bytes| (bytes, self.accesses.counter(key)));
        Ok(Told { heads: self.heads_of(&key.namespace)?, content, ticket: head.ticket })
    }
}
