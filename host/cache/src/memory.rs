//! The memory tier of one namespace: a table of values that hits read, and moka, which decides who leaves it.
//!
//! Why two: moka notes every read in a queue that all threads share, and sorts it into its lists on the reader's time.
//! That is most of a hit's cost, and the part that gets slower with more cores. Here a hit reads the table, and moka
//! hears of an entry's use once per *epoch*, a sixteenth of the entries being replaced. Between two replacements the order of use
//! decides nothing, so little is lost: it is LRU (or TinyLFU) up to a sixteenth of the entries, and exact for up to 16.
//!
//! The table is the truth. moka holds a tag with each key; a tag without an entry only takes room until it is evicted, and
//! entries without a tag are removed by [`MemoryTier::enforce`] at the latest.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use foldhash::fast::RandomState;
use parking_lot::RwLock;

use crate::clock::{Clock, Millis};
use crate::config::Eviction;
use crate::ghosts::Ghosts;
use crate::key::Key;
use crate::policy::{Policy, Tag};
use crate::stats::{Counters, Padded, SHARDS, count, thread_shard};

/// What every entry in memory costs beside its key and value: its place in the table, moka's table, entry and two queue
/// nodes, both keys. Rounded up from 64-bit layouts.
pub const ENTRY_OVERHEAD_BYTES: u64 = 384;

/// Entries at most, whatever the configuration says, since moka weighs an entry in 32 bits.
const ITEMS_MAX: u64 = u32::MAX as u64;

/// Parts of the table with a lock of their own. A power of two.
const PARTS: usize = 64;

/// moka hears of uses this many times while all entries are replaced once.
const EPOCHS_PER_TURNOVER: u64 = 16;

/// How often an insert asks moka to evict before it evicts by itself.
const EVICTION_ROUNDS_MAX: u32 = 16;

/// A value in memory.
struct Slot<V> {
    value: V,
    /// Absolute, so that nothing extends it by moving the entry.
    deadline: Millis,
    order: u64,
    bytes: u64,
    /// Unique in the tier: tells this entry from an older one of the same key that moka is just evicting.
    id: u64,
    /// The epoch in which moka last heard of its use.
    noted: AtomicU32,
}

impl<V> Slot<V> {
    fn is_live(&self, clock: &dyn Clock) -> bool {
        self.deadline == Millis::NEVER || clock.now() < self.deadline
    }
}

/// What is to be put in.
pub(crate) struct MemoryWrite<V> {
    pub(crate) key: Key,
    pub(crate) value: V,
    pub(crate) weight_bytes: u64,
    pub(crate) deadline: Millis,
    pub(crate) order: u64,
}

/// A hit, and how many this thread's shard has had, for sampling.
pub(crate) struct MemoryHit<V> {
    pub(crate) value: V,
    pub(crate) nth: u64,
}

/// Rules for callers: `insert` and `remove` only while holding the key's stripe; `remove_where` and `resize` only while
/// holding every stripe. Reads need nothing.
pub(crate) struct MemoryTier<V> {
    table: Arc<Table<V>>,
    /// A moka cache cannot be resized, so another budget is another policy. Read by inserts and once per epoch by hits.
    policy: RwLock<Policy>,
    eviction: Eviction,
    next_id: AtomicU64,
    /// Inserts since the tier was made.
    inserts: AtomicU64,
    epoch: AtomicU32,
    hits: Box<[Padded<AtomicU64>]>,
}

/// The entries, and what they add up to.
struct Table<V> {
    parts: Box<[Padded<Part<V>>]>,
    hasher: RandomState,
    items: AtomicU64,
    bytes: AtomicU64,
    items_max: u64,
    budget_bytes: AtomicU64,
    counters: Arc<Counters>,
    ghosts: Ghosts,
}

type Part<V> = RwLock<HashMap<Key, Slot<V>, RandomState>>;

impl<V> Table<V> {
    #[inline]
    fn part(&self, key: &[u8]) -> &Part<V> {
        // The top bits: the maps use the others.
        let part = self.hasher.hash_one(key) >> (64 - PARTS.ilog2());
        &self.parts[part as usize].0
    }

    fn insert(&self, key: Key, slot: Slot<V>) {
        self.items.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(slot.bytes, Ordering::Relaxed);
        let old = self.part(key.as_bytes()).write().insert(key, slot);
        // The old value is freed here, after the lock.
        if let Some(old) = old {
            self.subtract(&old);
        }
    }

    fn remove(&self, key: &[u8]) -> Option<Slot<V>> {
        let slot = self.part(key).write().remove(key)?;
        self.subtract(&slot);
        Some(slot)
    }

