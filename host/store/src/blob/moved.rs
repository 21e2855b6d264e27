//! How the bytes of a blob go from one store to another: as they are stored, so that none is encoded anew.

use std::io::BufReader;
use std::path::Path;

use bytes::Bytes;
use floret_model::{Codec, ContentLocation, DigestHasher};

use super::read::{check_digest, name, open};
use super::write::Raw;
use super::{BlobStore, Error};
use crate::codec;
use crate::spool::Spooled;

/// Contents up to this length, as they are and stored, go through memory; longer ones through a temporary file.
pub(crate) const IN_MEMORY_BYTES: u64 = 4 << 20;

/// Stored bytes that were verified.
pub(super) enum Stored {
    Bytes(Bytes),
    File(Spooled),
}

impl BlobStore {
    /// [`put`](Self::put) a content that another store has, with the very bytes that it has there, which are verified on
    /// their way. Takes 8 MiB of memory, or 40 MiB where it is longer than 4 MiB.
    ///
    /// # Errors
    /// As [`get_file`](Self::get_file) of the other store, and as [`put_file`](Self::put_file).
    pub async fn put_from(&self, other: &Self, location: &ContentLocation) -> Result<ContentLocation, Error> {
        let stored = match other.stored(location).await {
            Err(error) if other.is_worth_another_try(&error) => other.stored(location).await?,
            read => read?,
        };
        let codec = Codec { compression: location.compression, level: location.compression_level };
        let (digest, size_bytes) = (location.checksum, location.size_bytes);
        self.put_in_turn(Raw::Stored { stored, digest, size_bytes }, codec).await
    }

    /// The bytes as they are stored; what they decode to is verified.
    async fn stored(&self, location: &ContentLocation) -> Result<Stored, Error> {
        if location.size_bytes.max(location.size_compressed) <= IN_MEMORY_BYTES {
            let (path, stored) = self.stored_bytes(location).await?;
            open(stored.clone(), location.clone(), name(path)).await?;
            return Ok(Stored::Bytes(stored));
        }
        let (spool, expected) = (self.spool.clone(), location.clone());
        let spooled = self.stream(location, move |stored, what| {
            let spooled = spool.write(Path::new(what), stored)?;
            let mut hasher = DigestHasher::default();
            let reader = BufReader::new(spooled.reader());
            codec::decode_to(reader, expected.compression, expected.size_bytes, what, |bytes| {
                hasher.update(bytes);
                Ok(())
            })?;
            check_digest(hasher.finish(), &expected, what)?;
            Ok(Stored::File(spooled))
        });
        spooled.await
    }
}
