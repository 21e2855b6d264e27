use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use floret_model::Digest;
use tokio::sync::Semaphore;
use wasmtime::Engine;

use crate::analyses::{self, Analyses};
use crate::contract::{
    Choice, Contract, ContractKind, CorpusStatistics, Description, Mode, PolicyProfile, RetentionSubject,
    RetentionVerdict, StatisticValue, TextStatistics, VersionFacts, corpus_v0_1 as corpus, index, policy,
    retention_v0_2 as retention,
};
use crate::decide::{self, Deciders};
use crate::error::{Error, Site, Traces};
use crate::input::Input;
use crate::instance::Job;
use crate::job::BuilderJob;
use crate::limits::{LimitKind, Limits};
use crate::parts;
use crate::retain;
use crate::runtime::Shared;
use crate::searcher::Searcher;

/// What a builder made.
#[derive(Clone, PartialEq, Debug)]
pub struct Built<S> {
    /// What it wrote.
    pub bytes: Bytes,
    /// SHA-256 of it.
    pub digest: Digest,
    /// Its figures.
    pub statistics: S,
    /// How long the guest ran, instantiation included, in milliseconds of the wall clock; of a build in parts the
    /// sum of all its calls.
    pub call_ms: f64,
    /// Length of all inputs together.
    pub input_bytes: u64,
    /// Linear memory that it had at the end, in bytes; it never shrinks, so this is its peak. Of a build in parts
    /// that of the largest.
    pub memory_bytes: u64,
}

/// What an index builder counts, by name.
pub type IndexStatistics = Vec<(String, StatisticValue)>;

/// A loaded component. Cheap to call from many tasks at once: every job has a store of its own, and builders
/// wait for one of [`Limits::instances_max`](crate::Limits::instances_max) turns.
pub struct Component {
    pub(crate) loaded: Arc<Loaded>,
}

/// A component's parts, shared with the jobs under way.
pub(crate) struct Loaded {
    pub(crate) shared: Arc<Shared>,
    /// The runtime's, or narrower.
    pub(crate) limits: Arc<Limits>,
    /// Turns of its own for builders, beside those of all.
    pub(crate) turns: Option<Arc<Semaphore>>,
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) contract: Contract,
    pub(crate) description: Description,
    pub(crate) modes: Vec<Mode>,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    pub(crate) bound: Bound,
    /// Instances for single decisions; only of a policy.
    pub(crate) deciders: Deciders,
    pub(crate) analyses: Analyses,
}

/// A component compiled and linked by its contract.
#[derive(Clone)]
pub(crate) enum Bound {
    Corpus(corpus::Pre<Job>),
    Index { build: Box<index::Pre>, query: Box<index::Pre> },
    Policy(policy::Pre),
    Retention(retention::Pre<Job>),
}

impl Bound {
    pub(crate) fn kind(&self) -> ContractKind {
        match self {
            Self::Corpus(_) => ContractKind::Corpus,
            Self::Index { .. } => ContractKind::Index,
            Self::Policy(_) => ContractKind::Policy,
            Self::Retention(_) => ContractKind::Retention,
        }
    }

    /// The engine of builds, or of decisions for a policy.
    pub(crate) fn engine(&self) -> &Engine {
        match self {
            Self::Corpus(pre) => pre.engine(),
            Self::Index { build, .. } => build.engine(),
            Self::Policy(pre) => pre.engine(),
            Self::Retention(pre) => pre.engine(),
        }
    }
}

