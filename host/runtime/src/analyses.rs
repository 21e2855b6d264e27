//! Analyses of texts, one for every text that is saved.
//!
//! An analysis of a short text takes some 0.1 ms, so that with many saves at once going to another thread and back for each
//! would cost as much as the work. They wait in one line for each component: whoever gets a turn does its own, then what is
//! in front, for a spell. Each still has a store of its own.
//!
//! Nobody waits for ever: who is in the line asks for a turn, and who was taken from it is answered by who took it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot::{self, Receiver, Sender};
use tracing::Span;

use crate::answers;
use crate::component::Loaded;
use crate::contract::{TextStatistics, corpus_v0_1 as corpus};
use crate::error::Error;
use crate::guest_log::{self, LogListener};
use crate::input::Input;
use crate::instance::{CancelOnDrop, Cancelled};
use crate::job::{BuilderJob, Running};

/// After so long a turn goes to others.
const SPELL: Duration = Duration::from_millis(5);

/// Texts that wait for a component.
#[derive(Default)]
pub(crate) struct Analyses(Mutex<Line>);

#[derive(Default)]
struct Line {
    last_id: u64,
    waiting: VecDeque<Waiting>,
}

/// What it came to, or that the host panicked.
type Answer = std::thread::Result<Result<TextStatistics, Error>>;

struct Waiting {
    id: u64,
    job: BuilderJob,
    cancelled: Cancelled,
    span: Span,
    listener: Option<LogListener>,
    answer: Sender<Answer>,
}

/// A place in the line, given up when it is dropped.
struct Place<'a> {
    loaded: &'a Loaded,
    id: u64,
    answer: Receiver<Answer>,
    _cancel: CancelOnDrop,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // After the answer there is nothing in the line.
        if !self.answer.is_terminated() {
            drop(self.loaded.analyses.take(self.id));
        }
    }
}

/// Analyse one text, when it is its turn.
pub(crate) async fn analyze(
    loaded: &Arc<Loaded>,
    document: Input,
    config: &str,
) -> Result<TextStatistics, Error> {
    let job = loaded.job("analyze", vec![document], config)?;
    let site = Arc::clone(&job.site);
    let mut place = loaded.wait(job);
    let answer = tokio::select! {
        biased;
        answer = &mut place.answer => answer,
        turns = loaded.turn() => {
            match loaded.analyses.take(place.id) {
                Some(own) => {
                    let theirs = Arc::clone(loaded);
                    tokio::task::spawn_blocking(move || {
                        let _turns = turns; // kept until the guests have ended, even if nobody waits for them
                        theirs.analyses.spell(own);
                    });
                }
                // Another does it.
                None => drop(turns),
            }
            (&mut place.answer).await
        }
    };
    match answer {
        Ok(Ok(analyzed)) => analyzed,
        Ok(Err(panic)) => resume_unwind(panic),
        // The runtime ends, and its threads do what they have begun and no more.
        Err(_) => Err(Error::Cancelled { at: Box::new(site.as_ref().clone()) }),
    }
}

impl Loaded {
    fn wait(&self, job: BuilderJob) -> Place<'_> {
        let (sender, answer) = oneshot::channel();
        let cancelled = Cancelled::default();
        let _cancel = CancelOnDrop(cancelled.clone());
        let (span, listener) = (Span::current(), guest_log::listener());
        let mut line = self.analyses.0.lock();
        line.last_id += 1;
        let id = line.last_id;
        line.waiting.push_back(Waiting { id, job, cancelled, span, listener, answer: sender });
        Place { loaded: self, id, answer, _cancel }
    }
}

impl Analyses {
    /// Take one out of the line, if it is still there.
    fn take(&self, id: u64) -> Option<Waiting> {
        let waiting = &mut self.0.lock().waiting;
        let at = waiting.iter().position(|waiting| waiting.id == id)?;
        waiting.remove(at)
    }

    /// Do one on this thread, then those that wait, for a spell.
    fn spell(&self, first: Waiting) {
        let began = Instant::now();
        let mut next = Some(first);
        while let Some(waiting) = next {
            waiting.run();
            let goes_on = began.elapsed() < SPELL;
            next = if goes_on { self.0.lock().waiting.pop_front() } else { None };
        }
    }
}

impl Waiting {
    fn run(self) {
        let Self { job, cancelled, span, listener, answer, .. } = self;
        let analyzed = AssertUnwindSafe(|| span.in_scope(|| analyzed(job, cancelled, listener)));
        // Whoever has gone away wants no answer. A panic is its, and no other's in this spell.
        let _ = answer.send(catch_unwind(analyzed));
    }
}

fn analyzed(
    job: BuilderJob,
    cancelled: Cancelled,
    listener: Option<LogListener>,
) -> Result<TextStatistics, Error> {
    let config = job.config.clone();
    let mut running = Running::new(job, cancelled, listener);
    let loaded = Arc::clone(&running.loaded);
    let pre = loaded.corpus()?;
    let statistics = running.call(|store| corpus::analyze(pre, store, &config))?;
    answers::check_text(&statistics).map_err(|text| running.malformed(text))?;
    Ok(statistics)
}
