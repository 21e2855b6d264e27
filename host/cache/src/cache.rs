//! The cache as a whole: opening, statistics, flushing, warming.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access_log::{self, AccessLog};
use crate::clock::Clock;
use crate::config::{CacheConfig, NamespaceConfig, share_out};
use crate::disk::{Directory, DiskNamespace, Engine, Rows, write_private};
use crate::error::{Error, LoadError};
use crate::key::Key;
use crate::memory::MemoryTier;
use crate::namespace::{Invalidated, Namespace, NamespaceHandle, PutOptions, blocking};
use crate::pattern::Pattern;
use crate::rebalance::Rebalancer;
use crate::stats::{CacheStats, Counters, DiskState};
use crate::value::CacheValue;

/// Values by namespace and key, in memory and on disk.
///
/// Cheap to clone; the directory is released when the last clone and the last [`NamespaceHandle`] is gone.
pub struct Cache<V: CacheValue>(Arc<Inner<V>>);

impl<V: CacheValue> Clone for Cache<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<V: CacheValue> {
    namespaces: BTreeMap<String, NamespaceHandle<V>>,
    engine: Option<Arc<Engine>>,
    disk: DiskState,
    memory_bytes_max: u64,
    rebalancer: tokio::sync::Mutex<Rebalancer>,
}

/// A key that was asked for often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotKey {
    /// Its namespace.
    pub namespace: String,
    /// Its key.
    pub key: Vec<u8>,
    /// About how often it was asked for; old accesses count less.
    pub accesses: u64,
}

/// What warming did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warmed {
    /// Keys that were in memory already.
    pub in_memory: u64,
    /// Keys that came from disk.
    pub from_disk: u64,
    /// Keys that the loader made.
    pub loaded: u64,
    /// Keys that the loader could not make.
    pub failed: u64,
}

impl<V: CacheValue> Cache<V> {
    /// Opens the cache. Blocks: it reads the index of the disk tier, about 1 ms for 1,000 entries.
    ///
    /// A directory that cannot be written to (permissions, read-only, full) leaves a cache in memory only, see
    /// [`CacheStats::disk`]. One whose contents are damaged or of an older format is wiped.
    ///
    /// # Errors
    /// [`Error::Configuration`]; [`Error::Locked`] if another cache has the directory open; [`Error::NewerFormat`];
    /// [`Error::NotACache`]; [`Error::Io`] and [`Error::Engine`] for everything else that keeps the directory from being
    /// opened.
    pub fn open(config: CacheConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        config.check()?;
        let wants = |wanted: fn(&NamespaceConfig) -> u64| -> Vec<u64> {
            config.namespaces.values().map(wanted).collect()
        };
        let memory = share_out(&wants(memory_wanted), config.memory_bytes_max);
        let disk = share_out(&wants(|n| n.disk_bytes_max), config.disk_bytes_max);
        let (engine, mut rows, state) = match &config.directory {
            Some(path) if disk.iter().any(|&bytes| bytes > 0) => open_engine(path)?,
            _ => (None, Rows::new(), DiskState::Off),
        };
        let mut namespaces = BTreeMap::new();
        for (nth, (name, namespace)) in config.namespaces.into_iter().enumerate() {
            let counters = Arc::<Counters>::default();
            let shared_name: Arc<str> = name.as_str().into();
            let memory = MemoryTier::new(
                if memory[nth] > 0 { namespace.memory_items_max } else { 0 },
                memory[nth],
                namespace.eviction,
                Arc::clone(&counters),
            );
            let found = rows.remove(&name).unwrap_or_default();
            let on_disk = engine.as_ref().map(|engine| {
                let (engine, name) = (Arc::clone(engine), Arc::clone(&shared_name));
                let counters = Arc::clone(&counters);
                DiskNamespace::new(engine, name, disk[nth], namespace.compression, counters, found)
            });
            let space = Namespace::new(
                shared_name,
                namespace,
                memory,
                // Made even if its budget is 0, to remove what an earlier configuration left.
                on_disk.filter(|_| disk[nth] > 0),
                AccessLog::new(config.access_log_keys_max),
                counters,
                Arc::clone(&clock),
            );
            space.sweep_now();
            namespaces.insert(name, NamespaceHandle(Arc::new(space)));
        }
        if let Some(engine) = &engine {
            discard_unknown(engine, rows);
        }
        let cache = Self(Arc::new(Inner {
            namespaces,
            engine,
            disk: state,
            memory_bytes_max: config.memory_bytes_max,
            rebalancer: tokio::sync::Mutex::default(),
        }));
        cache.restore_access_log();
        Ok(cache)
    }