impl Component {
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self { loaded: Arc::new(loaded) }
    }

    pub(crate) fn loaded(&self) -> &Arc<Loaded> {
        &self.loaded
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
        let job = self.loaded.job("build", documents, &config)?;
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
        let job = self.loaded.job("merge", corpora, "")?;
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
        analyses::analyze(&self.loaded, document, config).await
    }

    /// Build a search index of corpora: in parts, which run at the same time, where the component splits it. The
    /// result is the same either way.
    ///
    /// # Errors
    /// As [`build_corpus`](Self::build_corpus); [`Error::Malformed`] for a number of parts beyond 1 to 1,024.
    pub async fn build_index(
        &self,
        corpora: Vec<Input>,
        config: &str,
    ) -> Result<Built<IndexStatistics>, Error> {
        parts::build(&self.loaded, corpora, config).await
    }

    /// Open an index that this very component built, for many searches.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the bytes are no such index; otherwise as
    /// [`build_corpus`](Self::build_corpus).
    pub async fn open_index(&self, index: Input) -> Result<Searcher, Error> {
        Searcher::open(self.loaded.clone(), index).await
    }

    /// Decide for contents, in their order: `choose` for one, `choose-many` for more.
    ///
    /// Several are decided in one fresh instance, on a thread that may block. One alone is decided in an instance
    /// that waits warm, for that is what a save does: see `decide.rs` for why, and for the thread it runs on.
    ///
    /// # Errors
    /// As [`build_corpus`](Self::build_corpus); [`Error::Malformed`] for a level outside its codec's range.
    pub async fn choose(&self, profiles: &[PolicyProfile], config: &str) -> Result<Vec<Choice>, Error> {
        decide::choose(&self.loaded, profiles, config).await
    }

    /// Judge the versions of one resource, newest first: a verdict for each, in their order. In a fresh instance, on a
    /// thread that may block, within [`Limits::query_timeout`](crate::Limits::query_timeout).
    ///
    /// # Errors
    /// As [`build_corpus`](Self::build_corpus); [`Error::Malformed`] for another number of verdicts than of versions,
    /// or a reason that is empty or has more than 256 bytes.
    pub async fn keep(
        &self,
        subject: RetentionSubject,
        versions: Vec<VersionFacts>,
        config: &str,
    ) -> Result<Vec<RetentionVerdict>, Error> {
        retain::keep(&self.loaded, subject, versions, config).await
    }
}

impl Loaded {
    fn label(&self) -> String {
        format!("{}@{}", self.description.name, self.description.version)
    }

    pub(crate) fn site(&self, stage: impl Into<Cow<'static, str>>) -> Site {
        Site { component: self.label(), contract: Some(self.contract.clone()), stage: stage.into() }
    }

    pub(crate) fn corpus(&self) -> Result<&corpus::Pre<Job>, Error> {
        match &self.bound {
            Bound::Corpus(pre) => Ok(pre),
            _ => Err(self.wrong_contract(ContractKind::Corpus)),
        }
    }

    /// Its build and its query side.
    pub(crate) fn index(&self) -> Result<(&index::Pre, &index::Pre), Error> {
        match &self.bound {
            Bound::Index { build, query } => Ok((build, query)),
            _ => Err(self.wrong_contract(ContractKind::Index)),
        }
    }

    pub(crate) fn policy(&self) -> Result<&policy::Pre, Error> {
        match &self.bound {
            Bound::Policy(pre) => Ok(pre),
            _ => Err(self.wrong_contract(ContractKind::Policy)),
        }
    }

    pub(crate) fn retention(&self) -> Result<&retention::Pre<Job>, Error> {
        match &self.bound {
            Bound::Retention(pre) => Ok(pre),
            _ => Err(self.wrong_contract(ContractKind::Retention)),
        }
    }

    fn wrong_contract(&self, expected: ContractKind) -> Error {
        Error::WrongContract { at: Box::new(self.site("call")), expected: expected.package() }
    }

    pub(crate) fn job(
        self: &Arc<Self>,
        stage: impl Into<Cow<'static, str>>,
        inputs: Vec<Input>,
        config: &str,
    ) -> Result<BuilderJob, Error> {
        let site = self.site(stage);
        let limit = self.limits.inputs_max;
        if inputs.len() as u64 > limit {
            return Err(Error::Limit {
                at: Box::new(site),
                which: LimitKind::Inputs,
                limit,
                traces: Box::new(Traces::default()),
            });
        }
        Ok(BuilderJob { loaded: self.clone(), site: Arc::new(site), inputs, config: config.to_owned() })
    }
}
