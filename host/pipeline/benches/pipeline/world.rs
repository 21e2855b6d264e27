//! Hosts over temporary folders, put together as the program does it.

use std::path::Path;
use std::sync::Arc;

use floret_cache::{Cache, CacheConfig, NamespaceConfig};
use floret_model::{ResourceKey, ResourceType, StorageType};
use floret_pipeline::{Binding, BuiltIn, CorpusRequest, Floret, Options, POLICY_BINDING, Parts, Progress};
use floret_runtime::{Limits, Runtime, RuntimeConfig};
use floret_store::{BlobOptions, BlobStore, Catalog, Clock, EmbeddedCatalog, SystemClock, local_objects};
use tempfile::TempDir;

use crate::data::key;

/// Which tiers of the cache are on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tiers {
    Both,
    DiskOnly,
}

/// A host and its folder.
pub struct World {
    pub host: Arc<Floret>,
    pub folder: TempDir,
}

/// A new host.
pub async fn open(tiers: Tiers) -> World {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let catalog: Arc<dyn Catalog> = EmbeddedCatalog::open(folder.path().join("catalog")).expect("it opens");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let blobs = BlobStore::new(
        Arc::clone(&catalog),
        local_objects(&folder.path().join("blobs")).expect("a folder"),
        StorageType::Disk,
        Arc::clone(&clock),
        BlobOptions::default(),
    );
    let compiled_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-compiled"));
    let parts = Parts {
        catalog,
        blobs,
        cache: cache(folder.path(), tiers),
        runtime: Runtime::new(RuntimeConfig { compiled_dir, limits: Limits::default() }).expect("a runtime"),
        clock,
        session: 1,
        built_ins: built_ins(),
        options: Options {
            extra_types: [ResourceType::new("vocabulary").expect("a name")].into(),
            ..Options::default()
        },
    };
    World { host: Arc::new(Floret::open(parts).await.expect("it opens")), folder }
}

fn cache(folder: &Path, tiers: Tiers) -> Cache<floret_pipeline::Cached> {
    let namespace = NamespaceConfig {
        memory_items_max: if tiers == Tiers::Both { 100_000 } else { 0 },
        memory_bytes_max: 256 << 20,
        disk_bytes_max: 1 << 30,
        ..NamespaceConfig::default()
    };
    // Components stay in memory: what they cost when they do not is not what these rows are about.
    let plugins = NamespaceConfig { memory_items_max: 100, ..NamespaceConfig::default() };
    let config = CacheConfig {
        namespaces: [("default".to_owned(), namespace), ("plugins".to_owned(), plugins)].into(),
        directory: Some(folder.join("cache")),
        ..CacheConfig::default()
    };
    Cache::open(config, Arc::new(floret_cache::SystemClock::default())).expect("a new cache opens")
}

fn built_ins() -> Vec<BuiltIn> {
    let built_in = |name: &str, bindings: &[&str]| {
        let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist");
        let bytes = std::fs::read(dist.join(format!("{name}.wasm"))).expect("built by `cargo xtask plugins`");
        let bindings = bindings.iter().map(|id| ((*id).to_owned(), serde_json::Map::new())).collect();
        BuiltIn { name: name.to_owned(), bytes: bytes.into(), bindings }
    };
    vec![built_in("corpus-text", &["literature", "corpus"]), built_in("policy-default", &["policy"])]
}

fn corpus_of(inputs: &[&str]) -> CorpusRequest {
    let (documents, children) = inputs
        .iter()
        .map(|input| key(input))
        .partition(|key| key.resource_type == ResourceType::literature());
    CorpusRequest { documents, children, ..CorpusRequest::default() }
}

/// Create a corpus of texts and corpora.
pub async fn corpus(host: &Floret, id: &str, inputs: &[&str]) -> ResourceKey {
    let name = key(&format!("corpus/{id}"));
    let created = host.corpus_create(vec![(name.clone(), corpus_of(inputs))], &Progress::default()).await;
    created.expect("created");
    name
}

/// Create a corpus of corpora.
pub async fn master(host: &Floret, id: &str, children: &[ResourceKey]) {
    let children: Vec<String> = children.iter().map(ToString::to_string).collect();
    let children: Vec<&str> = children.iter().map(String::as_str).collect();
    corpus(host, id, &children).await;
}

/// Create many at once, each of one corpus.
pub async fn corpora(host: &Floret, nodes: impl Iterator<Item = (String, String)>) {
    let requests = nodes.map(|(id, input)| (key(&format!("corpus/{id}")), corpus_of(&[&input]))).collect();
    host.corpus_create(requests, &Progress::default()).await.expect("created");
}

/// Have the default policy compress contents of a million bytes and more by zstd at this level; by itself it takes 9.
pub async fn compress_large_contents(host: &Floret, level: i32) {
    let config = [("large_level".to_owned(), level.into())].into_iter().collect();
    let binding = Binding::configured("policy-default", config);
    host.plugin_bind(POLICY_BINDING, binding).await.expect("bound");
}
