//! Contracts that are not Floret's: a program that embeds the runtime has components of a WIT package of its own run in
//! the same sandbox, under the same limits.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use floret_model::Digest;
use semver::Version;
use wasmtime::Store;
use wasmtime::component::{HasSelf, InstancePre, Linker};

use crate::contract::types_v0_1::log;
use crate::engine::EngineKind;
use crate::error::{Error, Site};
use crate::instance::{Deadline, HoldsJob, Job, store};
use crate::job::in_turn;
use crate::limits::LimitKind;
use crate::outline::{Outline, interface_version, outline, speaks};
use crate::runtime::{Runtime, Shared};
use crate::stopped::stopped;

/// What the store of a call holds: the host side of the contract's imports, and what the runtime needs to bound the call.
pub struct Hosted<S> {
    job: Job,
    state: S,
}

impl<S> Hosted<S> {
    /// The host side, for the getter that `add_to_linker` takes: `|hosted| hosted.state()`.
    pub fn state(&mut self) -> &mut S {
        &mut self.state
    }
}

impl<S: 'static> HoldsJob for Hosted<S> {
    fn job(&self) -> &Job {
        &self.job
    }

    fn job_mut(&mut self) -> &mut Job {
        &mut self.job
    }
}

type Link<S> = Box<dyn Fn(&mut Linker<Hosted<S>>) -> wasmtime::Result<()> + Send + Sync>;
type Bind<S, P> = Box<dyn Fn(InstancePre<Hosted<S>>) -> wasmtime::Result<P> + Send + Sync>;

/// A contract of the embedding program: the interface that its components export, and the interfaces that the program
/// offers them. `S` is the host side of those, made anew for each call; `P` is what `bindgen!` calls `…Pre`.
///
/// ```text
/// mod bindings {
///     floret_runtime::wasmtime::component::bindgen!({
///         path: "wit",
///         world: "acme:spell/component@0.1.0",
///         wasmtime_crate: floret_runtime::wasmtime,
///     });
/// }
/// let contract = CustomContract::new("acme:spell/checker@0.1.0", bindings::ComponentPre::new)?
///     .offering("acme:spell/dictionary@0.1.0", |linker| {
///         bindings::acme::spell::dictionary::add_to_linker::<_, HasSelf<Words>>(linker, |hosted| hosted.state())
///     })?;
/// let checker = runtime.load_custom("checker", bytes, &contract).await?;
/// ```
pub struct CustomContract<S: 'static, P> {
    exported: Interface,
    offered: Vec<(Interface, Link<S>)>,
    bind: Bind<S, P>,
    engine: EngineKind,
}

/// `package/interface@version`, taken apart.
#[derive(Clone)]
struct Interface {
    package: String,
    interface: String,
    version: Version,
}

impl Interface {
    fn parse(name: &str) -> Result<Self, Error> {
        let fault = || Error::InvalidContract {
            text: format!("{name:?} names no interface: expected NAMESPACE:PACKAGE/INTERFACE@VERSION"),
        };
        let (path, version) = name.split_once('@').ok_or_else(fault)?;
        let (package, interface) = path.split_once('/').ok_or_else(fault)?;
        if !package.contains(':') || interface.is_empty() {
            return Err(fault());
        }
        let version: Version = version.parse().map_err(|_| fault())?;
        // Names of pre-releases and of 0.0.x are never compatible with each other, and would link nothing.
        if !version.pre.is_empty() || (version.major, version.minor) == (0, 0) {
            return Err(Error::InvalidContract {
                text: format!("{name} has a version that promises nothing: expected 0.1.0 or later"),
            });
        }
        Ok(Self { package: package.to_owned(), interface: interface.to_owned(), version })
    }

    /// Whether a name of a component's means this interface, in a version that is compatible.
    fn is_meant_by(&self, name: &str) -> bool {
        interface_version(name, &self.package, &self.interface)
            .is_some_and(|version| speaks(version, &self.version))
    }

    fn is_same_but_for_its_version(&self, name: &str) -> bool {
        interface_version(name, &self.package, &self.interface).is_some()
    }
}

impl std::fmt::Display for Interface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}@{}", self.package, self.interface, self.version)
    }
}

impl<S: Send + 'static, P: Send + Sync + 'static> CustomContract<S, P> {
    /// A contract whose components export `interface`, e.g. `acme:spell/checker@0.1.0`, and import nothing. `bind` is
    /// the `new` of what `bindgen!` calls `…Pre`: it tells at load whether the types are the contract's.
    ///
    /// Calls run on the deterministic engine, as builders do.
    ///
    /// # Errors
    /// [`Error::InvalidContract`] for a name that is none, a pre-release or a version 0.0.x.
    pub fn new(
        interface: &str,
        bind: impl Fn(InstancePre<Hosted<S>>) -> wasmtime::Result<P> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Ok(Self {
            exported: Interface::parse(interface)?,
            offered: Vec::new(),
            bind: Box::new(bind),
            engine: EngineKind::Build,
        })
    }

