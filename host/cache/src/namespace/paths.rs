//! The slow paths behind the handle: read from disk and promote, load, write, remove.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{
    DiskWrite, Invalidated, Key, LoadError, Namespace, NamespaceHandle, Put, PutOptions, StripeGuard,
};
use crate::clock::Millis;
use crate::disk::{DiskEntry, DiskNamespace, DiskRead};
use crate::flight::{Leader, Outcome};
use crate::memory::MemoryWrite;
use crate::pattern::Pattern;
use crate::stats::{Counters, count, count_many};
use crate::value::CacheValue;

/// When a write gives way to what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Always,
    IfNewer,
}

/// A value read from disk, with the key's epoch from before the read.
pub(super) struct FromDisk<V> {
    pub(super) value: V,
    meta: crate::disk::Meta,
    epoch: u64,
}

impl<V: CacheValue> NamespaceHandle<V> {
    /// The value from disk, which then is in memory too.
    pub(super) async fn get_disk(&self, key: &Key) -> Option<V> {
        let found = self.read_disk(key).await?;
        self.promote(key, &found);
        Some(found.value)
    }

    pub(super) async fn read_disk(&self, key: &Key) -> Option<FromDisk<V>> {
        let space = &self.0;
        let disk = space.disk.as_ref()?;
        // Before the read, so that whatever changes the key from here on is seen by `promote`.
        let epoch = space.epoch(key.as_bytes()).load(Ordering::Acquire);
        let meta = disk.find(key.as_bytes(), &*space.clock)?;
        let started = space.clock.elapsed();
        let read = if DiskNamespace::is_short(&meta) {
            disk.read(key, meta)
        } else {
            let (disk, key) = (Arc::clone(disk), key.clone());
            blocking(move || disk.read(&key, meta)).await?
        };
        let damaged = match read {
            DiskRead::Hit(DiskEntry { raw, meta }) => match V::decode(raw) {
                Some(value) => {
                    let took = space.clock.elapsed().saturating_sub(started);
                    space.counters.disk_read.record(took);
                    count(&space.counters.disk_hits);
                    self.note_memory_miss(key);
                    return Some(FromDisk { value, meta, epoch });
                }
                None => meta,
            },
            DiskRead::Damaged(meta) => meta,
            DiskRead::Gone => return None,
        };
        let (disk, key) = (Arc::clone(disk), key.clone());
        blocking(move || disk.remove_damaged(&key, &damaged)).await;
        None
    }

    /// Puts what was read from disk into memory, unless the key changed since, or is changing now.
    pub(super) fn promote(&self, key: &Key, found: &FromDisk<V>) {
        let space = &self.0;
        if !space.memory.is_on() {
            return;
        }
        let stripe = space.stripe(key.as_bytes());
        let Ok(_guard) = stripe.lock.try_lock() else {
            return;
        };
        if space.epoch(key.as_bytes()).load(Ordering::Acquire) != found.epoch {
            return;
        }
        let meta = &found.meta;
        // Never later than on disk: what expires there at noon does so here.
        let deadline = match space.config.memory_ttl {
            Some(ttl) if !meta.own_ttl => meta.deadline.min(space.clock.now().plus(ttl)),
            _ => meta.deadline,
        };
        space.memory.insert(MemoryWrite {
            key: key.clone(),
            value: found.value.clone(),
            weight_bytes: found.value.weight_bytes(),
            deadline,
            order: meta.order,
        });
    }

