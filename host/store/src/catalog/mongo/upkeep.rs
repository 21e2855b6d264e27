//! Dropped versions, memos, reports, access counts, leases.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use bson::{Bson, Document, doc};
use floret_model::{CascadeReport, Memo, ResourceKey, TimestampMs, VersionRef};
use futures::TryStreamExt;
use mongodb::ClientSession;

use super::draft::report_document;
use super::failure;
use super::head::{date, long, moment};
use super::home::Home;
use super::ids;
use super::staged::chunks;
use super::transaction::{Attempted, Failure, Work};
use crate::Error;
use crate::catalog::{Access, Lease, Leased};
use crate::record::{memo_to_document, version_from_document};

impl Home {
    pub async fn put_report(&self, report: &CascadeReport) -> Result<(), Error> {
        let document = report_document(report)?;
        self.put_report_document(None, &document).await.map_err(|failure| self.failed(failure))
    }

    /// What is not tried again.
    fn failed(&self, failure: Failure) -> Error {
        match failure {
            Failure::Driver(error) => self.told(&error),
            Failure::Final(error) => *error,
            Failure::Stale => self.busy(),
        }
    }

    pub async fn put_report_document(
        &self,
        session: Option<&mut ClientSession>,
        report: &Document,
    ) -> Result<(), Failure> {
        let id = report.get("_id").cloned().unwrap_or(Bson::Null);
        let update = doc! { "q": { "_id": id }, "u": report.clone(), "upsert": true };
        self.update_each("reports", &[update], session).await
    }

    pub async fn put_memo(&self, memo: &Memo) -> Result<(), Error> {
        let invalid = |problem: String| Error::Invalid { what: "a memo".to_owned(), problem };
        let bytes = memo_to_document(memo)?;
        let inner: Document =
            bson::deserialize_from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        let document = doc! {
            "_id": memo.recipe.to_string(),
            "output": memo.output.to_string(),
            "created_at": date(memo.created_at),
            "memo": inner,
        };
        self.transact(&mut Remember { output: memo.output.to_string(), document }).await
    }

    /// Forgetting is always safe: a memo lost is a build repeated.
    pub async fn forget_memos(&self, before: TimestampMs) -> Result<u64, Error> {
        let forget = async {
            let old = doc! { "created_at": { "$lt": date(before) } };
            let mut old = self.memos.find(old).projection(doc! { "output": 1 }).await?;
            let mut outputs: HashMap<String, Vec<String>> = HashMap::new();
            while let Some(memo) = old.try_next().await? {
                let text = |name| memo.get_str(name).unwrap_or_default().to_owned();
                outputs.entry(text("output")).or_default().push(text("_id"));
            }
            let mut forgotten = 0;
            for digests in chunks(outputs.keys().cloned().collect()) {
                let referred = self.version_documents.distinct("blob", doc! { "blob": { "$in": &digests } });
                let referred: BTreeSet<String> =
                    referred.await?.iter().filter_map(|digest| digest.as_str().map(str::to_owned)).collect();
                let free = digests.iter().filter(|digest| !referred.contains(*digest));
                let recipes = free.filter_map(|digest| outputs.get(digest)).flatten().cloned().collect();
                for recipes in chunks(recipes) {
                    // One that was remembered anew since we looked stays.
                    let old = doc! { "_id": { "$in": recipes }, "created_at": { "$lt": date(before) } };
                    forgotten += self.memos.delete_many(old).await?.deleted_count;
                }
            }
            Ok(forgotten)
        };
        forget.await.map_err(|error: mongodb::error::Error| self.told(&error))
    }

    pub async fn drop_versions(
        &self,
        references: &[VersionRef],
        now: TimestampMs,
    ) -> Result<Vec<VersionRef>, Error> {
        let wanted = references.iter().map(ids::version).collect();
        self.transact(&mut Dropping { wanted, now }).await
    }

    pub async fn add_accesses(&self, accesses: &[(ResourceKey, Access)]) -> Result<(), Error> {
        let updates: Vec<Document> = accesses
            .iter()
            .map(|(key, access)| {
                let add = doc! {
                    "$inc": { "count": long(access.count) },
                    "$max": { "last_at": date(access.last_at) },
                };
                doc! { "q": { "_id": ids::resource(key) }, "u": add, "upsert": true }
            })
            .collect();
        self.update_each("accesses", &updates, None).await.map_err(|failure| self.failed(failure))
    }

    pub async fn acquire_lease(&self, lease: &Lease, now: TimestampMs) -> Result<Leased, Error> {
        let free = doc! {
            "_id": &lease.name,
            "$or": [{ "holder": &lease.holder }, { "until": { "$lte": date(now) } }],
        };
        let ours = doc! {
            "$set": { "holder": &lease.holder, "until": date(lease.until) },
            "$currentDate": { "touched_at": true },
        };
        loop {
            match self.leases.update_one(free.clone(), ours.clone()).upsert(true).await {
                Ok(_) => return Ok(Leased::Granted),
                Err(error) if failure::is_duplicate(&error) => {}
                Err(error) => return Err(self.told(&error)),
            }
            let held = self.leases.find_one(doc! { "_id": &lease.name }).await;
            // Given back in between: then it is asked for again.
            if let Some(held) = held.map_err(|error| self.told(&error))? {
                return Ok(Leased::Held(read_lease(&held)?));
            }
        }
    }

    pub async fn release_lease(&self, lease: &Lease) -> Result<(), Error> {
        let ours = doc! { "_id": &lease.name, "holder": &lease.holder };
        self.leases.delete_one(ours).await.map(drop).map_err(|error| self.told(&error))
    }
}

