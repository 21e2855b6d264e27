//! What a step of a cascade tells while it runs: where its time goes, and what its component logs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use floret_model::{ResourceKey, StepPhases};
use floret_runtime::{LogListener, listening};

use crate::Progress;
use crate::progress::{Event, LogLine};

/// Lines of one step that are told; those beyond are counted. The components of a step may run at the same time, so the
/// lines of one may crowd out those of another.
const LINES_TOLD_MAX: u64 = 200;
/// Longest line that is told, in bytes; the rest of it is in the log of the host.
const LINE_BYTES_MAX: usize = 512;

/// What time is spent on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Load,
    Compile,
    Build,
    Store,
}

/// Nanoseconds, by phase.
#[derive(Default)]
struct Clocks([AtomicU64; 4]);

tokio::task_local! {
    static CLOCKS: Arc<Clocks>;
}

impl Clocks {
    fn add(&self, phase: Phase, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0[phase as usize].fetch_add(took, Relaxed);
    }

    fn milliseconds(&self, phase: Phase) -> f64 {
        self.0[phase as usize].load(Relaxed) as f64 / 1e6
    }
}

/// Count the time that some work takes, if a step does it.
pub(crate) async fn timed<T>(phase: Phase, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    let took = began.elapsed();
    // Who saves or searches is no step.
    let _ = CLOCKS.try_with(|clocks| clocks.add(phase, took));
    done
}

/// What was seen of a step.
pub(crate) struct Observed {
    pub phases: StepPhases,
    pub log_lines: u64,
}

/// Do the work of a step, and tell of what its component logs meanwhile.
pub(crate) async fn observed<T>(
    key: &ResourceKey,
    progress: &Progress,
    work: impl Future<Output = T>,
) -> (T, Observed) {
    let clocks = Arc::new(Clocks::default());
    let lines = Arc::new(AtomicU64::new(0));
    let listener: LogListener = {
        let (key, progress, lines) = (key.clone(), progress.clone(), Arc::clone(&lines));
        Arc::new(move |site, level, text| {
            if lines.fetch_add(1, Relaxed) < LINES_TOLD_MAX && progress.may_tell_a_line() {
                progress.tell(|| {
                    Event::Logged(LogLine {
                        key: key.clone(),
                        component: site.component.clone(),
                        stage: site.stage.to_string(),
                        level,
                        text: text[..text.floor_char_boundary(LINE_BYTES_MAX)].to_owned(),
                    })
                });
            }
        })
    };
    let done = listening(listener, CLOCKS.scope(Arc::clone(&clocks), work)).await;
    let phases = StepPhases {
        load_ms: clocks.milliseconds(Phase::Load),
        compile_ms: clocks.milliseconds(Phase::Compile),
        build_ms: clocks.milliseconds(Phase::Build),
        store_ms: clocks.milliseconds(Phase::Store),
    };
    (done, Observed { phases, log_lines: lines.load(Relaxed) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_time_of_a_step_is_kept_by_phase() {
        let key: ResourceKey = "trie/a".parse().expect("a key");
        let outside = timed(Phase::Build, async { 1 }).await;
        let work = async {
            // On the clock of the machine, which may stand still between two looks.
            while CLOCKS.with(|clocks| clocks.milliseconds(Phase::Store)) == 0.0 {
                timed(Phase::Store, tokio::task::yield_now()).await;
            }
            outside + 1
        };
        let (done, seen) = observed(&key, &Progress::default(), work).await;
        assert_eq!((done, seen.log_lines), (2, 0));
        assert!(seen.phases.store_ms > 0.0);
        assert_eq!(seen.phases, StepPhases { store_ms: seen.phases.store_ms, ..StepPhases::default() });
    }
}
