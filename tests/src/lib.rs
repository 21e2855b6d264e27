//! What the integration tests stand on: hosts over temporary folders, texts, and the components as they are
//! built into `plugins/dist` and `tests/guests/dist`.

pub mod blobs;
pub mod browser;
pub mod chaos;
pub mod cli;
pub mod faulty;
pub mod gate;
pub mod http;
pub mod journal;
pub mod proxy;
pub mod registry;
pub mod s3;
pub mod servers;
pub mod shared;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use bytes::Bytes;
use floret_cache::{Cache, CacheConfig, NamespaceConfig};
use floret_model::{
    Bump, CascadeReport, CompressionType, ContentLocation, Dependency, Digest, LiteratureMetadata, Metadata,
    ResourceKey, StorageType, TypedMetadata,
};
use floret_pipeline::{
    BuiltIn, Content, CorpusRequest, DerivedSpec, Floret, Options, Parts, Progress, SaveRequest, Saved,
};
use floret_runtime::{Limits, Runtime, RuntimeConfig};
use floret_store::{
    BlobOptions, BlobStore, Catalog, Clock, Draft, EmbeddedCatalog, IfUnchanged, Precondition, SystemClock,
    VerifyOptions,
};
use object_store::ObjectStore;

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

/// The `floret` binary, built once for a run of the tests.
///
/// # Panics
/// If it does not build.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build(&["--bin", "floret"]).join("floret"))
}

/// The binary of an example.
///
/// # Panics
/// If the examples do not build.
pub fn example(name: &str) -> PathBuf {
    static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();
    let built = || build(&["--example", "embed", "--example", "custom-contract"]).join("examples");
    EXAMPLES.get_or_init(built).join(name)
}

/// Build something of the workspace; answers the folder in which it lies.
fn build(targets: &[&str]) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // What cargo tells this test of its package would have libraries that ask for it built again.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&*name);
        }
    }
    let built = build
        // With all packages chosen, as for the tests: others would give the libraries below other features, and
        // build them again.
        .args(["build", "--release", "--locked", "--quiet", "--workspace"])
        .args(targets)
        .current_dir(repository())
        .status()
        .expect("cargo starts");
    assert!(built.success(), "{targets:?} does not build");
    // Tests lie in target/release/deps.
    let tests = std::env::current_exe().expect("a test knows where it is");
    tests.parent().and_then(Path::parent).expect("target/release").to_owned()
}

/// The folder of compiled code that all tests share: compiling is most of what opening a fresh store takes.
pub fn compiled_dir() -> PathBuf {
    repository().join("target/test-compiled")
}

/// A built component of the product, by name.
///
/// # Errors
/// A file that is not there: `cargo xtask plugins` builds it.
pub fn component(name: &str) -> Result<Bytes> {
    read(&repository().join("plugins/dist").join(format!("{name}.wasm")))
}

/// A built component that misbehaves, by name.
///
/// # Errors
/// A file that is not there: `cargo xtask plugins` builds it.
pub fn guest(name: &str) -> Result<Bytes> {
    read(&repository().join("tests/guests/dist").join(format!("{name}.wasm")))
}

/// The same component as another version of it: with a custom section `authors` of this text.
///
/// # Panics
/// If the text is longer than 100 bytes.
pub fn variant(component: &Bytes, authors: &str) -> Bytes {
    const NAME: &[u8] = b"authors";
    assert!(authors.len() <= 100, "lengths up to 127 are one byte");
    let mut bytes = component.to_vec();
    bytes.extend([0, (1 + NAME.len() + authors.len()) as u8, NAME.len() as u8]);
    bytes.extend(NAME);
    bytes.extend(authors.as_bytes());
    bytes.into()
}

fn read(path: &Path) -> Result<Bytes> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("{} is missing; run cargo xtask plugins", path.display()))?;
    Ok(bytes.into())
}

