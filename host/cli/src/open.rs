//! Wiring: one host out of the configuration.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use floret_cache::Cache;
pub(crate) use floret_embed::{BLOBS_FOLDER, CATALOG_FOLDER, TEMPORARY_FOLDER};
use floret_embed::{CACHE_FOLDER, COMPILED_FOLDER};
pub(crate) use floret_embed::{built_in_digest, built_ins, make_private, session};
use floret_model::Namespace;
use floret_pipeline::{Cached, Floret, Parts};
use floret_runtime::{Runtime, RuntimeConfig};
use floret_store::{
    BlobOptions, BlobStore, Catalog, Clock, EmbeddedCatalog, MongoCatalog, Objects, ObjectsOptions,
    SystemClock,
};

use crate::config::{BlobsSection, Secret, Settings, cloud_env};
use crate::failure::Failure;

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
    Ok(tokio::task::spawn_blocking(move || floret_store::local_folder(&folder)).await??)
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
