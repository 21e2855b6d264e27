use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use floret_cache::Cache;
use floret_model::{Digest, Namespace, ResourceType, TimestampMs};
use floret_runtime::{Component, Runtime, Turns};
use floret_store::{BlobStore, Catalog, Clock};
use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::breaker::Gates;
use crate::overview::LastCount;
use crate::plugins::{Bindings, TrustedKeys};
use crate::publications::Announcer;
use crate::read::AccessLog;
use crate::{Cached, Error};

/// A component that comes with the host, and what it is bound to unless somebody binds something else.
#[derive(Clone, Debug)]
pub struct BuiltIn {
    /// Its name as a resource.
    pub name: String,
    /// The component.
    pub bytes: Bytes,
    /// Bindings to make, each with its configuration.
    pub bindings: Vec<(String, Map<String, Value>)>,
}

/// What the host may be told to do differently.
#[derive(Clone, Debug)]
pub struct Options {
    /// Contents up to so many bytes stay inline in the catalog.
    pub inline_bytes_max: usize,
    /// Types that people may save beside those built in.
    pub extra_types: BTreeSet<ResourceType>,
    /// Cascade steps at once, and of one type all but one, at least 1: so a component that loops leaves a turn to others.
    pub parallel_steps_max: usize,
    /// Corpora merged at once in a node of a merge tree; at least 2.
    pub merge_fan_in: usize,
    /// Opened search indexes kept in memory.
    pub open_indexes_max: usize,
    /// How often a cascade that lost a race is planned again.
    pub conflict_retries_max: u32,
    /// Longest that a latest version stays cached where other hosts publish too, should the stream of changes have
    /// lost something.
    pub head_ttl: Duration,
    /// How long a lease holds without a heartbeat: how soon another host takes over what a dead one was at. At least
    /// as much as the clocks of hosts differ.
    pub lease: Duration,
    /// Failures on end after which a bound component is not asked for a while; at least 1.
    pub breaker_failures_max: u32,
    /// How long that is.
    pub breaker_cooldown: Duration,
    /// Who may sign components: with any, every component that is installed needs a signature, but those that come with
    /// the host.
    pub trusted_keys: TrustedKeys,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            inline_bytes_max: 4 << 10,
            extra_types: BTreeSet::new(),
            parallel_steps_max: std::thread::available_parallelism().map_or(2, usize::from) + 1,
            merge_fan_in: 8,
            open_indexes_max: 64,
            conflict_retries_max: 16,
            head_ttl: Duration::from_secs(30),
            lease: Duration::from_secs(10),
            breaker_failures_max: 5,
            breaker_cooldown: Duration::from_secs(30),
            trusted_keys: TrustedKeys::default(),
        }
    }
}

/// What a host is put together from. Clock, catalog and object store are passed in, so that they can be others
/// in a test.
pub struct Parts {
    /// Version log.
    pub catalog: Arc<dyn Catalog>,
    /// Large contents.
    pub blobs: BlobStore,
    /// Both cache tiers; its namespaces are the host's.
    pub cache: Cache<Cached>,
    /// Runs components.
    pub runtime: Arc<Runtime>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// A number that no other open of this installation has, for the names of publishes and of holders of leases.
    pub session: u64,
    /// Components to install where they are missing, or in place of older ones that came with a program.
    pub built_ins: Vec<BuiltIn>,
    /// The rest.
    pub options: Options,
}

/// The host: saves, builds, cascades, searches. One for each open store; share it by reference or `Arc`.
pub struct Floret {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) blobs: BlobStore,
    pub(crate) cache: Cache<Cached>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    pub(crate) components: Mutex<HashMap<Digest, Arc<Component>>>,
    pub(crate) accesses: AccessLog,
    pub(crate) bindings_in_use: Arc<Bindings>,
    pub(crate) gates: Gates,
    /// Turns for steps of cascades, by what they make.
    pub(crate) steps: Turns<ResourceType>,
    pub(crate) announcer: Arc<Announcer>,
    pub(crate) last_count: LastCount,
    /// Whether other hosts publish to the catalog.
    pub(crate) shared: bool,
    /// Whether this host is told of what they publish at present.
    pub(crate) hears: AtomicBool,
    pub(crate) session: u64,
    pub(crate) holders: AtomicU64,
    publishes: AtomicU64,
}

impl std::fmt::Debug for Floret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Floret").field("catalog", &self.catalog).finish_non_exhaustive()
    }
}

impl Floret {
    /// Put a host together, and see to it that the built-in components are installed and every contract has a
    /// binding.
    ///
    /// # Errors
    /// A built-in component that does not load, or a store that fails.
    pub async fn open(parts: Parts) -> Result<Self, Error> {
        let host = Self {
            shared: parts.catalog.is_shared(),
            hears: AtomicBool::new(false),
            holders: AtomicU64::new(0),
            catalog: parts.catalog,
            blobs: parts.blobs,
            cache: parts.cache,
            runtime: parts.runtime,
            clock: parts.clock,
            components: Mutex::default(),
            accesses: AccessLog::default(),
            bindings_in_use: Arc::default(),
            gates: Gates::default(),
            steps: Turns::new(parts.options.parallel_steps_max),
            announcer: Arc::default(),
            last_count: LastCount::default(),
            session: parts.session,
            publishes: AtomicU64::new(0),
            options: parts.options,
        };
        host.install_built_ins(&parts.built_ins).await?;
        Ok(host)
    }

    /// Write what is kept in memory for later: access counts, the cache's log of hot keys. Call before the end.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn close(&self) -> Result<(), Error> {
        self.flush_accesses().await?;
        self.cache.flush().await?;
        self.catalog.flush().await?;
        Ok(())
    }

    /// The version log, for tools that look at all of it.
    pub fn catalog(&self) -> &Arc<dyn Catalog> {
        &self.catalog
    }

    /// What runs components, for those of [`CustomContract`](floret_runtime::CustomContract)s beside Floret's own.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The cache.
    pub fn cache(&self) -> &Cache<Cached> {
        &self.cache
    }

    pub(crate) fn now(&self) -> TimestampMs {
        self.clock.now()
    }

    /// A name that no other publish of this installation has, and that sorts by time.
    pub(crate) fn publish_id(&self) -> String {
        let count = self.publishes.fetch_add(1, Ordering::Relaxed);
        format!("{:012x}-{:08x}-{count:x}", self.now().0, self.session & 0xffff_ffff)
    }

    /// Whether this host made a publish of this name.
    pub(crate) fn is_own_publish(&self, id: &str) -> bool {
        let session = id.split('-').nth(1).and_then(|session| u64::from_str_radix(session, 16).ok());
        session == Some(self.session & 0xffff_ffff)
    }

    pub(crate) fn check_namespace(&self, namespace: &Namespace) -> Result<(), Error> {
        match self.cache.get_namespace(namespace.as_str()) {
            Some(_) => Ok(()),
            None => Err(self.unknown_namespace(namespace)),
        }
    }

    pub(crate) fn unknown_namespace(&self, namespace: &Namespace) -> Error {
        let known = self.cache.stats().namespaces.into_keys().collect();
        Error::UnknownNamespace { got: namespace.clone(), known }
    }
}
