//! Contents that are outside of their records: from one object store to the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use floret_model::{ContentLocation, Digest, StorageType, Version};
use futures::StreamExt;
use tokio::sync::Semaphore;

use super::{AT_ONCE, Copy, CopyEvent};
use crate::blob::IN_MEMORY_BYTES;
use crate::{BlobStore, Error};

/// Contents longer than [`IN_MEMORY_BYTES`] at once: at 40 MiB each, some 80 MiB, and as much room for temporary files as
/// they take.
const LARGE_AT_ONCE: usize = 2;

impl Copy<'_> {
    /// Have the contents of these versions in the target, and the versions name their places there. A version whose
    /// bytes the source's cleanup has dropped meanwhile becomes what it is there now.
    ///
    /// # Errors
    /// [`Error::Integrity`] names a damaged content and a version that has it.
    pub(super) async fn bring_contents(&mut self, versions: &mut [Version]) -> Result<(), Error> {
        let outside = versions.iter().filter(|version| is_outside(version));
        let places = outside.map(|version| version.content_location.clone()).collect();
        let (places, mut damaged) = self.bring(places).await?;
        for version in versions.iter_mut().filter(|version| is_outside(version)) {
            let digest = version.content_location.checksum;
            if let Some(place) = places.get(&digest) {
                version.content_location = place.clone();
                continue;
            }
            match self.source().version(&version.reference()).await? {
                Some(now) if now.dropped_at.is_some() => *version = Arc::unwrap_or_clone(now),
                _ => {
                    return Err(Error::Integrity {
                        what: format!("the content of {} in {}", version.reference(), self.source()),
                        problem: damaged.remove(&digest).unwrap_or_default(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Have contents of the source in the target, each once: where they are there, and what is wrong with those that are
    /// damaged, by digest.
    pub(super) async fn bring(
        &mut self,
        locations: Vec<ContentLocation>,
    ) -> Result<(BTreeMap<Digest, ContentLocation>, BTreeMap<Digest, String>), Error> {
        let wanted: BTreeMap<Digest, ContentLocation> =
            locations.into_iter().map(|location| (location.checksum, location)).collect();
        let (from, to, large) = (self.from, self.to, &Semaphore::new(LARGE_AT_ONCE));
        let mut bringing = futures::stream::iter(wanted)
            .map(|(digest, location)| async move { (digest, bring_one(from, to, &location, large).await) })
            .buffer_unordered(AT_ONCE);
        let (mut places, mut damaged) = (BTreeMap::new(), BTreeMap::new());
        while let Some((digest, brought)) = bringing.next().await {
            match brought {
                Ok((place, new)) => {
                    if new {
                        self.report.blobs += 1;
                        self.report.blob_bytes += place.size_bytes;
                        (self.progress)(CopyEvent::BlobPut { raw_bytes: place.size_bytes });
                    }
                    places.insert(digest, place);
                }
                Err(error @ (Error::Integrity { .. } | Error::TooLarge { .. })) => {
                    damaged.insert(digest, error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok((places, damaged))
    }
}

fn is_outside(version: &Version) -> bool {
    version.dropped_at.is_none() && version.content_location.storage_type != StorageType::Database
}

/// Where a content is in the target, and whether it was not there before.
async fn bring_one(
    from: &BlobStore,
    to: &BlobStore,
    location: &ContentLocation,
    large: &Semaphore,
) -> Result<(ContentLocation, bool), Error> {
    if let Some(place) = to.hold(&location.checksum).await? {
        return Ok((place, false));
    }
    let _turn = match location.size_bytes.max(location.size_compressed) {
        ..=IN_MEMORY_BYTES => None,
        _ => large.acquire().await.ok(),
    };
    Ok((to.put_from(from, location).await?, true))
}
