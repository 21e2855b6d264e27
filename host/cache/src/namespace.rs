//! One namespace: how its two tiers, its loads and its invalidations work together.
//!
//! Order of things. Keys are spread over [`STRIPES`] stripes, and more finely over [`EPOCHS`] epochs. Every change of a
//! key, in memory and on disk, happens while its stripe is locked, and raises its epoch. Reads lock nothing:
//! - a read from disk notes the epoch first, and puts what it found into memory only if it can lock the stripe at once
//!   and the epoch is still the same; so it never resurrects what was invalidated or replaced meanwhile;
//! - a load is told by the change itself that it was overtaken, key by key, since loads are long;
//! - an invalidation by pattern, and a resize, lock all stripes, in order.
//!
//! A lock that protects a disk write goes along into the blocking thread, so that dropping the caller's future half-way
//! neither tears a change nor lets another overtake it.

mod paths;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};

use self::paths::Rule;
pub(crate) use self::paths::blocking;
use crate::access_log::{AccessLog, SAMPLED_ONE_OF, is_sampled};
use crate::clock::Clock;
use crate::config::NamespaceConfig;
use crate::disk::{DiskNamespace, DiskWrite, Meta};
use crate::error::LoadError;
use crate::flight::{Flights, Outcome, Role};
use crate::key::Key;
use crate::memory::MemoryTier;
use crate::pattern::Pattern;
use crate::stats::{Counters, NamespaceStats, count};
use crate::value::CacheValue;

/// Enough that writers of different keys rarely meet, few enough that all can be locked in microseconds.
const STRIPES: usize = 64;

/// Counters of changes: many more than stripes, since whoever holds a ticket is refused for every other key that shares
/// its epoch. Of the 1,000 keys of a batch some 11 % share one with an earlier key of it; 32 KiB a namespace. A multiple
/// of `STRIPES`, so that the keys of an epoch are of one stripe.
const EPOCHS: usize = 4096;

/// Where a read found its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Lookup<V> {
    /// In memory.
    Memory(V),
    /// On disk; it is now in memory too, unless the key is being written.
    Disk(V),
    /// In neither tier.
    Miss,
}

impl<V> Lookup<V> {
    /// The value, wherever it was.
    pub fn into_value(self) -> Option<V> {
        match self {
            Self::Memory(value) | Self::Disk(value) => Some(value),
            Self::Miss => None,
        }
    }
}

/// What a write may be told beside key and value.
#[derive(Clone, Copy, Debug, Default)]
pub struct PutOptions {
    /// Lifetime in both tiers, instead of the namespace's two.
    pub ttl: Option<Duration>,
    /// Refuse the write if the key may have been written or invalidated since the ticket was taken.
    pub ticket: Option<Ticket>,
}

/// A moment in a key's history, from [`NamespaceHandle::ticket`]. Take it before reading from the source of truth, give it
/// to the write of what was read: then a change in between is never undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    epoch: u64,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is in at least one tier.
    Stored,
    /// A value of a higher order is there, and stays.
    Older {
        /// The order of the value that is there.
        current: u64,
    },
    /// The key, or another that shares its epoch, changed since the ticket was taken. Nothing was written.
    Overtaken,
    /// Too large for every tier, or no tier is on, or the disk failed. The key has no entry now.
    NotKept,
}

/// How many entries went, by tier. An entry that was in both counts in both; an expired one in neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invalidated {
    /// From memory.
    pub memory: u64,
    /// From disk.
    pub disk: u64,
}

struct Stripe<V> {
    lock: Arc<Mutex<()>>,
    flights: Arc<Flights<V>>,
}

pub(crate) struct Namespace<V: CacheValue> {
    pub(crate) name: Arc<str>,
    pub(crate) config: NamespaceConfig,
    pub(crate) memory: MemoryTier<V>,
    pub(crate) disk: Option<Arc<DiskNamespace>>,
    pub(crate) log: AccessLog,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Arc<dyn Clock>,
    stripes: Box<[Stripe<V>]>,
    epochs: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// One namespace of a [`Cache`](crate::Cache). Cheap to clone; hot paths keep one.
///
/// Keys are any bytes. The calls that may touch the disk need a tokio runtime; reads of more than 128 KiB and all
/// writes run on its blocking threads.
pub struct NamespaceHandle<V: CacheValue>(pub(crate) Arc<Namespace<V>>);

impl<V: CacheValue> Clone for NamespaceHandle<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

type StripeGuard = OwnedMutexGuard<()>;

impl<V: CacheValue> Namespace<V> {
    pub(crate) fn new(
        name: Arc<str>,
        config: NamespaceConfig,
        memory: MemoryTier<V>,
        disk: Option<DiskNamespace>,
        log: AccessLog,
        counters: Arc<Counters>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let stripe = |_| Stripe { lock: Arc::default(), flights: Arc::default() };
        Self {
            name,
            config,
            memory,
            disk: disk.map(Arc::new),
            log,
            counters,
            clock,
            stripes: (0..STRIPES).map(stripe).collect(),
            epochs: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::default(),
        }
    }