    /// A namespace. Hot paths ask once and keep the handle.
    ///
    /// # Errors
    /// [`Error::UnknownNamespace`] if it is not configured.
    pub fn namespace(&self, name: &str) -> Result<NamespaceHandle<V>, Error> {
        self.get_namespace(name).cloned().ok_or_else(|| Error::UnknownNamespace {
            name: name.to_owned(),
            known: self.0.namespaces.keys().cloned().collect(),
        })
    }

    /// A namespace where it is, if it is configured: for hot paths that are told its name anew each time.
    #[must_use]
    pub fn get_namespace(&self, name: &str) -> Option<&NamespaceHandle<V>> {
        self.0.namespaces.get(name)
    }

    /// Empties one namespace.
    ///
    /// # Errors
    /// [`Error::UnknownNamespace`] if it is not configured.
    pub async fn invalidate_namespace(&self, name: &str) -> Result<Invalidated, Error> {
        let namespace = self.namespace(name)?;
        Ok(namespace.invalidate_matching(&Pattern::all()).await)
    }

    /// Empties every namespace, one after the other.
    pub async fn invalidate_all(&self) -> Invalidated {
        let mut removed = Invalidated::default();
        for namespace in self.0.namespaces.values() {
            let of_one = namespace.invalidate_matching(&Pattern::all()).await;
            removed.memory += of_one.memory;
            removed.disk += of_one.disk;
        }
        removed
    }

    /// Frees what expired entries still occupy. They are never served, whether or not this is ever called. O(entries).
    pub async fn sweep_expired(&self) {
        for namespace in self.0.namespaces.values() {
            namespace.0.sweep().await;
        }
    }

