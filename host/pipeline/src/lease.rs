//! One at a time among hosts and tasks: leases in the catalog, extended by a heartbeat while the work goes on.
//!
//! Leases make work rare, never correct: a build is a pure function and a cleanup pass is safe beside another, so
//! that a lease which cannot be taken or extended stops nobody, and one whose host died simply runs out.
//!
//! Why nobody waits for ever. Leases of builds are of two levels: a derivation holds `build/<recipe>` while it waits
//! for the leases of its merge tree's nodes (merge.rs). Who holds a node's lease runs a component and stores what
//! came of it, and waits for no lease meanwhile: nodes are stored as soon as they are made, beside the rest of the
//! tree. So every node's lease ends, hence every derivation's; there is no cycle. The one recipe of both levels is
//! that of a corpus of texts alone, whose only node is the whole: that node takes no lease of its own, so that such a
//! derivation waits for nothing either. Steps of a cascade hold no lease while they wait for each other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use floret_model::{Digest, TimestampMs};
use floret_store::{Catalog, Clock, Lease, Leased};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::derive::Output;
use crate::pause::Pauses;
use crate::{Error, Floret};

/// The first pause of who waits for another's build; most builds take longer.
const WAIT_MIN: Duration = Duration::from_millis(20);
/// The longest: what a waiter loses at most after a long build.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// A lease is extended so often in its time: two heartbeats may be lost.
const BEATS: u32 = 3;

/// What to do about a recipe.
pub(crate) enum Turn {
    /// Build it. The lease is to be ended when the output is remembered.
    Ours(Held),
    /// Nothing: somebody made it, now or before.
    Made(Box<Output>),
}

/// Answer to who wants a lease.
pub(crate) enum Asked {
    Granted(Held),
    /// Somebody has it until then, if he does not extend it.
    Taken(TimestampMs),
}

/// A lease with its heartbeat, or none. Given back when it is dropped, so also when the work is cancelled or panics.
#[must_use]
pub(crate) struct Held(Option<Heart>);

struct Heart {
    /// Tells the heartbeat to stop, and until when the lease is to stay; dropped, it gives the lease back.
    stop: oneshot::Sender<TimestampMs>,
    beating: JoinHandle<()>,
}

impl Held {
    /// No lease, for work that needs none.
    pub fn nothing() -> Self {
        Self(None)
    }

    /// Give the lease back, and wait until it is.
    pub async fn end(self) {
        if let Some(Heart { stop, beating }) = self.0 {
            drop(stop);
            finished(beating).await;
        }
    }

    /// Leave the lease to run out then, so that nobody else takes it before.
    pub async fn keep_until(self, until: TimestampMs) {
        if let Some(Heart { stop, beating }) = self.0
            && stop.send(until).is_ok()
        {
            finished(beating).await;
        }
    }
}

async fn finished(beating: JoinHandle<()>) {
    if let Err(error) = beating.await {
        tracing::debug!(%error, "a lease is left to run out");
    }
}

struct Beat {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    lease: Lease,
    lasts: Duration,
}

impl Beat {
    async fn until_stopped(mut self, mut stopped: oneshot::Receiver<TimestampMs>) {
        let stopped = loop {
            match tokio::time::timeout(self.lasts / BEATS, &mut stopped).await {
                Ok(stopped) => break stopped,
                Err(_) => self.lease.until = self.clock.now().plus_ms(milliseconds(self.lasts)),
            }
            self.extend().await;
        };
        match stopped {
            Ok(until) => {
                self.lease.until = until;
                self.extend().await;
            }
            Err(_) => {
                if let Err(error) = self.catalog.release_lease(&self.lease).await {
                    tracing::debug!(lease = self.lease.name, %error, "a lease is left to run out");
                }
            }
        }
    }

    async fn extend(&self) {
        let name = &self.lease.name;
        match self.catalog.acquire_lease(&self.lease, self.clock.now()).await {
            Ok(Leased::Granted) => {}
            Ok(Leased::Held(by)) => tracing::debug!(lease = name, by = by.holder, "a lease was taken over"),
            Err(error) => {
                tracing::warn!(lease = name, %error, "a lease cannot be extended; the work goes on")
            }
        }
    }
}

impl Floret {
    /// A lease that lasts [`Options::lease`](crate::Options) from heartbeat to heartbeat.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) async fn ask_for_lease(&self, name: String) -> Result<Asked, Error> {
        let (now, lasts) = (self.now(), self.options.lease);
        let lease = Lease { name, holder: self.holder(), until: now.plus_ms(milliseconds(lasts)) };
        match self.catalog.acquire_lease(&lease, now).await? {
            Leased::Held(held) => Ok(Asked::Taken(held.until)),
            Leased::Granted => {
                let (stop, stopped) = oneshot::channel();
                let (catalog, clock) = (Arc::clone(&self.catalog), Arc::clone(&self.clock));
                let beat = Beat { catalog, clock, lease, lasts };
                let beating = tokio::spawn(beat.until_stopped(stopped));
                Ok(Asked::Granted(Held(Some(Heart { stop, beating }))))
            }
        }
    }

    /// The output of a recipe if there is one, else the right to build it, once nobody else is about to.
    pub(crate) async fn turn(&self, recipe: &Digest) -> Result<Turn, Error> {
        let mut pauses: Option<Pauses> = None;
        loop {
            if let Some(output) = self.remembered(recipe).await? {
                return Ok(Turn::Made(Box::new(output)));
            }
            match self.ask_for_lease(format!("build/{recipe}")).await {
                Ok(Asked::Granted(held)) => {
                    // Who held it may have been done between the two questions.
                    return Ok(match self.remembered(recipe).await? {
                        Some(output) => {
                            held.end().await;
                            Turn::Made(Box::new(output))
                        }
                        None => Turn::Ours(held),
                    });
                }
                Ok(Asked::Taken(_)) => {
                    let pauses =
                        pauses.get_or_insert_with(|| Pauses::between(WAIT_MIN, WAIT_MAX, self.seed()));
                    tokio::time::sleep(pauses.next()).await;
                }
                Err(error) => {
                    tracing::warn!(%recipe, %error, "no lease can be taken; building all the same");
                    return Ok(Turn::Ours(Held::nothing()));
                }
            }
        }
    }

    /// A holder of leases that no other is, in this process or another.
    fn holder(&self) -> String {
        let count = self.holders.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}-{count:x}", self.session)
    }

    /// A seed for jitter that no other host or task has.
    pub(crate) fn seed(&self) -> u64 {
        self.session ^ self.holders.fetch_add(1, Ordering::Relaxed).rotate_left(32)
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
