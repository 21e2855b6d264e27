//! The memory tier of one namespace: a moka cache that holds both bounds, and what it remembers of evicted keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use foldhash::fast::RandomState;
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use parking_lot::RwLock;

use crate::clock::{Clock, Millis};
use crate::config::Eviction;
use crate::key::Key;
use crate::stats::{Counters, Padded, SHARDS, count, thread_shard};

/// What every entry in memory costs beside its key and value: moka's table, entry and two queue nodes, our slot and
/// inline key. Rounded up from 64-bit layouts.
pub const ENTRY_OVERHEAD_BYTES: u64 = 256;

/// Entries at most, whatever the configuration says, since moka weighs an entry in 32 bits.
const ITEMS_MAX: u64 = u32::MAX as u64;

/// How often an insert makes moka evict before it leaves the rest to other inserts that run at the same time.
const EVICTION_ROUNDS_MAX: u32 = 16;

/// A value in memory.
#[derive(Clone)]
pub(crate) struct Slot<V> {
    pub(crate) value: V,
    /// Absolute, so that nothing extends it by moving the entry.
    pub(crate) deadline: Millis,
    pub(crate) order: u64,
    bytes: u64,
}

impl<V> Slot<V> {
    pub(crate) fn is_live(&self, clock: &dyn Clock) -> bool {
        self.deadline == Millis::NEVER || clock.now() < self.deadline
    }
}

/// Rules for callers: `insert`, `remove`, `remove_where` only while holding the key's stripe; `resize` only while
/// holding every stripe. Reads need nothing.
pub(crate) struct MemoryTier<V: Clone + Send + Sync + 'static> {
    /// One clone of the current generation for each shard of threads, so that readers share no lock. `resize` is
    /// the only writer.
    shards: Box<[Padded<Shard<V>>]>,
    items_max: u64,
    eviction: Eviction,
    hasher: RandomState,
    counters: Arc<Counters>,
    ghosts: Arc<Ghosts>,
}

struct Shard<V: Clone + Send + Sync + 'static> {
    generation: RwLock<Generation<V>>,
    hits: AtomicU64,
}

type Moka<V> = moka::sync::Cache<Key, Slot<V>, RandomState>;

/// A moka cache cannot be resized, so another budget is another generation.
struct Generation<V: Clone + Send + Sync + 'static> {
    cache: Moka<V>,
    held: Arc<Held>,
}

impl<V: Clone + Send + Sync + 'static> Clone for Generation<V> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            held: Arc::clone(&self.held),
        }
    }
}

/// What a generation holds, counted by us at every insert and removal: moka's own counts lag behind.
struct Held {
    items: AtomicU64,
    bytes: AtomicU64,
    items_max: u64,
    budget_bytes: u64,
}

