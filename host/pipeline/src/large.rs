//! Contents that are too large to be held in memory.

use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::atomic::Ordering;

use floret_model::{StorageType, Version};
use floret_runtime::InputBytes;
use floret_store::Spooled;

use crate::content::input_file;
use crate::{Error, Floret};

/// Contents above this many bytes are better saved from a file, as [`Content::File`](crate::Content::File), and read by
/// [`Floret::export`]: 8 MiB, the length of a part that is sent to an object store.
pub const LARGE_BYTES: u64 = 8 << 20;

impl Floret {
    /// Write what a reader holds to a temporary file, and hash it, to be saved as [`Content::File`](crate::Content::File).
    /// `what` names the reader in errors.
    ///
    /// # Errors
    /// A reader or a disk that fails.
    pub async fn spool(&self, what: &Path, from: impl Read + Send + 'static) -> Result<Spooled, Error> {
        Ok(self.blobs.spool(what, from).await?)
    }

    /// The bytes of a version in a temporary file, verified. Passes the caches by: a content that is worth a file would
    /// drive everything else out of them.
    ///
    /// # Errors
    /// [`Error::Dropped`]; a store that fails.
    pub async fn export(&self, version: &Version) -> Result<Spooled, Error> {
        self.check_kept(version)?;
        self.accesses.counter(&version.key).fetch_add(1, Ordering::Relaxed);
        match version.content_location.storage_type {
            StorageType::Database => {
                let bytes = floret_store::read_inline(version)?;
                self.spool(Path::new(version.key.resource_id.as_str()), Cursor::new(bytes)).await
            }
            _ => Ok(self.blobs.get_file(&version.content_location).await?),
        }
    }

    /// The bytes of a version for a component. A large text is read once, by the corpus that it is part of, and so is not
    /// kept at hand; a large corpus or index is, for what is built from it next.
    pub(crate) async fn input_bytes(&self, role: &str, version: &Version) -> Result<InputBytes, Error> {
        if role == "document" && version.content_location.size_bytes > LARGE_BYTES {
            self.check_kept(version)?;
            return Ok(input_file(&self.blobs.get_file(&version.content_location).await?));
        }
        Ok(self.content(version).await?.into())
    }
}
