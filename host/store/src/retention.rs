//! Which versions to keep, and the pass that applies it.

mod judge;
mod logs;

use std::collections::{BTreeMap, BTreeSet};

use floret_model::{ResourceType, Seq, TimestampMs, Version, VersionRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gc::{ERRORS_MAX, SweepReport, sweep};
use crate::{BlobStore, Catalog, Error};

use judge::Court;
pub use judge::{Judge, Judged, Judgement, KnownVersion, Unjudged};
use logs::Logs;

/// Versions dropped in one write, so that nobody waits long behind it: some 10 ms.
const DROP_MAX: usize = 256;
/// Kept versions that a report names; more are only counted.
const NAMED_MAX: usize = 1000;

/// How many versions of each type stay.
#[derive(Clone, PartialEq, Debug)]
pub struct RetentionPolicy {
    /// Newest versions kept, by type; never fewer than one.
    pub newest: BTreeMap<String, usize>,
    /// For types not named.
    pub newest_of_others: usize,
    /// How long a build is remembered whose output no version has, in milliseconds.
    pub memo_ms: u64,
}

impl Default for RetentionPolicy {
    /// R1: dictionary 5, corpus 3, semantic 5, literature 3, trie 5, search 10, others 5; memos 30 days.
    fn default() -> Self {
        let newest = [
            ("dictionary", 5),
            ("corpus", 3),
            ("semantic", 5),
            ("literature", 3),
            ("trie", 5),
            ("search", 10),
        ];
        Self {
            newest: newest.map(|(name, count)| (name.to_owned(), count)).into(),
            newest_of_others: 5,
            memo_ms: 30 * 24 * 60 * 60 * 1000,
        }
    }
}

impl RetentionPolicy {
    /// Newest versions kept of a type, at least 1.
    pub fn newest_of(&self, resource_type: &ResourceType) -> usize {
        let named = self.newest.get(resource_type.as_str()).copied();
        named.unwrap_or(self.newest_of_others).max(1)
    }
}

/// Why a version stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeepReason {
    /// It is the latest.
    Latest,
    /// It is among the newest of its type's number.
    Newest,
    /// It has a tag.
    Tagged,
    /// A version that stays was made from it.
    Referenced,
    /// The retention policy says so.
    Policy,
    /// The retention policy did not answer, or not as it should.
    Unjudged,
}

/// What retention needs to know of a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// Its place.
    pub seq: Seq,
    /// Whether it has a tag.
    pub tagged: bool,
    /// Whether its time to live has passed.
    pub expired: bool,
    /// Whether it is dropped already.
    pub dropped: bool,
    /// Whether a version that stays was made from it.
    pub referenced: bool,
}

impl LogEntry {
    /// Of a version, at `now`.
    pub fn of(version: &Version, now: TimestampMs, referenced: bool) -> Self {
        Self {
            seq: version.seq,
            tagged: !version.tags.is_empty(),
            expired: version.is_expired(now),
            dropped: version.dropped_at.is_some(),
            referenced,
        }
    }
}

/// What is to become of a log's versions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Retained {
    /// Those that stay, newest first, each with the first reason that holds: tagged, referenced, latest, newest.
    pub kept: Vec<(Seq, KeepReason)>,
    /// Those that may be dropped, newest first.
    pub droppable: Vec<Seq>,
}

/// Which versions of one log stay: the newest so many that are neither dropped nor expired, the latest, and whatever is
/// tagged or referenced. An expired version, latest or not, stays only for a tag or a reference. Dropped ones are in
/// neither list. `log` in any order.
pub fn retain(newest: usize, log: &[LogEntry]) -> Retained {
    let mut log = log.to_vec();
    log.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.seq));
    let latest = log.first().map(|entry| entry.seq);
    let mut retained = Retained::default();
    let mut counted = 0;
    for entry in log.into_iter().filter(|entry| !entry.dropped) {
        let among_newest = !entry.expired && counted < newest;
        counted += usize::from(!entry.expired);
        let reason = match entry {
            LogEntry { tagged: true, .. } => Some(KeepReason::Tagged),
            LogEntry { referenced: true, .. } => Some(KeepReason::Referenced),
            LogEntry { expired: true, .. } => None,
            LogEntry { seq, .. } if Some(seq) == latest => Some(KeepReason::Latest),
            _ => among_newest.then_some(KeepReason::Newest),
        };
        match reason {
            Some(reason) => retained.kept.push((entry.seq, reason)),
            None => retained.droppable.push(entry.seq),
        }
    }
    retained
}

