//! How the bytes of a blob come back, verified.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use floret_model::{ContentLocation, Digest, DigestHasher, StorageType, Version};
use futures::StreamExt;
use object_store::ObjectStoreExt;
use tokio::sync::mpsc;

use super::{BlobStore, SHORT_BYTES, joined, off_the_workers};
use crate::catalog::{BlobRecord, BlobState};
use crate::spool::Spooled;
use crate::{Error, codec};

/// Stored bytes asked for at once of a content that is streamed: each piece is a request with a time limit of its own.
const PIECE_BYTES: u64 = 4 << 20;
/// Pieces asked for ahead, so that the next one is under way while one is decoded.
const PIECES_AHEAD: usize = 2;

impl BlobStore {
    /// The raw bytes at a location, verified. Takes their length and the stored length in memory. What comes damaged
    /// from a remote store is asked for once more: it may have been damaged on its way.
    ///
    /// # Errors
    /// [`Error::Integrity`] when the object is not there, is damaged, or does not have the checksum;
    /// [`Error::TooLarge`] when it expands beyond its recorded length; [`Error::Unavailable`], [`Error::Refused`] and
    /// [`Error::Object`] when it cannot be read.
    pub async fn get(&self, location: &ContentLocation) -> Result<Bytes, Error> {
        match self.get_once(location).await {
            Err(error) if self.is_worth_another_try(&error) => self.get_once(location).await,
            read => read,
        }
    }

    async fn get_once(&self, location: &ContentLocation) -> Result<Bytes, Error> {
        let (path, stored) = self.stored_bytes(location).await?;
        open(stored, location.clone(), name(path)).await
    }