    fn stripe(&self, key: &[u8]) -> &Stripe<V> {
        &self.stripes[self.hasher.hash_one(key) as usize % STRIPES]
    }

    /// Changes of the key, and of those that share its epoch.
    fn epoch(&self, key: &[u8]) -> &AtomicU64 {
        &self.epochs[self.hasher.hash_one(key) as usize % EPOCHS]
    }

    /// Every stripe, locked in order, and every epoch raised.
    pub(crate) async fn lock_all(&self) -> Vec<StripeGuard> {
        let mut guards = Vec::with_capacity(STRIPES);
        for stripe in &self.stripes {
            guards.push(Arc::clone(&stripe.lock).lock_owned().await);
        }
        for epoch in &self.epochs {
            epoch.fetch_add(1, Ordering::AcqRel);
        }
        guards
    }
}

impl<V: CacheValue> NamespaceHandle<V> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Lifetime in memory of what is put without one of its own; for ever if `None`.
    #[must_use]
    pub fn memory_ttl(&self) -> Option<Duration> {
        self.0.config.memory_ttl
    }

    /// The value, if it is in memory. No I/O, no allocation, no lock that another thread holds for long, and no clock
    /// unless the entry has a deadline. A miss is not counted: the caller goes on to [`NamespaceHandle::get`].
    #[inline]
    pub fn get_memory(&self, key: impl AsRef<[u8]>) -> Option<V> {
        let key = key.as_ref();
        let hit = self.0.memory.get(key, &*self.0.clock)?;
        if is_sampled(hit.nth) {
            self.0.log.note(key, SAMPLED_ONE_OF);
        }
        Some(hit.value)
    }

