use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use floret_model::TimestampMs;

/// Where the time comes from, so that leases and grace periods can be tested and simulated.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present moment, in UTC.
    fn now(&self) -> TimestampMs;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimestampMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: TimestampMs) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Move it forward.
    pub fn advance_ms(&self, duration_ms: u64) {
        let step = i64::try_from(duration_ms).unwrap_or(i64::MAX);
        self.0.fetch_add(step, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> TimestampMs {
        TimestampMs(self.0.load(Ordering::SeqCst))
    }
}