/// The components of the product with their bindings.
///
/// # Errors
/// As [`component`].
pub fn built_ins() -> Result<Vec<BuiltIn>> {
    let built_in = |name: &str, bindings: &[&str]| -> Result<BuiltIn> {
        let bindings = bindings.iter().map(|id| ((*id).to_owned(), serde_json::Map::new())).collect();
        Ok(BuiltIn { name: name.to_owned(), bytes: component(name)?, bindings })
    };
    Ok(vec![
        built_in("corpus-text", &["literature", "corpus"])?,
        built_in("trie-fst", &["trie"])?,
        built_in("semantic-ngram", &["semantic"])?,
        built_in("policy-default", &["policy"])?,
        built_in("policy-archive", &[])?,
        built_in("retention-default", &[])?,
    ])
}

/// How a host of a test is put together.
pub struct Setup {
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Its limits on components.
    pub limits: Limits,
    /// Where its versions are; the folder `catalog` if absent.
    pub catalog: Option<Arc<dyn Catalog>>,
    /// Where its blobs are; the folder `blobs` if absent.
    pub objects: Option<Arc<dyn ObjectStore>>,
    /// The clock by which its cache forgets.
    pub cache_clock: Arc<dyn floret_cache::Clock>,
    /// How its blobs are kept.
    pub blobs: BlobOptions,
    /// Where its compiled code is; [`compiled_dir`] if absent.
    pub compiled_dir: Option<PathBuf>,
    /// The rest.
    pub options: Options,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
            catalog: None,
            objects: None,
            cache_clock: Arc::new(floret_cache::SystemClock::default()),
            blobs: BlobOptions::default(),
            compiled_dir: None,
            options: Options::default(),
        }
    }
}

/// A host over a folder, embedded as users have it by default, or over a catalog and objects that hosts share.
///
/// # Errors
/// Whatever keeps it from opening.
pub async fn open(folder: &Path, setup: Setup) -> Result<Arc<Floret>> {
    let storage_type = if setup.catalog.is_some() { StorageType::S3 } else { StorageType::Disk };
    let catalog: Arc<dyn Catalog> = match setup.catalog {
        Some(catalog) => catalog,
        None => EmbeddedCatalog::open(folder.join("catalog"))?,
    };
    let objects = match setup.objects {
        Some(objects) => objects,
        None => floret_store::local_objects(&folder.join("blobs"))?,
    };
    let clock = setup.clock;
    let blobs = BlobStore::new(Arc::clone(&catalog), objects, storage_type, Arc::clone(&clock), setup.blobs);
    let large = NamespaceConfig {
        memory_items_max: 100_000,
        memory_bytes_max: 256 << 20,
        ..NamespaceConfig::default()
    };
    let namespaces = ["default", "other", "plugins"].map(|name| (name.to_owned(), large.clone()));
    let cache = Cache::open(
        CacheConfig {
            namespaces: namespaces.into(),
            directory: Some(folder.join("cache")),
            ..CacheConfig::default()
        },
        setup.cache_clock,
    )?;
    let compiled_dir = Some(setup.compiled_dir.unwrap_or_else(compiled_dir));
    let runtime = Runtime::new(RuntimeConfig { compiled_dir, limits: setup.limits })?;
    let parts = Parts {
        catalog,
        blobs,
        cache,
        runtime,
        clock,
        session: session(),
        built_ins: built_ins()?,
        options: setup.options,
    };
    Ok(Arc::new(Floret::open(parts).await?))
}

/// A number that no other host of a test has.
fn session() -> u64 {
    static HOSTS: AtomicU64 = AtomicU64::new(0);
    u64::from(std::process::id()) << 16 | HOSTS.fetch_add(1, Ordering::Relaxed)
}

/// A key from `TYPE/ID`.
///
/// # Panics
/// If it is none.
pub fn key(text: &str) -> ResourceKey {
    text.parse().expect("a resource key")
}

/// A text as a save.
pub fn text(id: &str, content: &str) -> SaveRequest {
    SaveRequest::new(
        key(&format!("literature/{id}")),
        Content::Bytes(Bytes::copy_from_slice(content.as_bytes())),
    )
}