/// A version that stays though it is not among the newest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// Which.
    pub version: VersionRef,
    /// Why.
    pub reason: KeepReason,
}

/// What a cleanup did, or would do.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CleanupReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Versions looked at that were not dropped before.
    pub examined: u64,
    /// Versions dropped.
    pub dropped: Vec<VersionRef>,
    /// How many stay, by reason.
    pub kept_by_reason: BTreeMap<KeepReason, u64>,
    /// Those that stay for a tag or a reference; at most 1000.
    pub kept: Vec<Kept>,
    /// The retention policy that was asked, as `name@version`; absent where none is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What the retention policy said; at most 10,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
    /// Builds forgotten; 0 in a dry run.
    pub memos_forgotten: u64,
    /// What the sweep did. A dry run's does not know of the versions above.
    pub sweep: SweepReport,
    /// What went wrong; the pass went on. At most 100.
    pub errors: Vec<String>,
}

/// Drop what has expired (V9) and what retention does not keep (R1), forget old memos, and sweep (R2). Goes
/// through the whole catalog in pages; memory grows with the versions that can be dropped. Writers are not
/// stopped: each drop is decided again where it is committed.
///
/// # Errors
/// Only when the catalog cannot be read; what fails for a part is in the report, and the pass goes on.
pub async fn cleanup(
    catalog: &dyn Catalog,
    blobs: &BlobStore,
    policy: &RetentionPolicy,
    now: TimestampMs,
    grace_ms: u64,
    dry_run: bool,
) -> Result<CleanupReport, Error> {
    cleanup_judged(catalog, blobs, policy, None, now, grace_ms, dry_run).await
}

/// As [`cleanup`], but where there is a judge, it says which versions stay, but for components and bindings. What the
/// catalog and tags protect stays whatever it says. Of a resource for which it has no good answer nothing is dropped, and
/// the report says so; once it is [not to be had](Unjudged::NotAsked) it is asked no more, and all the rest stays.
///
/// # Errors
/// As [`cleanup`].
pub async fn cleanup_judged(
    catalog: &dyn Catalog,
    blobs: &BlobStore,
    policy: &RetentionPolicy,
    judge: Option<&Judge<'_>>,
    now: TimestampMs,
    grace_ms: u64,
    dry_run: bool,
) -> Result<CleanupReport, Error> {
    let mut report = CleanupReport { dry_run, ..CleanupReport::default() };
    let mut court = judge.map(|judge| Court::new(catalog, judge));
    let candidates = candidates(catalog, policy, court.as_mut(), now, &mut report).await?;
    let referenced = referenced(catalog, &candidates).await?;
    judge::overrule(&mut report.judged, &referenced);
    for version in candidates.difference(&referenced) {
        report.dropped.push(version.clone());
    }
    for version in referenced {
        keep(&mut report, version, KeepReason::Referenced);
    }
    if !dry_run {
        apply(catalog, now, &mut report).await;
        match catalog.forget_memos(now.minus_ms(policy.memo_ms)).await {
            Ok(count) => report.memos_forgotten = count,
            Err(error) => note(&mut report, &error),
        }
    }
    match sweep(catalog, &**blobs.objects(), now, grace_ms, dry_run).await {
        Ok(swept) => report.sweep = swept,
        Err(error) => note(&mut report, &error),
    }
    match blobs.remove_unfinished(now.minus_ms(grace_ms), dry_run).await {
        Ok(unfinished) => {
            report.sweep.orphans += unfinished.files;
            report.sweep.freed_bytes += unfinished.bytes;
        }
        Err(error) => note(&mut report, &error),
    }
    Ok(report)
}

