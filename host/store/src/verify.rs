//! Whether the store keeps its invariants (O3).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use floret_model::{Digest, ResourceKey, Seq, StorageType, Version, VersionRef};
use futures::StreamExt;
use object_store::ObjectStoreExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{BlobRecord, BlobState, Catalog};
use crate::{BlobStore, Error, read_inline};

/// Rows read at once.
const PAGE_ROWS: usize = 512;
/// Problems told; more are only counted.
const PROBLEMS_MAX: usize = 1000;
/// Objects looked at, or read and hashed, at once. Each takes its raw and stored length in memory.
const AT_ONCE: usize = 4;

/// How much to check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VerifyOptions {
    /// Read, decode and hash every blob; otherwise only see that its object is there with the right length.
    pub rehash: bool,
}

/// Something that is not as it must be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BrokenInvariant")]
pub struct Problem {
    /// `I1` to `I6`, or `index` for what is derived from the log.
    pub invariant: String,
    /// Of what.
    pub what: String,
    /// What is wrong.
    pub problem: String,
}

/// What was checked, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct VerifyReport {
    /// Resources.
    pub resources: u64,
    /// Versions.
    pub versions: u64,
    /// Dependencies of versions that are not dropped.
    pub dependencies: u64,
    /// Contents kept in their records, each hashed.
    pub inline_contents: u64,
    /// Blob rows.
    pub blobs: u64,
    /// Raw bytes of blobs that were read and hashed.
    pub rehashed_bytes: u64,
    /// How many problems there are.
    pub problem_count: u64,
    /// The first thousand of them.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problem_count == 0
    }

    fn add(&mut self, invariant: &str, what: impl ToString, problem: impl ToString) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem {
                invariant: invariant.to_owned(),
                what: what.to_string(),
                problem: problem.to_string(),
            });
        }
    }
}

/// Facts of a resource's log, kept for the checks across resources: some 200 bytes and its latest dependencies.
#[derive(Default)]
struct Log {
    /// Seq of the version read last; 0 before the first.
    last: u64,
    dropped: Vec<Seq>,
    latest_dependencies: Vec<ResourceKey>,
}

struct Verify<'a> {
    catalog: &'a dyn Catalog,
    blobs: &'a BlobStore,
    report: VerifyReport,
    logs: BTreeMap<ResourceKey, Log>,
    /// Dependencies of versions that are not dropped, and one such dependent.
    needed: HashMap<VersionRef, VersionRef>,
    previous: Option<Arc<Version>>,
}

/// Check I1 to I6 and the indexes. Writers need not stop: what is appended meanwhile is not looked at. Cleanup must not
/// run meanwhile, or what it takes away is told as a problem. Memory grows with the resources and their dependencies.
///
/// # Errors
/// Only when the catalog cannot be read at all; whatever is wrong is in the report.
pub async fn verify(
    catalog: &dyn Catalog,
    blobs: &BlobStore,
    options: VerifyOptions,
) -> Result<VerifyReport, Error> {
    let mut verify = Verify {
        catalog,
        blobs,
        report: VerifyReport::default(),
        logs: BTreeMap::new(),
        needed: HashMap::new(),
        previous: None,
    };
    verify.versions().await?;
    verify.heads().await?;
    verify.dependencies();
    verify.acyclic();
    verify.blob_rows(options.rehash).await?;
    for line in catalog.verify_indexes().await? {
        verify.report.add("index", catalog, line);
    }
    Ok(verify.report)
}

