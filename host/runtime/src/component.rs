use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use floret_model::Digest;
use tokio::task::JoinError;
use wasmtime::{Engine, Store};

use crate::answers;
use crate::contract::{
    Choice, Contract, ContractKind, CorpusStatistics, Description, Mode, PolicyProfile, Said, StatisticValue,
    TextStatistics, corpus_v0_1 as corpus, index_v0_1 as index, policy_v0_1 as policy,
};
use crate::corpus_check::check_corpus;
use crate::error::{Error, Site, Traces};
use crate::input::Input;
use crate::instance::{CancelOnDrop, Cancelled, Deadline, Job, store};
use crate::limits::LimitKind;
use crate::pace::Pace;
use crate::runtime::Shared;
use crate::searcher::Searcher;
use crate::stopped::{said, stopped};

/// What a builder made.
#[derive(Clone, PartialEq, Debug)]
pub struct Built<S> {
    /// What it wrote.
    pub bytes: Bytes,
    /// SHA-256 of it.
    pub digest: Digest,
    /// Its figures.
    pub statistics: S,
    /// How long the guest ran, instantiation included, in milliseconds of the wall clock.
    pub call_ms: f64,
    /// Length of all inputs together.
    pub input_bytes: u64,
    /// Linear memory that it had at the end, in bytes; it never shrinks, so this is its peak.
    pub memory_bytes: u64,
}

/// A loaded component. Cheap to call from many tasks at once: every job has a store of its own, and builders
/// wait for one of [`Limits::instances_max`](crate::Limits::instances_max) turns.
pub struct Component {
    loaded: Arc<Loaded>,
}

/// A component's parts, shared with the jobs under way.
pub(crate) struct Loaded {
    pub(crate) shared: Arc<Shared>,
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) contract: Contract,
    pub(crate) description: Description,
    pub(crate) modes: Vec<Mode>,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    pub(crate) bound: Bound,
    /// How quick single decisions are; only of a policy.
    pub(crate) pace: Pace,
}

/// A component compiled and linked by its contract.
pub(crate) enum Bound {
    Corpus(corpus::Pre<Job>),
    Index { build: index::Pre<Job>, query: index::Pre<Job> },
    Policy(policy::Pre<Job>),
}

impl Bound {
    pub(crate) fn kind(&self) -> ContractKind {
        match self {
            Self::Corpus(_) => ContractKind::Corpus,
            Self::Index { .. } => ContractKind::Index,
            Self::Policy(_) => ContractKind::Policy,
        }
    }

    /// The engine of builds, or of decisions for a policy.
    pub(crate) fn engine(&self) -> &Engine {
        match self {
            Self::Corpus(pre) => pre.engine(),
            Self::Index { build, .. } => build.engine(),
            Self::Policy(pre) => pre.engine(),
        }
    }
}

