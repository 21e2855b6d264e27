//! Who leaves a full memory tier: moka, under two bounds at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::fast::RandomState;
use moka::notification::RemovalCause;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use parking_lot::Mutex;

use crate::config::Eviction;
use crate::key::Key;

/// What moka holds for an entry.
#[derive(Clone, Copy)]
pub(crate) struct Tag {
    pub(crate) id: u64,
    pub(crate) bytes: u64,
}

/// Removing a key from moka takes microseconds. When many go at once, they are only listed, and each insert afterwards
/// removes this many: more than it adds, so that none of them ever takes the room of an entry.
const RETIRED_PER_INSERT: usize = 32;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Policy {
    cache: moka::sync::Cache<Key, Tag, RandomState>,
    retired: Arc<Retired>,
}

/// Tags whose entries are gone.
#[derive(Default)]
struct Retired {
    /// The list's length, so that inserts need not lock to see that it is empty.
    left: AtomicUsize,
    tags: Mutex<Vec<(Key, u64)>>,
}

impl Policy {
    /// Both bounds in moka's one weight: an entry weighs the larger of its share of the items and its share of the
    /// bytes, and the weights may add up to 1. Then Σ item shares ≤ 1 and Σ byte shares ≤ 1, so neither bound is
    /// exceeded; and together the two are used to 1 before anything is evicted, since max(a, b) ≤ a + b.
    ///
    /// `evicted` is called for each entry that leaves for want of room, on a thread that inserts or notes a use.
    pub(crate) fn new(
        items_max: u64,
        budget_bytes: u64,
        eviction: Eviction,
        evicted: impl Fn(&Key, Tag) + Send + Sync + 'static,
    ) -> Self {
        let item_weight = (u64::from(u32::MAX) / items_max.max(1)).max(1);
        // ≤ u32::MAX, because the tier bounds items_max by it.
        let capacity = items_max * item_weight;
        let weigher = move |_: &Key, tag: &Tag| {
            let of_bytes =
                (u128::from(tag.bytes) * u128::from(capacity)).div_ceil(u128::from(budget_bytes.max(1)));
            let weight = of_bytes.max(u128::from(item_weight));
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        let listener = move |key: Arc<Key>, tag: Tag, cause: RemovalCause| {
            if cause == RemovalCause::Size {
                evicted(&key, tag);
            }
        };
        let policy = match eviction {
            Eviction::Lru => EvictionPolicy::lru(),
            Eviction::TinyLfu => EvictionPolicy::tiny_lfu(),
        };
        let cache = moka::sync::Cache::builder()
            .max_capacity(capacity)
            .eviction_policy(policy)
            .weigher(weigher)
            .eviction_listener(listener)
            .build_with_hasher(RandomState::default());
        Self { cache, retired: Arc::default() }
    }

    pub(crate) fn insert(&self, key: Key, tag: Tag) {
        if self.retired.left.load(Ordering::Acquire) == 0 {
            self.cache.insert(key, tag);
            return;
        }
        // The list is locked over both, so that a retired tag is never looked at before and removed after the insert of a
        // new one under its key. Whoever saw an empty list cannot meet a removal either: `retire` runs while nobody inserts.
        let mut list = self.retired.tags.lock();
        let kept = list.len().saturating_sub(RETIRED_PER_INSERT);
        for (key, id) in list.drain(kept..) {
            let entry = self.cache.entry(key);
            entry.and_compute_with(|present| match present {
                Some(tag) if tag.value().id == id => Op::Remove,
                _ => Op::Nop,
            });
        }
        self.cache.insert(key, tag);
        self.retired.left.store(kept, Ordering::Release);
    }

    pub(crate) fn remove(&self, key: &[u8]) {
        self.cache.invalidate(key);
    }

    /// The same for many, sooner or later. Each goes only if its id is still the one that moka has. Nothing may be
    /// inserted while this runs.
    pub(crate) fn retire(&self, tags: impl Iterator<Item = (Key, u64)>) {
        let mut list = self.retired.tags.lock();
        list.extend(tags);
        self.retired.left.store(list.len(), Ordering::Release);
    }

    pub(crate) fn note_use(&self, key: &[u8]) {
        self.cache.get(key);
    }

    /// Does now what moka would do some time later.
    pub(crate) fn run_pending(&self) {
        self.cache.run_pending_tasks();
    }
}
