//! What the cache answered over the last hour, kept in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use floret_pipeline::Floret;

/// From one look to the next, and for how many of them it is remembered: an hour.
pub(super) const EVERY_SECONDS: u64 = 10;
const LOOKS_MAX: usize = 361;

/// How often the cache was asked up to a look, and hit.
#[derive(Clone, Copy, Debug)]
struct Look {
    reads: u64,
    hits: u64,
}

/// Looks at the cache, the newest last.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<VecDeque<Look>>);

impl History {
    /// Look again and again.
    pub async fn watch(&self, host: &Floret) {
        let mut ticks = tokio::time::interval(Duration::from_secs(EVERY_SECONDS));
        loop {
            ticks.tick().await;
            let total = host.cache().stats().total;
            let hits = total.memory_hits + total.disk_hits;
            self.keep(Look { reads: hits + total.misses, hits });
        }
    }

    fn keep(&self, look: Look) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() == LOOKS_MAX {
            looks.pop_front();
        }
        looks.push_back(look);
    }

    /// The part of reads that hit between each look and the next; none where nothing was read.
    pub fn hit_rates(&self) -> Vec<Option<f64>> {
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = looks.iter().zip(looks.iter().skip(1));
        pairs
            .map(|(before, after)| {
                let reads = after.reads.saturating_sub(before.reads);
                let hits = after.hits.saturating_sub(before.hits).min(reads);
                (reads > 0).then(|| hits as f64 / reads as f64)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_what_was_read_between_and_the_oldest_are_forgotten() {
        let history = History::default();
        assert!(history.hit_rates().is_empty());
        for (reads, hits) in [(0, 0), (4, 1), (4, 1), (6, 3)] {
            history.keep(Look { reads, hits });
        }
        assert_eq!(history.hit_rates(), [Some(0.25), None, Some(1.0)]);
        for _ in 0..LOOKS_MAX {
            history.keep(Look { reads: 6, hits: 3 });
        }
        assert_eq!(history.hit_rates(), vec![None; LOOKS_MAX - 1]);
    }
}
