//! What a transaction has read, and what its publishes will have done: decided here, written at once (write.rs).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bson::{Document, RawDocumentBuf, doc};
use floret_model::{Digest, ResourceKey, Seq, StorageType, Version, VersionRef};
use futures::TryStreamExt;
use mongodb::ClientSession;

use super::draft::{Ready, ReadyPublish, blob_of};
use super::head::Head;
use super::home::Home;
use super::ids;
use super::transaction::Failure;
use crate::Error;
use crate::catalog::{BlobRecord, BlobState, IfUnchanged, is_copy};
use crate::record::{blob_from_document, version_from_document};

/// `_id`s in one query: at 660 bytes each at most 6.6 MB.
const IDS_MAX: usize = 10_000;

/// A version that is to be inserted, as the new latest of its resource.
pub(super) struct Appended {
    pub version: Arc<Version>,
    pub document: RawDocumentBuf,
    pub head: Head,
}

/// What became of one draft.
pub(super) enum Decision {
    Appended(Arc<Version>),
    Unchanged(VersionRef),
}

/// Versions appended by one publish, over those of the publishes before it.
#[derive(Default)]
struct Layer {
    heads: HashMap<String, Head>,
    appended: Vec<Appended>,
    /// Whether a resource that others may depend on got an edge that it did not have.
    new_edge: bool,
}

#[derive(Default)]
pub(super) struct Staged {
    /// Resources that were looked for.
    asked: HashSet<String>,
    /// Of those that are there: as committed.
    heads: HashMap<String, Head>,
    /// Of dependencies that are no heads: whether cleanup dropped them.
    dropped: HashMap<String, bool>,
    blobs: HashMap<Digest, BlobRecord>,
    group: Layer,
    own: Layer,
}

impl Staged {
    /// Read whatever these will be decided by.
    pub async fn load(
        home: &Home,
        session: &mut ClientSession,
        drafts: impl IntoIterator<Item = &Ready> + Clone,
    ) -> Result<Self, Failure> {
        let mut staged = Self::default();
        let mut keys = BTreeSet::new();
        let mut digests = BTreeSet::new();
        for draft in drafts.clone() {
            keys.insert(draft.id.clone());
            keys.extend(draft.version.dependencies.iter().map(|on| ids::resource(&on.on.key)));
            digests.extend(blob_of(&draft.version).copied());
        }
        staged.asked = keys.iter().cloned().collect();
        for ids in chunks(keys) {
            let mut found = home.heads.find(doc! { "_id": { "$in": ids } }).session(&mut *session).await?;
            while let Some(document) = found.stream(session).try_next().await? {
                let (id, head) = Head::from_document(&document)?;
                staged.heads.insert(id, head);
            }
        }
        let olds = drafts.into_iter().flat_map(|draft| &draft.version.dependencies).filter(|dependency| {
            let head = staged.heads.get(&ids::resource(&dependency.on.key));
            head.is_some_and(|head| dependency.on.seq < head.seq)
        });
        let olds: BTreeSet<String> = olds.map(|dependency| ids::version(&dependency.on)).collect();
        for ids in chunks(olds) {
            let marks = home.version_documents.find(doc! { "_id": { "$in": ids } });
            let mut found = marks.projection(doc! { "dropped_at": 1 }).session(&mut *session).await?;
            while let Some(document) = found.stream(session).try_next().await? {
                let id = document.get_str("_id").unwrap_or_default().to_owned();
                staged.dropped.insert(id, document.contains_key("dropped_at"));
            }
        }
        for ids in chunks(digests.iter().map(Digest::to_string).collect()) {
            let mut found = home.blobs.find(doc! { "_id": { "$in": ids } }).session(&mut *session).await?;
            while let Some(row) = found.stream(session).try_next().await? {
                let (record, _) = blob_from_document(row.as_bytes())?;
                staged.blobs.insert(record.digest, record);
            }
        }
        Ok(staged)
    }

    /// Decide a publish: all of it, or nothing and why not.
    pub async fn publish(
        &mut self,
        home: &Home,
        session: &mut ClientSession,
        publish: &ReadyPublish,
    ) -> Result<Vec<Decision>, Failure> {
        self.own = Layer::default();
        let mut decisions = Vec::with_capacity(publish.drafts.len());
        for draft in &publish.drafts {
            decisions.push(self.append(home, session, draft).await?);
        }
        self.keep();
        Ok(decisions)
    }

