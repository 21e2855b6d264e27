use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use floret_cache::{Cache, CacheConfig, NamespaceConfig};
use floret_model::Namespace;
use floret_pipeline::{BuiltIn, Cached, Error, Floret, Options, Parts};
use floret_runtime::{Limits, Runtime, RuntimeConfig};
use floret_store::{BlobOptions, BlobStore, Catalog, Clock, EmbeddedCatalog, SystemClock};

use crate::built_ins;

/// Folder of the version log, in the home's.
pub const CATALOG_FOLDER: &str = "catalog";
/// Folder of large contents.
pub const BLOBS_FOLDER: &str = "blobs";
/// Folder of contents under way.
pub const TEMPORARY_FOLDER: &str = "tmp";
/// Folder of the cache's disk tier.
pub const CACHE_FOLDER: &str = "cache";
/// Folder of compiled code.
pub const COMPILED_FOLDER: &str = "compiled";

/// Entries and bytes of memory that a namespace may take, as the `floret` program has them by default.
const MEMORY_ITEMS_MAX: u64 = 10_000;
const MEMORY_BYTES_MAX: u64 = 128 << 20;
const DISK_BYTES_MAX: u64 = 2 << 30;

/// An embedded home in a folder, about to be opened. One process has it open at a time.
#[derive(Clone, Debug)]
pub struct Home {
    folder: PathBuf,
    namespaces: BTreeMap<String, NamespaceConfig>,
    limits: Limits,
    options: Options,
    built_ins: Vec<BuiltIn>,
    compiled_dir: Option<PathBuf>,
}

impl Home {
    /// A home in a folder, which is made, for this user alone, if it is missing: the namespaces `default` and
    /// `plugins`, the built-in components, and the defaults of everything.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        let home = Self {
            folder: folder.into(),
            namespaces: BTreeMap::new(),
            limits: Limits::default(),
            options: Options::default(),
            built_ins: built_ins(),
            compiled_dir: None,
        };
        home.namespace(&Namespace::default_namespace()).namespace(&Namespace::plugins())
    }

    /// Add a namespace, or leave one as it is. Saving into one that was not added is refused.
    #[must_use]
    pub fn namespace(self, name: &Namespace) -> Self {
        let config = NamespaceConfig {
            memory_items_max: MEMORY_ITEMS_MAX,
            memory_bytes_max: MEMORY_BYTES_MAX,
            disk_bytes_max: DISK_BYTES_MAX,
            ..NamespaceConfig::default()
        };
        match self.namespaces.contains_key(name.as_str()) {
            true => self,
            false => self.namespace_with(name, config),
        }
    }

    /// Add a namespace with its bounds on the caches, or give one others.
    #[must_use]
    pub fn namespace_with(mut self, name: &Namespace, config: NamespaceConfig) -> Self {
        self.namespaces.insert(name.to_string(), config);
        self
    }

    /// What components may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What the host does otherwise.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Install a component where it is missing, beside the built-in ones or, under the name of one of them, in its place.
    #[must_use]
    pub fn built_in(mut self, component: BuiltIn) -> Self {
        self.built_ins.retain(|other| other.name != component.name);
        self.built_ins.push(component);
        self
    }

    /// Keep compiled code elsewhere than in the home, so that several homes of one user share it: a folder for that
    /// alone, to which nobody else may write.
    #[must_use]
    pub fn compiled_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.compiled_dir = Some(folder.into());
        self
    }

    /// Open it. The first time, built-in components are compiled, which takes some seconds.
    ///
    /// # Errors
    /// `store_in_use` while another process has it open; `newer_format`; `io` for a folder that cannot be used;
    /// `configuration` for limits that contradict themselves.
    pub async fn open(self) -> Result<Floret, Error> {
        // Opening reads and locks files, so it is not done on a thread of the async runtime.
        let opened = tokio::task::spawn_blocking(move || self.parts()).await;
        let parts = opened.map_err(|stopped| match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Error::Interrupted,
        })??;
        Floret::open(parts).await
    }

    fn parts(self) -> Result<Parts, Error> {
        make_private(&self.folder)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        // The catalog first: it tells best who else is using the folder.
        let catalog: Arc<dyn Catalog> = EmbeddedCatalog::open(self.folder.join(CATALOG_FOLDER))?;
        let objects = floret_store::local_folder(&self.folder.join(BLOBS_FOLDER))?;
        let temporary_dir = Some(self.folder.join(TEMPORARY_FOLDER));
        let kept = BlobOptions { temporary_dir, ..BlobOptions::default() };
        let blobs = BlobStore::over(Arc::clone(&catalog), objects, Arc::clone(&clock), kept);
        let caching = CacheConfig {
            namespaces: self.namespaces,
            directory: Some(self.folder.join(CACHE_FOLDER)),
            ..CacheConfig::default()
        };
        let cache: Cache<Cached> = Cache::open(caching, Arc::new(floret_cache::SystemClock::new()))?;
        let compiled_dir = self.compiled_dir.or_else(|| Some(self.folder.join(COMPILED_FOLDER)));
        let runtime = Runtime::new(RuntimeConfig { compiled_dir, limits: self.limits })?;
        Ok(Parts {
            catalog,
            blobs,
            cache,
            runtime,
            clock,
            session: session(),
            built_ins: self.built_ins,
            options: self.options,
        })
    }
}

/// A random number: no other open of an installation has it, but by a chance of 1 in 2^32 within a millisecond.
pub fn session() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Make the folder, for this user alone. One that is there stays as it is.
///
/// # Errors
/// A folder that cannot be made.
pub fn make_private(folder: &Path) -> Result<(), floret_store::Error> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let failed = |source| floret_store::Error::Io { action: "create", path: folder.to_owned(), source };
    builder.create(folder).map_err(failed)
}
