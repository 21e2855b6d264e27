//! What a transaction writes, in as few round trips as there are collections.

use std::collections::{BTreeSet, HashMap, HashSet};

use bson::oid::ObjectId;
use bson::{Document, doc};
use floret_model::{TimestampMs, VersionRef};
use mongodb::ClientSession;
use mongodb::error::{Error as Driver, ErrorKind};

use super::draft::blob_of;
use super::head::{Head, date, long};
use super::home::{Home, MAJORITY_TIMEOUT};
use super::ids;
use super::staged::{Appended, chunks};
use super::transaction::Failure;
use crate::Error;

/// Updates in one command: the server takes 100,000.
const UPDATES_MAX: usize = 10_000;
/// Bytes of the updates in one command, which the server takes up to 16 MiB. One update alone may be longer.
const UPDATES_BYTES_MAX: usize = 8 << 20;
/// Heads told in one document of `publishes`: at 700 bytes each at most 7 MB.
const HEADS_TOLD_MAX: usize = 10_000;

impl Home {
    /// Insert versions, and write to whatever must not be dropped or condemned at the same time: the versions and
    /// blobs that they refer to. Whoever drops or condemns writes there, too, so one of the two is told to try again.
    pub async fn write_versions(
        &self,
        session: &mut ClientSession,
        appended: Vec<Appended>,
        new_edge: bool,
    ) -> Result<(), Failure> {
        if appended.is_empty() {
            return Ok(());
        }
        if new_edge {
            // Two that add edges at once may close a cycle that neither sees.
            let counted = doc! { "$inc": { "count": 1_i64 } };
            self.meta
                .update_one(doc! { "_id": "graph" }, counted)
                .upsert(true)
                .session(&mut *session)
                .await?;
        }
        let ours: HashSet<String> =
            appended.iter().map(|new| ids::version(&new.version.reference())).collect();
        let mut on = BTreeSet::new();
        let mut blobs = BTreeSet::new();
        for Appended { version, .. } in appended.iter().filter(|new| new.version.dropped_at.is_none()) {
            on.extend(
                version.dependencies.iter().map(|on| ids::version(&on.on)).filter(|id| !ours.contains(id)),
            );
            blobs.extend(blob_of(version).map(ToString::to_string));
        }
        self.count_uses(session, "versions", on).await?;
        self.count_uses(session, "blobs", blobs).await?;
        self.write_heads(session, &appended).await?;
        let documents = appended.into_iter().map(|new| new.document);
        self.versions.insert_many(documents).session(&mut *session).await?;
        Ok(())
    }

    pub async fn count_uses(
        &self,
        session: &mut ClientSession,
        collection: &str,
        ids: BTreeSet<String>,
    ) -> Result<(), Failure> {
        let documents = self.documents(collection);
        for ids in chunks(ids) {
            let count = ids.len() as u64;
            let used = doc! { "$inc": { "uses": 1_i64 } };
            let update = documents.update_many(doc! { "_id": { "$in": ids } }, used);
            if update.session(&mut *session).await?.matched_count != count {
                return Err(Failure::Stale);
            }
        }
        Ok(())
    }

    /// The last one of each resource stays.
    async fn write_heads(&self, session: &mut ClientSession, appended: &[Appended]) -> Result<(), Failure> {
        let mut last: HashMap<&floret_model::ResourceKey, &Head> = HashMap::new();
        for new in appended {
            last.insert(&new.version.key, &new.head);
        }
        let updates: Vec<Document> = last
            .into_iter()
            .map(|(key, head)| {
                let document = head.to_document(key);
                doc! { "q": { "_id": ids::resource(key) }, "u": document, "upsert": true }
            })
            .collect();
        self.update_each("heads", &updates, Some(session)).await
    }

    /// One command for many updates that differ.
    pub async fn update_each(
        &self,
        collection: &str,
        updates: &[Document],
        mut session: Option<&mut ClientSession>,
    ) -> Result<(), Failure> {
        for some in parts(updates)? {
            let mut command = doc! { "update": collection, "updates": some.to_vec(), "ordered": false };
            let reply = match &mut session {
                Some(session) => self.database.run_command(command).session(&mut **session).await?,
                None => {
                    // A command as it is takes nothing from the client's options.
                    let wait_ms = long(u64::try_from(MAJORITY_TIMEOUT.as_millis()).unwrap_or(u64::MAX));
                    command.insert("writeConcern", doc! { "w": "majority", "wtimeout": wait_ms });
                    self.database.run_command(command).await?
                }
            };
            check_writes(&reply)?;
            self.check_majority(&reply)?;
        }
        Ok(())
    }

    /// A write that a majority did not confirm may be lost with its server. Within a transaction none is asked for.
    fn check_majority(&self, reply: &Document) -> Result<(), Failure> {
        let Ok(problem) = reply.get_document("writeConcernError") else { return Ok(()) };
        Err(Failure::from(Error::Unavailable {
            service: self.name.clone(),
            problem: format!(
                "a majority did not confirm the write ({})",
                problem.get_str("errmsg").unwrap_or_default()
            ),
            remedy: "see that most members of the replica set run, then try again".to_owned(),
        }))
    }

    /// Tell the hosts that follow which versions are the latest now. Answers the mark of the transaction.
    pub async fn tell_publish(
        &self,
        session: &mut ClientSession,
        publish_id: &str,
        at: TimestampMs,
        heads: &[VersionRef],
    ) -> Result<ObjectId, Failure> {
        let mark = ObjectId::new();
        let told = heads.chunks(HEADS_TOLD_MAX).enumerate().map(|(index, heads)| {
            let heads: Vec<Document> = heads.iter().map(reference).collect();
            let id = if index == 0 { mark } else { ObjectId::new() };
            doc! { "_id": id, "publish_id": publish_id, "at": date(at), "heads": heads }
        });
        self.publishes.insert_many(told).session(&mut *session).await?;
        Ok(mark)
    }
}

/// Updates as they go into commands, in their order.
fn parts(updates: &[Document]) -> Result<Vec<&[Document]>, Failure> {
    let (mut parts, mut begin, mut bytes) = (Vec::new(), 0_usize, 0_usize);
    for (index, update) in updates.iter().enumerate() {
        let length = update.to_vec().map_err(Driver::from)?.len();
        let full = index - begin == UPDATES_MAX || bytes + length > UPDATES_BYTES_MAX;
        if full && index > begin {
            parts.push(&updates[begin..index]);
            (begin, bytes) = (index, 0);
        }
        bytes += length;
    }
    if begin < updates.len() {
        parts.push(&updates[begin..]);
    }
    Ok(parts)
}

fn reference(version: &VersionRef) -> Document {
    doc! {
        "namespace": version.key.namespace.as_str(),
        "resource_type": version.key.resource_type.as_str(),
        "resource_id": version.key.resource_id.as_str(),
        "seq": long(version.seq.0),
    }
}

/// A reply that says ok may hold writes that failed.
fn check_writes(reply: &Document) -> Result<(), Failure> {
    match reply.get_array("writeErrors") {
        Ok(errors) if !errors.is_empty() => {
            let code = errors[0].as_document().and_then(|error| error.get_i32("code").ok());
            match code {
                Some(super::failure::DUPLICATE_KEY | super::failure::WRITE_CONFLICT) => Err(Failure::Stale),
                _ => {
                    let problem = errors[0].to_string();
                    Err(Failure::Driver(Driver::from(ErrorKind::Custom(std::sync::Arc::new(problem)))))
                }
            }
        }
        _ => Ok(()),
    }
}