    /// Take a version of another catalog as it is.
    pub async fn import(
        &mut self,
        home: &Home,
        session: &mut ClientSession,
        ready: &Ready,
    ) -> Result<(), Failure> {
        let version = &ready.version;
        let old = self.head(&ready.id).cloned();
        let found = old.as_ref().map(|old| old.seq);
        let conflict = || {
            let expected = version.seq.previous();
            Failure::from(Error::Conflict { key: version.key.clone(), expected, found })
        };
        if found.is_some_and(|found| version.seq <= found) {
            let place = doc! { "_id": ids::version_of(&ready.id, version.seq) };
            let row = home.versions.find_one(place).session(&mut *session).await?.ok_or_else(conflict)?;
            let here = version_from_document(row.as_bytes())?;
            return if is_copy(&here, version) { Ok(()) } else { Err(conflict()) };
        }
        if found != version.seq.previous() {
            return Err(conflict());
        }
        self.own = Layer::default();
        if version.dropped_at.is_none() {
            self.check_dependencies(ready)?;
            self.check_content(ready)?;
        }
        self.own.new_edge |=
            old.as_ref().is_some_and(|old| !new_edges(&ready.head(version), Some(old)).is_empty());
        self.stage(ready, version.clone())?;
        self.keep();
        Ok(())
    }

    /// What is to be written, and whether the graph has a new edge.
    pub fn into_appended(self) -> (Vec<Appended>, bool) {
        (self.group.appended, self.group.new_edge)
    }

    fn keep(&mut self) {
        let own = std::mem::take(&mut self.own);
        self.group.heads.extend(own.heads);
        self.group.appended.extend(own.appended);
        self.group.new_edge |= own.new_edge;
    }

    fn head(&self, id: &str) -> Option<&Head> {
        self.own.heads.get(id).or_else(|| self.group.heads.get(id)).or_else(|| self.heads.get(id))
    }

    async fn append(
        &mut self,
        home: &Home,
        session: &mut ClientSession,
        draft: &Ready,
    ) -> Result<Decision, Failure> {
        let old = self.head(&draft.id).cloned();
        draft.precondition.check(draft.key(), old.as_ref().map(|old| old.seq))?;
        if draft.if_unchanged == IfUnchanged::Deduplicate
            && let Some(old) = &old
            && old.fingerprint == draft.fingerprint
            && !old.dropped
            && !old.is_expired(draft.version.created_at)
        {
            return Ok(Decision::Unchanged(VersionRef { key: draft.key().clone(), seq: old.seq }));
        }
        self.check_dependencies(draft)?;
        self.check_content(draft)?;
        self.check_cycle(home, session, draft, old.as_ref()).await?;
        let mut version = draft.version.clone();
        version.seq = old.as_ref().map_or(Seq::FIRST, |old| old.seq.next());
        version.version = draft.bump.after(old.as_ref().map(|old| &old.version));
        Ok(Decision::Appended(self.stage(draft, version)?))
    }

    fn stage(&mut self, ready: &Ready, version: Version) -> Result<Arc<Version>, Error> {
        let document = ready.document(&version)?;
        let head = ready.head(&version);
        let version = Arc::new(version);
        self.own.heads.insert(ready.id.clone(), head.clone());
        self.own.appended.push(Appended { version: Arc::clone(&version), document, head });
        Ok(version)
    }

    fn check_dependencies(&self, draft: &Ready) -> Result<(), Error> {
        for dependency in &draft.version.dependencies {
            let on = &dependency.on;
            let id = ids::resource(&on.key);
            let missing = |reason| Error::MissingDependency {
                dependent: draft.key().clone(),
                missing: Box::new(on.clone()),
                reason,
            };
            let head = self.head(&id).filter(|head| (1..=head.seq.0).contains(&on.seq.0));
            let head = head.ok_or_else(|| missing("never committed"))?;
            if on.key == *draft.key() {
                let (key, path) = (draft.key().clone(), vec![on.key.clone()]);
                return Err(Error::Cycle { key, on: Box::new(on.key.clone()), path });
            }
            // What is staged here is not dropped, and what was the latest when we looked has its mark in its head.
            let dropped = match head.seq == on.seq {
                true => head.dropped,
                false => match self.heads.get(&id) {
                    Some(committed) if on.seq == committed.seq => committed.dropped,
                    Some(committed) if on.seq < committed.seq => {
                        let mark = self.dropped.get(&ids::version_of(&id, on.seq));
                        *mark.ok_or_else(|| missing("never committed"))?
                    }
                    _ => false,
                },
            };
            if dropped {
                return Err(missing("dropped by cleanup"));
            }
        }
        Ok(())
    }

    fn check_content(&self, draft: &Ready) -> Result<(), Error> {
        let location = &draft.version.content_location;
        let there = match location.storage_type {
            StorageType::Database => draft.version.content_inline.is_some(),
            StorageType::Disk | StorageType::S3 => self.blobs.get(&location.checksum).is_some_and(|record| {
                matches!(record.state, BlobState::Stored { .. }) && record.location.path == location.path
            }),
            StorageType::Memory | StorageType::Cache => false,
        };
        if there {
            return Ok(());
        }
        Err(Error::MissingBlob { key: draft.key().clone(), digest: location.checksum })
    }

