//! Wiring: one host out of the configuration.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use floret_cache::Cache;
use floret_model::{Digest, Namespace, StorageType};
use floret_pipeline::{BuiltIn, Cached, Floret, Parts};
use floret_runtime::{Runtime, RuntimeConfig};
use floret_store::{
    BlobOptions, BlobStore, Catalog, Clock, EmbeddedCatalog, MongoCatalog, Objects, ObjectsOptions,
    SystemClock,
};
use serde_json::Map;

use crate::config::{BlobsSection, Secret, Settings, cloud_env};
use crate::failure::Failure;

/// Folders in the data folder.
pub(crate) const CATALOG_FOLDER: &str = "catalog";
pub(crate) const BLOBS_FOLDER: &str = "blobs";
/// Contents under way.
pub(crate) const TEMPORARY_FOLDER: &str = "tmp";
const CACHE_FOLDER: &str = "cache";
const COMPILED_FOLDER: &str = "compiled";

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

const SHIPPED: [Shipped; 6] = [
    shipped!("corpus-text", &["literature", "corpus"]),
    shipped!("trie-fst", &["trie"]),
    shipped!("semantic-ngram", &["semantic"]),
    shipped!("policy-default", &["policy"]),
    shipped!("policy-archive", &[]),
    shipped!("retention-default", &[]),
];

/// Open the host in its data folder, which is made if it is missing.
///
/// # Errors
/// Those of the store, the cache and the runtime, for folders that cannot be used, are in use or too new.
pub(crate) async fn open(settings: &Settings) -> Result<Floret> {
    for needed in [Namespace::default_namespace(), Namespace::plugins()] {
        if !settings.config.namespaces.contains_key(&needed) {
            return Err(anyhow!(Failure::Configuration(format!("the namespace {needed} is needed"))));
        }
    }
    if settings.config.catalog.url.is_some() && settings.config.blobs.url.is_none() {
        let message = "catalog.url names a server that hosts share, and large contents would stay on this one: set blobs.url (--blobs s3://BUCKET/PREFIX)";
        return Err(anyhow!(Failure::Configuration(message.to_owned())));
    }
    let options = settings.config.options()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    make_private(&settings.data)?;
    // The catalog first: it tells best who else is using the folder.
    let catalog = catalog(settings).await?;
    let parts = Parts {
        blobs: blobs(settings, Arc::clone(&catalog), Arc::clone(&clock)).await?,
        catalog,
        cache: cache(settings).await?,
        runtime: runtime(settings, Some(compiled_folder(settings))).await?,
        clock,
        session: session(),
        built_ins: built_ins(),
        options,
    };
    Ok(Floret::open(parts).await?)
}

/// Where versions are kept.
///
/// # Errors
/// A folder that cannot be used, is in use or too new; a server that does not answer, or refuses.
pub(crate) async fn catalog(settings: &Settings) -> Result<Arc<dyn Catalog>> {
    if let Some(uri) = &settings.config.catalog.url {
        if !["mongodb://", "mongodb+srv://"].iter().any(|scheme| uri.0.starts_with(scheme)) {
            let message =
                format!("catalog.url is {uri}: expected mongodb://HOST/DATABASE or mongodb+srv://…");
            return Err(anyhow!(Failure::Configuration(message)));
        }
        return Ok(MongoCatalog::connect(&uri.0).await?);
    }
    let folder = settings.data.join(CATALOG_FOLDER);
    let opened = tokio::task::spawn_blocking(move || EmbeddedCatalog::open(folder));
    Ok(opened.await??)
}

/// Where large contents are kept.
///
/// # Errors
/// As [`objects`].
pub(crate) async fn blobs(
    settings: &Settings,
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
) -> Result<BlobStore> {
    let temporary_dir = Some(settings.data.join(TEMPORARY_FOLDER));
    let options = BlobOptions { temporary_dir, ..BlobOptions::default() };
    Ok(BlobStore::over(catalog, objects(settings).await?, clock, options))
}

/// The object store of large contents: in the data folder, or wherever the configuration says.
///
/// # Errors
/// A folder that cannot be used; a server that does not answer, or refuses.
pub(crate) async fn objects(settings: &Settings) -> Result<Objects> {
    let section = &settings.config.blobs;
    if let Some(url) = &section.url {
        return Ok(floret_store::open_objects(url, &section.options(cloud_env())).await?);
    }
    let folder = settings.data.join(BLOBS_FOLDER);
    let place = folder.display().to_string();
    let store = tokio::task::spawn_blocking(move || floret_store::local_objects(&folder)).await??;
    Ok(Objects { store, storage_type: StorageType::Disk, place })
}

/// What spares reads.
async fn cache(settings: &Settings) -> Result<Cache<Cached>> {
    let config = settings.config.cache(settings.data.join(CACHE_FOLDER));
    let opened =
        tokio::task::spawn_blocking(move || Cache::open(config, Arc::new(floret_cache::SystemClock::new())));
    Ok(opened.await??)
}

/// What runs components. Without a folder it compiles whatever it loads.
///
/// # Errors
/// Limits that do not fit together, and a folder for compiled code to which others may write.
pub(crate) async fn runtime(settings: &Settings, compiled_dir: Option<PathBuf>) -> Result<Arc<Runtime>> {
    let config = RuntimeConfig { compiled_dir, limits: settings.config.limits() };
    let made = tokio::task::spawn_blocking(move || Runtime::new(config));
    Ok(made.await??)
}

/// Where compiled code is.
pub(crate) fn compiled_folder(settings: &Settings) -> PathBuf {
    settings.data.join(COMPILED_FOLDER)
}

impl BlobsSection {
    fn options(&self, variables: Vec<(String, String)>) -> ObjectsOptions {
        let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.0.clone());
        ObjectsOptions {
            variables,
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key_id: secret(&self.access_key_id),
            secret_access_key: secret(&self.secret_access_key),
            session_token: secret(&self.session_token),
            timeout: self.timeout.0,
            connect_timeout: self.connect_timeout.0,
            retries_max: self.retries_max,
            retry_timeout: self.retry_timeout.0,
        }
    }
}

/// A random number: no other open of an installation has it, but by a chance of 1 in 2^32 within a millisecond.
pub(crate) fn session() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// The components in the program.
pub(crate) fn built_ins() -> Vec<BuiltIn> {
    let built_in = |shipped: Shipped| BuiltIn {
        name: shipped.name.to_owned(),
        bytes: Bytes::from_static(shipped.bytes),
        bindings: shipped.bindings.iter().map(|id| ((*id).to_owned(), Map::new())).collect(),
    };
    SHIPPED.into_iter().map(built_in).collect()
}

/// Make the data folder, for this user alone. One that is there stays as it is.
pub(crate) fn make_private(data: &Path) -> Result<()> {
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
