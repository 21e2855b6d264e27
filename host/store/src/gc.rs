//! The sweep: blobs to which nothing refers are condemned, and go when the grace period has passed; objects that no row
//! knows go too.
//!
//! Why it cannot take what somebody needs. A claim, a publish and a condemnation of one blob are serialised by the
//! catalog. A writer who found a blob stored has extended its lease, so it is not condemned while he publishes; one
//! who comes after the condemnation is given a generation of his own, and generations are never used twice. So the
//! object of a condemned generation is nobody's, for good. The catalog is flushed before any object goes, so that
//! no crash brings back the row of an object that is gone.

use floret_model::{Digest, TimestampMs};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::blob::{BLOB_ROOT, blob_path, parse_blob_path};
use crate::catalog::{BlobRecord, BlobState, Catalog};
use crate::objects::explain;

/// Rows read at once.
const PAGE_ROWS: usize = 1000;
/// Errors told of one pass.
pub(crate) const ERRORS_MAX: usize = 100;

/// What a sweep did, or would do.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SweepReport {
    /// Rows looked at.
    pub examined: u64,
    /// Blobs to which nothing refers any more: condemned now.
    pub condemned: u64,
    /// Their bytes as stored, which a later sweep frees.
    pub condemned_bytes: u64,
    /// Objects of blobs condemned longer ago than the grace period, deleted now.
    pub deleted: u64,
    /// Objects that no row knows, older than the grace period, deleted now.
    pub orphans: u64,
    /// Bytes freed in the object store, by deleted blobs and orphans.
    pub freed_bytes: u64,
    /// Objects below `cas/` that are not named as blobs are. Left alone.
    pub unknown: u64,
    /// What went wrong; the pass went on. At most 100.
    pub errors: Vec<String>,
}

struct Sweep<'a> {
    catalog: &'a dyn Catalog,
    objects: &'a dyn ObjectStore,
    now: TimestampMs,
    grace_ms: u64,
    dry_run: bool,
    report: SweepReport,
}

/// Condemn, and delete what was condemned or orphaned longer than `grace_ms` ago. Lists the object store. The grace
/// period is for readers who have a location in hand and for clocks that differ: more than the lease of a writer, e.g. an hour.
/// Of a dry run the report says what would be done, and nothing is.
///
/// # Errors
/// Only when rows or objects cannot be listed; whatever fails for a single blob is in the report.
pub async fn sweep(
    catalog: &dyn Catalog,
    objects: &dyn ObjectStore,
    now: TimestampMs,
    grace_ms: u64,
    dry_run: bool,
) -> Result<SweepReport, Error> {
    let mut sweep = Sweep { catalog, objects, now, grace_ms, dry_run, report: SweepReport::default() };
    let condemned = sweep.condemn().await?;
    if !dry_run {
        catalog.flush().await?;
    }
    for record in condemned {
        let deleted = sweep.delete(&record).await;
        sweep.note(deleted);
    }
    for (path, size_bytes) in sweep.orphans().await? {
        let deleted = sweep.delete_orphan(&path, size_bytes).await;
        sweep.note(deleted);
    }
    Ok(sweep.report)
}

impl Sweep<'_> {
    fn note(&mut self, done: Result<(), Error>) {
        if let Err(error) = done
            && self.report.errors.len() < ERRORS_MAX
        {
            self.report.errors.push(error.to_string());
        }
    }

    fn is_over(&self, since: TimestampMs) -> bool {
        since.plus_ms(self.grace_ms) <= self.now
    }

    /// Condemns, and answers what was condemned long enough ago.
    async fn condemn(&mut self) -> Result<Vec<BlobRecord>, Error> {
        let mut over = Vec::new();
        let mut after: Option<Digest> = None;
        loop {
            let page = self.catalog.blobs(after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else {
                return Ok(over);
            };
            after = Some(last.digest);
            for record in page {
                self.report.examined += 1;
                match record.state {
                    BlobState::Condemned { at } if self.is_over(at) => over.push(record),
                    BlobState::Condemned { .. } => {}
                    BlobState::Pending { lease_until } | BlobState::Stored { lease_until } => {
                        if lease_until <= self.now {
                            let condemned = self.condemn_one(&record).await;
                            let now_over = matches!(condemned, Ok(true)) && self.grace_ms == 0;
                            self.note(condemned.map(drop));
                            if now_over {
                                over.push(record);
                            }
                        }
                    }
                }
            }
        }
    }

    async fn condemn_one(&mut self, record: &BlobRecord) -> Result<bool, Error> {
        // Asked without the committer first: most blobs are referred to.
        if self.catalog.blob_is_referenced(&record.digest).await? {
            return Ok(false);
        }
        if !self.dry_run && !self.catalog.condemn_blob(&record.digest, self.now).await? {
            return Ok(false);
        }
        self.report.condemned += 1;
        self.report.condemned_bytes += record.location.size_compressed;
        Ok(true)
    }

    async fn delete(&mut self, record: &BlobRecord) -> Result<(), Error> {
        let path = blob_path(&record.digest, record.generation);
        let location = path.as_str().into();
        // Of a blob that was claimed and never settled, only the object itself knows its length, if it is there.
        let size_bytes = match self.objects.head(&location).await {
            Ok(object) => object.size,
            Err(object_store::Error::NotFound { .. }) => 0,
            Err(source) => return Err(self.error("look at", path, source)),
        };
        if !self.dry_run {
            self.delete_object(path).await?;
            self.catalog.forget_blob(&record.digest, record.generation).await?;
        }
        self.report.deleted += 1;
        self.report.freed_bytes += size_bytes;
        Ok(())
    }

    /// Objects older than the grace period that no row knows. A row that is pending may yet be settled with any of
    /// its writers' generations; if its lease is over, it was condemned just now.
    async fn orphans(&mut self) -> Result<Vec<(String, u64)>, Error> {
        let root = BLOB_ROOT.into();
        let mut listing = self.objects.list(Some(&root));
        let mut orphans = Vec::new();
        loop {
            let object = listing.try_next().await;
            let Some(object) = object.map_err(|source| self.error("list", BLOB_ROOT.to_owned(), source))?
            else {
                return Ok(orphans);
            };
            let path = object.location.to_string();
            let Some((digest, generation)) = parse_blob_path(&path) else {
                self.report.unknown += 1;
                continue;
            };
            let written = TimestampMs(object.last_modified.timestamp_millis());
            if !self.is_over(written) {
                continue;
            }
            let known = match self.catalog.blob(&digest).await? {
                None => false,
                Some(record) => {
                    record.generation == generation || matches!(record.state, BlobState::Pending { .. })
                }
            };
            if !known {
                orphans.push((path, object.size));
            }
        }
    }

    async fn delete_orphan(&mut self, path: &str, size_bytes: u64) -> Result<(), Error> {
        if !self.dry_run {
            self.delete_object(path.to_owned()).await?;
        }
        self.report.orphans += 1;
        self.report.freed_bytes += size_bytes;
        Ok(())
    }

    async fn delete_object(&self, path: String) -> Result<(), Error> {
        match self.objects.delete(&path.as_str().into()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(self.error("delete", path, source)),
        }
    }

    fn error(&self, action: &'static str, path: String, source: object_store::Error) -> Error {
        explain(&self.objects.to_string(), action, &path, source)
    }
}