    /// What each namespace, and all of them together, did and hold.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let namespaces =
            (self.0.namespaces.iter()).map(|(name, namespace)| (name.clone(), namespace.stats())).collect();
        CacheStats::new(namespaces, self.0.memory_bytes_max, self.0.disk.clone())
    }

    /// The keys that were asked for most, in this process and before it, hottest first.
    #[must_use]
    pub fn hot_keys(&self, limit: usize) -> Vec<HotKey> {
        let mut hot: Vec<HotKey> = Vec::new();
        for (name, namespace) in &self.0.namespaces {
            hot.extend(namespace.0.log.hottest().into_iter().map(|(key, accesses)| HotKey {
                namespace: name.clone(),
                key: key.as_bytes().to_vec(),
                accesses,
            }));
        }
        hot.sort_by_key(|key| std::cmp::Reverse(key.accesses));
        hot.truncate(limit);
        hot
    }

    /// Brings the hottest keys of the access log back into memory, from disk or else by `loader`: at most `limit`, and of
    /// a namespace at most as many as it may hold in memory. One after the other, the hottest last, so that they
    /// are the last to be evicted again.
    pub async fn warm<F, Fut, E>(&self, limit: usize, mut loader: F) -> Warmed
    where
        F: FnMut(HotKey) -> Fut,
        Fut: Future<Output = Result<V, E>>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut room: BTreeMap<&str, u64> = (self.0.namespaces.iter())
            .map(|(name, namespace)| (name.as_str(), namespace.0.config.memory_items_max))
            .collect();
        let mut chosen = self.hot_keys(limit);
        chosen.retain(|hot| match room.get_mut(hot.namespace.as_str()) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        });
        let mut warmed = Warmed::default();
        for hot in chosen.into_iter().rev() {
            let Some(namespace) = self.0.namespaces.get(&hot.namespace) else {
                continue;
            };
            let key = hot.key.clone();
            if namespace.get_memory(&key).is_some() {
                warmed.in_memory += 1;
                continue;
            }
            let mut ran = false;
            let load = || {
                ran = true;
                loader(hot)
            };
            let outcome: Result<V, LoadError<E>> =
                namespace.get_or_load(&key, PutOptions::default(), load).await;
            match (outcome, ran) {
                (Ok(_), false) => warmed.from_disk += 1,
                (Ok(_), true) => warmed.loaded += 1,
                (Err(_), _) => warmed.failed += 1,
            }
        }
        warmed
    }

    /// Moves memory towards the namespace that would use it best, see [`Move`](crate::Move). At most one step in each call;
    /// call it every minute or so. Returns what was moved.
    pub async fn rebalance(&self) -> Option<crate::Move> {
        let mut rebalancer = self.0.rebalancer.lock().await;
        rebalancer.step(&self.0.namespaces, self.0.memory_bytes_max).await
    }

    /// Hands everything on disk to the operating system and writes the access log.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Engine`]. The cache goes on working.
    pub async fn flush(&self) -> Result<(), Error> {
        let cache = self.clone();
        // If the runtime is shutting down there is nobody left to tell.
        blocking(move || cache.flush_now()).await.unwrap_or(Ok(()))
    }

    /// Flushes, and gives this clone up.
    ///
    /// # Errors
    /// As [`Cache::flush`].
    pub async fn close(self) -> Result<(), Error> {
        // Consumed by the closure, so that the engine's threads are joined on a blocking thread.
        blocking(move || self.flush_now()).await.unwrap_or(Ok(()))
    }

    fn flush_now(&self) -> Result<(), Error> {
        let Some(engine) = &self.0.engine else {
            return Ok(());
        };
        for namespace in self.0.namespaces.values() {
            namespace.0.disk.iter().for_each(|disk| disk.bury_rest());
        }
        engine.flush()?;
        let logs = (self.0.namespaces.iter()).map(|(name, space)| (name.as_str(), space.0.log.hottest()));
        let file = access_log::encode(logs);
        write_private(&engine.directory.path.join("access-log"), &[&file])
    }

    fn restore_access_log(&self) {
        let Some(engine) = &self.0.engine else { return };
        let Ok(file) = std::fs::read(engine.directory.path.join("access-log")) else {
            return;
        };
        for (namespace, key, accesses) in access_log::decode(&file).unwrap_or_default() {
            if let Some(namespace) = self.0.namespaces.get(namespace) {
                namespace.0.log.restore(key, accesses);
            }
        }
    }
}

/// A namespace without items needs no bytes.
fn memory_wanted(namespace: &NamespaceConfig) -> u64 {
    match namespace.memory_items_max {
        0 => 0,
        _ => namespace.memory_bytes_max,
    }
}

fn open_engine(path: &Path) -> Result<(Option<Arc<Engine>>, Rows, DiskState), Error> {
    match Directory::open(path).and_then(Engine::open) {
        Ok((engine, rows)) => Ok((Some(Arc::new(engine)), rows, DiskState::Ready)),
        Err(Error::Io { source, .. }) if is_unavailable(source.kind()) => {
            tracing::warn!(directory = %path.display(), error = %source, "no disk cache; working in memory only");
            let state = DiskState::Unavailable(source.to_string());
            Ok((None, Rows::new(), state))
        }
        Err(error) => Err(error),
    }
}

fn is_unavailable(kind: ErrorKind) -> bool {
    use ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(kind, PermissionDenied | ReadOnlyFilesystem | StorageFull | QuotaExceeded)
}

/// Removes what namespaces left that are no longer configured.
fn discard_unknown(engine: &Arc<Engine>, rows: Rows) {
    for (name, entries) in rows {
        let entries: Vec<(Key, _)> = entries;
        let (engine, name) = (Arc::clone(engine), name.as_str().into());
        let compression = crate::Compression::None;
        // A namespace without room evicts all that it is given.
        DiskNamespace::new(engine, name, 0, compression, Arc::default(), entries);
    }
}
