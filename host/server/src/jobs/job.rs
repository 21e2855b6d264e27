//! One job, and what it tells.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use floret_pipeline::{Error, Event, Progress};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{Kind, Wants};
use crate::problem::{Problem, ProblemDocument};

/// Events that are kept of a job: a cascade of 2,500 steps whole. Of more, the oldest are dropped.
const EVENTS_MAX: usize = 5_000;

/// Something that a job told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// 1, 2, 3 …
    pub id: u64,
    /// How long after the job began, in milliseconds.
    pub at_ms: u64,
    pub name: &'static str,
    pub data: Arc<Value>,
}

pub(super) struct Job {
    id: String,
    is_awaited: bool,
    kind: Kind,
    subject: String,
    began: jiff::Timestamp,
    clock: Instant,
    progress: Progress,
    so_far: Mutex<SoFar>,
    /// Told whenever there is more.
    news: watch::Sender<()>,
    task: OnceLock<AbortHandle>,
}

/// A job as it stands.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Job")]
pub(crate) struct JobDocument {
    /// 16 hexadecimal digits.
    id: String,
    kind: Kind,
    /// The first resources that it is about, and how many more.
    subject: String,
    pub(super) state: State,
    /// In UTC.
    started_at: String,
    /// In UTC; null while it runs.
    ended_at: Option<String>,
    /// Steps of a cascade; null until they are planned.
    steps_planned: Option<usize>,
    steps_done: usize,
    /// What the operation answers to who waits for it, if it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it failed, or that it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<ProblemDocument>,
}

/// How far a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "JobState")]
pub(super) enum State {
    Running,
    Done,
    Failed,
    Cancelled,
}

#[derive(Default)]
struct SoFar {
    events: VecDeque<Told>,
    last_id: u64,
    steps_planned: Option<usize>,
    steps_done: usize,
    is_cancelled: bool,
    ended: Option<Ended>,
}

struct Ended {
    at: jiff::Timestamp,
    result: Result<Value, Problem>,
}