    /// K3: looks only where an edge is new, and from the dependent upwards. A resource that is new itself has no
    /// dependents but those staged here, so nothing is asked for it.
    async fn check_cycle(
        &mut self,
        home: &Home,
        session: &mut ClientSession,
        draft: &Ready,
        old: Option<&Head>,
    ) -> Result<(), Failure> {
        let head = draft.head(&draft.version);
        let mut new = new_edges(&head, old);
        if new.is_empty() {
            return Ok(());
        }
        self.own.new_edge |= old.is_some();
        // What depends on nothing leads nowhere, so not back either: most drafts are done here.
        new.retain(|id| self.head(id).is_none_or(|on| !on.depends_on.is_empty()));
        if new.is_empty() {
            return Ok(());
        }
        // Dependent → the one through which it was reached.
        let mut reached: HashMap<String, String> = HashMap::new();
        let mut frontier = HashSet::from([draft.id.clone()]);
        while !frontier.is_empty() {
            let mut next = HashSet::new();
            for (dependent, through) in self.dependents(home, session, &frontier).await? {
                if dependent == draft.id || reached.contains_key(&dependent) {
                    continue;
                }
                reached.insert(dependent.clone(), through);
                if new.contains(&dependent) {
                    return Err(Failure::from(cycle(draft.key(), &dependent, &reached)?));
                }
                next.insert(dependent);
            }
            frontier = next;
        }
        Ok(())
    }

    /// Resources whose latest version depends on one of these, each with the one.
    async fn dependents(
        &self,
        home: &Home,
        session: &mut ClientSession,
        of: &HashSet<String>,
    ) -> Result<Vec<(String, String)>, Failure> {
        let mut found = Vec::new();
        let layers = [&self.own.heads, &self.group.heads];
        let committed: BTreeSet<String> =
            of.iter().filter(|id| self.may_have_dependents(id)).cloned().collect();
        for ids in chunks(committed) {
            let filter = doc! { "depends_on": { "$in": ids } };
            let mut cursor =
                home.heads.find(filter).projection(doc! { "depends_on": 1 }).session(&mut *session).await?;
            while let Some(document) = cursor.stream(session).try_next().await? {
                let id = document.get_str("_id").unwrap_or_default().to_owned();
                // Whatever is staged stands for what is committed.
                if layers.iter().any(|layer| layer.contains_key(&id)) {
                    continue;
                }
                edges(&id, &names(&document), of, &mut found);
            }
        }
        for (id, head) in self.group.heads.iter().filter(|(id, _)| !self.own.heads.contains_key(*id)) {
            edges(id, &head.depends_on, of, &mut found);
        }
        for (id, head) in &self.own.heads {
            edges(id, &head.depends_on, of, &mut found);
        }
        Ok(found)
    }

    /// Whether a committed version may depend on it: not if it was looked for and is not there.
    fn may_have_dependents(&self, id: &str) -> bool {
        self.heads.contains_key(id) || !self.asked.contains(id)
    }
}

/// What it depends on, and the one before it did not.
fn new_edges<'a>(head: &'a Head, old: Option<&Head>) -> HashSet<&'a String> {
    let had = old.map_or(&[][..], |old| &old.depends_on);
    head.depends_on.iter().filter(|id| had.binary_search(id).is_err()).collect()
}

fn names(document: &Document) -> Vec<String> {
    let names = document.get_array("depends_on").map(Vec::as_slice).unwrap_or_default();
    names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn edges(id: &str, depends_on: &[String], of: &HashSet<String>, found: &mut Vec<(String, String)>) {
    let through = depends_on.iter().filter(|on| of.contains(*on));
    found.extend(through.map(|on| (id.to_owned(), on.clone())));
}

fn cycle(key: &ResourceKey, on: &str, reached: &HashMap<String, String>) -> Result<Error, Error> {
    let mut path = vec![ids::parse_resource(on)?];
    let mut at = on;
    while let Some(next) = reached.get(at) {
        path.push(ids::parse_resource(next)?);
        at = next;
    }
    Ok(Error::Cycle { key: key.clone(), on: Box::new(path[0].clone()), path })
}

pub(super) fn chunks(ids: BTreeSet<String>) -> impl Iterator<Item = Vec<String>> {
    let ids: Vec<String> = ids.into_iter().collect();
    ids.chunks(IDS_MAX).map(<[String]>::to_vec).collect::<Vec<_>>().into_iter()
}
