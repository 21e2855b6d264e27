use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use floret_model::{Plan, ResourceKey, StepReport};
use floret_runtime::LogLevel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Log lines that are told of one piece of work, over all of its steps.
const LINES_TOLD_MAX: usize = 1_000;

/// Something that happened in a cascade.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// What will be done.
    Planned(Arc<Plan>),
    /// A step began.
    StepStarted {
        /// What is built.
        key: ResourceKey,
    },
    /// A component logged a line. The first 200 of a step are told and 1,000 of a cascade; the step's report has their number.
    Logged(LogLine),
    /// A step ended.
    StepFinished(Arc<StepReport>),
    /// Everything became visible.
    Published,
}

/// A line that a component logged in a step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// What is built.
    pub key: ResourceKey,
    /// `name@version` of the component.
    pub component: String,
    /// What it was doing: `build`, `merge`, `part 3 of 8` …
    pub stage: String,
    /// How important it is, as the component says.
    pub level: LogLevel,
    /// The line, its first 512 bytes at most.
    pub text: String,
}

/// Who is told of events, and whether they want the work to stop. Cheap to clone.
#[derive(Clone, Default)]
pub struct Progress {
    listener: Option<Arc<dyn Fn(Event) + Send + Sync>>,
    stopped: Arc<AtomicBool>,
    lines: Arc<AtomicUsize>,
}

impl Progress {
    /// Tell `listener` of every event, in order for each step. It must not block.
    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self { listener: Some(Arc::new(listener)), ..Self::default() }
    }

    /// Ask the work to stop: steps that run are finished and remembered, no other begins, nothing is published.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(listener) = &self.listener {
            listener(event());
        }
    }

    /// Whether one more log line may be told.
    pub(crate) fn may_tell_a_line(&self) -> bool {
        self.lines.fetch_add(1, Ordering::Relaxed) < LINES_TOLD_MAX
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("stopped", &self.is_stopped()).finish_non_exhaustive()
    }
}
