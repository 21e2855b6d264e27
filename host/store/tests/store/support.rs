use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use floret_model::{
    Bump, Codec, CompressionType, ContentLocation, Dependency, Digest, Metadata, ResourceKey, Seq,
    StorageType, TimestampMs, VersionRef,
};
use floret_store::{
    BlobOptions, BlobStore, Catalog, Draft, EmbeddedCatalog, IfUnchanged, ManualClock, Outcome, Precondition,
    Publish, VerifyOptions, VerifyReport, local_objects, verify,
};
use tempfile::TempDir;

pub const NOW: TimestampMs = TimestampMs(1_767_225_600_000);
pub const HOUR_MS: u64 = 60 * 60 * 1000;

pub struct Store {
    pub catalog: Arc<EmbeddedCatalog>,
    pub blobs: BlobStore,
    pub clock: Arc<ManualClock>,
}

/// A store in a folder, at [`NOW`].
pub fn open(folder: &Path) -> Store {
    let catalog = EmbeddedCatalog::open(folder.join("catalog")).expect("the catalog opens");
    let objects = local_objects(&folder.join("objects")).expect("the objects open");
    let clock = Arc::new(ManualClock::new(NOW));
    let blobs = BlobStore::new(
        Arc::clone(&catalog) as Arc<dyn Catalog>,
        objects,
        StorageType::Disk,
        Arc::clone(&clock) as _,
        BlobOptions::default(),
    );
    Store { catalog, blobs, clock }
}

pub fn fresh() -> (Store, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    (open(folder.path()), folder)
}

pub fn key(resource_type: &str, id: &str) -> ResourceKey {
    ResourceKey::parse("default", resource_type, id).expect("a valid key")
}

pub fn reference(key: &ResourceKey, seq: u64) -> VersionRef {
    VersionRef { key: key.clone(), seq: Seq(seq) }
}

pub fn part(key: &ResourceKey, seq: u64) -> Dependency {
    Dependency { role: "part".to_owned(), on: reference(key, seq) }
}

pub fn zstd() -> Codec {
    Codec::new(CompressionType::Zstd, 3).expect("a level")
}

impl Store {
    pub fn inline(&self, key: &ResourceKey, bytes: impl Into<Bytes>) -> Draft {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        let stored = self.blobs.inline(&bytes, digest, Codec::NONE);
        let (location, stored) = stored.expect("needs no level");
        draft(key, location, Some(stored))
    }

    pub async fn stored(&self, key: &ResourceKey, bytes: impl Into<Bytes>) -> Draft {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        let put = self.blobs.put(bytes, digest, zstd()).await;
        draft(key, put.expect("stored"), None)
    }

    pub async fn publish(&self, drafts: Vec<Draft>) -> Result<Vec<Outcome>, floret_store::Error> {
        let publish = Publish {
            id: "test".to_owned(),
            at: floret_store::Clock::now(&*self.clock),
            drafts,
            report: None,
        };
        self.catalog.publish(publish).await
    }

    pub async fn save(&self, draft: Draft) -> VersionRef {
        let outcomes = self.publish(vec![draft]).await.expect("published");
        outcomes[0].version().reference()
    }

    pub async fn verify(&self) -> VerifyReport {
        let options = VerifyOptions { rehash: true };
        let report = verify(&*self.catalog, &self.blobs, options).await;
        report.expect("the catalog can be read")
    }
}

fn draft(key: &ResourceKey, location: ContentLocation, inline: Option<Bytes>) -> Draft {
    Draft {
        key: key.clone(),
        bump: Bump::Patch,
        precondition: Precondition::Any,
        if_unchanged: IfUnchanged::Deduplicate,
        data_hash: location.checksum,
        media_type: "text/plain".to_owned(),
        content_location: location,
        content_inline: inline,
        dependencies: Vec::new(),
        metadata: Metadata::default(),
        tags: BTreeSet::new(),
        ttl_ms: None,
        spec: None,
        build: None,
        policy: None,
    }
}

/// Paths and lengths of the files below a folder.
pub fn files(folder: &Path) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let length = path.metadata().expect("a file").len();
            all.push((path.display().to_string(), length));
        }
    }
    all.sort();
    all
}
