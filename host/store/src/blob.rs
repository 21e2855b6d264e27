mod moved;
mod read;
mod write;

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use floret_model::{Codec, CompressionType, ContentLocation, Digest, StorageType, TimestampMs};
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tracing::{Instrument, trace_span};

use crate::catalog::{BlobRecord, BlobState, Catalog, Claim};
use crate::objects::{Objects, explain};
use crate::spool::{Spool, Spooled};
use crate::unfinished::{self, Unfinished};
use crate::{Clock, Error, codec};

pub(crate) use moved::IN_MEMORY_BYTES;
pub use read::read_inline;
use write::Raw;

/// Where blobs are, below the root of the object store.
pub const BLOB_ROOT: &str = "cas/sha256";
/// Contents up to this length are encoded, decoded and hashed where they are asked for: at 30 MB/s, the slowest
/// codec here, that is 0.5 ms. Longer ones go to the blocking pool.
const SHORT_BYTES: usize = 16 * 1024;
/// Times that one put is begun: again only when the blob was condemned meanwhile.
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

/// Contents that are streamed at once, each with a blocking thread and some 24 MiB; tokio has 512 such threads for all.
const STREAMS_MAX: usize = 16;

/// How a [`BlobStore`] behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlobOptions {
    /// How long a writer may take from claim to publish, in milliseconds; less than the sweep's grace period.
    pub lease_ms: u64,
    /// The cache namespace that locations name.
    pub cache_namespace: String,
    /// Where contents too large for memory are kept while they are worked on; the system's folder for temporary
    /// files unless set. Made, for this user alone, when it is needed.
    pub temporary_dir: Option<PathBuf>,
}

impl Default for BlobOptions {
    /// 15 minutes (a cascade of long builds publishes at its end); `content`.
    fn default() -> Self {
        Self { lease_ms: 15 * 60 * 1000, cache_namespace: "content".to_owned(), temporary_dir: None }
    }
}

/// Large contents in an object store: named by digest, put once, verified on every read.
pub struct BlobStore {
    catalog: Arc<dyn Catalog>,
    objects: Arc<dyn ObjectStore>,
    storage_type: StorageType,
    /// Name of the object store in messages.
    place: String,
    /// Of a local object store.
    folder: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    options: BlobOptions,
    spool: Spool,
    /// Whether the server is not known to ignore or refuse conditions.
    conditional: AtomicBool,
    /// Of the tasks that put one digest at once, one works and the others wait.
    putting: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
    /// Whoever streams holds a permit, and never waits for a second one of the same store.
    streams: Semaphore,
}

