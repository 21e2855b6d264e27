//! Copying a whole installation from one home to another, whatever each is made of.
//!
//! What the target lacks is found by looking (plan.rs), so there is nothing to keep between runs: a copy that was cut
//! off goes on when it is run again, and one that is run later brings over the difference. The target keeps every
//! invariant at every commit: a version is imported after the one before it in its log and after what it was made from,
//! with the others of its publish, when its content is stored there.
//!
//! The source is only read. Its hosts may go on publishing: what comes after the first pass is left to the next copy.
//! The target must be empty, or hold what copies brought there, and perhaps resources of its own beside that.
//!
//! Each home has its own retention. A version that the source's cleanup dropped before it was copied is copied as
//! dropped; one that it dropped since stays in the target, until the target's cleanup drops it.

mod compare;
mod contents;
mod plan;
mod rest;

use std::fmt;
use std::sync::Arc;

use floret_model::Version;
use futures::{StreamExt, TryStreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::plan::Plan;
use crate::catalog::Catalog;
use crate::{BlobStore, Error, VerifyOptions, VerifyReport, verify};

/// Rows read at once.
const PAGE_ROWS: usize = 512;
/// Versions read, and blobs brought over, at once.
const AT_ONCE: usize = 8;
/// How often versions are read again because the source's cleanup dropped some of them, or because their blobs' leases
/// ran out, before they were imported.
const READS_MAX: usize = 3;

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CopyOptions {
    /// Only find out what would be copied.
    pub dry_run: bool,
    /// Read and hash every blob of the target at the end; otherwise only see that its object is there.
    pub rehash: bool,
}

/// How far a copy is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyEvent {
    /// So many of the source's versions were looked at, in all.
    Examined(u64),
    /// So much is to be copied.
    Planned {
        /// Versions.
        versions: u64,
        /// Their raw bytes.
        raw_bytes: u64,
    },
    /// So many more versions are in the target.
    Imported(u64),
    /// One more blob is in the target.
    BlobPut {
        /// Its raw bytes.
        raw_bytes: u64,
    },
    /// The versions are there; now builds, reports of cascades and access counts.
    Remembering,
    /// Now every version is compared with the source's.
    Comparing,
    /// Now the target's invariants are checked.
    Verifying,
}

/// What was copied, or would be.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CopyReport {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Versions of the source that were looked at.
    pub examined: u64,
    /// Versions copied, or to be copied; those that were dropped included.
    pub versions: u64,
    /// Raw bytes of those that are not dropped.
    pub raw_bytes: u64,
    /// Blobs brought over; those that were there already are not counted. 0 in a dry run, as for all that follow.
    pub blobs: u64,
    /// Raw bytes of those.
    pub blob_bytes: u64,
    /// Builds remembered.
    pub memos: u64,
    /// Reports of cascades.
    pub reports: u64,
    /// Resources whose access count grew.
    pub accesses: u64,
    /// Versions of the source that are the same in the target.
    pub equal: u64,
    /// Those of them that only the source's cleanup dropped.
    pub dropped_in_source: u64,
    /// Those of them that only the target's cleanup dropped.
    pub dropped_in_target: u64,
    /// Versions that were published in the source meanwhile: the next copy brings them over.
    pub left: u64,
    /// What a check of the target found.
    pub verify: Option<VerifyReport>,
}

impl CopyReport {
    /// Whether the target is sound, as far as was looked.
    pub fn is_clean(&self) -> bool {
        self.verify.as_ref().is_none_or(VerifyReport::is_clean)
    }
}

