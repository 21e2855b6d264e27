use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use floret_model::Digest;
use parking_lot::Mutex;
use wasmtime::component::Component as Compiled;

use crate::bulk;
use crate::compiled::CompiledDir;
use crate::component::{Bound, Component, Loaded};
use crate::contract::{
    Contract, ContractKind, corpus_v0_1 as corpus, index, policy, retention_v0_2 as retention,
};
use crate::describe;
use crate::engine::{EngineKind, Engines, profile};
use crate::error::{Error, Site, Traces};
use crate::job::gone;
use crate::limits::{LimitKind, Limits};
use crate::outline::outline;
use crate::turns::Turns;

/// What a runtime is made with.
#[derive(Clone, Debug, Default)]
pub struct RuntimeConfig {
    /// Where compiled code is kept: a folder for the runtime alone, made with mode 0700. `None` compiles at
    /// every load.
    pub compiled_dir: Option<PathBuf>,
    /// Every bound.
    pub limits: Limits,
}

/// Loads components and runs them. One for a process; share it.
///
/// Calls are futures of the tokio runtime they are awaited on, and guests run on its threads that may block.
/// Dropping such a future stops its guest within some milliseconds.
pub struct Runtime {
    shared: Arc<Shared>,
}

/// What every component of a runtime uses.
pub(crate) struct Shared {
    pub(crate) engines: Engines,
    pub(crate) limits: Arc<Limits>,
    pub(crate) profile: String,
    /// Turns for builders, by their digests.
    pub(crate) builders: Turns<Digest>,
    /// Turns for searches and decisions on other threads, likewise.
    pub(crate) queries: Turns<Digest>,
    compiled_dir: Option<CompiledDir>,
    /// Compiling takes all processors by itself, and whoever waits here finds the code made.
    compiling: Mutex<()>,
}

impl Runtime {
    /// Make both engines and take the folder for compiled code into use.
    ///
    /// # Errors
    /// [`Error::InvalidLimits`], [`Error::CompiledDir`], [`Error::Engine`].
    pub fn new(config: RuntimeConfig) -> Result<Arc<Self>, Error> {
        let limits = config.limits;
        if let Some(text) = limits.fault() {
            return Err(Error::InvalidLimits { text });
        }
        let compiled_dir = config
            .compiled_dir
            .as_deref()
            .map(|path| CompiledDir::open(path, limits.compiled_bytes_max))
            .transpose()?;
        let engines = Engines::new(&limits).map_err(|error| Error::Engine { text: format!("{error:#}") })?;
        let shared = Shared {
            engines,
            profile: profile(&limits),
            builders: Turns::new(limits.instances_max),
            queries: Turns::new(limits.queries_max),
            compiled_dir,
            compiling: Mutex::new(()),
            limits: Arc::new(limits),
        };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// The build engine's profile, a part of every recipe: whatever of the engine can change a result, and
    /// nothing of this machine.
    pub fn profile(&self) -> &str {
        &self.shared.profile
    }

    /// The bounds in force.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Take a component into use: hash it, tell its contract, refuse imports beyond it, compile it (or take the
    /// compiled code from its folder) and ask it what it is. O(bytes) without compiling: about 1 ms for
    /// 1.4 MB, most of it hashing; compiling takes about a second more. Needs tokio's timer.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::NotAComponent`], [`Error::NoContract`], [`Error::SeveralContracts`],
    /// [`Error::UnsupportedContractVersion`], [`Error::ForbiddenImport`], [`Error::Compile`],
    /// [`Error::ContractMismatch`]; [`Error::Malformed`] if its description is, [`Error::InvalidSchema`] if the schema in
    /// it is no JSON object or too long; a trap or a limit of `describe`.
    pub async fn load(self: &Arc<Self>, bytes: Bytes) -> Result<Arc<Component>, Error> {
        let loaded = self.shared.aside(bytes, Shared::load).await?;
        Ok(Arc::new(Component::new(loaded)))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Shared {
    /// Load a component in some way, on a thread that may block, within the time that compiling may take.
    pub(crate) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        bytes: Bytes,
        load: impl FnOnce(&Arc<Self>, &Bytes) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let limit = self.limits.component_bytes_max;
        if bytes.len() as u64 > limit {
            return Err(Error::TooLarge { size_bytes: bytes.len() as u64, limit });
        }
        let shared = self.clone();
        let site = Site {
            component: format!("a component of {} bytes", bytes.len()),
            contract: None,
            stage: "load".into(),
        };
        let span = tracing::Span::current();
        let task = tokio::task::spawn_blocking(move || span.in_scope(|| load(&shared, &bytes)));
        // Compiling cannot be stopped, only left behind: its thread ends when it is done.
        let timeout = self.limits.compile_timeout;
        match tokio::time::timeout(timeout, task).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(error)) => Err(gone(error, &site)),
            Err(_) => Err(Error::Limit {
                at: Box::new(site),
                which: LimitKind::CompileTime,
                limit: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
                traces: Box::new(Traces::default()),
            }),
        }
    }

