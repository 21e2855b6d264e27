//! How late a guest that goes beyond its time limit is stopped, while other threads keep every processor busy.
//!
//! Told is the worst of [`ROUNDS`], measured by the caller: so waking the thread that waits is a part of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use floret_runtime::{LimitKind, Limits, PolicyProfile};

use crate::guests;
use crate::table::row;

const ROUNDS: usize = 20;

/// How late a guest may be stopped.
const GOAL: Duration = Duration::from_millis(50);

/// The time limit of the guests here.
const TIMEOUT: Duration = Duration::from_millis(100);

pub async fn stopping() {
    let loops = guests::policy_choosing("", "(loop (br 0)) unreachable");
    let calls = guests::policy_choosing(
        r#"(import "floret:types/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
        "(loop (call $log (i32.const 2) (i32.const 0) (i32.const 60000)) (br 0)) unreachable",
    );
    // One instruction writes 64 MiB or 1,000 MiB; the runtime cuts it into pieces.
    let fills = |mebibytes: u32| {
        let (pages, bytes) = (mebibytes * 16, mebibytes << 20);
        let body = format!(
            "(drop (memory.grow (i32.const {pages})))
             (loop (memory.fill (i32.const 2048) (i32.const 1) (i32.const {bytes})) (br 0)) unreachable"
        );
        guests::policy_choosing("", &body)
    };
    let _busy = Busy::start();
    for (what, guest) in [
        ("a loop", loops),
        ("a loop over calls to the host", calls),
        ("a loop that fills 64 MiB at once", fills(64)),
        ("a loop that fills 1,000 MiB at once", fills(1_000)),
    ] {
        row(&format!("stopped late, worst of {ROUNDS}: {what}"), worst(guest).await, "goal", GOAL);
    }
}

async fn worst(guest: Bytes) -> Duration {
    let limits = Limits { query_timeout: TIMEOUT, ..Limits::default() };
    let guest = guests::runtime(limits).load(guest).await.expect("a policy");
    let profile = [PolicyProfile {
        size_bytes: 1,
        namespace: "n".into(),
        resource_type: "t".into(),
        media_type: "text/plain".into(),
        items: None,
        flags: Vec::new(),
        entropy_bits_per_byte: 4.5,
    }];
    let mut worst = Duration::ZERO;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let error = guest.choose(&profile, "{}").await.expect_err("it does not end");
        worst = worst.max(started.elapsed().saturating_sub(TIMEOUT));
        assert!(error.is_limit(LimitKind::QueryTime), "{error}");
    }
    worst
}

/// Threads that keep every processor busy until this is dropped.
struct Busy {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Busy {
    fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let spin = |over: Arc<AtomicBool>| {
            move || {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }
        };
        let threads = (0..processors).map(|_| std::thread::spawn(spin(over.clone()))).collect();
        Self { over, threads }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
