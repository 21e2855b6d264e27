//! How the bytes of a blob get into the object store.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use floret_model::{Codec, Digest, StorageType};
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use super::moved::Stored;
use super::{BlobStore, SHORT_BYTES, joined, off_the_workers};
use crate::objects::put_new;
use crate::spool::{Spooled, unreadable};
use crate::{Error, codec};

/// Parts in memory at once: one is filled while the others are sent.
const PARTS_AT_ONCE: usize = 3;
/// Length of a part but the last, unless the content is so long that there would be too many. S3 wants 5 MiB or more.
const PART_BYTES: u64 = 8 << 20;
/// Parts of a content: S3 takes 10,000, and what is encoded can be a little longer than it was.
const PARTS_MAX: u64 = 5000;

/// What is to be put.
pub(super) enum Raw {
    /// In memory; encoded once, when it is first needed.
    Bytes { raw: Bytes, digest: Digest, stored: Option<Bytes> },
    /// In a file; encoded each time.
    File(Spooled),
    /// Encoded already, elsewhere.
    Stored { stored: Stored, digest: Digest, size_bytes: u64 },
}

impl Raw {
    pub(super) fn digest(&self) -> Digest {
        match self {
            Self::Bytes { digest, .. } | Self::Stored { digest, .. } => *digest,
            Self::File(file) => file.digest(),
        }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        match self {
            Self::Bytes { raw, .. } => raw.len() as u64,
            Self::File(file) => file.size_bytes(),
            Self::Stored { size_bytes, .. } => *size_bytes,
        }
    }
}

impl BlobStore {
    /// Encode and write; answers the length of what is stored.
    pub(super) async fn write(&self, raw: &mut Raw, codec: Codec, path: &str) -> Result<u64, Error> {
        match raw {
            Raw::Bytes { raw, stored, .. } => {
                let encoded = match stored.take() {
                    Some(encoded) => encoded,
                    None => encode(raw.clone(), codec).await?,
                };
                self.write_whole(path, encoded.clone()).await?;
                Ok(stored.insert(encoded).len() as u64)
            }
            Raw::File(file) => self.write_stream(file, codec, path).await,
            Raw::Stored { stored: Stored::Bytes(stored), .. } => {
                self.write_whole(path, stored.clone()).await?;
                Ok(stored.len() as u64)
            }
            Raw::Stored { stored: Stored::File(file), .. } => {
                self.write_stream(file, Codec::NONE, path).await
            }
        }
    }

    async fn write_whole(&self, path: &str, stored: Bytes) -> Result<(), Error> {
        let payload = PutPayload::from(stored);
        let written = match self.storage_type {
            StorageType::S3 => put_new(&*self.objects, path, payload, &self.conditional).await,
            // One process has the folder, and generations are never used twice.
            _ => self.objects.put(&path.into(), payload).await.map(drop),
        };
        written.map_err(|source| self.object_error("write", path, source))
    }

    async fn write_stream(&self, file: &Spooled, codec: Codec, path: &str) -> Result<u64, Error> {
        let _permit = self.streams.acquire().await.expect("the semaphore is never closed");
        let part_bytes = PART_BYTES.max(file.size_bytes().div_ceil(PARTS_MAX));
        let part_bytes = usize::try_from(part_bytes).unwrap_or(usize::MAX);
        let (sender, mut parts) = mpsc::channel(1);
        let file = file.clone();
        let encoding = tokio::task::spawn_blocking(move || encode_file(&file, codec, sender, part_bytes));
        let Some(first) = parts.recv().await else {
            let length = joined(encoding.await)?;
            self.write_whole(path, Bytes::new()).await?;
            return Ok(length);
        };
        match parts.recv().await {
            None => {
                let length = joined(encoding.await)?;
                self.write_whole(path, first.bytes).await?;
                Ok(length)
            }
            Some(second) => self.write_parts(path, [first, second], parts, encoding).await,
        }
    }

