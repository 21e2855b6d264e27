use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Config, Engine, WasmBacktraceDetails};

use crate::limits::Limits;

/// The version of the engine; part of the profile. A test compares it with the lock file.
pub(crate) const WASMTIME_VERSION: &str = "48.0.8";

/// How long the clock of the epochs ticks. Deadlines are checked against the wall clock at each tick, so this
/// is how late a call may be stopped.
const TICK: Duration = Duration::from_millis(1);

/// Ticks without a call after which the ticker sleeps. Waking it costs a system call (about 5 µs), which calls
/// that follow one another within 0.1 s do not pay; asleep it costs nothing.
const IDLE_TICKS_MAX: u32 = 100;

/// Which of the two engines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum EngineKind {
    /// Deterministic: results are named by what went into them.
    Build,
    /// Fast: searches and policies, whose answers name nothing.
    Query,
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Build => "build",
            Self::Query => "query",
        })
    }
}

/// Both engines and the clock of their epochs.
pub(crate) struct Engines {
    pub(crate) build: Engine,
    pub(crate) query: Engine,
    pub(crate) ticker: Ticker,
}

impl Engines {
    pub(crate) fn new(limits: &Limits) -> wasmtime::Result<Self> {
        let build = Engine::new(&config(EngineKind::Build, limits))?;
        let query = Engine::new(&config(EngineKind::Query, limits))?;
        let ticker = Ticker::start([build.clone(), query.clone()])?;
        Ok(Self { build, query, ticker })
    }

    pub(crate) fn get(&self, kind: EngineKind) -> &Engine {
        match kind {
            EngineKind::Build => &self.build,
            EngineKind::Query => &self.query,
        }
    }
}

/// What of the build engine can change a result: its version, how NaNs and relaxed SIMD behave, that there are
/// no threads, and how much memory a guest may ask for. Nothing of the machine, nothing of time.
pub(crate) fn profile(limits: &Limits) -> String {
    format!(
        "wasmtime={WASMTIME_VERSION};nan=canonical;relaxed-simd=deterministic;threads=off;memory-bytes-max={}",
        limits.memory_bytes_max
    )
}

fn config(kind: EngineKind, limits: &Limits) -> Config {
    let deterministic = kind == EngineKind::Build;
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(deterministic)
        .relaxed_simd_deterministic(deterministic)
        .max_wasm_stack(usize::try_from(limits.stack_bytes_max).unwrap_or(usize::MAX))
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(20))
        .native_unwind_info(false);
    config
}

/// Advances the epochs of both engines once a millisecond while calls are in flight and for 0.1 s after the
/// last, then sleeps until the next. Owned by the runtime: dropping it stops the thread.
pub(crate) struct Ticker {
    clock: Arc<Clock>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Clock {
    calls_in_flight: AtomicUsize,
    asleep: AtomicBool,
    stopping: AtomicBool,
}

impl Ticker {
    fn start(engines: [Engine; 2]) -> std::io::Result<Self> {
        let clock = Arc::new(Clock::default());
        let theirs = clock.clone();
        let thread = std::thread::Builder::new()
            .name("floret-epochs".to_owned())
            .spawn(move || theirs.run(&engines))?;
        Ok(Self { clock, thread: Some(thread) })
    }

    /// Keep the epochs advancing until the guard is dropped.
    pub(crate) fn in_flight(&self) -> InFlight<'_> {
        // The order matters: the ticker says that it sleeps, then looks at the count; this raises the count,
        // then looks whether it sleeps. One of both sees the other.
        self.clock.calls_in_flight.fetch_add(1, Ordering::SeqCst);
        if self.clock.asleep.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        InFlight(&self.clock)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.clock.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Clock {
    fn run(&self, engines: &[Engine; 2]) {
        let mut idle_ticks = 0;
        while !self.stopping.load(Ordering::SeqCst) {
            std::thread::park_timeout(TICK);
            engines.iter().for_each(Engine::increment_epoch);
            if self.calls_in_flight.load(Ordering::SeqCst) > 0 {
                idle_ticks = 0;
                continue;
            }
            idle_ticks += 1;
            if idle_ticks > IDLE_TICKS_MAX {
                self.asleep.store(true, Ordering::SeqCst);
                while self.calls_in_flight.load(Ordering::SeqCst) == 0
                    && !self.stopping.load(Ordering::SeqCst)
                {
                    std::thread::park();
                }
                self.asleep.store(false, Ordering::SeqCst);
                idle_ticks = 0;
            }
        }
    }
}

/// A call is under way.
pub(crate) struct InFlight<'a>(&'a Clock);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.calls_in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_the_profile_is_the_one_that_is_linked() {
        let lock = include_str!("../../../Cargo.lock");
        let entry = format!("name = \"wasmtime\"\nversion = \"{WASMTIME_VERSION}\"\n");
        assert!(lock.contains(&entry), "the profile names another wasmtime than Cargo.lock");
    }

    #[test]
    fn the_profile_tells_memory_but_no_time() {
        let limits = Limits::default();
        let hasty = Limits { call_timeout: Duration::from_millis(1), ..limits.clone() };
        let small = Limits { memory_bytes_max: 1 << 20, ..limits.clone() };
        assert_eq!(profile(&limits), profile(&hasty));
        assert_ne!(profile(&limits), profile(&small));
    }
}
