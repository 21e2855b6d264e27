use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use floret_model::{Codec, CompressionType, ContentLocation, Digest, StorageType, Version};
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use parking_lot::Mutex;

use crate::catalog::{BlobRecord, BlobState, Catalog, Claim};
use crate::{Clock, Error, codec};

/// Where blobs are, below the root of the object store.
pub const BLOB_ROOT: &str = "cas/sha256";
/// Contents up to this length are encoded, decoded and hashed where they are asked for: at 30 MB/s, the slowest
/// codec here, that is 0.5 ms. Longer ones go to the blocking pool.
const SHORT_BYTES: usize = 16 * 1024;
/// Claims made for one put: a second only when the first one's lease ran out.
const CLAIMS_MAX: usize = 4;

/// Where a generation of a blob is: `cas/sha256/<2 digits>/<digest>.<generation>`.
pub fn blob_path(digest: &Digest, generation: u64) -> String {
    let digits = digest.to_string();
    format!("{BLOB_ROOT}/{}/{digits}.{generation}", &digits[..2])
}

/// The digest and generation that a path names, if it is a blob's.
pub(crate) fn parse_blob_path(path: &str) -> Option<(Digest, u64)> {
    let (digits, generation) = path.rsplit('/').next()?.split_once('.')?;
    let (digest, generation) = (digits.parse().ok()?, generation.parse().ok()?);
    (blob_path(&digest, generation) == path).then_some((digest, generation))
}

/// An object store in a local folder, whose writes are on disk (file and folder) when they return.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be created, [`Error::Object`] when it cannot be opened.
pub fn local_objects(folder: &Path) -> Result<Arc<dyn ObjectStore>, Error> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Io {
        action: "create",
        path: folder.to_owned(),
        source,
    })?;
    let opened = LocalFileSystem::new_with_prefix(folder);
    let opened = opened.map_err(|source| Error::Object {
        action: "open",
        path: folder.display().to_string(),
        store: "the local file system".to_owned(),
        source: Box::new(source),
    })?;
    Ok(Arc::new(opened.with_fsync(true)))
}

/// How a [`BlobStore`] behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlobOptions {
    /// How long a writer may take from claim to publish, in milliseconds; less than the sweep's grace period.
    pub lease_ms: u64,
    /// The cache namespace that locations name.
    pub cache_namespace: String,
}

impl Default for BlobOptions {
    /// 15 minutes (a cascade of long builds publishes at its end); `content`.
    fn default() -> Self {
        Self { lease_ms: 15 * 60 * 1000, cache_namespace: "content".to_owned() }
    }
}

/// Large contents in an object store: named by digest, put once, verified on every read.
pub struct BlobStore {
    catalog: Arc<dyn Catalog>,
    objects: Arc<dyn ObjectStore>,
    storage_type: StorageType,
    clock: Arc<dyn Clock>,
    options: BlobOptions,
    /// Of the tasks that put one digest at once, one works and the others wait.
    putting: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

impl BlobStore {
    /// A blob store. `storage_type` is what locations say of `objects`: `Disk` or `S3`. Its writes must be
    /// durable when they return, as those of [`local_objects`] and of S3 are.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        objects: Arc<dyn ObjectStore>,
        storage_type: StorageType,
        clock: Arc<dyn Clock>,
        options: BlobOptions,
    ) -> Self {
        Self { catalog, objects, storage_type, clock, options, putting: Mutex::default() }
    }

    /// The catalog that keeps its rows.
    pub fn catalog(&self) -> &Arc<dyn Catalog> {
        &self.catalog
    }

    /// The store that keeps its objects.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// Its clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Store `bytes`, whose SHA-256 is `digest` (not computed again), unless they are stored already, in whatever
    /// codec: then nothing is written. What is returned stays while the lease lasts; publish before it ends.
    /// Durable when it returns.
    ///
    /// # Errors
    /// [`Error::Object`] when the object store fails, [`Error::LeaseLost`] when every try took longer than its lease,
    /// [`Error::Invalid`] for a level that the codec does not have, and the catalog's own.
    pub async fn put(&self, bytes: Bytes, digest: Digest, codec: Codec) -> Result<ContentLocation, Error> {
        let turn = Arc::clone(self.putting.lock().entry(digest).or_default());
        let held = turn.lock().await;
        let put = self.put_alone(bytes, digest, codec).await;
        drop(held);
        let mut putting = self.putting.lock();
        // Ours and the map's: nobody else waits.
        if Arc::strong_count(&turn) == 2 {
            putting.remove(&digest);
        }
        put
    }

