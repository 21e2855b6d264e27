//! Reads outside of transactions: each sees what a majority has, and many heads are seen at one point in time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bson::{Bson, Document, RawDocumentBuf, doc};
use floret_model::{
    CascadeReport, Digest, Memo, Namespace, ResourceKey, ResourceType, Seq, TimestampMs, Version, VersionRef,
};
use futures::TryStreamExt;
use mongodb::ClientSession;
use mongodb::options::{FindOptions, ReadConcern};
use serde::de::DeserializeOwned;

use super::head::{date, long, moment};
use super::home::Home;
use super::ids;
use super::staged::chunks;
use super::transaction::Failure;
use crate::Error;
use crate::catalog::{Access, BlobRecord, ListQuery};
use crate::record::{blob_from_document, memo_from_document, report_from_document, version_from_document};

/// Versions of a resource: `log` and single latest versions.
pub(super) fn log_filter(key: &ResourceKey, before: Option<Seq>) -> Document {
    let mut filter = doc! {
        "namespace": key.namespace.as_str(),
        "resource_type": key.resource_type.as_str(),
        "resource_id": key.resource_id.as_str(),
    };
    if let Some(before) = before {
        filter.insert("seq", doc! { "$lt": long(before.0) });
    }
    filter
}

/// Documents whose `_id` begins with a prefix and lies behind another.
fn id_range(prefix: &str, after: Option<&str>) -> Document {
    let mut range = match after {
        Some(after) if after >= prefix => doc! { "$gt": after },
        _ => doc! { "$gte": prefix },
    };
    if !prefix.is_empty() {
        range.insert("$lt", ids::after_prefix(prefix));
    }
    doc! { "_id": range }
}

/// What every server and shell takes as a date: the years 1 to 9999.
const DATES: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

pub(super) fn created_filter(
    namespace: &Namespace,
    resource_type: &ResourceType,
    (from, to): (TimestampMs, TimestampMs),
) -> Document {
    let [from, to] = [from, to].map(|at| TimestampMs(at.0.clamp(*DATES.start(), *DATES.end())));
    doc! {
        "namespace": namespace.as_str(),
        "resource_type": resource_type.as_str(),
        "version_info.created_at": { "$gte": date(from), "$lt": date(to) },
    }
}

pub(super) fn list_filter(query: &ListQuery) -> Document {
    let mut prefix = String::new();
    if let Some(namespace) = &query.namespace {
        prefix = format!("{namespace}\t");
        if let Some(resource_type) = &query.resource_type {
            prefix = format!("{prefix}{resource_type}\t{}", query.id_prefix.as_deref().unwrap_or_default());
        }
    }
    let mut filter = id_range(&prefix, query.after.as_ref().map(ids::resource).as_deref());
    if query.namespace.is_none() || query.resource_type.is_none() {
        if let Some(resource_type) = &query.resource_type {
            filter.insert("resource_type", resource_type.as_str());
        }
        if let Some(id) = &query.id_prefix {
            filter.insert("resource_id", doc! { "$gte": id, "$lt": ids::after_prefix(id) });
        }
    }
    filter
}

/// As the driver takes it: `usize::MAX` is no limit.
fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(0)
}

fn versions(rows: Vec<RawDocumentBuf>) -> Result<Vec<Arc<Version>>, Error> {
    rows.iter().map(|row| version_from_document(row.as_bytes()).map(Arc::new)).collect()
}

/// A record that is kept within a document of ours.
fn inner<T>(document: &Document, name: &str, read: fn(&[u8]) -> Result<T, Error>) -> Result<T, Error> {
    let damaged = |problem: String| Error::Integrity { what: format!("a document of {name}s"), problem };
    let inner = document.get_document(name).map_err(|error| damaged(error.to_string()))?;
    read(&bson::serialize_to_vec(inner).map_err(|error| damaged(error.to_string()))?)
}

impl Home {
    async fn all<T: DeserializeOwned + Unpin + Send + Sync>(
        &self,
        found: Result<mongodb::Cursor<T>, mongodb::error::Error>,
    ) -> Result<Vec<T>, Error> {
        let found = async { found?.try_collect().await };
        found.await.map_err(|error: mongodb::error::Error| self.told(&error))
    }

    /// Some of the fields of heads as they are at one point in time, however many commands and batches it takes: so that
    /// nobody sees a publish in part. The versions that they name never change.
    async fn heads_at_once(
        &self,
        filters: impl IntoIterator<Item = Document>,
        field: &str,
        options: FindOptions,
    ) -> Result<Vec<Document>, Error> {
        let read = async {
            let mut session = self.client.start_session().snapshot(true).await?;
            let mut heads = Vec::new();
            for filter in filters {
                let found =
                    self.heads.find(filter).with_options(options.clone()).projection(doc! { field: 1 });
                // Without it the session would keep the level that the collection asks for.
                let found = found.read_concern(ReadConcern::snapshot());
                let mut found = found.session(&mut session).await?;
                heads.extend(found.stream(&mut session).try_collect::<Vec<Document>>().await?);
            }
            Ok(heads)
        };
        read.await.map_err(|error: mongodb::error::Error| self.told(&error))
    }