impl Job {
    pub(super) fn new(wants: Wants, kind: Kind, subject: String) -> Arc<Self> {
        Arc::new_cyclic(|job: &Weak<Self>| {
            let job = Weak::clone(job);
            let progress = Progress::new(move |event| {
                if let Some(job) = job.upgrade() {
                    job.tell(event);
                }
            });
            Self {
                id: format!("{:016x}", rand::random::<u64>()),
                is_awaited: wants == Wants::Result,
                kind,
                subject,
                began: jiff::Timestamp::now(),
                clock: Instant::now(),
                progress,
                so_far: Mutex::default(),
                news: watch::channel(()).0,
                task: OnceLock::new(),
            }
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether a client waits for its result.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    pub(super) fn runs_as(&self, task: AbortHandle) {
        // A job is begun once.
        let _ = self.task.set(task);
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_ms(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn is_running(&self) -> bool {
        self.so_far().ended.is_none()
    }

    /// Have it end soon, if it has not ended.
    pub(super) fn cancel(&self) {
        let mut so_far = self.so_far();
        if so_far.ended.is_some() {
            return;
        }
        so_far.is_cancelled = true;
        drop(so_far);
        self.progress.stop();
        if let Some(task) = self.task.get().filter(|_| !self.kind.can_stop()) {
            task.abort();
        }
    }

    fn tell(&self, event: Event) {
        let mut so_far = self.so_far();
        let (name, data) = match event {
            Event::Planned(plan) => {
                so_far.steps_planned = Some(plan.steps.len());
                ("planned", json!(plan))
            }
            Event::StepStarted { key } => ("step_started", json!({ "key": key })),
            Event::Logged(line) => ("logged", json!(line)),
            Event::StepFinished(step) => {
                so_far.steps_done += 1;
                ("step_finished", json!(step))
            }
            Event::Published => ("published", json!({})),
            _ => return,
        };
        so_far.push(self.at_ms(), name, data);
        drop(so_far);
        self.news.send_replace(());
    }

    fn end(&self, result: Result<Value, Problem>) {
        let mut so_far = self.so_far();
        if so_far.ended.is_some() {
            return;
        }
        so_far.ended = Some(Ended { at: jiff::Timestamp::now(), result });
        let document = json!(self.described(&so_far, false));
        so_far.push(self.at_ms(), "ended", document);
        drop(so_far);
        self.news.send_replace(());
    }

    /// What came of it, as soon as it has ended.
    pub(super) async fn ended(&self) -> Result<Value, Problem> {
        let mut news = self.news.subscribe();
        loop {
            if let Some(ended) = &self.so_far().ended {
                return ended.result.clone();
            }
            // The sender is this job's.
            let _ = news.changed().await;
        }
    }

    /// Who wants to know of more.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// What it told behind an event; how many of these are not kept any more; whether there will be no more.
    pub(super) fn since(&self, id: u64) -> (Vec<Told>, u64, bool) {
        let so_far = self.so_far();
        let first = so_far.events.front().map_or(so_far.last_id + 1, |told| told.id);
        let events = so_far.events.iter().filter(|told| told.id > id).cloned().collect();
        (events, first.saturating_sub(id.saturating_add(1)), so_far.ended.is_some())
    }

    /// Everything about it, with its result or without.
    pub(super) fn document(&self, with_result: bool) -> JobDocument {
        self.described(&self.so_far(), with_result)
    }

    fn described(&self, so_far: &SoFar, with_result: bool) -> JobDocument {
        let (state, result, problem) = match &so_far.ended {
            None => (State::Running, None, None),
            Some(Ended { result: Ok(result), .. }) => {
                (State::Done, with_result.then(|| result.clone()), None)
            }
            Some(Ended { result: Err(problem), .. }) => {
                let state = if so_far.is_cancelled { State::Cancelled } else { State::Failed };
                (state, None, Some(problem.document()))
            }
        };
        JobDocument {
            id: self.id.clone(),
            kind: self.kind,
            subject: self.subject.clone(),
            state,
            started_at: format!("{:.3}", self.began),
            ended_at: so_far.ended.as_ref().map(|ended| format!("{:.3}", ended.at)),
            steps_planned: so_far.steps_planned,
            steps_done: so_far.steps_done,
            result,
            problem,
        }
    }
}

impl SoFar {
    fn push(&mut self, at_ms: u64, name: &'static str, data: Value) {
        self.last_id += 1;
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Told { id: self.last_id, at_ms, name, data: Arc::new(data) });
    }
}

/// Work that has not ended: dropped, because it panicked or was broken off, it ends its job.
pub(super) struct Unfinished(Arc<Job>);

impl Unfinished {
    pub(super) fn of(job: &Arc<Job>) -> Self {
        Self(Arc::clone(job))
    }

    pub(super) fn end(self, result: Result<Value, Problem>) {
        self.0.end(result);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.0.is_running() {
            self.0.end(Err(match std::thread::panicking() {
                true => Problem::unexpected(),
                false => Error::Interrupted.into(),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_numbered_and_bounded() {
        let job = Job::new(Wants::Job, Kind::Cascade, String::new());
        for _ in 0..EVENTS_MAX + 10 {
            job.tell(Event::Published);
        }
        let (events, missed, is_all) = job.since(3);
        assert_eq!((events.len(), missed, is_all), (EVENTS_MAX, 7, false));
        assert_eq!((events[0].id, events[0].name), (11, "published"));
        job.end(Ok(Value::Null));
        let (events, missed, is_all) = job.since(EVENTS_MAX as u64 + 10);
        assert_eq!((events.len(), events[0].name, missed, is_all), (1, "ended", 0, true));
        let (events, missed, _) = job.since(u64::MAX);
        assert_eq!((events.len(), missed), (0, 0));
    }
}