    /// The value from memory or disk. A disk that fails is a miss. What was on disk moves to memory with its deadline.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Lookup<V> {
        let key = key.as_ref();
        if let Some(value) = self.get_memory(key) {
            return Lookup::Memory(value);
        }
        let key = Key::new(key);
        match self.get_disk(&key).await {
            Some(value) => Lookup::Disk(value),
            None => {
                self.count_miss(&key);
                Lookup::Miss
            }
        }
    }

    /// The value from memory, disk, or `loader`, which fills both tiers. Of all who ask for a missing key at the same
    /// time, one runs its loader and the others get its value, or its error.
    ///
    /// A loader that is dropped (its caller was cancelled) or panics leaves the others unharmed: one of them runs its own.
    /// If the key is written or invalidated while the loader runs, the loaded value goes to those who wait, but not into
    /// the cache, and who asks after that starts a new load. `options.ticket` is not looked at.
    ///
    /// # Errors
    /// [`LoadError::Loader`]: the loader failed. Nothing is cached; the next call loads again.
    pub async fn get_or_load<F, Fut, E>(
        &self,
        key: impl AsRef<[u8]>,
        options: PutOptions,
        loader: F,
    ) -> Result<V, LoadError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
        E: std::error::Error + Send + Sync + 'static,
    {
        if let Some(value) = self.get_memory(&key) {
            return Ok(value);
        }
        let key = Key::new(key.as_ref());
        loop {
            let waiter = match self.0.stripe(key.as_bytes()).flights.join(&key) {
                Role::Leader(leader) => return self.lead(key, options, leader, loader).await,
                Role::Waiter(waiter) => waiter,
            };
            count(&self.0.counters.load_waits);
            match waiter.wait().await {
                Outcome::Value(value) => return Ok(value),
                Outcome::Failed(error) => {
                    if let Ok(error) = error.downcast::<E>() {
                        return Err(LoadError::Loader(error));
                    }
                    // Another kind of loader, whose error this caller cannot get: it runs its own.
                }
                Outcome::Pending | Outcome::Abandoned => {}
            }
        }
    }

    /// Writes the value into both tiers, in place of any other.
    pub async fn put(&self, key: impl AsRef<[u8]>, value: V, options: PutOptions) -> Put {
        let order = value.order();
        self.write(Key::new(key.as_ref()), value, order, options, Rule::Always).await
    }

    /// Writes the value unless one of a higher `order` is there: the newer wins, whatever the order of the calls. For
    /// what changes under its key, such as heads.
    ///
    /// After an eviction or invalidation nothing is there to compare with, so a value that was read some time ago needs a
    /// [`Ticket`] taken before it was read.
    pub async fn put_if_newer(
        &self,
        key: impl AsRef<[u8]>,
        value: V,
        order: u64,
        options: PutOptions,
    ) -> Put {
        self.write(Key::new(key.as_ref()), value, order, options, Rule::IfNewer).await
    }

    /// This moment in the key's history, see [`Ticket`].
    #[must_use]
    pub fn ticket(&self, key: impl AsRef<[u8]>) -> Ticket {
        Ticket { epoch: self.0.epoch(key.as_ref()).load(Ordering::Acquire) }
    }

    /// Removes the key from both tiers. When it returns, no read that begins later finds the old value, and no load or
    /// read that began earlier brings it back.
    pub async fn invalidate(&self, key: impl AsRef<[u8]>) -> Invalidated {
        let key = Key::new(key.as_ref());
        let space = &self.0;
        let stripe = space.stripe(key.as_bytes());
        let guard = Arc::clone(&stripe.lock).lock_owned().await;
        space.epoch(key.as_bytes()).fetch_add(1, Ordering::AcqRel);
        stripe.flights.overtake(key.as_bytes());
        let memory = u64::from(space.memory.remove(key.as_bytes(), &*space.clock));
        let disk = self.remove_from_disk(key, guard).await;
        self.count_invalidated(Invalidated { memory, disk })
    }

    /// Removes every key of the set from both tiers, with the same promise. O(entries of the namespace), about 0.1 ms for
    /// 1,000; writes to the namespace wait meanwhile, reads do not.
    pub async fn invalidate_matching(&self, pattern: &Pattern) -> Invalidated {
        let guards = self.0.lock_all().await;
        for stripe in &self.0.stripes {
            stripe.flights.overtake_where(|key| pattern.matches(key));
        }
        // Both tiers at the same time, each on a thread of its own; the stripes stay locked until both are done, also if
        // the caller goes away.
        let guards = Arc::new(guards);
        let memory = self.remove_matching(pattern, &guards, |space, condemned| {
            let condemned = |key: &[u8], _| condemned(key);
            space.memory.remove_where(&*space.clock, condemned)
        });
        let disk = self.remove_matching(pattern, &guards, |space, condemned| {
            let condemned = |key: &[u8], _: &Meta| condemned(key);
            let disk = space.disk.as_ref();
            disk.map_or(0, |disk| disk.remove_where(&*space.clock, condemned))
        });
        let removed = match (memory.await, disk.await) {
            (Some(memory), Some(disk)) => Some(Invalidated { memory, disk }),
            _ => None,
        };
        let removed = removed.unwrap_or_else(|| {
            // The runtime is shutting down and nothing was removed: not even the next process may use it.
            self.0.disk.iter().for_each(|disk| disk.distrust());
            Invalidated::default()
        });
        self.count_invalidated(removed)
    }

    /// What it did and holds.
    #[must_use]
    pub fn stats(&self) -> NamespaceStats {
        let space = &self.0;
        let counters = &space.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (memory_entries, memory_bytes, memory_budget_bytes) = space.memory.held();
        let (disk_entries, disk_bytes, disk_budget_bytes) =
            space.disk.as_ref().map_or((0, 0, 0), |disk| disk.held());
        NamespaceStats {
            memory_hits: space.memory.hits(),
            disk_hits: read(&counters.disk_hits),
            misses: read(&counters.misses),
            loads: read(&counters.loads),
            load_failures: read(&counters.load_failures),
            load_waits: read(&counters.load_waits),
            puts: read(&counters.puts),
            puts_refused: read(&counters.puts_refused),
            memory_evictions: read(&counters.memory_evictions),
            disk_evictions: read(&counters.disk_evictions),
            invalidated: Invalidated {
                memory: read(&counters.invalidated_memory),
                disk: read(&counters.invalidated_disk),
            },
            damaged: read(&counters.damaged),
            disk_errors: read(&counters.disk_errors),
            ghost_hits: read(&counters.ghost_hits),
            memory_entries,
            memory_bytes,
            memory_budget_bytes,
            disk_entries,
            disk_bytes,
            disk_budget_bytes,
            disk_read: counters.disk_read.summary(),
            load: counters.load.summary(),
        }
    }
}
