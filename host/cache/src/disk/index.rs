//! What one namespace has on disk, kept in memory: about 180 bytes for each entry.
//!
//! So a read that will miss costs no I/O, a glob visits keys without reading values, and eviction knows who was used.
//! The same facts stand in fjall's `index` keyspace, one row per entry, from which this is rebuilt at open:
//!
//! ```text
//! row   := sequence u64 · stored bytes u64 · deadline u64 (ms since 1970) · order u64 · flags u8
//! flags := 1 value in a file of its own · 2 deadline given by the caller rather than the namespace
//! ```
//! Little-endian, 33 bytes; fjall checks its blocks. A row that is not like that is dropped.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::fast::RandomState;

use crate::clock::Millis;
use crate::key::Key;

const FLAG_LARGE: u8 = 1;
const FLAG_OWN_TTL: u8 = 2;

/// Where an entry is and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Unique for every write to the directory, rising: names the value.
    pub(crate) sequence: u64,
    /// Header and payload.
    pub(crate) stored_bytes: u64,
    pub(crate) deadline: Millis,
    pub(crate) order: u64,
    /// In a file of its own rather than in fjall.
    pub(crate) large: bool,
    /// The caller gave the lifetime, so it also replaces the namespace's memory lifetime.
    pub(crate) own_ttl: bool,
}

impl Meta {
    pub(crate) const ROW_BYTES: usize = 33;

    pub(crate) fn to_row(self) -> [u8; Self::ROW_BYTES] {
        let words = [self.sequence, self.stored_bytes, self.deadline.0, self.order];
        let mut row = [0; Self::ROW_BYTES];
        for (place, word) in row.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        row[32] = FLAG_LARGE * u8::from(self.large) + FLAG_OWN_TTL * u8::from(self.own_ttl);
        row
    }

    pub(crate) fn from_row(row: &[u8]) -> Option<Self> {
        let row: &[u8; Self::ROW_BYTES] = row.try_into().ok()?;
        let word = |nth: usize| {
            let bytes = row[nth * 8..nth * 8 + 8].try_into();
            u64::from_le_bytes(bytes.expect("eight bytes of 33"))
        };
        (row[32] & !(FLAG_LARGE | FLAG_OWN_TTL) == 0).then(|| Self {
            sequence: word(0),
            stored_bytes: word(1),
            deadline: Millis(word(2)),
            order: word(3),
            large: row[32] & FLAG_LARGE != 0,
            own_ttl: row[32] & FLAG_OWN_TTL != 0,
        })
    }

    /// What an entry counts against the bound: its value, its key and its row.
    pub(crate) fn charge(&self, disk_key_bytes: usize) -> u64 {
        self.stored_bytes.saturating_add((disk_key_bytes + Self::ROW_BYTES) as u64)
    }
}

struct Place {
    meta: Meta,
    /// Set by reads, cleared when eviction passes it over.
    used: AtomicBool,
}

/// Keys and places, and the order in which eviction looks at them: oldest first, and who was used since gets a
/// second chance. That is LRU within one round, without a write per read.
pub(crate) struct Index {
    places: HashMap<Key, Place, RandomState>,
    /// May name entries that are gone or were overwritten; those have another sequence and are skipped.
    queue: VecDeque<(u64, Key)>,
    bytes: u64,
    /// Length of what stands before the key in a key on disk.
    prefix_bytes: usize,
}

impl Index {
    pub(crate) fn new(prefix_bytes: usize) -> Self {
        Self { places: HashMap::default(), queue: VecDeque::new(), bytes: 0, prefix_bytes }
    }

