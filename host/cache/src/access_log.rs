//! Which keys of a namespace are asked for most: bounded, sampled, kept over a restart.
//!
//! ```text
//! file  := magic "FLAL" · version u8 (1) · checksum u32 (CRC-32 of all that follows) · entry*
//! entry := namespace length u16 · namespace · key length u32 · key · count u64
//! ```
//! Little-endian. A file that is not like that is ignored: warming then begins with nothing.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::key::Key;

const MAGIC_AND_VERSION: &[u8; 5] = b"FLAL\x01";

/// One of this many memory hits is noted, and counts as that many. Everything slower is noted always.
pub(crate) const SAMPLED_ONE_OF: u64 = 64;

/// True for one of [`SAMPLED_ONE_OF`] hits, scattered so that no loop over the keys can always be passed over.
#[inline]
pub(crate) fn is_sampled(nth_hit: u64) -> bool {
    // Fibonacci hashing: the top bits of the product are spread evenly.
    nth_hit.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SAMPLED_ONE_OF.ilog2()) == 0
}

/// Counts per key. When it has twice the keys that it may keep, the lower half is forgotten, and all counts are halved so
/// that what was hot last week gives way.
pub(crate) struct AccessLog {
    keys_max: usize,
    counts: Mutex<HashMap<Key, u64, RandomState>>,
}

impl AccessLog {
    pub(crate) fn new(keys_max: usize) -> Self {
        Self { keys_max, counts: Mutex::default() }
    }

    /// Notes an access, unless another thread is just doing so: a sample more or less does not matter.
    pub(crate) fn note(&self, key: &[u8], weight: u64) {
        if self.keys_max == 0 {
            return;
        }
        let Some(mut counts) = self.counts.try_lock() else {
            return;
        };
        if let Some(count) = counts.get_mut(key) {
            *count = count.saturating_add(weight);
            return;
        }
        counts.insert(Key::new(key), weight);
        if counts.len() >= self.keys_max.saturating_mul(2) {
            let mut hottest = sorted(&counts);
            hottest.truncate(self.keys_max);
            *counts = hottest.into_iter().map(|(key, count)| (key, count.div_ceil(2))).collect();
        }
    }

    /// The hottest keys and their counts, hottest first; at most as many as it keeps.
    pub(crate) fn hottest(&self) -> Vec<(Key, u64)> {
        let mut hottest = sorted(&self.counts.lock());
        hottest.truncate(self.keys_max);
        hottest
    }

    pub(crate) fn restore(&self, key: Key, count: u64) {
        let mut counts = self.counts.lock();
        if counts.len() < self.keys_max {
            counts.insert(key, count);
        }
    }
}

/// By falling count; equal ones by key, so that the order is always the same.
fn sorted(counts: &HashMap<Key, u64, RandomState>) -> Vec<(Key, u64)> {
    let mut entries: Vec<(Key, u64)> = counts.iter().map(|(k, &n)| (k.clone(), n)).collect();
    entries.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.as_bytes().cmp(b.0.as_bytes())));
    entries
}

pub(crate) fn encode<'a>(logs: impl Iterator<Item = (&'a str, Vec<(Key, u64)>)>) -> Vec<u8> {
    let mut entries = Vec::new();
    for (namespace, hottest) in logs {
        for (key, count) in hottest {
            // Names have at most 255 bytes; a key as long as 4 GiB does not fit into a cache that can be warmed.
            let Ok(key_length) = u32::try_from(key.as_bytes().len()) else {
                continue;
            };
            entries.extend_from_slice(&(namespace.len() as u16).to_le_bytes());
            entries.extend_from_slice(namespace.as_bytes());
            entries.extend_from_slice(&key_length.to_le_bytes());
            entries.extend_from_slice(key.as_bytes());
            entries.extend_from_slice(&count.to_le_bytes());
        }
    }
    let checksum = crc32fast::hash(&entries).to_le_bytes();
    [MAGIC_AND_VERSION, &checksum[..], &entries].concat()
}

/// What [`encode`] wrote; `None` if it is torn, damaged or of another version.
pub(crate) fn decode(file: &[u8]) -> Option<Vec<(&str, Key, u64)>> {
    let (checksum, mut rest) = file.strip_prefix(MAGIC_AND_VERSION)?.split_first_chunk::<4>()?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (namespace, tail) = tail.split_at_checked(u16::from_le_bytes(*length).into())?;
        let (length, tail) = tail.split_first_chunk::<4>()?;
        let (key, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let (count, tail) = tail.split_first_chunk::<8>()?;
        let namespace = std::str::from_utf8(namespace).ok()?;
        entries.push((namespace, Key::new(key), u64::from_le_bytes(*count)));
        rest = tail;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(log: &AccessLog) -> Vec<String> {
        let hottest = log.hottest().into_iter();
        hottest.map(|(key, n)| format!("{}={n}", String::from_utf8_lossy(key.as_bytes()))).collect()
    }

    #[test]
    fn o6_the_log_keeps_the_hottest_and_stays_bounded() {
        let log = AccessLog::new(3);
        for round in 0..1000 {
            log.note(b"hot", 64);
            log.note(format!("cold {round}").as_bytes(), 1);
            assert!(log.counts.lock().len() < 6);
        }
        assert_eq!(log.hottest().len(), 3);
        assert!(names(&log)[0].starts_with("hot="));
    }

    #[test]
    fn o6_the_log_survives_a_restart_and_damage_is_ignored() {
        let log = AccessLog::new(8);
        log.note(b"a", 2);
        log.note(b"b", 5);
        let file = encode([("words", log.hottest())].into_iter());
        let read: Vec<_> = decode(&file).expect("just written");
        assert_eq!(read, [("words", Key::new(b"b"), 5), ("words", Key::new(b"a"), 2)]);
        for cut in 0..file.len() {
            assert_eq!(decode(&file[..cut]), None, "cut at {cut}");
        }
        let mut changed = file;
        changed[15] ^= 1;
        assert_eq!(decode(&changed), None);
    }

    #[test]
    fn o6_sampling_is_fair_to_loops() {
        let sampled: Vec<u64> = (0..64_000).filter(|&nth| is_sampled(nth)).collect();
        assert!((990..=1010).contains(&sampled.len()), "{}", sampled.len());
        for stride in [2, 10, 64, 100] {
            let phases: std::collections::HashSet<u64> = sampled.iter().map(|nth| nth % stride).collect();
            assert_eq!(phases.len() as u64, stride, "every place of a loop over {stride} keys is seen");
        }
    }
}
