//! Whole passes: statistics, and whether what is derived agrees with the log. And how the server is.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use floret_model::Version;
use futures::TryStreamExt;

use super::draft::blob_of;
use super::head::{Head, moment};
use super::home::Home;
use super::ids;
use super::schema::SCHEMA;
use crate::Error;
use crate::catalog::{CatalogProbe, CatalogStatistics};
use crate::record::version_from_document;

/// Problems told of one pass; more say nothing new.
const LINES_MAX: usize = 1000;

impl Home {
    pub async fn read_statistics(&self) -> Result<CatalogStatistics, Error> {
        let count = async {
            let versions = &self.version_documents;
            let kept = doc! { "dropped_at": null };
            let mut inline = kept.clone();
            inline.insert("content_location.storage_type", "database");
            let stored = doc! { "state": "stored" };
            let blobs = &self.blob_documents;
            Ok(CatalogStatistics {
                resources: self.heads.count_documents(doc! {}).await?,
                versions: versions.count_documents(doc! {}).await?,
                raw_bytes: sum(versions, kept, "$content_location.size_bytes").await?,
                blobs: blobs.count_documents(stored.clone()).await?,
                blob_raw_bytes: sum(blobs, stored.clone(), "$location.size_bytes").await?,
                blob_stored_bytes: sum(blobs, stored, "$location.size_compressed").await?,
                inline_bytes: sum(versions, inline, "$content_location.size_compressed").await?,
                memos: self.memos.count_documents(doc! {}).await?,
            })
        };
        count.await.map_err(|error: mongodb::error::Error| self.told(&error))
    }

    /// Reads every version and every head; memory grows with the resources, by what a head takes.
    pub async fn read_problems(&self) -> Result<Vec<String>, Error> {
        let told = |error: mongodb::error::Error| self.told(&error);
        let mut lines = Vec::new();
        let mut expected: BTreeMap<String, Head> = BTreeMap::new();
        let rows = self.versions.find(doc! {}).sort(doc! { "_id": 1 }).hint(by_id());
        let mut rows = rows.await.map_err(told)?;
        while let Some(row) = rows.try_next().await.map_err(told)? {
            let version = match version_from_document(row.as_bytes()) {
                Ok(version) => version,
                Err(error) => {
                    lines.push(error.to_string());
                    continue;
                }
            };
            let id = ids::resource(&version.key);
            let follows = expected.get(&id).map_or(1, |before| before.seq.0 + 1);
            if version.seq.0 != follows {
                lines.push(format!("{} follows where @{follows} should", version.reference()));
            }
            match Document::try_from(&*row) {
                Ok(row) => check_derived(&version, &row, &mut lines),
                Err(error) => lines.push(format!("{}: {error}", version.reference())),
            }
            expected.insert(id, Head::of(&version, version.fingerprint()));
        }
        let mut heads = self.heads.find(doc! {}).await.map_err(told)?;
        while let Some(document) = heads.try_next().await.map_err(told)? {
            match Head::from_document(&document) {
                Err(error) => lines.push(error.to_string()),
                Ok((id, head)) => match expected.remove(&id) {
                    Some(right) if right == head => {}
                    // More were appended while we read.
                    Some(right) if head.seq > right.seq => {}
                    Some(_) => lines.push(format!("heads: {id:?} is not what its log says")),
                    None if head.seq.0 > 0 && self.has_version(&id, &head).await? => {}
                    None => lines.push(format!("heads: nothing implies {id:?}")),
                },
            }
        }
        lines.extend(expected.keys().map(|id| format!("heads: {id:?} is missing")));
        lines.truncate(LINES_MAX);
        Ok(lines)
    }

    /// Of a resource that was new while we read.
    async fn has_version(&self, id: &str, head: &Head) -> Result<bool, Error> {
        let place = doc! { "_id": ids::version_of(id, head.seq) };
        let found = self.version_documents.find_one(place).projection(doc! { "_id": 1 }).await;
        Ok(found.map_err(|error| self.told(&error))?.is_some())
    }

    pub async fn ask(&self) -> Result<CatalogProbe, Error> {
        let told = |error: mongodb::error::Error| self.told(&error);
        let hello = self.hello().await?;
        let build = self.database.run_command(doc! { "buildInfo": 1 }).await.map_err(told)?;
        let schema = self.meta.find_one(doc! { "_id": "schema" }).await.map_err(told)?;
        let number = schema.and_then(|schema| schema.get_i64("number").ok()).unwrap_or(SCHEMA);
        Ok(CatalogProbe {
            engine: format!("MongoDB protocol, version {}", build.get_str("version").unwrap_or("unknown")),
            format: u32::try_from(number).unwrap_or(u32::MAX),
            server_time: hello.get_datetime("localTime").ok().map(moment),
            problems: self.missing_indexes().await.map_err(told)?,
        })
    }
}

fn by_id() -> mongodb::options::Hint {
    mongodb::options::Hint::Name("_id_".to_owned())
}

async fn sum(
    of: &mongodb::Collection<Document>,
    filter: Document,
    field: &str,
) -> Result<u64, mongodb::error::Error> {
    let pipeline = [doc! { "$match": filter }, doc! { "$group": { "_id": null, "sum": { "$sum": field } } }];
    let summed: Vec<Document> = of.aggregate(pipeline).await?.try_collect().await?;
    Ok(summed.first().and_then(|sum| sum.get("sum")).map_or(0, whole))
}

fn whole(number: &Bson) -> u64 {
    match number {
        Bson::Int32(number) => u64::try_from(*number).unwrap_or(0),
        Bson::Int64(number) => u64::try_from(*number).unwrap_or(0),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sum of lengths")]
        Bson::Double(number) => *number as u64,
        _ => 0,
    }
}

/// `refers_to` and `blob` are there for what is kept, and only for that.
fn check_derived(version: &Version, row: &Document, lines: &mut Vec<String>) {
    let kept = version.dropped_at.is_none();
    if row.get_str("_id").ok() != Some(&ids::version(&version.reference())) {
        lines.push(format!("{} has another's _id", version.reference()));
    }
    let blob = blob_of(version).filter(|_| kept).map(ToString::to_string);
    if row.get_str("blob").ok() != blob.as_deref() {
        lines.push(format!("{}: `blob` is not what it refers to", version.reference()));
    }
    let expected: Vec<String> = match kept {
        true => version.dependencies.iter().map(|on| ids::version(&on.on)).collect(),
        false => Vec::new(),
    };
    let found = row.get_array("refers_to").map(Vec::as_slice).unwrap_or_default();
    if !found.iter().map(Bson::as_str).eq(expected.iter().map(|id| Some(id.as_str()))) {
        lines.push(format!("{}: `refers_to` is not what it depends on", version.reference()));
    }
}