    /// The bytes as they are stored, not verified, and where.
    pub(super) async fn stored_bytes<'a>(
        &self,
        location: &'a ContentLocation,
    ) -> Result<(&'a str, Bytes), Error> {
        let path = path_of(location)?;
        let object = self.objects.get(&path.into()).await.map_err(|source| self.unread(path, source))?;
        check_length(path, object.meta.size, location)?;
        let stored = object.bytes().await.map_err(|source| self.unread(path, source))?;
        Ok((path, stored))
    }

    /// The raw bytes at a location in a temporary file, verified. Takes about 16 MiB of memory, and the codec's window.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`Error::Io`] when the file cannot be written.
    pub async fn get_file(&self, location: &ContentLocation) -> Result<Spooled, Error> {
        match self.get_file_once(location).await {
            Err(error) if self.is_worth_another_try(&error) => self.get_file_once(location).await,
            read => read,
        }
    }

    async fn get_file_once(&self, location: &ContentLocation) -> Result<Spooled, Error> {
        let (spool, expected) = (self.spool.clone(), location.clone());
        let spooled = self.stream(location, move |stored, what| {
            let mut writing = spool.begin()?;
            decode(stored, &expected, what, |bytes| writing.append(bytes))?;
            let spooled = writing.finish();
            check_digest(spooled.digest(), &expected, what)?;
            Ok(spooled)
        });
        spooled.await
    }

    async fn verify_once(&self, location: &ContentLocation) -> Result<(), Error> {
        let expected = location.clone();
        let verified = self.stream(location, move |stored, what| {
            let mut hasher = DigestHasher::default();
            decode(stored, &expected, what, |bytes| {
                hasher.update(bytes);
                Ok(())
            })?;
            check_digest(hasher.finish(), &expected, what)
        });
        verified.await
    }

    /// Hand the stored bytes to `work`, on a thread that may block, while they come.
    pub(super) async fn stream<T, F>(&self, location: &ContentLocation, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(Pieces, &str) -> Result<T, Error> + Send + 'static,
    {
        let path = path_of(location)?;
        let _permit = self.streams.acquire().await.expect("the semaphore is never closed");
        let object = self.objects.head(&path.into()).await.map_err(|source| self.unread(path, source))?;
        check_length(path, object.size, location)?;
        let (sender, receiver) = mpsc::channel(1);
        let what = name(path);
        let pieces = Pieces { receiver, piece: Bytes::new() };
        let working = tokio::task::spawn_blocking(move || work(pieces, &what));
        let sent = self.send_pieces(path, location.size_compressed, sender).await;
        let worked = joined(working.await);
        // A piece that did not come looks like an early end from the other side.
        sent.and(worked)
    }

    /// Read the stored bytes, in order, until they are at an end or nobody wants more.
    async fn send_pieces(&self, path: &str, length: u64, sender: mpsc::Sender<Bytes>) -> Result<(), Error> {
        let location = path.into();
        let ranges = (0..length.div_ceil(PIECE_BYTES))
            .map(|number| number * PIECE_BYTES..length.min((number + 1) * PIECE_BYTES));
        let pieces = futures::stream::iter(ranges).map(|range| self.objects.get_range(&location, range));
        let mut pieces = pieces.buffered(PIECES_AHEAD);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|source| self.unread(path, source))?;
            if sender.send(piece).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn is_worth_another_try(&self, error: &Error) -> bool {
        let damaged = matches!(error, Error::Integrity { .. } | Error::TooLarge { .. });
        if damaged && self.storage_type == StorageType::S3 {
            tracing::warn!(%error, place = %self.place, "read once more");
            return true;
        }
        false
    }

    fn unread(&self, path: &str, source: object_store::Error) -> Error {
        match self.object_error("read", path, source) {
            Error::Object { source, .. } if matches!(*source, object_store::Error::NotFound { .. }) => {
                damaged(path, "its object is not there".to_owned())
            }
            error => error,
        }
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

    /// Whether a stored blob is whole: it is read, decoded and hashed, in bounded memory.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn verify_blob(&self, record: &BlobRecord) -> Result<(), Error> {
        let location = &record.location;
        if location.checksum != record.digest {
            return Err(Error::Integrity {
                what: format!("the row of blob {}", record.digest),
                problem: format!("it locates {}", location.checksum),
            });
        }
        if location.size_bytes.max(location.size_compressed) <= PIECE_BYTES {
            return self.get(location).await.map(drop);
        }
        match self.verify_once(location).await {
            Err(error) if self.is_worth_another_try(&error) => self.verify_once(location).await,
            verified => verified,
        }
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

pub(super) fn name(path: &str) -> String {
    format!("blob {path}")
}

fn damaged(path: &str, problem: String) -> Error {
    Error::Integrity { what: name(path), problem }
}

fn path_of(location: &ContentLocation) -> Result<&str, Error> {
    location.path.as_deref().ok_or_else(|| Error::Integrity {
        what: format!("the location of {}", location.checksum),
        problem: "it has no path; inline contents are read with `read_inline`".to_owned(),
    })
}

fn check_length(path: &str, got: u64, location: &ContentLocation) -> Result<(), Error> {
    let expected = location.size_compressed;
    if got == expected {
        return Ok(());
    }
    Err(damaged(path, format!("its object has {got} bytes; expected {expected}")))
}

pub(super) fn check_digest(found: Digest, location: &ContentLocation, what: &str) -> Result<(), Error> {
    let expected = location.checksum;
    if found == expected {
        return Ok(());
    }
    let problem = format!("its SHA-256 is {found}; expected {expected}");
    Err(Error::Integrity { what: what.to_owned(), problem })
}

fn decode(
    stored: Pieces,
    location: &ContentLocation,
    what: &str,
    take: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    codec::decode_to(stored, location.compression, location.size_bytes, what, take)
}

pub(super) async fn open(stored: Bytes, location: ContentLocation, what: String) -> Result<Bytes, Error> {
    if location.size_bytes <= SHORT_BYTES as u64 {
        return open_here(&stored, &location, &what);
    }
    off_the_workers(move || open_here(&stored, &location, &what)).await
}

fn open_here(stored: &Bytes, location: &ContentLocation, what: &str) -> Result<Bytes, Error> {
    let raw = codec::decode(stored, location.compression, location.size_bytes, what)?;
    check_digest(Digest::of(&raw), location, what)?;
    Ok(raw)
}

/// Bytes that come from an async task, for a thread that blocks.
pub(super) struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => break,
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, length: usize) {
        self.piece = self.piece.split_off(length);
    }
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}
