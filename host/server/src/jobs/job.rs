//! One job, and what it tells.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use floret_pipeline::{Error, Event, Progress};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{Kind, Wants};
use crate::problem::Problem;

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
    pub data: Value,
}

pub(super) struct Job {
    id: String,
    is_awaited: bool,
    kind: Kind,
    subject: String,
    began: jiff::Timestamp,
    clock: Instant,
    progress: Progress,
    state: Mutex<State>,
    /// Told whenever there is more.
    news: watch::Sender<()>,
    task: OnceLock<AbortHandle>,
}

#[derive(Default)]
struct State {
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
                state: Mutex::default(),
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_ms(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn is_running(&self) -> bool {
        self.state().ended.is_none()
    }

    /// Have it end soon, if it has not ended.
    pub(super) fn cancel(&self) {
        let mut state = self.state();
        if state.ended.is_some() {
            return;
        }
        state.is_cancelled = true;
        drop(state);
        self.progress.stop();
        if let Some(task) = self.task.get().filter(|_| !self.kind.can_stop()) {
            task.abort();
        }
    }

    fn tell(&self, event: Event) {
        let mut state = self.state();
        let (name, data) = match event {
            Event::Planned(plan) => {
                state.steps_planned = Some(plan.steps.len());
                ("planned", json!(plan))
            }
            Event::StepStarted { key } => ("step_started", json!({ "key": key })),
            Event::Logged(line) => ("logged", json!(line)),
            Event::StepFinished(step) => {
                state.steps_done += 1;
                ("step_finished", json!(step))
            }
            Event::Published => ("published", json!({})),
            _ => return,
        };
        state.push(self.at_ms(), name, data);
        drop(state);
        self.news.send_replace(());
    }

    fn end(&self, result: Result<Value, Problem>) {
        let mut state = self.state();
        if state.ended.is_some() {
            return;
        }
        state.ended = Some(Ended { at: jiff::Timestamp::now(), result });
        let document = self.described(&state, false);
        state.push(self.at_ms(), "ended", document);
        drop(state);
        self.news.send_replace(());
    }

    /// What came of it, as soon as it has ended.
    pub(super) async fn ended(&self) -> Result<Value, Problem> {
        let mut news = self.news.subscribe();
        loop {
            if let Some(ended) = &self.state().ended {
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
        let state = self.state();
        let first = state.events.front().map_or(state.last_id + 1, |told| told.id);
        let events = state.events.iter().filter(|told| told.id > id).cloned().collect();
        (events, first.saturating_sub(id.saturating_add(1)), state.ended.is_some())
    }

    /// Everything about it, with its result or without.
    pub(super) fn document(&self, with_result: bool) -> Value {
        self.described(&self.state(), with_result)
    }

    fn described(&self, state: &State, with_result: bool) -> Value {
        let word = match &state.ended {
            None => "running",
            Some(Ended { result: Ok(_), .. }) => "done",
            Some(Ended { result: Err(_), .. }) if state.is_cancelled => "cancelled",
            Some(_) => "failed",
        };
        let mut document = json!({
            "id": self.id,
            "kind": self.kind,
            "subject": self.subject,
            "state": word,
            "started_at": format!("{:.3}", self.began),
            "ended_at": state.ended.as_ref().map(|ended| format!("{:.3}", ended.at)),
            "steps_planned": state.steps_planned,
            "steps_done": state.steps_done,
        });
        match &state.ended {
            Some(Ended { result: Ok(result), .. }) if with_result => document["result"] = result.clone(),
            Some(Ended { result: Err(problem), .. }) => document["problem"] = problem.document(),
            _ => {}
        }
        document
    }
}

impl State {
    fn push(&mut self, at_ms: u64, name: &'static str, data: Value) {
        self.last_id += 1;
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Told { id: self.last_id, at_ms, name, data });
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