    fn load(self: &Arc<Self>, bytes: &Bytes) -> Result<Loaded, Error> {
        let digest = Digest::of(bytes);
        let outline = outline(digest, bytes)?;
        let contract = outline.contract(digest)?;
        outline.refuse_forbidden_imports(digest, &contract, bytes)?;
        let mismatch = |error: wasmtime::Error| Error::ContractMismatch {
            digest,
            contract: contract.clone(),
            text: format!("{error:#}"),
        };
        let compiled = |kind| self.compiled(digest, bytes, kind);
        let bound = match contract.kind {
            ContractKind::Corpus => {
                Bound::Corpus(corpus::pre(&compiled(EngineKind::Build)?).map_err(mismatch)?)
            }
            ContractKind::Index => Bound::Index {
                build: Box::new(index::pre(&contract, &compiled(EngineKind::Build)?).map_err(mismatch)?),
                query: Box::new(index::pre(&contract, &compiled(EngineKind::Query)?).map_err(mismatch)?),
            },
            ContractKind::Policy => {
                Bound::Policy(policy::pre(&contract, &compiled(EngineKind::Query)?).map_err(mismatch)?)
            }
            ContractKind::Retention => {
                Bound::Retention(retention::pre(&compiled(EngineKind::Query)?).map_err(mismatch)?)
            }
        };
        let site = Site { contract: Some(contract.clone()), ..Site::unnamed(digest, "describe") };
        let (description, modes) = describe::describe(self, &bound, &site)?;
        Ok(Loaded {
            shared: self.clone(),
            limits: self.limits.clone(),
            turns: None,
            digest,
            size_bytes: bytes.len() as u64,
            contract,
            description,
            modes,
            imports: outline.imports,
            exports: outline.exports,
            bound,
            deciders: Default::default(),
            analyses: Default::default(),
        })
    }

    /// The component's code for an engine, from the folder or compiled now.
    pub(crate) fn compiled(
        &self,
        digest: Digest,
        bytes: &Bytes,
        kind: EngineKind,
    ) -> Result<Compiled, Error> {
        let engine = self.engines.get(kind);
        let _turn = self.compiling.lock();
        let compiled = match &self.compiled_dir {
            Some(folder) => folder.load_or_compile(digest, bytes, kind, engine),
            None => bulk::in_pieces(bytes).and_then(|bytes| Compiled::from_binary(engine, &bytes)),
        };
        compiled.map_err(|error| Error::Compile { digest, text: format!("{error:#}") })
    }
}

/// The contracts that this host speaks: of each kind all versions, oldest first.
pub fn supported_contracts() -> Vec<Contract> {
    ContractKind::ALL.into_iter().flat_map(Contract::supported).collect()
}