    /// Removes the entry that moka evicted, unless the key has a newer one by now.
    fn evict(&self, key: &Key, tag: Tag) {
        let mut part = self.part(key.as_bytes()).write();
        if part.get(key).is_none_or(|slot| slot.id != tag.id) {
            return;
        }
        let slot = part.remove(key);
        drop(part);
        count(&self.counters.memory_evictions);
        if self.is_bound_by_bytes() {
            self.ghosts.remember(self.hasher.hash_one(key.as_bytes()));
        }
        if let Some(slot) = slot {
            self.subtract(&slot);
        }
    }

    fn subtract(&self, slot: &Slot<V>) {
        self.items.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(slot.bytes, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.items.load(Ordering::Relaxed) > self.items_max
            || self.bytes.load(Ordering::Relaxed) > self.budget_bytes.load(Ordering::Relaxed)
    }

    /// True if bytes, rather than items, are what it runs out of: then more bytes would have helped.
    fn is_bound_by_bytes(&self) -> bool {
        let bytes = u128::from(self.bytes.load(Ordering::Relaxed));
        let items = u128::from(self.items.load(Ordering::Relaxed));
        let budget = u128::from(self.budget_bytes.load(Ordering::Relaxed));
        bytes * u128::from(self.items_max) >= items * budget
    }
}

impl<V: Clone + Send + Sync + 'static> MemoryTier<V> {
    pub(crate) fn new(
        items_max: u64,
        budget_bytes: u64,
        eviction: Eviction,
        counters: Arc<Counters>,
    ) -> Self {
        let items_max = items_max.min(ITEMS_MAX);
        let table = Arc::new(Table {
            parts: (0..PARTS).map(|_| Padded::default()).collect(),
            hasher: RandomState::default(),
            items: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            items_max,
            budget_bytes: AtomicU64::new(budget_bytes),
            counters,
            ghosts: Ghosts::new(items_max),
        });
        let policy = new_policy(&table, eviction);
        Self {
            table,
            policy: RwLock::new(policy),
            eviction,
            next_id: AtomicU64::new(0),
            inserts: AtomicU64::new(0),
            epoch: AtomicU32::new(1),
            hits: (0..SHARDS).map(|_| Padded::default()).collect(),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.table.items_max > 0
    }

    /// The hot path: one read lock of a part of the table, one uncontended add.
    #[inline]
    pub(crate) fn get(&self, key: &[u8], clock: &dyn Clock) -> Option<MemoryHit<V>> {
        let part = self.table.part(key).read();
        let slot = part.get(key)?;
        if !slot.is_live(clock) {
            return None;
        }
        let value = slot.value.clone();
        let epoch = self.epoch.load(Ordering::Relaxed);
        let noted = slot.noted.load(Ordering::Relaxed) == epoch;
        if !noted {
            slot.noted.store(epoch, Ordering::Relaxed);
        }
        drop(part);
        if !noted {
            // After the lock, since moka may evict here, which locks parts.
            self.policy.read().note_use(key);
        }
        let hits = &self.hits[thread_shard()].0;
        let nth = hits.fetch_add(1, Ordering::Relaxed);
        Some(MemoryHit { value, nth })
    }

    /// The order of the key's live entry. Neither a hit nor a use.
    pub(crate) fn order(&self, key: &[u8], clock: &dyn Clock) -> Option<u64> {
        let part = self.table.part(key).read();
        let slot = part.get(key)?;
        slot.is_live(clock).then_some(slot.order)
    }

    /// Puts the value in, evicting others if there is no room; both bounds hold when it returns. A value that alone
    /// exceeds the budget is not kept, and takes an older one of its key with it. Returns whether it was taken: with
    /// [`Eviction::TinyLfu`] the one that leaves may be the new one.
    pub(crate) fn insert(&self, write: MemoryWrite<V>) -> bool {
        let key = write.key;
        let bytes = (write.weight_bytes)
            .saturating_add(key.as_bytes().len() as u64)
            .saturating_add(ENTRY_OVERHEAD_BYTES);
        let table = &self.table;
        if !self.is_on() || bytes > table.budget_bytes.load(Ordering::Relaxed) {
            self.forget(key.as_bytes());
            return false;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let slot = Slot {
            value: write.value,
            deadline: write.deadline,
            order: write.order,
            bytes,
            id,
            // Being inserted is a use.
            noted: AtomicU32::new(self.epoch.load(Ordering::Relaxed)),
        };
        table.insert(key.clone(), slot);
        let nth = self.inserts.fetch_add(1, Ordering::Relaxed) + 1;
        let epoch_inserts = table.items.load(Ordering::Relaxed) / EPOCHS_PER_TURNOVER;
        if nth.is_multiple_of(epoch_inserts.max(1)) {
            self.epoch.fetch_add(1, Ordering::Relaxed);
        }
        let policy = self.policy.read().clone();
        policy.insert(key, Tag { id, bytes });
        // moka applies reads before writes, so a write that is left waiting would count as later than the reads that
        // follow it.
        policy.run_pending();
        self.enforce(&policy);
        true
    }

    /// moka evicts in batches, some time later; this makes it do so now. Should it ever disagree with the table about
    /// what is there, the table gives up whatever comes first.
    fn enforce(&self, policy: &Policy) {
        let table = &self.table;
        for _ in 0..EVICTION_ROUNDS_MAX {
            if !table.is_over() {
                return;
            }
            policy.run_pending();
        }
        for part in &table.parts {
            while table.is_over() {
                let Some(key) = part.0.read().keys().next().cloned() else {
                    break;
                };
                self.forget(key.as_bytes());
                count(&table.counters.memory_evictions);
            }
        }
    }

    fn forget(&self, key: &[u8]) -> Option<Slot<V>> {
        let slot = self.table.remove(key)?;
        self.policy.read().remove(key);
        Some(slot)
    }

    /// Removes the entry; true if there was one that had not expired.
    pub(crate) fn remove(&self, key: &[u8], clock: &dyn Clock) -> bool {
        self.forget(key).is_some_and(|slot| slot.is_live(clock))
    }

    /// Removes what `condemned` says of key and deadline, and returns how many of them had not expired. O(entries).
    pub(crate) fn remove_where(&self, clock: &dyn Clock, condemned: impl Fn(&[u8], Millis) -> bool) -> u64 {
        let mut live = 0;
        let mut tags = Vec::new();
        for part in &self.table.parts {
            let removed: Vec<(Key, Slot<V>)> =
                (part.0.write()).extract_if(|key, slot| condemned(key.as_bytes(), slot.deadline)).collect();
            for (key, slot) in removed {
                self.table.subtract(&slot);
                live += u64::from(slot.is_live(clock));
                tags.push((key, slot.id));
            }
        }
        self.policy.read().retire(tags.into_iter());
        live
    }

    /// Changes the budget and evicts what no longer fits, the least recently noted first. O(entries × log entries).
    /// The caller holds every stripe.
    pub(crate) fn resize(&self, budget_bytes: u64) {
        let table = &self.table;
        table.budget_bytes.store(budget_bytes, Ordering::Relaxed);
        let policy = new_policy(table, self.eviction);
        let mut entries = Vec::new();
        for part in &table.parts {
            entries.extend(part.0.read().iter().map(|(key, slot)| {
                let (id, bytes) = (slot.id, slot.bytes);
                (slot.noted.load(Ordering::Relaxed), Tag { id, bytes }, key.clone())
            }));
        }
        entries.sort_unstable_by_key(|(noted, tag, _)| (*noted, tag.id));
        *self.policy.write() = policy.clone();
        for (_, tag, key) in entries {
            if tag.bytes > budget_bytes {
                self.forget(key.as_bytes());
            } else {
                policy.insert(key, tag);
            }
        }
        self.enforce(&policy);
    }

    /// True if the key was evicted from memory a short time ago; forgets it.
    pub(crate) fn take_ghost(&self, key: &[u8]) -> bool {
        let table = &self.table;
        self.is_on() && table.ghosts.take(table.hasher.hash_one(key))
    }

    pub(crate) fn hits(&self) -> u64 {
        let hits = |shard: &Padded<AtomicU64>| shard.0.load(Ordering::Relaxed);
        self.hits.iter().map(hits).sum()
    }

    /// Entries, bytes and the budget in bytes.
    pub(crate) fn held(&self) -> (u64, u64, u64) {
        let table = &self.table;
        (
            table.items.load(Ordering::Relaxed),
            table.bytes.load(Ordering::Relaxed),
            table.budget_bytes.load(Ordering::Relaxed),
        )
    }
}

fn new_policy<V: Send + Sync + 'static>(table: &Arc<Table<V>>, eviction: Eviction) -> Policy {
    let budget_bytes = table.budget_bytes.load(Ordering::Relaxed);
    // Weak would do as well: the tier drops its policy and table together.
    let evicted = Arc::clone(table);
    Policy::new(table.items_max, budget_bytes, eviction, move |key, tag| {
        evicted.evict(key, tag);
    })
}