/// Bring over to `to` what `from` has and it lacks. May be dropped or killed at any moment and run again.
///
/// Memory: some 200 bytes for each missing version and 32 for each of its dependencies, 200 for each resource, and 200
/// MiB for records and contents on their way.
///
/// Cleanup of the target must not run meanwhile, or it may drop a version that another one, not there yet, was made from.
///
/// # Errors
/// [`Error::Diverged`] when the target has another version at a place, or its cleanup dropped one that is needed;
/// [`Error::Integrity`] when a content of the source is damaged: nothing that needs it was imported. Those of either
/// home. What was copied before stays, whole and consistent.
pub async fn copy(
    from: &BlobStore,
    to: &BlobStore,
    options: CopyOptions,
    progress: impl Fn(CopyEvent) + Send + Sync,
) -> Result<CopyReport, Error> {
    let report = CopyReport { dry_run: options.dry_run, ..CopyReport::default() };
    let mut copy = Copy { from, to, progress: &progress, report };
    let plan = copy.plan().await?;
    if options.dry_run {
        return Ok(copy.report);
    }
    for batch in plan.batches()? {
        copy.import(&plan, &batch).await?;
    }
    progress(CopyEvent::Remembering);
    copy.memos().await?;
    copy.reports().await?;
    copy.accesses().await?;
    to.catalog().flush().await?;
    progress(CopyEvent::Comparing);
    copy.compare(&plan).await?;
    drop(plan);
    progress(CopyEvent::Verifying);
    let verified = verify(&**to.catalog(), to, VerifyOptions { rehash: options.rehash }).await?;
    copy.report.verify = Some(verified);
    Ok(copy.report)
}

/// One copy, as far as it is.
struct Copy<'a> {
    from: &'a BlobStore,
    to: &'a BlobStore,
    progress: &'a (dyn Fn(CopyEvent) + Send + Sync),
    report: CopyReport,
}

impl Copy<'_> {
    fn source(&self) -> &dyn Catalog {
        &**self.from.catalog()
    }

    fn target(&self) -> &dyn Catalog {
        &**self.to.catalog()
    }

    async fn plan(&mut self) -> Result<Plan, Error> {
        let plan = Plan::make(self.source(), self.target(), self.progress).await?;
        self.report.examined = plan.examined;
        self.report.versions = plan.len() as u64;
        self.report.raw_bytes = plan.raw_bytes;
        let (versions, raw_bytes) = (self.report.versions, self.report.raw_bytes);
        (self.progress)(CopyEvent::Planned { versions, raw_bytes });
        Ok(plan)
    }

    /// Contents first, then the versions, all at once.
    async fn import(&mut self, plan: &Plan, batch: &[u32]) -> Result<(), Error> {
        let mut reads = 0;
        loop {
            reads += 1;
            let mut versions = self.read(plan, batch).await?;
            self.bring_contents(&mut versions).await?;
            match self.target().import(&versions).await {
                Ok(()) => break,
                Err(Error::MissingDependency { .. } | Error::MissingBlob { .. }) if reads < READS_MAX => {}
                Err(error) => return Err(self.refused(error)),
            }
        }
        (self.progress)(CopyEvent::Imported(batch.len() as u64));
        Ok(())
    }

    /// Versions as the source has them now.
    async fn read(&self, plan: &Plan, batch: &[u32]) -> Result<Vec<Version>, Error> {
        let source = self.source();
        futures::stream::iter(batch.iter().map(|number| plan.reference(*number)))
            .map(|reference| async move {
                let version = source.version(&reference).await?;
                version.map(Arc::unwrap_or_clone).ok_or_else(|| Error::Integrity {
                    what: reference.to_string(),
                    problem: format!("it was in {source}, and is not there any more"),
                })
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// An import's error as a copy has it.
    fn refused(&self, error: Error) -> Error {
        match error {
            Error::Conflict { key, found, .. } => {
                let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("@{found}"));
                self.diverged(key, format!("somebody publishes there: its latest is {found}"))
            }
            Error::MissingDependency { dependent, missing, reason } => {
                self.diverged(missing, format!("{dependent} was made from it, and there it was {reason}"))
            }
            other => other,
        }
    }

    fn diverged(&self, what: impl fmt::Display, problem: String) -> Error {
        Error::Diverged {
            what: what.to_string().into(),
            source_home: self.source().to_string().into(),
            target_home: self.target().to_string().into(),
            problem: problem.into(),
        }
    }
}