impl Verify<'_> {
    async fn versions(&mut self) -> Result<(), Error> {
        let mut after: Option<VersionRef> = None;
        loop {
            let page = self.catalog.scan(after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.reference());
            for version in page {
                self.report.versions += 1;
                self.place(&version);
                self.content(&version).await?;
                if version.dropped_at.is_none() {
                    for dependency in &version.dependencies {
                        self.report.dependencies += 1;
                        self.needed.entry(dependency.on.clone()).or_insert_with(|| version.reference());
                    }
                }
                self.previous = Some(version);
            }
        }
    }

    /// I2 and I3: seqs are dense, and semantic versions grow with them.
    fn place(&mut self, version: &Version) {
        let log = self.logs.entry(version.key.clone()).or_default();
        if version.seq.0 != log.last + 1 {
            let problem = format!("it follows @{} in its log", log.last);
            self.report.add("I2", version.reference(), problem);
        }
        if let Some(previous) = &self.previous
            && previous.key == version.key
            && previous.version >= version.version
        {
            let (before, now) = (&previous.version, &version.version);
            let problem = format!("its semantic version is {now} after {before}");
            self.report.add("I3", version.reference(), problem);
        }
        log.last = version.seq.0;
        if version.dropped_at.is_some() {
            log.dropped.push(version.seq);
        }
        let keys = version.dependencies.iter();
        log.latest_dependencies = keys.map(|dependency| dependency.on.key.clone()).collect();
    }

    /// I5: the content is there. Blobs themselves are checked by row, once each.
    async fn content(&mut self, version: &Version) -> Result<(), Error> {
        if version.dropped_at.is_some() {
            return Ok(());
        }
        let location = &version.content_location;
        if location.storage_type == StorageType::Database {
            self.report.inline_contents += 1;
            if let Err(error) = read_inline(version) {
                self.report.add("I5", version.reference(), error);
            }
            return Ok(());
        }
        let problem = match self.catalog.blob(&location.checksum).await? {
            None => "its blob has no row".to_owned(),
            Some(record) => match record.state {
                BlobState::Stored { .. } if record.location.path == location.path => return Ok(()),
                BlobState::Stored { .. } => format!(
                    "it names {}, and its blob is at {}",
                    location.path.as_deref().unwrap_or("no path"),
                    record.location.path.as_deref().unwrap_or("no path")
                ),
                BlobState::Pending { .. } => "its blob was never settled".to_owned(),
                BlobState::Condemned { at } => format!("its blob was condemned at {at}"),
            },
        };
        self.report.add("I5", version.reference(), problem);
        Ok(())
    }

    /// I1: the latest version of every log is its last.
    async fn heads(&mut self) -> Result<(), Error> {
        let keys: Vec<ResourceKey> = self.logs.keys().cloned().collect();
        self.report.resources = keys.len() as u64;
        for some in keys.chunks(PAGE_ROWS) {
            let heads = self.catalog.heads(some).await?;
            for (key, head) in some.iter().zip(heads) {
                let last = self.logs.get(key).map_or(0, |log| log.last);
                match head {
                    None => self.report.add("I1", key, "it has no latest version"),
                    // More were appended while we read.
                    Some(head) if head.seq.0 >= last => {}
                    Some(head) => {
                        let problem = format!("@{} is its latest, and @{last} exists", head.seq);
                        self.report.add("I1", key, problem);
                    }
                }
            }
        }
        Ok(())
    }

    /// I4 and I6: whatever a version was made from was committed, and not dropped while the version stays.
    fn dependencies(&mut self) {
        for (on, dependent) in &self.needed {
            let log = self.logs.get(&on.key);
            let Some(log) = log.filter(|log| (1..=log.last).contains(&on.seq.0)) else {
                let problem = format!("it depends on {on}, which was never committed");
                self.report.add("I4", dependent, problem);
                continue;
            };
            if log.dropped.binary_search(&on.seq).is_ok() {
                let problem = format!("it depends on {on}, which cleanup dropped");
                self.report.add("I6", dependent, problem);
            }
        }
    }

    /// I4: latest versions form no cycle. Whoever depends on nothing that is left is taken away until nobody is left.
    fn acyclic(&mut self) {
        let mut waits: BTreeMap<&ResourceKey, usize> = BTreeMap::new();
        let mut dependents: HashMap<&ResourceKey, Vec<&ResourceKey>> = HashMap::new();
        for (key, log) in &self.logs {
            let on = &log.latest_dependencies;
            waits.insert(key, on.iter().filter(|on| self.logs.contains_key(on)).count());
            for on in on {
                dependents.entry(on).or_default().push(key);
            }
        }
        let free = waits.iter().filter(|(_, count)| **count == 0);
        let mut queue: Vec<&ResourceKey> = free.map(|(key, _)| *key).collect();
        while let Some(key) = queue.pop() {
            waits.remove(key);
            for dependent in dependents.get(key).into_iter().flatten() {
                if let Some(count) = waits.get_mut(dependent) {
                    *count -= 1;
                    if *count == 0 {
                        queue.push(dependent);
                    }
                }
            }
        }
        for key in waits.into_keys() {
            let problem = "it depends on itself, or on what does, through latest versions";
            self.report.add("I4", key, problem);
        }
    }

    /// I5: every stored blob's object is whole. I6: nothing condemned is needed.
    async fn blob_rows(&mut self, rehash: bool) -> Result<(), Error> {
        let mut after: Option<Digest> = None;
        loop {
            let page = self.catalog.blobs(after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.digest);
            let mut stored = Vec::new();
            for record in page {
                self.report.blobs += 1;
                match record.state {
                    BlobState::Stored { .. } => stored.push(record),
                    BlobState::Pending { .. } => {}
                    BlobState::Condemned { at } => {
                        if self.catalog.blob_is_referenced(&record.digest).await? {
                            let what = format!("blob {}", record.digest);
                            let problem = format!("it was condemned at {at}, and is referred to");
                            self.report.add("I6", what, problem);
                        }
                    }
                }
            }
            let blobs = self.blobs;
            let mut checks = futures::stream::iter(stored)
                .map(|record| async move {
                    let checked = object(blobs, &record, rehash).await;
                    (record, checked)
                })
                .buffer_unordered(AT_ONCE);
            while let Some((record, checked)) = checks.next().await {
                match checked {
                    Ok(()) if rehash => self.report.rehashed_bytes += record.location.size_bytes,
                    Ok(()) => {}
                    Err(error) => {
                        let what = format!("blob {}", record.digest);
                        self.report.add("I5", what, error);
                    }
                }
            }
        }
    }
}

async fn object(blobs: &BlobStore, record: &BlobRecord, rehash: bool) -> Result<(), Error> {
    if rehash {
        return blobs.verify_blob(record).await;
    }
    let path = record.location.path.clone().unwrap_or_default();
    let size = match blobs.objects().head(&path.as_str().into()).await {
        Ok(object) => Some(object.size),
        Err(object_store::Error::NotFound { .. }) => None,
        Err(source) => {
            return Err(Error::Object {
                action: "look at",
                path,
                store: blobs.objects().to_string(),
                source: Box::new(source),
            });
        }
    };
    let expected = record.location.size_compressed;
    let problem = match size {
        Some(size) if size == expected => return Ok(()),
        Some(size) => format!("its object has {size} bytes; expected {expected}"),
        None => "its object is not there".to_owned(),
    };
    Err(Error::Integrity { what: format!("blob {path}"), problem })
}