    async fn write_parts(
        &self,
        path: &str,
        begun: [Part; 2],
        mut parts: mpsc::Receiver<Part>,
        encoding: JoinHandle<Result<u64, Error>>,
    ) -> Result<u64, Error> {
        let failed = |source| self.object_error("write", path, source);
        let mut upload = self.objects.put_multipart(&path.into()).await.map_err(failed)?;
        let mut sending = JoinSet::new();
        let sent = send(&mut *upload, &mut sending, begun, &mut parts).await;
        // Nobody takes what is encoded from now on, should there be more.
        drop(parts);
        let encoded = joined(encoding.await);
        let done = match sent.map_err(failed).and(encoded) {
            Ok(length) => {
                let completed = upload.complete().await;
                if completed.is_err() && self.is_whole(path, length).await {
                    return Ok(length);
                }
                completed.map_err(failed).map(|_| length)
            }
            Err(error) => Err(error),
        };
        if done.is_err() {
            sending.shutdown().await;
            if let Err(error) = upload.abort().await {
                tracing::debug!(%path, %error, "parts of an object are left to the bucket's own rules");
            }
        }
        done
    }

    /// Whether an object of this length is there. Nobody else has its generation, so it is what we sent: the answer to
    /// the last request was lost, and the server no longer knows the upload when it is asked again.
    async fn is_whole(&self, path: &str, length: u64) -> bool {
        self.objects.head(&path.into()).await.is_ok_and(|object| object.size == length)
    }
}

/// Send every part, as many at once as there are permits for.
async fn send(
    upload: &mut dyn MultipartUpload,
    sending: &mut JoinSet<object_store::Result<()>>,
    begun: [Part; 2],
    parts: &mut mpsc::Receiver<Part>,
) -> object_store::Result<()> {
    let mut begin = |part: Part, sending: &mut JoinSet<_>| {
        let sent = upload.put_part(part.bytes.into());
        sending.spawn(async move {
            let sent = sent.await;
            drop(part.permit);
            sent
        });
    };
    begun.into_iter().for_each(|part| begin(part, sending));
    loop {
        tokio::select! {
            Some(sent) = sending.join_next() => sent??,
            part = parts.recv() => match part {
                Some(part) => begin(part, sending),
                None => break,
            },
        }
    }
    while let Some(sent) = sending.join_next().await {
        sent??;
    }
    Ok(())
}

async fn encode(bytes: Bytes, codec: Codec) -> Result<Bytes, Error> {
    if bytes.len() <= SHORT_BYTES || codec == Codec::NONE {
        return codec::encode(&bytes, codec);
    }
    off_the_workers(move || codec::encode(&bytes, codec)).await
}

/// Encode a file into parts. Blocks.
fn encode_file(
    file: &Spooled,
    codec: Codec,
    sender: mpsc::Sender<Part>,
    part_bytes: usize,
) -> Result<u64, Error> {
    let mut parts = Parts::new(sender, part_bytes);
    let encoded = codec::encode_to(&mut file.reader(), file.size_bytes(), codec, &mut parts);
    match encoded.and_then(|()| parts.finish()) {
        Ok(length) => Ok(length),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Err(Error::Invalid { what: format!("a content as {codec}"), problem: error.to_string() })
        }
        Err(source) => Err(unreadable("encode", source)),
    }
}

/// Some bytes to send, and the room in memory that they take.
struct Part {
    bytes: Bytes,
    permit: OwnedSemaphorePermit,
}

/// Collects bytes into parts, and sends these; there are never more than [`PARTS_AT_ONCE`]. Blocks.
struct Parts {
    filling: Vec<u8>,
    permit: Option<OwnedSemaphorePermit>,
    part_bytes: usize,
    room: Arc<Semaphore>,
    sender: mpsc::Sender<Part>,
    sent_bytes: u64,
}

impl Parts {
    fn new(sender: mpsc::Sender<Part>, part_bytes: usize) -> Self {
        let room = Arc::new(Semaphore::new(PARTS_AT_ONCE));
        Self { filling: Vec::new(), permit: None, part_bytes, room, sender, sent_bytes: 0 }
    }

    fn send(&mut self) -> io::Result<()> {
        let Some(permit) = self.permit.take() else { return Ok(()) };
        self.sent_bytes += self.filling.len() as u64;
        let part = Part { bytes: std::mem::take(&mut self.filling).into(), permit };
        self.sender.blocking_send(part).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Send the last part; answers the length of them all.
    fn finish(mut self) -> io::Result<u64> {
        self.send()?;
        Ok(self.sent_bytes)
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.filling.len() == self.part_bytes {
            self.send()?;
        }
        if self.permit.is_none() {
            let permit = Handle::current().block_on(Arc::clone(&self.room).acquire_owned());
            self.permit = Some(permit.expect("the semaphore is never closed"));
            self.filling = Vec::with_capacity(self.part_bytes);
        }
        let length = bytes.len().min(self.part_bytes - self.filling.len());
        self.filling.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
