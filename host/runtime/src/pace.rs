use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longest call that counts as quick. A thread of the async runtime that is held up for so long delays others
/// by no more than handing the call to another thread and back would cost here (20 to 60 µs).
const QUICK: Duration = Duration::from_micros(50);

/// Quick calls in a row that prove a kind of call quick.
const PROOF: u32 = 8;

/// Whether a kind of call may run on the thread that asks, which may belong to the async runtime.
///
/// At first nothing may: calls run on threads that may block, and are timed there. After [`PROOF`] quick ones in
/// a row they run in place, still timed, and stopped at [`Limits::inline_timeout`](crate::Limits). One slow call
/// ends it until the proof is given again.
#[derive(Default)]
pub(crate) struct Pace {
    quick_in_a_row: AtomicU32,
}

impl Pace {
    /// Whether it has been proven quick.
    pub(crate) fn is_quick(&self) -> bool {
        self.quick_in_a_row.load(Ordering::Relaxed) >= PROOF
    }

    /// Learn how long a call took.
    pub(crate) fn learn(&self, took: Duration) {
        if took > QUICK {
            self.quick_in_a_row.store(0, Ordering::Relaxed);
        } else if !self.is_quick() {
            self.quick_in_a_row.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quickness_is_proven_and_lost() {
        let pace = Pace::default();
        let learn = |times: u32, took: u64| {
            (0..times).for_each(|_| pace.learn(Duration::from_micros(took)));
            pace.is_quick()
        };
        assert!(!pace.is_quick());
        assert!(!learn(7, 10));
        assert!(learn(1, 10));
        assert!(!learn(1, 51));
        assert!(!learn(7, 50));
        assert!(learn(1, 50));
    }
}