    pub(crate) fn len(&self) -> u64 {
        self.places.len() as u64
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Meta> {
        self.places.get(key).map(|place| place.meta)
    }

    /// The same, and eviction will know.
    pub(crate) fn touch(&self, key: &[u8]) -> Option<Meta> {
        let place = self.places.get(key)?;
        // Most reads find it set; a store would take the cache line from other readers.
        if !place.used.load(Ordering::Relaxed) {
            place.used.store(true, Ordering::Relaxed);
        }
        Some(place.meta)
    }

    /// Adds or replaces; the caller made room.
    pub(crate) fn insert(&mut self, key: Key, meta: Meta) {
        self.bytes += self.charge(&key, &meta);
        self.queue.push_back((meta.sequence, key.clone()));
        let used = AtomicBool::new(false);
        let old = self.places.insert(key.clone(), Place { meta, used });
        if let Some(old) = old {
            self.bytes -= self.charge(&key, &old.meta);
        }
        if self.queue.len() > 2 * self.places.len() + 64 {
            let places = &self.places;
            self.queue.retain(|(sequence, key)| is_current(places, key, *sequence));
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Meta> {
        let (key, place) = self.places.remove_entry(key)?;
        self.bytes -= self.charge(&key, &place.meta);
        Some(place.meta)
    }

    /// Removes the least used until at most `budget_bytes` are left, sparing `spared`; returns who went.
    pub(crate) fn make_room(&mut self, budget_bytes: u64, spared: &[u8]) -> Vec<(Key, Meta)> {
        let mut victims = Vec::new();
        // Each entry is passed over at most once for having been used, and `spared` at most once more.
        let mut looks_left = 2 * self.queue.len() + 1;
        while self.bytes > budget_bytes && looks_left > 0 {
            looks_left -= 1;
            let Some((sequence, key)) = self.queue.pop_front() else {
                break;
            };
            let Some(place) = self.places.get_mut(key.as_bytes()) else {
                continue;
            };
            if place.meta.sequence != sequence {
                continue;
            }
            if std::mem::take(place.used.get_mut()) || key.as_bytes() == spared {
                self.queue.push_back((sequence, key));
                continue;
            }
            if let Some(meta) = self.remove(key.as_bytes()) {
                victims.push((key, meta));
            }
        }
        victims
    }

    /// Every key with its place, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, Meta)> {
        self.places.iter().map(|(key, place)| (key, place.meta))
    }

    fn charge(&self, key: &Key, meta: &Meta) -> u64 {
        meta.charge(self.prefix_bytes + key.as_bytes().len())
    }
}

fn is_current(places: &HashMap<Key, Place, RandomState>, key: &Key, sequence: u64) -> bool {
    places.get(key).is_some_and(|place| place.meta.sequence == sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(sequence: u64, stored_bytes: u64) -> Meta {
        Meta {
            sequence,
            stored_bytes,
            deadline: Millis::NEVER,
            order: 3,
            large: sequence % 2 == 1,
            own_ttl: sequence % 3 == 1,
        }
    }

    fn key(name: &str) -> Key {
        Key::new(name.as_bytes())
    }

    #[test]
    fn c12_rows_round_trip_and_odd_ones_are_dropped() {
        for sequence in 0..6 {
            let meta = meta(sequence, 77);
            assert_eq!(Meta::from_row(&meta.to_row()), Some(meta));
        }
        assert_eq!(Meta::from_row(&[0; 32]), None);
        assert_eq!(Meta::from_row(&[0; 34]), None);
        assert_eq!(Meta::from_row(&[0xFF; 33]), None);
    }

    #[test]
    fn c5_the_least_used_goes_first() {
        let mut index = Index::new(4);
        for (nth, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            index.insert(key(name), meta(nth as u64, 100));
        }
        index.touch(b"a");
        let each = index.bytes() / 4;
        let victims = index.make_room(2 * each, b"b");
        let names: Vec<_> = victims.iter().map(|(key, _)| key.as_bytes()).collect();
        assert_eq!(names, [b"c", b"d"], "a was used, b is spared");
        assert_eq!((index.len(), index.bytes()), (2, 2 * each));
    }

    #[test]
    fn c12_overwriting_for_ever_keeps_the_queue_short() {
        let mut index = Index::new(4);
        for sequence in 0..10_000 {
            index.insert(key("same"), meta(sequence, sequence));
        }
        assert_eq!(index.len(), 1);
        assert!(index.queue.len() <= 66, "{}", index.queue.len());
        assert_eq!(index.bytes(), meta(9_999, 9_999).charge(8));
        assert_eq!(index.make_room(0, b"").len(), 1);
        assert_eq!(index.bytes(), 0);
    }
}