fn note(report: &mut CleanupReport, error: &Error) {
    if report.errors.len() < ERRORS_MAX {
        report.errors.push(error.to_string());
    }
}

fn keep(report: &mut CleanupReport, version: VersionRef, reason: KeepReason) {
    *report.kept_by_reason.entry(reason).or_default() += 1;
    let told = matches!(reason, KeepReason::Tagged | KeepReason::Referenced);
    if told && report.kept.len() < NAMED_MAX {
        report.kept.push(Kept { version, reason });
    }
}

/// What may go if nothing refers to it.
async fn candidates(
    catalog: &dyn Catalog,
    policy: &RetentionPolicy,
    mut court: Option<&mut Court<'_, '_>>,
    now: TimestampMs,
    report: &mut CleanupReport,
) -> Result<BTreeSet<VersionRef>, Error> {
    let mut found = BTreeSet::new();
    let mut logs = Logs::new(catalog, now, court.is_some());
    while let Some((key, log)) = logs.next().await? {
        report.examined += log.iter().filter(|known| !known.entry.dropped).count() as u64;
        let retained = match &mut court {
            Some(court) if Court::judges(&key) => court.retain(&key, log, report).await?,
            _ => {
                let entries: Vec<LogEntry> = log.into_iter().map(|known| known.entry).collect();
                retain(policy.newest_of(&key.resource_type), &entries)
            }
        };
        let reference = |seq| VersionRef { key: key.clone(), seq };
        for (seq, reason) in retained.kept {
            keep(report, reference(seq), reason);
        }
        found.extend(retained.droppable.into_iter().map(reference));
    }
    if let Some(court) = court {
        court.close(report);
    }
    Ok(found)
}

/// Candidates that something which stays was made from, directly or through other candidates.
async fn referenced(
    catalog: &dyn Catalog,
    candidates: &BTreeSet<VersionRef>,
) -> Result<BTreeSet<VersionRef>, Error> {
    let mut kept: BTreeSet<VersionRef> = BTreeSet::new();
    // Candidate → candidates that it keeps if it stays.
    let mut keeps: BTreeMap<VersionRef, Vec<VersionRef>> = BTreeMap::new();
    let mut queue = Vec::new();
    for candidate in candidates {
        for referrer in catalog.referrers(candidate).await? {
            if candidates.contains(&referrer) {
                keeps.entry(referrer).or_default().push(candidate.clone());
            } else if kept.insert(candidate.clone()) {
                queue.push(candidate.clone());
            }
        }
    }
    while let Some(version) = queue.pop() {
        for on in keeps.get(&version).into_iter().flatten() {
            if kept.insert(on.clone()) {
                queue.push(on.clone());
            }
        }
    }
    Ok(kept)
}

/// Drops what the report lists, and leaves in the list what was dropped indeed. A version is dropped in the round after
/// the last one made from it.
async fn apply(catalog: &dyn Catalog, now: TimestampMs, report: &mut CleanupReport) {
    let mut waiting = std::mem::take(&mut report.dropped);
    loop {
        let mut left = Vec::new();
        let before = report.dropped.len();
        for some in waiting.chunks(DROP_MAX) {
            match catalog.drop_versions(some, now).await {
                Ok(dropped) => {
                    let gone: BTreeSet<_> = dropped.iter().collect();
                    left.extend(some.iter().filter(|one| !gone.contains(one)).cloned());
                    report.dropped.extend(dropped);
                }
                Err(error) => note(report, &error),
            }
        }
        if left.is_empty() || report.dropped.len() == before {
            break;
        }
        waiting = left;
    }
    report.dropped.sort_unstable();
}
