//! A builder's job: waiting for its turn, running on a thread that may block, and what comes out.

use std::sync::Arc;
use std::time::Instant;

use floret_model::Digest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use wasmtime::Store;

use crate::component::{Built, Loaded};
use crate::contract::{CorpusStatistics, Said, corpus_v0_1 as corpus};
use crate::corpus_check::check_corpus;
use crate::error::{Error, Site};
use crate::guest_log::{self, LogListener};
use crate::input::Input;
use crate::instance::{CancelOnDrop, Cancelled, Deadline, Job, store};
use crate::limits::LimitKind;
use crate::stopped::{said, stopped};
use crate::turns::Turn;
use crate::wasi;

/// A builder's job that waits for its turn.
pub(crate) struct BuilderJob {
    pub(crate) loaded: Arc<Loaded>,
    pub(crate) site: Arc<Site>,
    pub(crate) inputs: Vec<Input>,
    /// Its configuration, as it is told to the guest too; empty for a job that has none.
    pub(crate) config: String,
}

impl BuilderJob {
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Running) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turns = self.loaded.turn().await;
        let cancelled = Cancelled::default();
        let _cancel = CancelOnDrop(cancelled.clone());
        let site = self.site.clone();
        let span = tracing::Span::current();
        let listener = guest_log::listener();
        let task = tokio::task::spawn_blocking(move || {
            let _turns = turns; // kept until the guest has ended, even if nobody waits for it
            span.in_scope(|| work(&mut Running::new(self, cancelled, listener)))
        });
        task.await.unwrap_or_else(|error| Err(gone(error, &site)))
    }
}

impl Loaded {
    /// The next turn of the binding's own, where it has any, and of all.
    pub(crate) async fn turn(&self) -> (Option<OwnedSemaphorePermit>, Turn) {
        // Its own turn first, so that who waits for it keeps none of all from others.
        let own = match &self.turns {
            Some(turns) => Some(own_turn(turns).await),
            None => None,
        };
        (own, self.shared.builders.take(&self.digest).await)
    }
}

/// A builder's job under way, on a thread that may block.
pub(crate) struct Running {
    pub(crate) loaded: Arc<Loaded>,
    site: Arc<Site>,
    store: Store<Job>,
    input_bytes: u64,
    call_ms: f64,
}

impl Running {
    pub(crate) fn new(job: BuilderJob, cancelled: Cancelled, listener: Option<LogListener>) -> Self {
        let BuilderJob { loaded, site, inputs, config } = job;
        let limits = &loaded.limits;
        let input_bytes = inputs.iter().map(|input| input.bytes.size_bytes()).sum();
        let deadline = Deadline::after(limits.call_timeout, LimitKind::CallTime, Some(cancelled));
        let world = wasi::world(&loaded, &site, &config, &inputs);
        let job = Job::new(site.clone(), inputs, limits, deadline).in_world(world).heard_by(listener);
        Self { store: store(loaded.bound.engine(), limits, job), loaded, site, input_bytes, call_ms: 0.0 }
    }

    pub(crate) fn call<T>(
        &mut self,
        guest: impl FnOnce(&mut Store<Job>) -> wasmtime::Result<Result<T, Said>>,
    ) -> Result<T, Error> {
        let shared = self.loaded.shared.clone();
        let _ticking = shared.engines.ticker.in_flight();
        let started = Instant::now();
        let answer = guest(&mut self.store);
        self.call_ms = started.elapsed().as_secs_f64() * 1e3;
        let job = self.store.data_mut();
        answer
            .map_err(|error| stopped(&error, &self.site, &self.loaded.limits, job))?
            .map_err(|text| said(text, &self.site))
    }

    pub(crate) fn malformed(&self, text: String) -> Error {
        Error::Malformed { at: Box::new(Site::clone(&self.site)), text }
    }

    pub(crate) fn built<S>(&mut self, statistics: S) -> Built<S> {
        let job = self.store.data_mut();
        job.take_log();
        let memory_bytes = job.memory_bytes();
        let bytes = job.take_output();
        Built {
            digest: Digest::of(&bytes),
            bytes,
            statistics,
            call_ms: self.call_ms,
            input_bytes: self.input_bytes,
            memory_bytes,
        }
    }

    pub(crate) fn corpus_built(&mut self, claim: &corpus::Claim) -> Result<Built<CorpusStatistics>, Error> {
        let built = self.built(());
        let fault = |text: String| self.malformed(format!("the output is no corpus: {text}"));
        let statistics = check_corpus(&built.bytes).map_err(fault)?;
        let counted = (statistics.vocabulary_size, statistics.total_tokens);
        if counted != (claim.vocabulary_size, claim.total_tokens) {
            return Err(self.malformed(format!(
                "it says {} words and {} tokens, but wrote {} and {}",
                claim.vocabulary_size, claim.total_tokens, counted.0, counted.1
            )));
        }
        Ok(Built {
            bytes: built.bytes,
            digest: built.digest,
            statistics,
            call_ms: built.call_ms,
            input_bytes: built.input_bytes,
            memory_bytes: built.memory_bytes,
        })
    }
}

/// The next turn of a binding's own.
async fn own_turn(turns: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(turns).acquire_owned().await.expect("the semaphore is never closed")
}

/// Run a search or a decision on a thread that may block, when it is its turn.
pub(crate) async fn on_query_thread<T: Send + 'static>(
    loaded: &Loaded,
    site: &Site,
    work: impl FnOnce(Cancelled) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    in_turn(loaded.shared.queries.take(&loaded.digest).await, site, work).await
}

/// Run something on a thread that may block, in its turn.
pub(crate) async fn in_turn<T: Send + 'static>(
    turn: Turn,
    site: &Site,
    work: impl FnOnce(Cancelled) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let cancelled = Cancelled::default();
    let _cancel = CancelOnDrop(cancelled.clone());
    let span = tracing::Span::current();
    let task = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        span.in_scope(|| work(cancelled))
    });
    task.await.unwrap_or_else(|error| Err(gone(error, site)))
}

/// A thread's job ended without a result: it was cancelled at shutdown, or the host panicked there.
pub(crate) fn gone(error: JoinError, site: &Site) -> Error {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Error::Cancelled { at: Box::new(site.clone()) },
    }
}