    /// Offer an interface: components may import it, and `link` puts its functions into a linker.
    ///
    /// What is offered decides whether a component is still a pure function of what it is given: a host side that tells
    /// the time or reads files gives that up.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn offering(
        mut self,
        interface: &str,
        link: impl Fn(&mut Linker<Hosted<S>>) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        self.offered.push((Interface::parse(interface)?, Box::new(link)));
        Ok(self)
    }

    /// Offer `floret:types/log@0.1.0`: lines go to `tracing` with target `floret::guest`, bounded by
    /// [`Limits::log_bytes_max`](crate::Limits::log_bytes_max), and the last ones into errors.
    #[must_use]
    pub fn offering_log(mut self) -> Self {
        let log = Interface {
            package: "floret:types".to_owned(),
            interface: "log".to_owned(),
            version: Version::new(0, 1, 0),
        };
        let link: Link<S> =
            Box::new(|linker| log::add_to_linker::<_, HasSelf<Job>>(linker, |hosted| &mut hosted.job));
        self.offered.push((log, link));
        self
    }

    /// Have calls run on the fast engine, as searches and policies do: NaNs are not canonicalised, and a call has
    /// [`Limits::query_timeout`](crate::Limits::query_timeout). For answers that name nothing.
    #[must_use]
    pub fn fast(mut self) -> Self {
        self.engine = EngineKind::Query;
        self
    }

    /// Whether a component exports this contract, and imports nothing but what is offered.
    fn check(&self, digest: Digest, outline: &Outline) -> Result<(), Error> {
        let supported = self.exported.to_string();
        if !outline.exports.iter().any(|name| self.exported.is_meant_by(name)) {
            let other = outline.exports.iter().find(|name| self.exported.is_same_but_for_its_version(name));
            return Err(match other {
                Some(found) => Error::UnsupportedContractVersion { digest, found: found.clone(), supported },
                None => Error::NotExported { digest, contract: supported, exports: outline.exports.clone() },
            });
        }
        let is_offered = |name: &String| self.offered.iter().any(|(offer, _)| offer.is_meant_by(name));
        let names: Vec<_> = outline.imports.iter().filter(|name| !is_offered(name)).cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        let offered = self.offered.iter().map(|(offer, _)| offer.to_string()).collect();
        Err(Error::ImportNotOffered { digest, contract: supported, offered, names })
    }
}

/// A loaded component of a [`CustomContract`]. Cheap to clone and to call from many tasks at once: every call has an
/// instance and a store of its own.
pub struct CustomComponent<S: 'static, P> {
    shared: Arc<Shared>,
    digest: Digest,
    /// Name and contract, as errors tell them.
    label: String,
    bound: Arc<P>,
    engine: EngineKind,
    state: std::marker::PhantomData<fn(S)>,
}

impl<S, P> Clone for CustomComponent<S, P> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            digest: self.digest,
            label: self.label.clone(),
            bound: Arc::clone(&self.bound),
            engine: self.engine,
            state: std::marker::PhantomData,
        }
    }
}

/// What came of a call.
#[derive(Clone, PartialEq, Debug)]
pub struct Called<S, T> {
    /// What it answered.
    pub answer: T,
    /// The host side, as the call left it.
    pub state: S,
    /// How long the guest ran, instantiation included, in milliseconds of the wall clock.
    pub call_ms: f64,
    /// Linear memory that it had at the end, in bytes: its peak.
    pub memory_bytes: u64,
}

impl Runtime {
    /// Take a component of a contract of one's own into use: as [`load`](Self::load), but nothing of it is run.
    /// Compiled code is kept in the same folder. `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::NotAComponent`], [`Error::NotExported`],
    /// [`Error::UnsupportedContractVersion`], [`Error::ImportNotOffered`], [`Error::Compile`],
    /// [`Error::TypesDiffer`] for imports; the limit of the time to compile. Exports of other types than the contract
    /// has are told by the first call.
    pub async fn load_custom<S: Send + 'static, P: Send + Sync + 'static>(
        &self,
        name: &str,
        bytes: Bytes,
        contract: &CustomContract<S, P>,
    ) -> Result<CustomComponent<S, P>, Error> {
        let read = |_: &Arc<Shared>, bytes: &Bytes| {
            let digest = Digest::of(bytes);
            Ok((digest, outline(digest, bytes)?))
        };
        let (digest, outline) = self.shared().aside(bytes.clone(), read).await?;
        contract.check(digest, &outline)?;
        let engine = contract.engine;
        let compile = move |shared: &Arc<Shared>, bytes: &Bytes| shared.compiled(digest, bytes, engine);
        let compiled = self.shared().aside(bytes, compile).await?;
        let mut linker = Linker::new(compiled.engine());
        let linked = contract.offered.iter().try_for_each(|(_, link)| link(&mut linker));
        let bound =
            linked.and_then(|()| linker.instantiate_pre(&compiled)).and_then(|pre| (contract.bind)(pre));
        let bound = bound.map_err(|error| Error::TypesDiffer {
            digest,
            contract: contract.exported.to_string(),
            text: format!("{error:#}"),
        })?;
        Ok(CustomComponent {
            shared: Arc::clone(self.shared()),
            digest,
            label: format!("{name} ({})", contract.exported),
            bound: Arc::new(bound),
            engine,
            state: std::marker::PhantomData,
        })
    }
}