/// A draft as a catalog is given it: a short content, kept inline, that was made from other versions.
pub fn draft(key: &ResourceKey, content: &str, dependencies: Vec<Dependency>) -> Draft {
    let bytes = Bytes::copy_from_slice(content.as_bytes());
    let checksum = Digest::of(&bytes);
    Draft {
        key: key.clone(),
        bump: Bump::Patch,
        precondition: Precondition::Any,
        if_unchanged: IfUnchanged::Deduplicate,
        data_hash: checksum,
        media_type: "text/plain".to_owned(),
        content_location: ContentLocation {
            storage_type: StorageType::Database,
            cache_namespace: "content".to_owned(),
            cache_key: checksum.to_string(),
            path: None,
            compression: CompressionType::None,
            compression_level: 0,
            size_bytes: bytes.len() as u64,
            size_compressed: bytes.len() as u64,
            checksum,
        },
        content_inline: Some(bytes),
        dependencies,
        metadata: Metadata::default(),
        tags: BTreeSet::new(),
        ttl_ms: None,
        spec: None,
        build: None,
        policy: None,
    }
}

/// A text with what is known of it.
pub fn literature(id: &str, author: &str, year: i32, content: &str) -> SaveRequest {
    let metadata = LiteratureMetadata {
        title: format!("Title of {id}"),
        authors: vec![author.to_owned()],
        publication_year: Some(year),
        genres: ["speech".to_owned()].into(),
        source: Some(format!("shelf {author}")),
        text_hash: None,
        text_size_bytes: 0,
        statistics: None,
    };
    SaveRequest { metadata: Metadata::typed(TypedMetadata::Literature(metadata)), ..text(id, content) }
}

/// Save a text.
///
/// # Errors
/// As saving.
pub async fn save_text(host: &Floret, id: &str, content: &str) -> Result<Saved> {
    Ok(host.save(text(id, content)).await?)
}

/// A request for a corpus of texts and children, by their ids.
pub fn corpus(id: &str, documents: &[&str], children: &[&str]) -> (ResourceKey, CorpusRequest) {
    let request = CorpusRequest {
        documents: documents.iter().map(|id| key(&format!("literature/{id}"))).collect(),
        children: children.iter().map(|id| key(&format!("corpus/{id}"))).collect(),
        ..CorpusRequest::default()
    };
    (key(&format!("corpus/{id}")), request)
}

/// A build of an index, or of a composite one, from inputs of one role.
pub fn derived(id: &str, role: &str, inputs: &[&str]) -> DerivedSpec {
    DerivedSpec::new(key(id), role, inputs.iter().map(|input| key(input)))
}

/// The small world that most tests begin with: texts a and b in corpora a and b, a master over both, a trie, a
/// semantic index and a composite search index on the master.
///
/// # Errors
/// Whatever fails.
pub async fn small_world(host: &Floret) -> Result<CascadeReport> {
    host.save(literature("a", "Ada", 1843, "The engine weaves algebraic patterns. The engine computes."))
        .await?;
    host.save(literature("b", "Bede", 731, "A sparrow flies through the hall. A sparrow is gone.")).await?;
    let corpora = vec![corpus("a", &["a"], &[]), corpus("b", &["b"], &[]), corpus("all", &[], &["a", "b"])];
    host.corpus_create(corpora, &Progress::default()).await?;
    let change = floret_pipeline::Change {
        builds: vec![
            derived("trie/all", "corpus", &["corpus/all"]),
            derived("semantic/all", "corpus", &["corpus/all"]),
            derived("search/all", "part", &["corpus/all", "trie/all", "semantic/all"]),
        ],
        ..floret_pipeline::Change::default()
    };
    Ok(host.apply(change, &Progress::default()).await?)
}

/// Every invariant of the store holds, and every content has its digest.
///
/// # Panics
/// If not.
pub async fn assert_sound(host: &Floret) {
    let report = host.verify(VerifyOptions { rehash: true }).await.expect("the store can be read");
    assert!(report.is_clean(), "{:?}", report.problems);
}