impl Held {
    fn add(&self, bytes: u64) {
        self.items.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn subtract(&self, bytes: u64) {
        self.items.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.items.load(Ordering::Relaxed) > self.items_max
            || self.bytes.load(Ordering::Relaxed) > self.budget_bytes
    }

    /// True if bytes, rather than items, are what it runs out of: then more bytes would have helped.
    fn is_bound_by_bytes(&self) -> bool {
        let bytes = u128::from(self.bytes.load(Ordering::Relaxed));
        let items = u128::from(self.items.load(Ordering::Relaxed));
        bytes * u128::from(self.items_max) >= items * u128::from(self.budget_bytes)
    }
}

/// A hit, and how many this thread's shard has had, for sampling.
pub(crate) struct MemoryHit<V> {
    pub(crate) value: V,
    pub(crate) nth: u64,
}

impl<V: Clone + Send + Sync + 'static> MemoryTier<V> {
    pub(crate) fn new(
        items_max: u64,
        budget_bytes: u64,
        eviction: Eviction,
        counters: Arc<Counters>,
    ) -> Self {
        let items_max = items_max.min(ITEMS_MAX);
        let hasher = RandomState::default();
        let ghosts = Arc::new(Ghosts::new(items_max));
        let first = Generation::new(
            items_max,
            budget_bytes,
            eviction,
            &hasher,
            &counters,
            &ghosts,
        );
        let shards = (0..SHARDS)
            .map(|_| {
                Padded(Shard {
                    generation: RwLock::new(first.clone()),
                    hits: AtomicU64::new(0),
                })
            })
            .collect();
        Self {
            shards,
            items_max,
            eviction,
            hasher,
            counters,
            ghosts,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.items_max > 0
    }

    /// The hot path: one uncontended read lock, moka's lookup, one uncontended add.
    #[inline]
    pub(crate) fn get(&self, key: &[u8], clock: &dyn Clock) -> Option<MemoryHit<V>> {
        if !self.is_on() {
            return None;
        }
        let shard = &self.shards[thread_shard()].0;
        let slot = shard.generation.read().cache.get(key)?;
        if !slot.is_live(clock) {
            return None;
        }
        let nth = shard.hits.fetch_add(1, Ordering::Relaxed);
        Some(MemoryHit {
            value: slot.value,
            nth,
        })
    }

    /// The live slot, without counting a hit.
    pub(crate) fn peek(&self, key: &[u8], clock: &dyn Clock) -> Option<Slot<V>> {
        let slot = self.generation().cache.get(key)?;
        slot.is_live(clock).then_some(slot)
    }

    /// Puts the value in, evicting others if there is no room. A value that alone exceeds the budget is not kept,
    /// and takes an older one of its key with it. Returns whether it was taken.
    pub(crate) fn insert(
        &self,
        key: Key,
        value: V,
        weight_bytes: u64,
        deadline: Millis,
        order: u64,
    ) -> bool {
        let bytes = weight_bytes
            .saturating_add(key.as_bytes().len() as u64)
            .saturating_add(ENTRY_OVERHEAD_BYTES);
        let slot = Slot {
            value,
            deadline,
            order,
            bytes,
        };
        self.generation().insert(key, slot)
    }

    /// Removes the entry; true if there was one that had not expired.
    pub(crate) fn remove(&self, key: &[u8], clock: &dyn Clock) -> bool {
        self.generation()
            .cache
            .remove(key)
            .is_some_and(|slot| slot.is_live(clock))
    }

    /// Removes what `condemned` says and returns how many of them had not expired. O(entries).
    pub(crate) fn remove_where(
        &self,
        clock: &dyn Clock,
        condemned: impl Fn(&[u8], &Slot<V>) -> bool,
    ) -> u64 {
        let generation = self.generation();
        let mut live = 0;
        for (key, slot) in &generation.cache {
            if condemned(key.as_bytes(), &slot) {
                generation.cache.invalidate(key.as_bytes());
                live += u64::from(slot.is_live(clock));
            }
        }
        live
    }

    /// Moves everything into a generation with another budget, as far as it fits. O(entries); the order of use is
    /// lost. The caller holds every stripe.
    pub(crate) fn resize(&self, budget_bytes: u64) {
        let old = self.generation();
        let new = Generation::new(
            self.items_max,
            budget_bytes,
            self.eviction,
            &self.hasher,
            &self.counters,
            &self.ghosts,
        );
        for (key, slot) in &old.cache {
            new.insert((*key).clone(), slot);
        }
        for shard in &self.shards {
            *shard.0.generation.write() = new.clone();
        }
    }

    /// True if the key was evicted from memory a short time ago; forgets it.
    pub(crate) fn take_ghost(&self, key: &[u8]) -> bool {
        self.is_on() && self.ghosts.take(hash(&self.hasher, key))
    }

    pub(crate) fn hits(&self) -> u64 {
        let hits = |shard: &Padded<Shard<V>>| shard.0.hits.load(Ordering::Relaxed);
        self.shards.iter().map(hits).sum()
    }

    /// Entries, bytes and the budget in bytes.
    pub(crate) fn held(&self) -> (u64, u64, u64) {
        let held = self.generation().held;
        (
            held.items.load(Ordering::Relaxed),
            held.bytes.load(Ordering::Relaxed),
            held.budget_bytes,
        )
    }

    fn generation(&self) -> Generation<V> {
        self.shards[thread_shard()].0.generation.read().clone()
    }
}

impl<V: Clone + Send + Sync + 'static> Generation<V> {
    /// Both bounds in moka's one weight: an entry weighs the larger of its share of the items and its share of the
    /// bytes, and the weights may add up to 1. Then Σ item shares ≤ 1 and Σ byte shares ≤ 1, so neither bound is
    /// ever exceeded; and at least one of them is half used before anything is evicted, since max(a, b) ≤ a + b.
    fn new(
        items_max: u64,
        budget_bytes: u64,
        eviction: Eviction,
        hasher: &RandomState,
        counters: &Arc<Counters>,
        ghosts: &Arc<Ghosts>,
    ) -> Self {
        let item_weight = (u64::from(u32::MAX) / items_max.max(1)).max(1);
        // ≤ u32::MAX, because items_max ≤ u32::MAX.
        let capacity = items_max * item_weight;
        let held = Arc::new(Held {
            items: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            items_max,
            budget_bytes,
        });
        let policy = match eviction {
            Eviction::Lru => EvictionPolicy::lru(),
            Eviction::TinyLfu => EvictionPolicy::tiny_lfu(),
        };
        let weigher = move |_: &Key, slot: &Slot<V>| {
            let of_bytes = (u128::from(slot.bytes) * u128::from(capacity))
                .div_ceil(u128::from(budget_bytes.max(1)));
            let weight = of_bytes.max(u128::from(item_weight));
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        let listener = {
            let (held, hasher) = (Arc::clone(&held), hasher.clone());
            let (counters, ghosts) = (Arc::clone(counters), Arc::clone(ghosts));
            move |key: Arc<Key>, slot: Slot<V>, cause: RemovalCause| {
                if cause == RemovalCause::Size {
                    count(&counters.memory_evictions);
                    if held.is_bound_by_bytes() {
                        ghosts.remember(hash(&hasher, key.as_bytes()));
                    }
                }
                held.subtract(slot.bytes);
            }
        };
        let cache = moka::sync::Cache::builder()
            .max_capacity(capacity)
            .eviction_policy(policy)
            .weigher(weigher)
            .eviction_listener(listener)
            .build_with_hasher(hasher.clone());
        Self { cache, held }
    }

    fn insert(&self, key: Key, slot: Slot<V>) -> bool {
        if self.held.items_max == 0 || slot.bytes > self.held.budget_bytes {
            self.cache.invalidate(key.as_bytes());
            return false;
        }
        self.held.add(slot.bytes);
        self.cache.insert(key, slot);
        // moka evicts in batches, some time later. Both bounds hold when an insert returns, so we do not wait.
        for _ in 0..EVICTION_ROUNDS_MAX {
            if !self.held.is_over() {
                break;
            }
            self.cache.run_pending_tasks();
        }
        true
    }
}

fn hash(hasher: &RandomState, key: &[u8]) -> u64 {
    use std::hash::BuildHasher;
    hasher.hash_one(key)
}

/// Fingerprints of keys that were evicted not long ago: what a larger cache would still hold. Each key has one place,
/// and a later one takes it. Fixed size, no lock.
struct Ghosts {
    places: Box<[AtomicU32]>,
}

impl Ghosts {
    /// As many places as entries, within reason: ghosts then look about one cache size into the past.
    fn new(items_max: u64) -> Self {
        let places = items_max.clamp(256, 65_536).next_power_of_two();
        Self {
            places: (0..places).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    fn place(&self, hash: u64) -> (&AtomicU32, u32) {
        let fingerprint = (hash >> 32) as u32 | 1;
        let index = hash as usize & (self.places.len() - 1);
        (&self.places[index], fingerprint)
    }

    fn remember(&self, hash: u64) {
        let (place, fingerprint) = self.place(hash);
        place.store(fingerprint, Ordering::Relaxed);
    }

    fn take(&self, hash: u64) -> bool {
        let (place, fingerprint) = self.place(hash);
        place
            .compare_exchange(fingerprint, 0, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}
