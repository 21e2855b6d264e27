//! Asking somebody else which versions stay, and holding him to what may never go.

use std::collections::{BTreeMap, BTreeSet};

use floret_model::{Namespace, ResourceKey, Seq, TimestampMs, Version, VersionRef};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::logs::Known;
use super::{CleanupReport, KeepReason, Retained, retain};
use crate::gc::ERRORS_MAX;
use crate::{Catalog, Error};

/// Verdicts that a report holds.
const JUDGED_MAX: usize = 10_000;
/// Resources in a row without a good answer after which nobody is asked any more: failures in good order open no breaker, and
/// one that comes just within its time limit takes 10 s, so that is a minute and a half.
const FAILURES_MAX: u32 = 8;

/// What a judge is told of a version that is neither dropped nor expired.
#[derive(Clone, PartialEq, Debug)]
pub struct KnownVersion {
    /// Its place.
    pub seq: Seq,
    /// Its semantic version.
    pub semantic_version: semver::Version,
    /// How long ago it was published, in milliseconds.
    pub age_ms: u64,
    /// Length of its raw bytes.
    pub size_bytes: u64,
    /// Length of its bytes as stored.
    pub stored_bytes: u64,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Whether it is the latest.
    pub latest: bool,
    /// Whether a version that is not dropped was made from it.
    pub referenced: bool,
}

impl KnownVersion {
    /// Of a version at `now`; `latest` and `referenced` are for whoever knows the log to set.
    pub(super) fn of(version: &Version, now: TimestampMs) -> Self {
        let location = &version.content_location;
        Self {
            seq: version.seq,
            semantic_version: version.version.clone(),
            age_ms: u64::try_from(now.0.saturating_sub(version.created_at.0)).unwrap_or(0),
            size_bytes: location.size_bytes,
            stored_bytes: location.size_compressed,
            tags: version.tags.clone(),
            latest: false,
            referenced: false,
        }
    }
}

/// What a judge says of a version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// Whether it stays.
    pub keep: bool,
    /// Why, in a few words.
    pub reason: String,
}

/// Why there is no judgement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unjudged {
    /// The judge failed over this resource, and may do better with the next.
    Failed(String),
    /// The judge is not to be had: nobody asks again in this pass.
    NotAsked(String),
}

/// Who says which versions of a resource stay: given them newest first, one judgement for each in the same order, or
/// why there is none.
pub type Judge<'a> = dyn Fn(ResourceKey, Vec<KnownVersion>) -> BoxFuture<'a, Result<Vec<Judgement>, Unjudged>>
    + Send
    + Sync
    + 'a;

/// What was said of a version, and whether it was done.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    /// Which.
    pub version: VersionRef,
    /// Whether it is to stay.
    pub keep: bool,
    /// Why.
    pub reason: String,
    /// Why it stays all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overruled: Option<KeepReason>,
}

/// One pass of asking.
pub(super) struct Court<'a, 'j> {
    catalog: &'a dyn Catalog,
    judge: &'a Judge<'j>,
    /// Why the judge is asked no more, once that is so.
    away: Option<String>,
    failures_in_a_row: u32,
    not_asked: u64,
}

impl<'a, 'j> Court<'a, 'j> {
    pub fn new(catalog: &'a dyn Catalog, judge: &'a Judge<'j>) -> Self {
        Self { catalog, judge, away: None, failures_in_a_row: 0, not_asked: 0 }
    }

    /// Components and bindings are the host's own business: a policy must not take away what it is itself.
    pub fn judges(key: &ResourceKey) -> bool {
        key.namespace != Namespace::plugins()
    }