    /// One by its place in the index; many by their heads, in two round trips however many there are.
    pub async fn read_heads(&self, keys: &[ResourceKey]) -> Result<Vec<Option<Arc<Version>>>, Error> {
        if let [key] = keys {
            return Ok(vec![self.read_log(key, None, 1).await?.pop()]);
        }
        let wanted: BTreeSet<String> = keys.iter().map(ids::resource).collect();
        let filters = chunks(wanted).map(|ids| doc! { "_id": { "$in": ids } });
        let heads = self.heads_at_once(filters, "seq", FindOptions::default()).await?;
        let places = heads.iter().map(place).collect::<Result<BTreeSet<String>, Error>>()?;
        let mut found: HashMap<ResourceKey, Arc<Version>> = HashMap::with_capacity(places.len());
        for ids in chunks(places) {
            let rows = self.all(self.versions.find(doc! { "_id": { "$in": ids } }).await).await?;
            found.extend(versions(rows)?.into_iter().map(|version| (version.key.clone(), version)));
        }
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    pub async fn read_version(&self, reference: &VersionRef) -> Result<Option<Arc<Version>>, Error> {
        let row = self.versions.find_one(doc! { "_id": ids::version(reference) }).await;
        let row = row.map_err(|error| self.told(&error))?;
        row.map(|row| version_from_document(row.as_bytes()).map(Arc::new)).transpose()
    }

    /// Versions by `_id`, within a transaction.
    pub async fn read_versions(
        &self,
        session: &mut ClientSession,
        wanted: BTreeSet<String>,
        into: &mut HashMap<VersionRef, Arc<Version>>,
    ) -> Result<(), Failure> {
        for ids in chunks(wanted) {
            let mut rows = self.versions.find(doc! { "_id": { "$in": ids } }).session(&mut *session).await?;
            while let Some(row) = rows.stream(session).try_next().await? {
                let version = Arc::new(version_from_document(row.as_bytes())?);
                into.insert(version.reference(), version);
            }
        }
        Ok(())
    }

    pub async fn read_log(
        &self,
        key: &ResourceKey,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>, Error> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let found = self.versions.find(log_filter(key, before)).sort(doc! { "seq": -1 });
        versions(self.all(found.limit(limit_of(limit)).await).await?)
    }

    pub async fn read_list(&self, query: &ListQuery) -> Result<Vec<Arc<Version>>, Error> {
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        let options =
            FindOptions::builder().sort(doc! { "_id": 1 }).hint(by_id()).limit(limit_of(query.limit)).build();
        let heads = self.heads_at_once([list_filter(query)], "seq", options).await?;
        let places = heads.iter().map(place).collect::<Result<BTreeSet<String>, Error>>()?;
        let mut listed = Vec::with_capacity(places.len());
        for ids in chunks(places) {
            let rows = self.versions.find(doc! { "_id": { "$in": ids } }).sort(doc! { "_id": 1 });
            listed.extend(versions(self.all(rows.await).await?)?);
        }
        Ok(listed)
    }

    pub async fn read_created(
        &self,
        namespace: &Namespace,
        resource_type: &ResourceType,
        times: (TimestampMs, TimestampMs),
        limit: usize,
    ) -> Result<Vec<VersionRef>, Error> {
        if times.0 >= times.1 || limit == 0 {
            return Ok(Vec::new());
        }
        let versions = &self.version_documents;
        let found = versions.find(created_filter(namespace, resource_type, times));
        let found = found.sort(doc! { "version_info.created_at": 1, "resource_id": 1, "seq": 1 });
        let found = found.projection(doc! { "_id": 1 }).limit(limit_of(limit)).await;
        self.all(found).await?.iter().map(|document| ids::parse_version(id(document))).collect()
    }

    pub async fn read_dependents(&self, keys: &[ResourceKey]) -> Result<Vec<Vec<ResourceKey>>, Error> {
        let names: Vec<String> = keys.iter().map(ids::resource).collect();
        let mut found: HashMap<String, Vec<ResourceKey>> = HashMap::new();
        let filters =
            chunks(names.iter().cloned().collect()).map(|some| doc! { "depends_on": { "$in": some } });
        for head in self.heads_at_once(filters, "depends_on", FindOptions::default()).await? {
            let dependent = ids::parse_resource(id(&head))?;
            for on in head.get_array("depends_on").into_iter().flatten().filter_map(Bson::as_str) {
                found.entry(on.to_owned()).or_default().push(dependent.clone());
            }
        }
        let of = |name: &String| {
            let mut dependents = found.get(name).cloned().unwrap_or_default();
            dependents.sort();
            dependents.dedup();
            dependents
        };
        Ok(names.iter().map(of).collect())
    }

    pub async fn read_referrers(&self, reference: &VersionRef) -> Result<Vec<VersionRef>, Error> {
        let filter = doc! { "refers_to": ids::version(reference) };
        let found = self.version_documents.find(filter).projection(doc! { "_id": 1 }).await;
        let found = self.all(found).await?;
        let mut referrers: Vec<VersionRef> =
            found.iter().map(|document| ids::parse_version(id(document))).collect::<Result<_, _>>()?;
        referrers.sort();
        Ok(referrers)
    }

    pub async fn read_scan(
        &self,
        after: Option<&VersionRef>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>, Error> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let range = id_range("", after.map(ids::version).as_deref());
        let found = self.versions.find(range).sort(doc! { "_id": 1 }).hint(by_id());
        versions(self.all(found.limit(limit_of(limit)).await).await?)
    }

    pub async fn read_reports(&self, key: &ResourceKey, limit: usize) -> Result<Vec<CascadeReport>, Error> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let found = self.reports.find(doc! { "keys": ids::resource(key) });
        let found = found.sort(doc! { "started_at": -1, "_id": -1 }).limit(limit_of(limit)).await;
        self.all(found).await?.iter().map(|report| inner(report, "report", report_from_document)).collect()
    }