impl Component {
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self { loaded: Arc::new(loaded) }
    }

    /// SHA-256 of its file.
    pub fn digest(&self) -> Digest {
        self.loaded.digest
    }

    /// Length of its file.
    pub fn size_bytes(&self) -> u64 {
        self.loaded.size_bytes
    }

    /// The contract that it exports.
    pub fn contract(&self) -> &Contract {
        &self.loaded.contract
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.loaded.description
    }

    /// `name@version`.
    pub fn label(&self) -> String {
        self.loaded.label()
    }

    /// How its searchers search; empty unless it is an index component.
    pub fn modes(&self) -> &[Mode] {
        &self.loaded.modes
    }

    /// Names that it imports.
    pub fn imports(&self) -> &[String] {
        &self.loaded.imports
    }

    /// Names that it exports.
    pub fn exports(&self) -> &[String] {
        &self.loaded.exports
    }

    /// Build a corpus of documents. `config` is a canonical JSON object that passed the schema.
    ///
    /// # Errors
    /// [`Error::WrongContract`]; what the guest says; traps and limits; [`Error::Malformed`] for an output
    /// that is not a corpus, or figures that are not its own.
    pub async fn build_corpus(
        &self,
        documents: Vec<Input>,
        config: &str,
    ) -> Result<Built<CorpusStatistics>, Error> {
        let config = config.to_owned();
        let job = self.loaded.job("build", documents)?;
        job.run(move |running| {
            let loaded = running.loaded.clone();
            let pre = loaded.corpus()?;
            let claim = running.call(|store| corpus::build(pre, store, &config))?;
            running.corpus_built(&claim)
        })
        .await
    }

    /// Merge corpora into one, the counts summed.
    ///
    /// # Errors
    /// As [`build_corpus`](Self::build_corpus).
    pub async fn merge_corpora(&self, corpora: Vec<Input>) -> Result<Built<CorpusStatistics>, Error> {
        let job = self.loaded.job("merge", corpora)?;
        job.run(move |running| {
            let loaded = running.loaded.clone();
            let pre = loaded.corpus()?;
            let claim = running.call(|store| corpus::merge(pre, store))?;
            running.corpus_built(&claim)
        })
        .await
    }

    /// The figures of one text.
    ///
    /// # Errors
    /// As [`build_corpus`](Self::build_corpus).
    pub async fn analyze(&self, document: Input, config: &str) -> Result<TextStatistics, Error> {
        let config = config.to_owned();
        let job = self.loaded.job("analyze", vec![document])?;
        job.run(move |running| {
            let loaded = running.loaded.clone();
            let pre = loaded.corpus()?;
            let statistics = running.call(|store| corpus::analyze(pre, store, &config))?;
            answers::check_text(&statistics).map_err(|text| running.malformed(text))?;
            Ok(statistics)
        })
        .await
    }

    /// Build a search index of corpora.
    ///
    /// # Errors
    /// As [`build_corpus`](Self::build_corpus).
    pub async fn build_index(
        &self,
        corpora: Vec<Input>,
        config: &str,
    ) -> Result<Built<Vec<(String, StatisticValue)>>, Error> {
        let config = config.to_owned();
        let job = self.loaded.job("build", corpora)?;
        job.run(move |running| {
            let loaded = running.loaded.clone();
            let (pre, _) = loaded.index()?;
            let statistics = running.call(|store| index::build(pre, store, &config))?;
            answers::check_statistics(&statistics).map_err(|text| running.malformed(text))?;
            Ok(running.built(statistics))
        })
        .await
    }

    /// Open an index that this very component built, for many searches.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the bytes are no such index; otherwise as
    /// [`build_corpus`](Self::build_corpus).
    pub async fn open_index(&self, index: Input) -> Result<Searcher, Error> {
        Searcher::open(self.loaded.clone(), index).await
    }

    /// Decide for contents, in their order; `choose` for one, `choose-many` for more, in one fresh instance.
    ///
    /// One decision alone runs on the calling thread once this policy has proven to take less than 50 µs (eight
    /// times in a row, see `pace.rs`): handing it to another thread and back would take longer. It is bounded
    /// there by [`Limits::inline_timeout`](crate::Limits::inline_timeout), after which it is stopped and asked
    /// again on a thread that may block; a policy is a pure function, so asking twice does no harm.
    ///
    /// # Errors
    /// As [`build_corpus`](Self::build_corpus); [`Error::Malformed`] for a level outside its codec's range.
    pub async fn choose(&self, profiles: &[PolicyProfile], config: &str) -> Result<Vec<Choice>, Error> {
        let loaded = &self.loaded;
        loaded.policy()?;
        if profiles.is_empty() {
            return Ok(Vec::new());
        }
        let alone = profiles.len() == 1;
        let site = Arc::new(loaded.site("choose"));
        if alone && loaded.pace.is_quick() {
            let limits = &loaded.shared.limits;
            let timeout = limits.inline_timeout.min(limits.query_timeout);
            let deadline = Deadline::after(timeout, LimitKind::QueryTime, Cancelled::default());
            match loaded.choose(&site, profiles, config, deadline) {
                Err(Error::Limit { which: LimitKind::QueryTime, .. }) => {}
                decided => return decided,
            }
        }
        let (theirs, profiles, config) = (loaded.clone(), profiles.to_vec(), config.to_owned());
        on_query_thread(&loaded.shared, &site.clone(), move |cancelled| {
            let timeout = theirs.shared.limits.query_timeout;
            let deadline = Deadline::after(timeout, LimitKind::QueryTime, cancelled);
            theirs.choose(&site, &profiles, &config, deadline)
        })
        .await
    }
}

impl Loaded {
    fn label(&self) -> String {
        format!("{}@{}", self.description.name, self.description.version)
    }

    pub(crate) fn site(&self, stage: &'static str) -> Site {
        Site { component: self.label(), contract: Some(self.contract.clone()), stage }
    }

    fn corpus(&self) -> Result<&corpus::Pre<Job>, Error> {
        match &self.bound {
            Bound::Corpus(pre) => Ok(pre),
            _ => Err(self.wrong_contract(ContractKind::Corpus)),
        }
    }

    /// Its build and its query side.
    pub(crate) fn index(&self) -> Result<(&index::Pre<Job>, &index::Pre<Job>), Error> {
        match &self.bound {
            Bound::Index { build, query } => Ok((build, query)),
            _ => Err(self.wrong_contract(ContractKind::Index)),
        }
    }

