use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use floret_model::{Plan, ResourceKey, StepReport};

/// Something that happened in a cascade.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// What will be done.
    Planned(Arc<Plan>),
    /// A step began.
    StepStarted(ResourceKey),
    /// A step ended.
    StepFinished(Arc<StepReport>),
    /// Everything became visible.
    Published,
}

/// Who is told of events, and whether they want the work to stop. Cheap to clone.
#[derive(Clone, Default)]
pub struct Progress {
    listener: Option<Arc<dyn Fn(Event) + Send + Sync>>,
    stopped: Arc<AtomicBool>,
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
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("stopped", &self.is_stopped()).finish_non_exhaustive()
    }
}
