//! What the tests share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use floret_cache::{Cache, CacheConfig, Error, ManualClock, Millis, NamespaceConfig, NamespaceHandle};

/// A cache over a clock that stands still, with its namespaces.
pub struct Opened {
    pub cache: Cache<Bytes>,
    pub clock: Arc<ManualClock>,
}

impl Opened {
    pub fn space(&self, name: &str) -> NamespaceHandle<Bytes> {
        self.cache.namespace(name).expect("configured")
    }
}

pub fn config(directory: Option<&Path>, namespaces: &[(&str, NamespaceConfig)]) -> CacheConfig {
    let namespaces: BTreeMap<_, _> =
        namespaces.iter().map(|(name, config)| ((*name).to_owned(), config.clone())).collect();
    CacheConfig { namespaces, directory: directory.map(Path::to_owned), ..CacheConfig::default() }
}

pub fn try_open(config: CacheConfig) -> Result<Opened, Error> {
    let clock = Arc::new(ManualClock::new(Millis(1_000_000)));
    let cache = Cache::open(config, clock.clone())?;
    Ok(Opened { cache, clock })
}

pub fn open(directory: Option<&Path>, namespaces: &[(&str, NamespaceConfig)]) -> Opened {
    try_open(config(directory, namespaces)).expect("opens")
}

pub fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}