    pub async fn scan_reports(&self, after: Option<&str>, limit: usize) -> Result<Vec<CascadeReport>, Error> {
        let found = self.reports.find(id_range("", after)).sort(doc! { "_id": 1 }).hint(by_id());
        let found = self.all(found.limit(limit_of(limit)).await).await?;
        found.iter().map(|report| inner(report, "report", report_from_document)).collect()
    }

    pub async fn read_memos(&self, recipes: &[Digest]) -> Result<Vec<Option<Memo>>, Error> {
        let mut found = HashMap::new();
        for ids in chunks(recipes.iter().map(Digest::to_string).collect()) {
            for document in self.all(self.memos.find(doc! { "_id": { "$in": ids } }).await).await? {
                let memo = inner(&document, "memo", memo_from_document)?;
                found.insert(memo.recipe, memo);
            }
        }
        Ok(recipes.iter().map(|recipe| found.get(recipe).cloned()).collect())
    }

    pub async fn scan_memos(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<Memo>, Error> {
        let range = id_range("", after.map(Digest::to_string).as_deref());
        let found = self.memos.find(range).sort(doc! { "_id": 1 }).hint(by_id());
        let found = self.all(found.limit(limit_of(limit)).await).await?;
        found.iter().map(|memo| inner(memo, "memo", memo_from_document)).collect()
    }

    pub async fn read_blob(&self, digest: &Digest) -> Result<Option<(BlobRecord, u64)>, Error> {
        let row = self.blobs.find_one(doc! { "_id": digest.to_string() }).await;
        let row = row.map_err(|error| self.told(&error))?;
        row.map(|row| blob_from_document(row.as_bytes())).transpose()
    }

    pub async fn scan_blobs(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<BlobRecord>, Error> {
        let range = id_range("", after.map(Digest::to_string).as_deref());
        let found = self.blobs.find(range).sort(doc! { "_id": 1 }).hint(by_id());
        let rows = self.all(found.limit(limit_of(limit)).await).await?;
        rows.iter().map(|row| blob_from_document(row.as_bytes()).map(|(record, _)| record)).collect()
    }

    pub async fn read_access(&self, key: &ResourceKey) -> Result<Access, Error> {
        let found = self.accesses.find_one(doc! { "_id": ids::resource(key) }).await;
        let found = found.map_err(|error| self.told(&error))?;
        found.as_ref().map_or(Ok(Access::default()), access)
    }

    pub async fn scan_accesses(
        &self,
        after: Option<&ResourceKey>,
        limit: usize,
    ) -> Result<Vec<(ResourceKey, Access)>, Error> {
        let range = id_range("", after.map(ids::resource).as_deref());
        let found = self.accesses.find(range).sort(doc! { "_id": 1 }).hint(by_id());
        let found = self.all(found.limit(limit_of(limit)).await).await?;
        found.iter().map(|document| Ok((ids::parse_resource(id(document))?, access(document)?))).collect()
    }
}

/// The index on `_id`, named because not every server takes it for a range by itself.
fn by_id() -> mongodb::options::Hint {
    mongodb::options::Hint::Name("_id_".to_owned())
}

fn id(document: &Document) -> &str {
    document.get_str("_id").unwrap_or_default()
}

/// `_id` of the version that a head names.
fn place(head: &Document) -> Result<String, Error> {
    let seq = head.get_i64("seq").ok().and_then(|seq| u64::try_from(seq).ok());
    let seq = seq.ok_or_else(|| Error::Integrity {
        what: format!("the head {:?}", id(head)),
        problem: "it has no seq".to_owned(),
    })?;
    Ok(ids::version_of(id(head), Seq(seq)))
}

fn access(document: &Document) -> Result<Access, Error> {
    let read = || {
        let count = u64::try_from(document.get_i64("count").ok()?).ok()?;
        Some(Access { count, last_at: moment(document.get_datetime("last_at").ok()?) })
    };
    read().ok_or_else(|| Error::Integrity {
        what: format!("the access count {:?}", id(document)),
        problem: "a field is missing, or of another type".to_owned(),
    })
}