impl BlobStore {
    /// A blob store. `storage_type` is what locations say of `objects`: `Disk` or `S3`. Its writes must be
    /// durable when they return, as those of [`local_objects`](crate::local_objects) and of S3 are.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        objects: Arc<dyn ObjectStore>,
        storage_type: StorageType,
        clock: Arc<dyn Clock>,
        options: BlobOptions,
    ) -> Self {
        let place = objects.to_string();
        Self::over(catalog, Objects { store: objects, storage_type, place, folder: None }, clock, options)
    }

    /// A blob store over what [`open_objects`](crate::open_objects) opened.
    pub fn over(
        catalog: Arc<dyn Catalog>,
        objects: Objects,
        clock: Arc<dyn Clock>,
        options: BlobOptions,
    ) -> Self {
        Self {
            catalog,
            objects: objects.store,
            storage_type: objects.storage_type,
            place: objects.place,
            folder: objects.folder,
            clock,
            spool: Spool::new(options.temporary_dir.clone()),
            options,
            conditional: AtomicBool::new(true),
            putting: Mutex::default(),
            streams: Semaphore::new(STREAMS_MAX),
        }
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
    /// [`Error::Object`] when the object store fails, [`Error::LeaseLost`] when it was condemned during every try,
    /// [`Error::Invalid`] for a level that the codec does not have, and the catalog's own.
    pub async fn put(&self, bytes: Bytes, digest: Digest, codec: Codec) -> Result<ContentLocation, Error> {
        let span = trace_span!(
            target: "floret::span", "blob put", floret.content = %digest, floret.raw_bytes = bytes.len() as i64,
        );
        self.put_in_turn(Raw::Bytes { raw: bytes, digest, stored: None }, codec).instrument(span).await
    }

    /// [`put`](Self::put) for a content that is too large for memory: it is encoded as it is sent. Takes at most
    /// 24 MiB beside the codec's own memory, or 3 parts of 1/5,000 of the content where that is more.
    ///
    /// # Errors
    /// As [`put`](Self::put), and [`Error::Io`] when the temporary file cannot be read.
    pub async fn put_file(&self, content: &Spooled, codec: Codec) -> Result<ContentLocation, Error> {
        let span = trace_span!(
            target: "floret::span", "blob put", floret.content = %content.digest(),
            floret.raw_bytes = content.size_bytes().cast_signed(),
        );
        self.put_in_turn(Raw::File(content.clone()), codec).instrument(span).await
    }

    /// Write what a reader holds to a temporary file, and hash it. `what` names the reader in errors.
    ///
    /// # Errors
    /// [`Error::Io`] when the reader or the file fails.
    pub async fn spool(&self, what: &Path, from: impl Read + Send + 'static) -> Result<Spooled, Error> {
        let (spool, what) = (self.spool.clone(), what.to_owned());
        off_the_workers(move || spool.write(&what, from)).await
    }

    async fn put_in_turn(&self, raw: Raw, codec: Codec) -> Result<ContentLocation, Error> {
        let digest = raw.digest();
        let turn = Arc::clone(self.putting.lock().entry(digest).or_default());
        let held = turn.lock().await;
        let put = self.put_alone(raw, codec).await;
        drop(held);
        let mut putting = self.putting.lock();
        // Ours and the map's: nobody else waits.
        if Arc::strong_count(&turn) == 2 {
            putting.remove(&digest);
        }
        put
    }

    async fn put_alone(&self, mut raw: Raw, codec: Codec) -> Result<ContentLocation, Error> {
        let digest = raw.digest();
        for _ in 0..CLAIMS_MAX {
            let lease_until = self.clock.now().plus_ms(self.options.lease_ms);
            let generation = match self.catalog.claim_blob(&digest, lease_until).await? {
                Claim::Present(record) => return Ok(record.location),
                Claim::Put { generation } => generation,
            };
            let path = blob_path(&digest, generation);
            let size_compressed = self.write(&mut raw, codec, &path).await?;
            // A long upload leaves too little for the publish. Claimed again, the row keeps the oldest generation that
            // may be settled, so ours still may, unless it was condemned meanwhile.
            let now = self.clock.now();
            if now.plus_ms(self.options.lease_ms / 2) > lease_until {
                let claim = self.catalog.claim_blob(&digest, now.plus_ms(self.options.lease_ms)).await?;
                if let Claim::Present(record) = claim {
                    self.delete_spare(&path).await;
                    return Ok(record.location);
                }
            }
            let location = ContentLocation {
                path: Some(path),
                storage_type: self.storage_type,
                size_compressed,
                ..self.location(digest, raw.size_bytes(), codec)
            };
            if let Some(location) = self.settle(location, generation).await? {
                return Ok(location);
            }
        }
        Err(Error::LeaseLost { digest })
    }

    /// Delete an object that nobody will refer to: nobody else has its generation. If that fails, the sweep finds it.
    async fn delete_spare(&self, path: &str) {
        if let Err(error) = self.objects.delete(&path.into()).await {
            tracing::debug!(%path, %error, "an object written twice is left to the sweep");
        }
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
            self.delete_spare(&blob_path(&record.digest, generation)).await;
        }
        Ok(Some(settled.location))
    }

    /// Where a blob is, if it is stored; it stays while the lease lasts, as after [`put`](Self::put).
    ///
    /// # Errors
    /// The catalog's own.
    pub async fn hold(&self, digest: &Digest) -> Result<Option<ContentLocation>, Error> {
        match self.catalog.blob(digest).await? {
            Some(record) if matches!(record.state, BlobState::Stored { .. }) => {}
            _ => return Ok(None),
        }
        let lease_until = self.clock.now().plus_ms(self.options.lease_ms);
        match self.catalog.claim_blob(digest, lease_until).await? {
            Claim::Present(record) => Ok(Some(record.location)),
            // It was condemned since. The claim ends by itself.
            Claim::Put { .. } => Ok(None),
        }
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
            ..self.location(digest, bytes.len() as u64, codec)
        };
        Ok((location, stored))
    }

    fn location(&self, digest: Digest, size_bytes: u64, codec: Codec) -> ContentLocation {
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
            size_bytes,
            size_compressed: size_bytes,
            checksum: digest,
        }
    }

    /// Remove what processes left behind that died while they wrote to a local folder before `before`, or only count it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) async fn remove_unfinished(
        &self,
        before: TimestampMs,
        dry_run: bool,
    ) -> Result<Unfinished, Error> {
        match self.folder.clone() {
            Some(folder) => off_the_workers(move || unfinished::remove(&folder, before, dry_run)).await,
            None => Ok(Unfinished::default()),
        }
    }

    fn object_error(&self, action: &'static str, path: &str, source: object_store::Error) -> Error {
        explain(&self.place, action, path, source)
    }
}

impl fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStore")
            .field("catalog", &self.catalog)
            .field("objects", &self.place)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

async fn off_the_workers<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    joined(tokio::task::spawn_blocking(work).await)
}

fn joined<T>(done: Result<Result<T, Error>, JoinError>) -> Result<T, Error> {
    done.map_err(|error| Error::Backend { catalog: "a codec".to_owned(), problem: error.to_string() })?
}
