//! The only source of time in this crate, passed in by the caller.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time: milliseconds since the Unix epoch.
///
/// It must mean the same after a restart, because deadlines are stored on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// Later than every real point in time: the deadline of an entry that never expires.
    pub const NEVER: Self = Self(u64::MAX);

    /// This point in time plus `duration`, rounded up to a whole millisecond and saturating at [`Millis::NEVER`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let whole_ms = duration.as_nanos().div_ceil(1_000_000);
        Self(self.0.saturating_add(u64::try_from(whole_ms).unwrap_or(u64::MAX)))
    }
}

/// What the cache asks for the time.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The time that expiry is judged by. Never goes back while one process runs.
    fn now(&self) -> Millis;

    /// Time since an arbitrary start, for the latency statistics of disk reads and loads only.
    fn elapsed(&self) -> Duration;
}

/// The machine's clock: the wall clock when it was made, advanced by the monotonic clock.
///
/// A step of the wall clock while the process runs is not followed, so that no entry lives longer or shorter by it.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    started_unix: Duration,
}

impl SystemClock {
    /// Reads the wall clock once.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            started_unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let unix = self.started_unix + self.started.elapsed();
        Millis(u64::try_from(unix.as_millis()).unwrap_or(u64::MAX - 1))
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that moves only when told to, and counts how often expiry read it. For tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_ms: AtomicU64,
    reads: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn new(start: Millis) -> Self {
        Self { now_ms: AtomicU64::new(start.0), reads: AtomicU64::new(0) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    /// How often [`Clock::now`] was called.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.reads.fetch_add(1, Ordering::SeqCst);
        Millis(self.now_ms.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now_ms.load(Ordering::SeqCst))
    }
}