    fn policy(&self) -> Result<&policy::Pre<Job>, Error> {
        match &self.bound {
            Bound::Policy(pre) => Ok(pre),
            _ => Err(self.wrong_contract(ContractKind::Policy)),
        }
    }

    fn wrong_contract(&self, expected: ContractKind) -> Error {
        Error::WrongContract { at: Box::new(self.site("call")), expected: expected.package() }
    }

    /// One decision or a batch, in a fresh store, on this thread.
    fn choose(
        &self,
        site: &Arc<Site>,
        profiles: &[PolicyProfile],
        config: &str,
        deadline: Deadline,
    ) -> Result<Vec<Choice>, Error> {
        let pre = self.policy()?;
        let limits = &self.shared.limits;
        let _ticking = self.shared.engines.ticker.in_flight();
        let started = Instant::now();
        let job = Job::new(site.clone(), Vec::new(), limits, deadline);
        let mut store = store(pre.engine(), limits, job);
        let answer = policy::choose(pre, &mut store, profiles, config);
        let proposals = answer
            .map_err(|error| stopped(&error, site, limits, store.data_mut()))
            .and_then(|answer| answer.map_err(|text| said(text, site)));
        drop(store);
        if profiles.len() == 1 {
            self.pace.learn(started.elapsed());
        }
        let malformed = |text| Error::Malformed { at: Box::new(Site::clone(site)), text };
        let proposals = proposals?;
        if proposals.len() != profiles.len() {
            return Err(malformed(format!("{} choices for {} profiles", proposals.len(), profiles.len())));
        }
        let checked = proposals.into_iter().map(answers::check_choice);
        checked.collect::<Result<_, _>>().map_err(malformed)
    }

    fn job(self: &Arc<Self>, stage: &'static str, inputs: Vec<Input>) -> Result<BuilderJob, Error> {
        let site = self.site(stage);
        let limit = self.shared.limits.inputs_max;
        if inputs.len() as u64 > limit {
            return Err(Error::Limit {
                at: Box::new(site),
                which: LimitKind::Inputs,
                limit,
                traces: Box::new(Traces::default()),
            });
        }
        Ok(BuilderJob { loaded: self.clone(), site: Arc::new(site), inputs })
    }
}

/// A builder's job that waits for its turn.
struct BuilderJob {
    loaded: Arc<Loaded>,
    site: Arc<Site>,
    inputs: Vec<Input>,
}

impl BuilderJob {
    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Running) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = self.loaded.shared.clone();
        let turn = shared.builders.clone().acquire_owned().await.expect("the semaphore is never closed");
        let cancelled = Cancelled::default();
        let _cancel = CancelOnDrop(cancelled.clone());
        let site = self.site.clone();
        let span = tracing::Span::current();
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn; // kept until the guest has ended, even if nobody waits for it
            span.in_scope(|| work(&mut Running::new(self, cancelled)))
        });
        task.await.unwrap_or_else(|error| Err(gone(error, &site)))
    }
}

/// A builder's job under way, on a thread that may block.
struct Running {
    loaded: Arc<Loaded>,
    site: Arc<Site>,
    store: Store<Job>,
    input_bytes: u64,
    call_ms: f64,
}

impl Running {
    fn new(job: BuilderJob, cancelled: Cancelled) -> Self {
        let BuilderJob { loaded, site, inputs } = job;
        let limits = &loaded.shared.limits;
        let input_bytes = inputs.iter().map(|input| input.bytes.len() as u64).sum();
        let deadline = Deadline::after(limits.call_timeout, LimitKind::CallTime, cancelled);
        let job = Job::new(site.clone(), inputs, limits, deadline);
        Self { store: store(loaded.bound.engine(), limits, job), loaded, site, input_bytes, call_ms: 0.0 }
    }

    fn call<T>(
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
            .map_err(|error| stopped(&error, &self.site, &shared.limits, job))?
            .map_err(|text| said(text, &self.site))
    }

    fn malformed(&self, text: String) -> Error {
        Error::Malformed { at: Box::new(Site::clone(&self.site)), text }
    }

    fn built<S>(&mut self, statistics: S) -> Built<S> {
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

    fn corpus_built(&mut self, claim: &corpus::Claim) -> Result<Built<CorpusStatistics>, Error> {
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

/// Run a search or a decision on a thread that may block, when it is its turn.
pub(crate) async fn on_query_thread<T: Send + 'static>(
    shared: &Arc<Shared>,
    site: &Site,
    work: impl FnOnce(Cancelled) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let turn = shared.queries.clone().acquire_owned().await.expect("the semaphore is never closed");
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
