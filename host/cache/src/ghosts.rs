//! What a larger cache would still hold.

use std::sync::atomic::{AtomicU32, Ordering};

/// Fingerprints of keys that were evicted not long ago. Each key has one place, and a later one takes it. Fixed
/// size, no lock; two keys with one fingerprint and place (1 in 2^31) are taken for each other.
pub(crate) struct Ghosts {
    places: Box<[AtomicU32]>,
}

impl Ghosts {
    /// As many places as entries, within reason: ghosts then look about one cache size into the past.
    pub(crate) fn new(items_max: u64) -> Self {
        let places = items_max.clamp(256, 65_536).next_power_of_two();
        Self { places: (0..places).map(|_| AtomicU32::new(0)).collect() }
    }

    pub(crate) fn remember(&self, hash: u64) {
        let (place, fingerprint) = self.place(hash);
        place.store(fingerprint, Ordering::Relaxed);
    }

    /// True if the key is remembered; it then no longer is.
    pub(crate) fn take(&self, hash: u64) -> bool {
        let (place, fingerprint) = self.place(hash);
        place.compare_exchange(fingerprint, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn place(&self, hash: u64) -> (&AtomicU32, u32) {
        // Never 0, which is an empty place.
        let fingerprint = (hash >> 32) as u32 | 1;
        let index = hash as usize & (self.places.len() - 1);
        (&self.places[index], fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o7_a_ghost_is_seen_once() {
        let ghosts = Ghosts::new(1000);
        let hash = 0x1234_5678_9ABC_DEF0;
        assert!(!ghosts.take(hash));
        ghosts.remember(hash);
        assert!(!ghosts.take(hash ^ (1 << 40)), "same place, another key");
        assert!(ghosts.take(hash));
        assert!(!ghosts.take(hash));
    }
}
