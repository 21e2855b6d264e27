//! One publish, applied over what is staged.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use floret_model::{
    CascadeReport, ContentLocation, Dependency, Digest, ResourceKey, Seq, StorageType, TimestampMs, Version,
    VersionRef,
};

use super::head::{Head, dependency_keys};
use super::keys;
use super::staged::Staged;
use super::tables::Table;
use crate::Error;
use crate::catalog::{BlobState, Draft, IfUnchanged, Outcome, Precondition, Publish};
use crate::record::{VersionBody, blob_from_document, report_to_document, version_from_document};

/// A draft made ready on the caller's thread, so that the committer neither hashes nor serialises metadata.
struct Ready {
    /// Without seq and semantic version.
    version: Version,
    key: Vec<u8>,
    dependencies: Vec<Vec<u8>>,
    fingerprint: Digest,
    body: VersionBody,
    bump: floret_model::Bump,
    precondition: Precondition,
    if_unchanged: IfUnchanged,
}

/// A publish made ready.
pub(super) struct ReadyPublish {
    drafts: Vec<Ready>,
    report: Option<ReadyReport>,
}

/// A cascade's report made ready.
pub(super) struct ReadyReport {
    id: Vec<u8>,
    document: Vec<u8>,
    rows: Vec<Vec<u8>>,
}

impl ReadyReport {
    pub fn new(report: &CascadeReport) -> Result<Self, Error> {
        let keys: BTreeSet<_> = report.steps.iter().map(|step| &step.key).collect();
        let row = |key: &ResourceKey| keys::report(key, report.started_at, &report.id);
        Ok(Self {
            id: report.id.as_bytes().to_vec(),
            document: report_to_document(report)?,
            rows: keys.into_iter().map(row).collect(),
        })
    }

    pub fn apply(self, staged: &mut Staged<'_>) {
        staged.put(Table::Reports, self.id, self.document);
        for row in self.rows {
            staged.put(Table::ReportsByKey, row, Vec::new());
        }
    }
}

impl ReadyPublish {
    pub fn new(publish: Publish) -> Result<Self, Error> {
        let Publish { id, at, drafts, report } = publish;
        let drafts = drafts.into_iter().map(|draft| ready(draft, &id, at));
        Ok(Self {
            drafts: drafts.collect::<Result<_, _>>()?,
            report: report.as_ref().map(ReadyReport::new).transpose()?,
        })
    }

    pub fn apply(self, staged: &mut Staged<'_>) -> Result<Vec<Outcome>, Error> {
        let drafts = self.drafts.into_iter();
        let outcomes = drafts.map(|draft| append(staged, draft)).collect();
        if let Some(report) = self.report {
            report.apply(staged);
        }
        outcomes
    }
}

fn ready(draft: Draft, publish_id: &str, at: TimestampMs) -> Result<Ready, Error> {
    let mut dependencies = draft.dependencies;
    dependencies.sort_unstable();
    dependencies.dedup();
    let version = Version {
        key: draft.key,
        seq: Seq::FIRST,
        version: semver::Version::new(1, 0, 0),
        created_at: at,
        data_hash: draft.data_hash,
        media_type: draft.media_type,
        content_location: draft.content_location,
        content_inline: draft.content_inline,
        dependencies,
        metadata: draft.metadata,
        tags: draft.tags,
        ttl_ms: draft.ttl_ms,
        spec: draft.spec,
        build: draft.build,
        policy: draft.policy,
        publish_id: publish_id.to_owned(),
        dropped_at: None,
    };
    Ok(Ready {
        key: version.key.encode(),
        dependencies: dependency_keys(&version),
        fingerprint: version.fingerprint(),
        body: VersionBody::new(&version)?,
        version,
        bump: draft.bump,
        precondition: draft.precondition,
        if_unchanged: draft.if_unchanged,
    })
}

fn append(staged: &mut Staged<'_>, draft: Ready) -> Result<Outcome, Error> {
    let old = head(staged, &draft.key)?;
    check_precondition(&draft, old.as_ref())?;
    if draft.if_unchanged == IfUnchanged::Deduplicate
        && let Some(old) = &old
        && old.fingerprint == draft.fingerprint
        && !old.dropped
        && !old.is_expired(draft.version.created_at)
    {
        return unchanged(staged, &draft, old.seq);
    }
    for dependency in &draft.version.dependencies {
        check_dependency(staged, &draft, dependency)?;
    }
    check_content(staged, &draft)?;
    let had = old.as_ref().map_or(&[][..], |old| &old.dependencies);
    check_cycle(staged, &draft, had)?;

    let Ready { mut version, key, .. } = draft;
    version.seq = old.as_ref().map_or(Seq::FIRST, |old| old.seq.next());
    version.version = draft.bump.after(old.as_ref().map(Head::semver).as_ref());
    let row = keys::version(&key, version.seq);
    staged.put(Table::Versions, row.clone(), draft.body.document(&version)?);
    let created = keys::created(&version.key, version.created_at, version.seq);
    staged.put(Table::Created, created, Vec::new());
    if version.content_location.storage_type != StorageType::Database {
        let digest = &version.content_location.checksum;
        staged.put(Table::BlobRefs, keys::blob_version(digest, &row), Vec::new());
    }
    for dependency in &version.dependencies {
        let reference = keys::reference(&dependency.on, &row);
        staged.put(Table::References, reference, Vec::new());
    }
    for gone in had.iter().filter(|key| draft.dependencies.binary_search(key).is_err()) {
        staged.remove(Table::Edges, keys::edge(gone, &key));
    }
    for new in draft.dependencies.iter().filter(|key| had.binary_search(key).is_err()) {
        staged.put(Table::Edges, keys::edge(new, &key), Vec::new());
    }
    let head = Head { dependencies: draft.dependencies, ..Head::of(&version, draft.fingerprint) };
    staged.put(Table::Heads, key, head.encode());
    Ok(Outcome::Appended(Arc::new(version)))
}