    pub(super) async fn lead<F, Fut, E>(
        &self,
        key: Key,
        options: PutOptions,
        leader: Leader<V>,
        loader: F,
    ) -> Result<V, LoadError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
        E: std::error::Error + Send + Sync + 'static,
    {
        // Another load may have ended between this caller's look into memory and its joining.
        let present = match self.get_memory(key.as_bytes()) {
            Some(value) => Some(value),
            None => self.get_disk(&key).await,
        };
        if let Some(value) = present {
            leader.tell(Outcome::Value(value.clone()));
            return Ok(value);
        }
        self.count_miss(&key);
        let space = &self.0;
        let attempt = Attempt::begin(&space.counters);
        let started = space.clock.elapsed();
        match loader().await {
            Ok(value) => {
                let took = space.clock.elapsed().saturating_sub(started);
                attempt.succeeded(took);
                leader.tell(Outcome::Value(value.clone()));
                self.keep_loaded(key, value.clone(), options, &leader).await;
                Ok(value)
            }
            Err(error) => {
                let error = Arc::new(error);
                leader.tell(Outcome::Failed(error.clone()));
                Err(LoadError::Loader(error))
            }
        }
    }

    async fn keep_loaded(&self, key: Key, value: V, options: PutOptions, leader: &Leader<V>) {
        let stripe = self.0.stripe(key.as_bytes());
        let guard = Arc::clone(&stripe.lock).lock_owned().await;
        if leader.is_overtaken() {
            count(&self.0.counters.puts_refused);
            return;
        }
        self.0.epoch(key.as_bytes()).fetch_add(1, Ordering::AcqRel);
        let order = value.order();
        self.fill(key, value, order, options.ttl, guard).await;
    }

    pub(super) async fn write(&self, key: Key, value: V, order: u64, options: PutOptions, rule: Rule) -> Put {
        let space = &self.0;
        let stripe = space.stripe(key.as_bytes());
        let guard = Arc::clone(&stripe.lock).lock_owned().await;
        let epoch = space.epoch(key.as_bytes());
        if options.ticket.is_some_and(|ticket| ticket.epoch != epoch.load(Ordering::Acquire)) {
            count(&space.counters.puts_refused);
            return Put::Overtaken;
        }
        if rule == Rule::IfNewer
            && let Some(current) = self.current_order(&key)
            && current > order
        {
            count(&space.counters.puts_refused);
            return Put::Older { current };
        }
        epoch.fetch_add(1, Ordering::AcqRel);
        stripe.flights.overtake(key.as_bytes());
        self.fill(key, value, order, options.ttl, guard).await
    }

    /// The highest order of the key's live entries.
    fn current_order(&self, key: &Key) -> Option<u64> {
        let space = &self.0;
        let memory = space.memory.order(key.as_bytes(), &*space.clock);
        let disk = (space.disk.as_ref()).and_then(|disk| disk.order(key.as_bytes(), &*space.clock));
        memory.max(disk)
    }

    /// Writes both tiers. Nothing is awaited between the memory and the start of the disk write, which takes the guard
    /// along: so a caller that is dropped leaves both tiers agreeing.
    async fn fill(&self, key: Key, value: V, order: u64, ttl: Option<Duration>, guard: StripeGuard) -> Put {
        let space = &self.0;
        let deadline = |of_namespace: Option<Duration>| match ttl.or(of_namespace) {
            Some(ttl) => space.clock.now().plus(ttl),
            None => Millis::NEVER,
        };
        let raw = space.disk.as_ref().and_then(|_| value.encode());
        let in_memory = space.memory.is_on()
            && space.memory.insert(MemoryWrite {
                key: key.clone(),
                weight_bytes: value.weight_bytes(),
                value,
                deadline: deadline(space.config.memory_ttl),
                order,
            });
        let on_disk = match (&space.disk, raw) {
            (Some(disk), Some(raw)) => {
                let write = DiskWrite {
                    key,
                    raw,
                    deadline: deadline(space.config.disk_ttl),
                    order,
                    own_ttl: ttl.is_some(),
                };
                let task_disk = Arc::clone(disk);
                let written = blocking(move || {
                    let _guard = guard;
                    task_disk.write(write)
                });
                written.await.unwrap_or_else(|| {
                    disk.distrust();
                    false
                })
            }
            _ => {
                self.remove_from_disk(key, guard).await;
                false
            }
        };
        let kept = in_memory || on_disk;
        let counters = &space.counters;
        count(if kept { &counters.puts } else { &counters.puts_refused });
        if kept { Put::Stored } else { Put::NotKept }
    }

