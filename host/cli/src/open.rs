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

macro_rules! component {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../plugins/dist/", $name, ".wasm")).as_slice())
    };
}

/// The components in the program, and what each is bound to at first.
const BUILT_INS: [((&str, &[u8]), &[&str]); 5] = [
    (component!("corpus-text"), &["literature", "corpus"]),
    (component!("trie-fst"), &["trie"]),
    (component!("semantic-ngram"), &["semantic"]),
    (component!("policy-default"), &["policy"]),
    (component!("policy-archive"), &[]),
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
    let bindings = |ids: &[&str]| ids.iter().map(|id| ((*id).to_owned(), Map::new())).collect();
    let built_in = |((name, bytes), ids): &((&str, &'static [u8]), &[&str])| BuiltIn {
        name: (*name).to_owned(),
        bytes: Bytes::from_static(bytes),
        bindings: bindings(ids),
    };
    BUILT_INS.iter().map(built_in).collect()
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
    let found = BUILT_INS.iter().find(|((built_in, _), _)| *built_in == name);
    found.map(|((_, bytes), _)| Digest::of(bytes))
}