impl<S: Send + 'static, P: Send + Sync + 'static> CustomComponent<S, P> {
    /// SHA-256 of its file; with [`Runtime::profile`] and what it is given, all that a result depends on.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Call it: `work` makes an instance and calls its functions, on a thread that may block, when it is the call's turn
    /// ([`Limits::instances_max`](crate::Limits::instances_max) at once; on the fast engine
    /// [`Limits::queries_max`](crate::Limits::queries_max)). `stage` is what errors call it. Dropping the future stops
    /// the guest within some milliseconds.
    ///
    /// ```text
    /// let called = checker.call("check", Words::of(dictionary), move |pre, store| {
    ///     let guest = pre.instantiate(&mut *store)?;
    ///     guest.acme_spell_checker().call_check(store, &text)
    /// });
    /// ```
    ///
    /// # Errors
    /// [`Error::Trap`] and [`Error::Limit`] with the component's name, the stage and what the guest left behind. An error
    /// that the host side returned is a trap with its text.
    pub async fn call<T: Send + 'static>(
        &self,
        stage: &'static str,
        state: S,
        work: impl FnOnce(&P, &mut Store<Hosted<S>>) -> wasmtime::Result<T> + Send + 'static,
    ) -> Result<Called<S, T>, Error> {
        let site = Arc::new(Site { component: self.label.clone(), contract: None, stage: stage.into() });
        let (turns, timeout, which) = match self.engine {
            EngineKind::Build => {
                (&self.shared.builders, self.shared.limits.call_timeout, LimitKind::CallTime)
            }
            EngineKind::Query => {
                (&self.shared.queries, self.shared.limits.query_timeout, LimitKind::QueryTime)
            }
        };
        let (shared, bound, theirs) = (Arc::clone(&self.shared), Arc::clone(&self.bound), Arc::clone(&site));
        let engine = self.engine;
        in_turn(turns.take(&self.digest).await, &site, move |cancelled| {
            let limits = &shared.limits;
            let deadline = Deadline::after(timeout, which, Some(cancelled));
            let job = Job::new(Arc::clone(&theirs), Vec::new(), limits, deadline);
            let mut store = store(shared.engines.get(engine), limits, Hosted { job, state });
            let ticking = shared.engines.ticker.in_flight();
            let started = Instant::now();
            let answer = work(&bound, &mut store);
            let call_ms = started.elapsed().as_secs_f64() * 1e3;
            drop(ticking);
            let answer =
                answer.map_err(|error| stopped(&error, &theirs, limits, &mut store.data_mut().job))?;
            let Hosted { mut job, state } = store.into_data();
            job.take_log();
            Ok(Called { answer, state, call_ms, memory_bytes: job.memory_bytes() })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::Interface;

    #[test]
    fn interfaces_are_named_in_full_and_in_a_version_that_promises_something() {
        let name = "acme:spell/checker@0.1.0";
        let interface = Interface::parse(name).expect("a name");
        assert_eq!(interface.to_string(), name);
        for (name, meant) in [
            ("acme:spell/checker@0.1.0", true),
            ("acme:spell/checker@0.1.7", true),
            ("acme:spell/checker@0.2.0", false),
            ("acme:spell/checker@0.1.0-rc.1", false),
            ("acme:spell/checkers@0.1.0", false),
            ("acme:spelling/checker@0.1.0", false),
            ("acme:spell/checker", false),
        ] {
            assert_eq!(interface.is_meant_by(name), meant, "{name}");
        }
        for name in
            ["", "checker", "acme:spell", "acme:spell/checker", "spell/checker@1.0.0", "acme:spell/@1.0.0"]
        {
            assert!(Interface::parse(name).is_err(), "{name}");
        }
        for name in ["acme:spell/checker@0.0.1", "acme:spell/checker@1.0.0-rc.1", "acme:spell/checker@1"] {
            assert!(Interface::parse(name).is_err(), "{name}");
        }
    }
}
