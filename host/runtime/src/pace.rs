use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longest call that counts as quick. A thread of the async runtime that is held up for so long delays others
/// by no more than handing the call to another thread and back would cost here (20 to 60 µs).
const QUICK: Duration = Duration::from_micros(50);

/// A call beyond this is no hiccup of a loaded machine.
const SLOW: Duration = Duration::from_millis(1);

/// Standing that proves a kind of call quick: eight quick calls from nothing.
const PROOF: u32 = 8;

/// Most standing: what lets a few hiccups pass.
const STANDING_MAX: u32 = 16;

/// What a call that is not quick costs of it: where one in five is not, the standing does not last.
const LOSS: u32 = 4;

/// Whether a kind of call may run on the thread that asks, which may belong to the async runtime.
///
/// At first nothing may: calls run on threads that may block, and are timed there. Quick ones earn standing; with
/// enough of it they run in place, still timed, and stopped at
/// [`Limits::inline_timeout`](crate::Limits::inline_timeout). Those that take longer lose it, and a slow one
/// loses all.
#[derive(Default)]
pub(crate) struct Pace {
    standing: AtomicU32,
}

impl Pace {
    /// Whether it has been proven quick.
    pub(crate) fn is_quick(&self) -> bool {
        self.standing.load(Ordering::Relaxed) >= PROOF
    }

    /// Learn how long a call took. Concurrent calls may overwrite each other's lesson: it is a guess anyway.
    pub(crate) fn learn(&self, took: Duration) {
        let standing = self.standing.load(Ordering::Relaxed);
        let learnt = match took {
            _ if took > SLOW => 0,
            _ if took > QUICK => standing.saturating_sub(LOSS),
            _ => (standing + 1).min(STANDING_MAX),
        };
        if learnt != standing {
            self.standing.store(learnt, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quickness_is_proven_and_lost() {
        let pace = Pace::default();
        let learn = |times: u32, took_us: u64| {
            (0..times).for_each(|_| pace.learn(Duration::from_micros(took_us)));
            pace.is_quick()
        };
        assert!(!pace.is_quick());
        assert!(!learn(7, 10));
        assert!(learn(1, 50));
        assert!(!learn(1, 51));
        assert!(learn(100, 10));
        assert!(learn(2, 900));
        assert!(!learn(1, 900));
        assert!(learn(100, 10));
        assert!(!learn(1, 1_001));
        assert!(!learn(7, 10));
    }
}