fn read_lease(document: &Document) -> Result<Lease, Error> {
    let read = || {
        Some(Lease {
            name: document.get_str("_id").ok()?.to_owned(),
            holder: document.get_str("holder").ok()?.to_owned(),
            until: moment(document.get_datetime("until").ok()?),
        })
    };
    read().ok_or_else(|| Error::Integrity {
        what: "a lease".to_owned(),
        problem: "a field is missing, or of another type".to_owned(),
    })
}

/// A memo, and its mark on the blob that it keeps.
struct Remember {
    output: String,
    document: Document,
}

#[async_trait]
impl Work for Remember {
    type Done = ();

    async fn attempt(&mut self, home: &Home, session: &mut ClientSession) -> Result<Attempted<()>, Failure> {
        let stored = doc! { "_id": &self.output, "state": "stored" };
        let used = doc! { "$inc": { "uses": 1_i64 } };
        let blob = home.blobs.update_one(stored, used).session(&mut *session).await?;
        if blob.matched_count == 0 {
            // The output is gone already, so there is nothing to remember.
            return Ok(Attempted { done: (), wrote: false, mark: None });
        }
        let id = doc! { "_id": self.document.get("_id").cloned().unwrap_or(Bson::Null) };
        home.memos.replace_one(id, &self.document).upsert(true).session(&mut *session).await?;
        Ok(Attempted { done: (), wrote: true, mark: None })
    }
}

/// Versions to drop, by `_id`.
struct Dropping {
    wanted: BTreeSet<String>,
    now: TimestampMs,
}

#[async_trait]
impl Work for Dropping {
    type Done = Vec<VersionRef>;

    async fn attempt(
        &mut self,
        home: &Home,
        session: &mut ClientSession,
    ) -> Result<Attempted<Self::Done>, Failure> {
        let mut candidates = self.candidates(home, session).await?;
        // Candidate → those that were made from it and stay, or are not decided yet.
        let mut referrers: HashMap<String, BTreeSet<String>> = HashMap::new();
        for ids in chunks(candidates.keys().cloned().collect()) {
            let filter = doc! { "refers_to": { "$in": ids } };
            let found = home.version_documents.find(filter).projection(doc! { "refers_to": 1 });
            let mut found = found.session(&mut *session).await?;
            while let Some(row) = found.stream(session).try_next().await? {
                let referrer = row.get_str("_id").unwrap_or_default();
                for on in row.get_array("refers_to").into_iter().flatten().filter_map(Bson::as_str) {
                    referrers.entry(on.to_owned()).or_default().insert(referrer.to_owned());
                }
            }
        }
        let mut dropped: BTreeSet<String> = BTreeSet::new();
        let mut queue: Vec<String> = candidates.keys().cloned().collect();
        while let Some(id) = queue.pop() {
            if referrers.get(&id).is_some_and(|referrers| !referrers.is_empty()) {
                continue;
            }
            let Some(made_from) = candidates.remove(&id) else { continue };
            for on in made_from {
                if let Some(left) = referrers.get_mut(&on) {
                    left.remove(&id);
                    queue.push(on);
                }
            }
            dropped.insert(id);
        }
        self.write(home, session, &dropped).await?;
        let done = dropped.iter().map(|id| ids::parse_version(id)).collect::<Result<Vec<_>, _>>()?;
        Ok(Attempted { wrote: !done.is_empty(), done, mark: None })
    }
}

impl Dropping {
    /// Those that may be dropped by themselves, each with what it was made from: all but the latest versions that have
    /// not expired, and what is dropped already.
    async fn candidates(
        &self,
        home: &Home,
        session: &mut ClientSession,
    ) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        let keys = self.wanted.iter().filter_map(|id| id.rsplit_once('\t')).map(|(key, _)| key.to_owned());
        let mut latest = BTreeSet::new();
        for ids in chunks(keys.collect()) {
            let heads = home.heads.find(doc! { "_id": { "$in": ids } }).projection(doc! { "seq": 1 });
            let mut heads = heads.session(&mut *session).await?;
            while let Some(head) = heads.stream(session).try_next().await? {
                let seq = u64::try_from(head.get_i64("seq").unwrap_or_default()).unwrap_or_default();
                latest
                    .insert(ids::version_of(head.get_str("_id").unwrap_or_default(), floret_model::Seq(seq)));
            }
        }
        let mut candidates = BTreeMap::new();
        for ids in chunks(self.wanted.clone()) {
            let mut rows = home.versions.find(doc! { "_id": { "$in": ids } }).session(&mut *session).await?;
            while let Some(row) = rows.stream(session).try_next().await? {
                let version = version_from_document(row.as_bytes())?;
                let id = ids::version(&version.reference());
                let stays = latest.contains(&id) && !version.is_expired(self.now);
                if version.dropped_at.is_none() && !stays {
                    let made_from = version.dependencies.iter().map(|on| ids::version(&on.on)).collect();
                    candidates.insert(id, made_from);
                }
            }
        }
        Ok(candidates)
    }

    async fn write(
        &self,
        home: &Home,
        session: &mut ClientSession,
        dropped: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        for some in chunks(dropped.clone()) {
            let gone = doc! {
                "$set": { "dropped_at": date(self.now) },
                "$unset": { "content_inline": "", "refers_to": "", "blob": "" },
            };
            home.versions.update_many(doc! { "_id": { "$in": some } }, gone).session(&mut *session).await?;
        }
        // Only where the latest version itself went: `seq` says so.
        let updates: Vec<Document> = dropped
            .iter()
            .filter_map(|id| id.rsplit_once('\t'))
            .map(|(key, seq)| {
                let seq = seq.parse().unwrap_or_default();
                doc! { "q": { "_id": key, "seq": long(seq) }, "u": { "$set": { "dropped": true } } }
            })
            .collect();
        home.update_each("heads", &updates, Some(session)).await
    }
}