    /// What stays of a log. Asks only where something could go that is not expired.
    pub async fn retain(
        &mut self,
        key: &ResourceKey,
        log: Vec<Known>,
        report: &mut CleanupReport,
    ) -> Result<Retained, Error> {
        let entries: Vec<_> = log.iter().map(|known| known.entry).collect();
        let retained = retain(usize::MAX, &entries);
        if !retained.kept.iter().any(|(_, reason)| *reason == KeepReason::Newest) {
            return Ok(retained);
        }
        if self.away.is_some() {
            self.not_asked += 1;
            return Ok(untouched(retained));
        }
        let asked = self.asked(key, log).await?;
        let seqs: Vec<Seq> = asked.iter().map(|known| known.seq).collect();
        let answer = (self.judge)(key.clone(), asked).await.and_then(|said| match said.len() == seqs.len() {
            true => Ok(said),
            false => Err(Unjudged::Failed(format!("{} judgements for {} versions", said.len(), seqs.len()))),
        });
        match answer {
            Ok(said) => {
                self.failures_in_a_row = 0;
                return Ok(obeyed(key, retained, seqs.into_iter().zip(said), report));
            }
            Err(Unjudged::Failed(problem)) => {
                self.failures_in_a_row += 1;
                if self.failures_in_a_row == FAILURES_MAX {
                    self.away = Some(format!("it failed {FAILURES_MAX} times in a row"));
                }
                note(report, format!("{key} was not judged, and nothing of it is dropped: {problem}"));
            }
            Err(Unjudged::NotAsked(problem)) => {
                self.away = Some(problem);
                self.not_asked += 1;
            }
        }
        Ok(untouched(retained))
    }

    /// What the judge is told: all that is neither dropped nor expired, newest first.
    async fn asked(&self, key: &ResourceKey, log: Vec<Known>) -> Result<Vec<KnownVersion>, Error> {
        let latest = log.iter().map(|known| known.entry.seq).max();
        let is_open = |known: &Known| !known.entry.expired && !known.entry.dropped;
        let mut asked = Vec::new();
        for known in log.into_iter().filter(is_open) {
            let Some(mut told) = known.told else { continue };
            told.latest = Some(told.seq) == latest;
            let reference = VersionRef { key: key.clone(), seq: told.seq };
            told.referenced = !self.catalog.referrers(&reference).await?.is_empty();
            asked.push(told);
        }
        asked.sort_unstable_by_key(|told| std::cmp::Reverse(told.seq));
        Ok(asked)
    }

    /// Say what was left unasked.
    pub fn close(&self, report: &mut CleanupReport) {
        if let Some(problem) = &self.away {
            let count = self.not_asked;
            // However many lines there are, this one is among them.
            report.errors.truncate(ERRORS_MAX - 1);
            let resources = if count == 1 { "resource" } else { "resources" };
            note(
                report,
                format!("nobody was asked about {count} {resources}, of which nothing is dropped: {problem}"),
            );
        }
    }
}

/// The judgements where they may be followed. Tagged and latest versions stay.
fn obeyed(
    key: &ResourceKey,
    protected: Retained,
    said: impl Iterator<Item = (Seq, Judgement)>,
    report: &mut CleanupReport,
) -> Retained {
    let said: BTreeMap<Seq, Judgement> = said.collect();
    let mut retained = Retained { kept: Vec::new(), droppable: protected.droppable };
    for (seq, reason) in protected.kept {
        let Some(Judgement { keep, reason: why }) = said.get(&seq).cloned() else {
            // Expired, and kept for a tag: nobody was asked.
            retained.kept.push((seq, reason));
            continue;
        };
        let may_go = reason == KeepReason::Newest;
        match (may_go, keep) {
            (true, true) => retained.kept.push((seq, KeepReason::Policy)),
            (true, false) => retained.droppable.push(seq),
            (false, _) => retained.kept.push((seq, reason)),
        }
        if report.judged.len() < JUDGED_MAX {
            let overruled = (!may_go && !keep).then_some(reason);
            let version = VersionRef { key: key.clone(), seq };
            report.judged.push(Judged { version, keep, reason: why, overruled });
        }
    }
    retained
}

/// Everything stays, what is expired too.
fn untouched(mut retained: Retained) -> Retained {
    for (_, reason) in &mut retained.kept {
        if *reason == KeepReason::Newest {
            *reason = KeepReason::Unjudged;
        }
    }
    let expired = std::mem::take(&mut retained.droppable);
    retained.kept.extend(expired.into_iter().map(|seq| (seq, KeepReason::Unjudged)));
    retained
}

/// Mark what stays because of a version that was made from it.
pub(super) fn overrule(judged: &mut [Judged], referenced: &BTreeSet<VersionRef>) {
    for one in judged.iter_mut().filter(|one| !one.keep && referenced.contains(&one.version)) {
        one.overruled = Some(KeepReason::Referenced);
    }
}

fn note(report: &mut CleanupReport, problem: String) {
    if report.errors.len() < ERRORS_MAX {
        report.errors.push(problem);
    }
}