pub(super) fn head(staged: &Staged<'_>, key: &[u8]) -> Result<Option<Head>, Error> {
    let row = staged.get(Table::Heads, key)?;
    row.map(|row| Head::decode(&row)).transpose()
}

fn unchanged(staged: &Staged<'_>, draft: &Ready, seq: Seq) -> Result<Outcome, Error> {
    let row = staged.get(Table::Versions, &keys::version(&draft.key, seq))?;
    let row = row.ok_or_else(|| Error::Integrity {
        what: format!("{}@{seq}", draft.version.key),
        problem: "it is the latest version, and has no record".to_owned(),
    })?;
    Ok(Outcome::Unchanged(Arc::new(version_from_document(&row)?)))
}

fn check_precondition(draft: &Ready, old: Option<&Head>) -> Result<(), Error> {
    let found = old.map(|old| old.seq);
    let expected = match draft.precondition {
        Precondition::Any => return Ok(()),
        Precondition::Absent => None,
        Precondition::Latest(seq) => Some(seq),
    };
    if expected == found {
        return Ok(());
    }
    Err(Error::Conflict { key: draft.version.key.clone(), expected, found })
}

fn check_dependency(staged: &Staged<'_>, draft: &Ready, dependency: &Dependency) -> Result<(), Error> {
    let on = &dependency.on;
    let key = on.key.encode();
    let missing = |reason| Error::MissingDependency {
        dependent: draft.version.key.clone(),
        missing: on.clone(),
        reason,
    };
    let head = head(staged, &key)?.filter(|head| (1..=head.seq.0).contains(&on.seq.0));
    let head = head.ok_or_else(|| missing("never committed"))?;
    if on.key == draft.version.key {
        return Err(Error::Cycle {
            key: draft.version.key.clone(),
            on: on.key.clone(),
            path: vec![on.key.clone()],
        });
    }
    let dropped = if head.seq == on.seq {
        head.dropped
    } else {
        let row = staged.get(Table::Versions, &keys::version(&key, on.seq))?;
        let row = row.ok_or_else(|| missing("never committed"))?;
        version_from_document(&row)?.dropped_at.is_some()
    };
    if dropped {
        return Err(missing("dropped by cleanup"));
    }
    Ok(())
}

fn check_content(staged: &Staged<'_>, draft: &Ready) -> Result<(), Error> {
    let location = &draft.version.content_location;
    let there = match location.storage_type {
        StorageType::Database => draft.version.content_inline.is_some(),
        StorageType::Disk | StorageType::S3 => is_stored(staged, location)?,
        StorageType::Memory | StorageType::Cache => false,
    };
    if there {
        return Ok(());
    }
    Err(Error::MissingBlob { key: draft.version.key.clone(), digest: location.checksum })
}

/// Whether the row says so, of this very generation.
fn is_stored(staged: &Staged<'_>, location: &ContentLocation) -> Result<bool, Error> {
    let Some(row) = staged.get(Table::Blobs, location.checksum.as_bytes())? else {
        return Ok(false);
    };
    let (record, _) = blob_from_document(&row)?;
    let stored = matches!(record.state, BlobState::Stored { .. });
    Ok(stored && record.location.path == location.path)
}

/// K3: looks only where an edge is new, and from the dependent upwards: whoever is drafted has few dependents
/// or none, while what it depends on may be everything.
fn check_cycle(staged: &Staged<'_>, draft: &Ready, had: &[Vec<u8>]) -> Result<(), Error> {
    let new: BTreeSet<&[u8]> =
        draft.dependencies.iter().filter(|key| had.binary_search(key).is_err()).map(Vec::as_slice).collect();
    if new.is_empty() {
        return Ok(());
    }
    // Dependent → the one through which it was reached.
    let mut reached: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    let mut queue = VecDeque::from([draft.key.clone()]);
    while let Some(from) = queue.pop_front() {
        let prefix = keys::prefix(&from);
        for row in staged.keys(Table::Edges, &prefix)? {
            let dependent = row[prefix.len()..].to_vec();
            if dependent == draft.key || reached.contains_key(&dependent) {
                continue;
            }
            reached.insert(dependent.clone(), from.clone());
            if new.contains(dependent.as_slice()) {
                return Err(cycle(draft, &dependent, &reached)?);
            }
            queue.push_back(dependent);
        }
    }
    Ok(())
}

fn cycle(draft: &Ready, on: &[u8], reached: &HashMap<Vec<u8>, Vec<u8>>) -> Result<Error, Error> {
    let mut path = vec![keys::parse_key(on)?];
    let mut at = on;
    while let Some(next) = reached.get(at) {
        path.push(keys::parse_key(next)?);
        at = next;
    }
    Ok(Error::Cycle { key: draft.version.key.clone(), on: path[0].clone(), path })
}

/// The version of a row, if there is one.
pub(super) fn version(staged: &Staged<'_>, reference: &VersionRef) -> Result<Option<Version>, Error> {
    let row = keys::version(&reference.key.encode(), reference.seq);
    let row = staged.get(Table::Versions, &row)?;
    row.map(|row| version_from_document(&row)).transpose()
}