    /// Removes the key from disk; 1 if there was an entry that had not expired.
    pub(super) async fn remove_from_disk(&self, key: Key, guard: StripeGuard) -> u64 {
        let space = &self.0;
        let Some(disk) = &space.disk else { return 0 };
        if !disk.contains(key.as_bytes()) {
            return 0;
        }
        let live = disk.order(key.as_bytes(), &*space.clock).is_some();
        let task_disk = Arc::clone(disk);
        let removed = blocking(move || {
            let _guard = guard;
            task_disk.remove(&key)
        });
        match removed.await {
            Some(removed) => u64::from(removed && live),
            None => {
                disk.distrust();
                0
            }
        }
    }

    /// Starts removing what the pattern matches from one tier, on a blocking thread.
    pub(super) fn remove_matching(
        &self,
        pattern: &Pattern,
        guards: &Arc<Vec<StripeGuard>>,
        remove: impl FnOnce(&Namespace<V>, &dyn Fn(&[u8]) -> bool) -> u64 + Send + 'static,
    ) -> impl Future<Output = Option<u64>> {
        let (space, pattern, guards) = (Arc::clone(&self.0), pattern.clone(), Arc::clone(guards));
        blocking(move || {
            let _guards = guards;
            remove(&space, &|key| pattern.matches(key))
        })
    }

    pub(super) fn count_miss(&self, key: &Key) {
        count(&self.0.counters.misses);
        self.note_memory_miss(key);
    }

    fn note_memory_miss(&self, key: &Key) {
        let space = &self.0;
        space.log.note(key.as_bytes(), 1);
        if space.memory.take_ghost(key.as_bytes()) {
            count(&space.counters.ghost_hits);
        }
    }

    pub(super) fn count_invalidated(&self, removed: Invalidated) -> Invalidated {
        let counters = &self.0.counters;
        count_many(&counters.invalidated_memory, removed.memory);
        count_many(&counters.invalidated_disk, removed.disk);
        removed
    }
}

/// Counts a loader call as failed unless it is said to have succeeded, so also when it is dropped or panics.
struct Attempt<'a> {
    counters: &'a Counters,
    failed: bool,
}

impl<'a> Attempt<'a> {
    fn begin(counters: &'a Counters) -> Self {
        count(&counters.loads);
        let failed = true;
        Self { counters, failed }
    }

    fn succeeded(mut self, took: Duration) {
        self.failed = false;
        self.counters.load.record(took);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.failed {
            count(&self.counters.load_failures);
        }
    }
}

/// Runs `work` on a blocking thread. `None` if the runtime is shutting down and never ran it.
///
/// It is started by this call, not by the first poll of what it returns.
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Option<T>> {
    let task = tokio::task::spawn_blocking(work);
    async {
        match task.await {
            Ok(done) => Some(done),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => None,
            },
        }
    }
}

impl<V: CacheValue> Namespace<V> {
    /// Changes the memory budget, holding every stripe.
    pub(crate) async fn resize(self: &Arc<Self>, budget_bytes: u64) {
        let guards = self.lock_all().await;
        let space = Arc::clone(self);
        blocking(move || {
            let _guards = guards;
            space.memory.resize(budget_bytes);
        })
        .await;
    }

    /// Removes what has expired from both tiers.
    pub(crate) async fn sweep(self: &Arc<Self>) {
        let guards = self.lock_all().await;
        let space = Arc::clone(self);
        blocking(move || {
            let _guards = guards;
            space.sweep_now();
        })
        .await;
    }

    /// The same, while nobody else has the namespace.
    pub(crate) fn sweep_now(&self) {
        let now = self.clock.now();
        self.memory.remove_where(&*self.clock, |_, deadline| deadline <= now);
        if let Some(disk) = &self.disk {
            disk.remove_where(&*self.clock, |_, meta| meta.deadline <= now);
            disk.bury_rest();
        }
    }
}
