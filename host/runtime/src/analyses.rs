//! Analyses of texts, one for every text that is saved.
//!
//! An analysis of a short text takes some 0.1 ms, so that with many saves at once going to another thread and back for each
//! would cost as much as the work. They wait in one line for each component, and whoever gets a turn does what is in front,
//! for a spell, whosever it is. Each still has a store of its own.

use std::collections::VecDeque;
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

struct Waiting {
    id: u64,
    job: BuilderJob,
    cancelled: Cancelled,
    span: Span,
    listener: Option<LogListener>,
    answer: Sender<Result<TextStatistics, Error>>,
}

/// A place in the line, given up when it is dropped.
struct Place<'a> {
    loaded: &'a Loaded,
    id: u64,
    answer: Receiver<Result<TextStatistics, Error>>,
    _cancel: CancelOnDrop,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // After the answer there is nothing in the line.
        if !self.answer.is_terminated() {
            self.loaded.analyses.0.lock().waiting.retain(|waiting| waiting.id != self.id);
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
    loop {
        let turns = tokio::select! {
            biased;
            answer = &mut place.answer => break answer,
            turns = loaded.turn() => turns,
        };
        let theirs = Arc::clone(loaded);
        let spell = tokio::task::spawn_blocking(move || {
            let _turns = turns; // kept until the guests have ended, even if nobody waits for them
            theirs.analyze_waiting();
        });
        tokio::select! {
            biased;
            answer = &mut place.answer => break answer,
            // Others were in front, and took all of it.
            _ = spell => {}
        }
    }
    // Without an answer its thread is gone.
    .unwrap_or_else(|_| Err(Error::Cancelled { at: Box::new(site.as_ref().clone()) }))
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

    /// Do what waits on this thread, for a spell.
    fn analyze_waiting(&self) {
        let began = Instant::now();
        while began.elapsed() < SPELL {
            let Some(next) = self.analyses.0.lock().waiting.pop_front() else { return };
            let Waiting { job, cancelled, span, listener, answer, .. } = next;
            let analyzed = span.in_scope(|| analyzed(job, cancelled, listener));
            // Whoever has gone away wants no answer.
            let _ = answer.send(analyzed);
        }
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
