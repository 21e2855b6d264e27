//! Wiring: one host out of the configuration.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use floret_cache::Cache;
use floret_model::{Digest, Namespace, StorageType};
use floret_pipeline::{BuiltIn, Floret, Parts};
use floret_runtime::{Runtime, RuntimeConfig};
use floret_store::{BlobOptions, BlobStore, Catalog, Clock, EmbeddedCatalog, SystemClock};
use serde_json::Map;

use crate::config::Settings;
use crate::failure::Failure;

/// A component in the program, and what it is bound to at first.
struct Shipped {
    name: &'static str,
    bytes: &'static [u8],
    bindings: &'static [&'static str],
}

macro_rules! shipped {
    ($name:literal, $bindings:expr) => {
        Shipped {
            name: $name,
            bytes: include_bytes!(concat!("../../../plugins/dist/", $name, ".wasm")),
            bindings: $bindings,
        }
    };
}

const SHIPPED: [Shipped; 5] = [
    shipped!("corpus-text", &["literature", "corpus"]),
    shipped!("trie-fst", &["trie"]),
    shipped!("semantic-ngram", &["semantic"]),
    shipped!("policy-default", &["policy"]),
    shipped!("policy-archive", &[]),
];

/// Open the host in its data folder, which is made if it is missing.
///
/// # Errors
/// Those of the store, the cache and the runtime, for folders that cannot be used, are in use or too new.
pub(crate) async fn open(settings: &Settings) -> Result<Floret> {
    let data = settings.data.clone();
    let config = settings.config.clone();
    for needed in [Namespace::default_namespace(), Namespace::plugins()] {
        if !config.namespaces.contains_key(&needed) {
            return Err(anyhow!(Failure::Configuration(format!("the namespace {needed} is needed"))));
        }
    }
    let options = config.options()?;
    // The catalog first: it makes the folder, and tells best who else is using it.
    let parts = tokio::task::spawn_blocking(move || -> Result<Parts> {
        make_private(&data)?;
        let catalog: Arc<dyn Catalog> = EmbeddedCatalog::open(data.join("catalog"))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let objects = floret_store::local_objects(&data.join("blobs"))?;
        let blobs = BlobStore::new(
            Arc::clone(&catalog),
            objects,
            StorageType::Disk,
            Arc::clone(&clock),
            BlobOptions::default(),
        );
        let cache =
            Cache::open(config.cache(data.join("cache")), Arc::new(floret_cache::SystemClock::new()))?;
        let runtime = Runtime::new(RuntimeConfig {
            compiled_dir: Some(data.join("compiled")),
            limits: config.limits(),
        })?;
        Ok(Parts {
            catalog,
            blobs,
            cache,
            runtime,
            clock,
            session: session(),
            built_ins: built_ins(),
            options,
        })
    });
    Ok(Floret::open(parts.await??).await?)
}

/// A random number: no other open of an installation has it, but by a chance of 1 in 2^32 within a millisecond.
fn session() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

fn built_ins() -> Vec<BuiltIn> {
    let built_in = |shipped: Shipped| BuiltIn {
        name: shipped.name.to_owned(),
        bytes: Bytes::from_static(shipped.bytes),
        bindings: shipped.bindings.iter().map(|id| ((*id).to_owned(), Map::new())).collect(),
    };
    SHIPPED.into_iter().map(built_in).collect()
}

/// Make the data folder, for this user alone. One that is there stays as it is.
fn make_private(data: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let failed = |source| floret_store::Error::Io { action: "create", path: data.to_owned(), source };
    Ok(builder.create(data).map_err(failed)?)
}

/// Digest of a component in the program.
pub(crate) fn built_in_digest(name: &str) -> Option<Digest> {
    SHIPPED.iter().find(|shipped| shipped.name == name).map(|shipped| Digest::of(shipped.bytes))
}