    async fn put_alone(&self, bytes: Bytes, digest: Digest, codec: Codec) -> Result<ContentLocation, Error> {
        let mut stored = None;
        for _ in 0..CLAIMS_MAX {
            let lease_until = self.clock.now().plus_ms(self.options.lease_ms);
            let generation = match self.catalog.claim_blob(&digest, lease_until).await? {
                Claim::Present(record) => return Ok(record.location),
                Claim::Put { generation } => generation,
            };
            let encoded = match stored.take() {
                Some(encoded) => encoded,
                None => encode(bytes.clone(), codec).await?,
            };
            let path = blob_path(&digest, generation);
            let payload = PutPayload::from(Bytes::clone(&encoded));
            let written = self.objects.put(&path.as_str().into(), payload).await;
            written.map_err(|source| self.object_error("write", &path, source))?;
            if self.clock.now() < lease_until {
                let location = ContentLocation {
                    path: Some(path),
                    storage_type: self.storage_type,
                    size_compressed: encoded.len() as u64,
                    ..self.location(digest, bytes.len(), codec)
                };
                if let Some(location) = self.settle(location, generation).await? {
                    return Ok(location);
                }
            }
            stored = Some(encoded);
        }
        Err(Error::LeaseLost { digest })
    }

    /// Where it is, of this generation or of a faster writer's; `None` when the lease was lost.
    async fn settle(
        &self,
        location: ContentLocation,
        generation: u64,
    ) -> Result<Option<ContentLocation>, Error> {
        let record = BlobRecord {
            digest: location.checksum,
            generation,
            location,
            // The catalog keeps the claim's lease.
            state: BlobState::Stored { lease_until: self.clock.now() },
        };
        let settled = match self.catalog.settle_blob(&record).await {
            Ok(settled) => settled,
            Err(Error::LeaseLost { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if settled.generation != generation {
            // Nobody else has this generation. If it cannot be deleted, the sweep finds it.
            let path = blob_path(&record.digest, generation);
            if let Err(error) = self.objects.delete(&path.as_str().into()).await {
                tracing::debug!(%path, %error, "an object written twice is left to the sweep");
            }
        }
        Ok(Some(settled.location))
    }

    /// The raw bytes at a location, verified. Takes their length and the stored length in memory.
    ///
    /// # Errors
    /// [`Error::Integrity`] when the object is not there, is damaged, or does not have the checksum;
    /// [`Error::TooLarge`] when it expands beyond its recorded length; [`Error::Object`] when it cannot be read.
    pub async fn get(&self, location: &ContentLocation) -> Result<Bytes, Error> {
        let path = location.path.as_deref().ok_or_else(|| Error::Integrity {
            what: format!("the location of {}", location.checksum),
            problem: "it has no path; inline contents are read with `read_inline`".to_owned(),
        })?;
        let what = format!("blob {path}");
        let damaged = |problem| Error::Integrity { what: what.clone(), problem };
        let read = |source| match source {
            object_store::Error::NotFound { .. } => damaged("its object is not there".to_owned()),
            source => self.object_error("read", path, source),
        };
        let object = self.objects.get(&path.into()).await.map_err(read)?;
        let (got, expected) = (object.meta.size, location.size_compressed);
        if got != expected {
            let problem = format!("its object has {got} bytes; expected {expected}");
            return Err(damaged(problem));
        }
        let stored = object.bytes().await.map_err(read)?;
        open(stored, location.clone(), what).await
    }

    /// The raw bytes of a stored blob, verified; `None` when it is not stored.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_by_digest(&self, digest: &Digest) -> Result<Option<Bytes>, Error> {
        match self.catalog.blob(digest).await? {
            Some(record) if matches!(record.state, BlobState::Stored { .. }) => {
                self.get(&record.location).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The raw bytes of a version, inline or not, verified.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`read_inline`].
    pub async fn content(&self, version: &Version) -> Result<Bytes, Error> {
        match version.content_location.storage_type {
            StorageType::Database => read_inline(version),
            _ => self.get(&version.content_location).await,
        }
    }

    /// Whether a stored blob is whole: it is read, decoded and hashed.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn verify_blob(&self, record: &BlobRecord) -> Result<(), Error> {
        if record.location.checksum != record.digest {
            return Err(Error::Integrity {
                what: format!("the row of blob {}", record.digest),
                problem: format!("it locates {}", record.location.checksum),
            });
        }
        self.get(&record.location).await.map(drop)
    }

    /// Location and stored bytes of a content that is kept in its version's own record. Encodes where it is called:
    /// for small contents.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a level that the codec does not have.
    pub fn inline(
        &self,
        bytes: &Bytes,
        digest: Digest,
        codec: Codec,
    ) -> Result<(ContentLocation, Bytes), Error> {
        let stored = codec::encode(bytes, codec)?;
        let location = ContentLocation {
            size_compressed: stored.len() as u64,
            ..self.location(digest, bytes.len(), codec)
        };
        Ok((location, stored))
    }

    fn location(&self, digest: Digest, size: usize, codec: Codec) -> ContentLocation {
        ContentLocation {
            storage_type: StorageType::Database,
            cache_namespace: self.options.cache_namespace.clone(),
            cache_key: digest.to_string(),
            path: None,
            compression: codec.compression,
            compression_level: match codec.compression {
                CompressionType::Zstd | CompressionType::Gzip => codec.level,
                CompressionType::None | CompressionType::Lz4 => 0,
            },
            size_bytes: size as u64,
            size_compressed: size as u64,
            checksum: digest,
        }
    }

    fn object_error(&self, action: &'static str, path: &str, source: object_store::Error) -> Error {
        Error::Object {
            action,
            path: path.to_owned(),
            store: self.objects.to_string(),
            source: Box::new(source),
        }
    }
}

impl fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStore")
            .field("catalog", &self.catalog)
            .field("objects", &self.objects)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The raw bytes of a version whose content is in its record, verified. Decodes where it is called.
///
/// # Errors
/// [`Error::Integrity`] when there is none (cleanup dropped it, or it is elsewhere) or it is damaged,
/// [`Error::TooLarge`] when it expands beyond its recorded length.
pub fn read_inline(version: &Version) -> Result<Bytes, Error> {
    let what = format!("the content of {}", version.reference());
    let Some(stored) = &version.content_inline else {
        return Err(Error::Integrity {
            what,
            problem: match version.dropped_at {
                Some(at) => format!("cleanup dropped it at {at}"),
                None => "it is not in the record".to_owned(),
            },
        });
    };
    open_here(stored, &version.content_location, &what)
}

async fn encode(bytes: Bytes, codec: Codec) -> Result<Bytes, Error> {
    if bytes.len() <= SHORT_BYTES || codec == Codec::NONE {
        return codec::encode(&bytes, codec);
    }
    off_the_workers(move || codec::encode(&bytes, codec)).await
}

async fn open(stored: Bytes, location: ContentLocation, what: String) -> Result<Bytes, Error> {
    if location.size_bytes <= SHORT_BYTES as u64 {
        return open_here(&stored, &location, &what);
    }
    off_the_workers(move || open_here(&stored, &location, &what)).await
}

fn open_here(stored: &Bytes, location: &ContentLocation, what: &str) -> Result<Bytes, Error> {
    let raw = codec::decode(stored, location.compression, location.size_bytes, what)?;
    let found = Digest::of(&raw);
    if found == location.checksum {
        return Ok(raw);
    }
    Err(Error::Integrity {
        what: what.to_owned(),
        problem: format!("its SHA-256 is {found}; expected {}", location.checksum),
    })
}

async fn off_the_workers<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Backend { catalog: "a codec".to_owned(), problem: error.to_string() })?
}
