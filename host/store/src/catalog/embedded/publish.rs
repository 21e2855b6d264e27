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
use crate::catalog::{BlobState, Draft, IfUnchanged, Outcome, Precondition, Publish, is_copy};
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
    let (bump, precondition, if_unchanged) = (draft.bump, draft.precondition, draft.if_unchanged);
    let version = draft.into_version(publish_id, at);
    Ok(Ready { bump, precondition, if_unchanged, ..Ready::of(version)? })
}

impl Ready {
    fn of(version: Version) -> Result<Self, Error> {
        Ok(Self {
            key: version.key.encode(),
            dependencies: dependency_keys(&version),
            fingerprint: version.fingerprint(),
            body: VersionBody::new(&version)?,
            version,
            bump: floret_model::Bump::Patch,
            precondition: Precondition::Any,
            if_unchanged: IfUnchanged::Append,
        })
    }
}

fn append(staged: &mut Staged<'_>, draft: Ready) -> Result<Outcome, Error> {
    let old = head(staged, &draft.key)?;
    draft.precondition.check(&draft.version.key, old.as_ref().map(|old| old.seq))?;
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

    let Ready { mut version, .. } = draft;
    version.seq = old.as_ref().map_or(Seq::FIRST, |old| old.seq.next());
    version.version = draft.bump.after(old.as_ref().map(Head::semver).as_ref());
    let document = draft.body.document(&version)?;
    let head = Head { dependencies: draft.dependencies, ..Head::of(&version, draft.fingerprint) };
    write(staged, &version, draft.key, document, head, had);
    Ok(Outcome::Appended(Arc::new(version)))
}

/// The rows of a version that becomes the latest; `had` are the keys that the latest before it depends on. A version
/// that was dropped elsewhere refers to nothing.
fn write(
    staged: &mut Staged<'_>,
    version: &Version,
    key: Vec<u8>,
    document: Vec<u8>,
    head: Head,
    had: &[Vec<u8>],
) {
    let row = keys::version(&key, version.seq);
    staged.put(Table::Versions, row.clone(), document);
    let created = keys::created(&version.key, version.created_at, version.seq);
    staged.put(Table::Created, created, Vec::new());
    if version.dropped_at.is_none() {
        if version.content_location.storage_type != StorageType::Database {
            let digest = &version.content_location.checksum;
            staged.put(Table::BlobRefs, keys::blob_version(digest, &row), Vec::new());
        }
        for dependency in &version.dependencies {
            let reference = keys::reference(&dependency.on, &row);
            staged.put(Table::References, reference, Vec::new());
        }
    }
    for gone in had.iter().filter(|key| head.dependencies.binary_search(key).is_err()) {
        staged.remove(Table::Edges, keys::edge(gone, &key));
    }
    for new in head.dependencies.iter().filter(|key| had.binary_search(key).is_err()) {
        staged.put(Table::Edges, keys::edge(new, &key), Vec::new());
    }
    staged.put(Table::Heads, key, head.encode());
}

/// A version of another catalog, as it is there.
pub(super) fn import(staged: &mut Staged<'_>, version: &Version) -> Result<(), Error> {
    let key = version.key.encode();
    let old = head(staged, &key)?;
    let found = old.as_ref().map(|old| old.seq);
    let conflict = || Error::Conflict { key: version.key.clone(), expected: version.seq.previous(), found };
    if found.is_some_and(|found| version.seq <= found) {
        let here = self::version(staged, &version.reference())?.ok_or_else(conflict)?;
        return if is_copy(&here, version) { Ok(()) } else { Err(conflict()) };
    }
    if found != version.seq.previous() {
        return Err(conflict());
    }
    let had = old.as_ref().map_or(&[][..], |old| &old.dependencies);
    let ready = Ready::of(version.clone())?;
    if version.dropped_at.is_none() {
        for dependency in &version.dependencies {
            check_dependency(staged, &ready, dependency)?;
        }
        check_content(staged, &ready)?;
    }
    let document = ready.body.document(version)?;
    let head = Head { dependencies: ready.dependencies, ..Head::of(version, ready.fingerprint) };
    write(staged, version, key, document, head, had);
    Ok(())
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

fn check_dependency(staged: &Staged<'_>, draft: &Ready, dependency: &Dependency) -> Result<(), Error> {
    let on = &dependency.on;
    let key = on.key.encode();
    let missing = |reason| Error::MissingDependency {
        dependent: draft.version.key.clone(),
        missing: Box::new(on.clone()),
        reason,
    };
    let head = head(staged, &key)?.filter(|head| (1..=head.seq.0).contains(&on.seq.0));
    let head = head.ok_or_else(|| missing("never committed"))?;
    if on.key == draft.version.key {
        return Err(Error::Cycle {
            key: draft.version.key.clone(),
            on: Box::new(on.key.clone()),
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
    Ok(Error::Cycle { key: draft.version.key.clone(), on: Box::new(path[0].clone()), path })
}

/// The version of a row, if there is one.
pub(super) fn version(staged: &Staged<'_>, reference: &VersionRef) -> Result<Option<Version>, Error> {
    let row = keys::version(&reference.key.encode(), reference.seq);
    let row = staged.get(Table::Versions, &row)?;
    row.map(|row| version_from_document(&row)).transpose()
}
