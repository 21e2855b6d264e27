//! Collections, what their documents must have, and the indexes that the queries need.
//!
//! | collection | `_id` | holds |
//! |---|---|---|
//! | `versions` | see ids.rs | a version (see `record.rs`), and `refers_to`: `_id`s of the versions that it was made from, `blob`: the digest of its blob; both absent once it is dropped, so that their indexes hold what is kept. `uses` grows with every version made from it |
//! | `heads` | see ids.rs | where a resource's log ends: `seq`, and what a publish decides by |
//! | `blobs` | digest | a blob's row (see `record.rs`). `uses` grows with every version and memo that refers to it |
//! | `memos` | digest of the recipe | `output`, `created_at`, `memo` |
//! | `reports` | id of the cascade | `keys`: `_id`s of its steps' resources, `started_at`, `report` |
//! | `publishes` | an ObjectId | `publish_id`, `at`, `heads`: the versions that became latest. For hosts that follow; kept 7 days |
//! | `accesses` | see ids.rs | `count`, `last_at` |
//! | `leases` | name | `holder`, `until`, `touched_at`: when it was last taken or extended, by the server's clock. Kept 7 days behind that |
//! | `meta` | a name | `schema`: its number; `generation`: the last one handed out; `graph`: a counter that whoever adds an edge to a resource that has dependents counts up |

use std::time::Duration;

use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::IndexModel;
use mongodb::options::IndexOptions;

use super::failure;
use super::home::Home;
use crate::Error;
use crate::catalog::CatalogProblem;

/// Number of this schema. A newer one is refused; an older one is brought up to this.
pub(super) const SCHEMA: i64 = 1;
/// How long publishes are kept for hosts that follow: longer than any change stream can be resumed.
const PUBLISHES_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the leases of hosts that died are kept: much longer than any lease. By the server's clock, as a host's own
/// may be wrong.
const LEASES_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// One index: collection, name, keys.
pub(super) struct Index {
    pub collection: &'static str,
    pub name: &'static str,
    keys: fn() -> Document,
    kind: Kind,
}

enum Kind {
    Plain,
    Unique,
    /// Only documents that have the field.
    Sparse,
    /// Documents go when their time is so long ago.
    Expiring(Duration),
}

/// Every index beside those on `_id`.
pub(super) const INDEXES: [Index; 10] = [
    Index {
        collection: "versions",
        name: "place",
        keys: || doc! { "namespace": 1, "resource_type": 1, "resource_id": 1, "seq": 1 },
        kind: Kind::Unique,
    },
    Index {
        collection: "versions",
        name: "created",
        keys: || {
            doc! { "namespace": 1, "resource_type": 1, "version_info.created_at": 1, "resource_id": 1, "seq": 1 }
        },
        kind: Kind::Plain,
    },
    Index { collection: "versions", name: "refers_to", keys: || doc! { "refers_to": 1 }, kind: Kind::Sparse },
    Index { collection: "versions", name: "blob", keys: || doc! { "blob": 1 }, kind: Kind::Sparse },
    Index { collection: "heads", name: "depends_on", keys: || doc! { "depends_on": 1 }, kind: Kind::Sparse },
    Index { collection: "memos", name: "output", keys: || doc! { "output": 1 }, kind: Kind::Plain },
    Index { collection: "memos", name: "created_at", keys: || doc! { "created_at": 1 }, kind: Kind::Plain },
    Index {
        collection: "reports",
        name: "keys",
        keys: || doc! { "keys": 1, "started_at": -1, "_id": -1 },
        kind: Kind::Plain,
    },
    Index {
        collection: "publishes",
        name: "at",
        keys: || doc! { "at": 1 },
        kind: Kind::Expiring(PUBLISHES_KEPT),
    },
    Index {
        collection: "leases",
        name: "touched_at",
        keys: || doc! { "touched_at": 1 },
        kind: Kind::Expiring(LEASES_KEPT),
    },
];

const COLLECTIONS: [&str; 9] =
    ["versions", "heads", "blobs", "memos", "reports", "publishes", "accesses", "leases", "meta"];

impl Index {
    fn model(&self) -> IndexModel {
        let mut options = IndexOptions::builder().name(self.name.to_owned()).build();
        match self.kind {
            Kind::Plain => {}
            Kind::Unique => options.unique = Some(true),
            Kind::Sparse => options.sparse = Some(true),
            Kind::Expiring(kept) => options.expire_after = Some(kept),
        }
        IndexModel::builder().keys((self.keys)()).options(options).build()
    }
}

/// What a collection's documents must have. Types only where we decide by them: a foreign writer is told.
fn validator(collection: &str) -> Option<Document> {
    let schema = match collection {
        "versions" => doc! {
            "bsonType": "object",
            "required": ["namespace", "resource_type", "resource_id", "seq", "version_info", "content_location", "metadata"],
            "properties": {
                "_id": { "bsonType": "string" },
                "namespace": { "bsonType": "string" },
                "resource_type": { "bsonType": "string" },
                "resource_id": { "bsonType": "string" },
                "seq": { "bsonType": "long", "minimum": 1 },
                "version_info": {
                    "bsonType": "object",
                    "required": ["version", "created_at", "data_hash"],
                    "properties": { "created_at": { "bsonType": "date" }, "version": { "bsonType": "string" } },
                },
                "content_location": { "bsonType": "object", "required": ["storage_type", "checksum", "size_bytes"] },
                "content_inline": { "bsonType": "binData" },
                "dropped_at": { "bsonType": "date" },
            },
        },
        "heads" => doc! {
            "bsonType": "object",
            "required": ["seq", "version", "created_at", "fingerprint"],
            "properties": { "seq": { "bsonType": "long", "minimum": 1 }, "created_at": { "bsonType": "date" } },
        },
        "blobs" => doc! {
            "bsonType": "object",
            "required": ["generation", "since", "location", "state", "at"],
            "properties": {
                "generation": { "bsonType": "long", "minimum": 1 },
                "state": { "enum": ["pending", "stored", "condemned"] },
                "at": { "bsonType": "date" },
            },
        },
        "leases" => doc! {
            "bsonType": "object",
            "required": ["holder", "until"],
            "properties": { "until": { "bsonType": "date" } },
        },
        _ => return None,
    };
    Some(doc! { "$jsonSchema": schema })
}

impl Home {
    /// Make whatever is missing, once for each installation; two hosts may do so at once.
    pub async fn ensure_schema(&self) -> Result<(), Error> {
        let found = self.meta.find_one(doc! { "_id": "schema" }).await.map_err(|error| self.told(&error))?;
        let number = found.as_ref().map(|found| found.get_i64("number").unwrap_or(i64::MAX));
        match number {
            Some(SCHEMA) => return Ok(()),
            Some(newer) if newer > SCHEMA => {
                return Err(Error::NewerFormat {
                    path: self.name.clone().into(),
                    found: u32::try_from(newer).unwrap_or(u32::MAX),
                    supported: u32::try_from(SCHEMA).unwrap_or(u32::MAX),
                });
            }
            _ => {}
        }
        self.make_schema().await.map_err(|error| self.told(&error))
    }

    async fn make_schema(&self) -> mongodb::error::Result<()> {
        for collection in COLLECTIONS {
            let created = match validator(collection) {
                Some(validator) => self.database.create_collection(collection).validator(validator).await,
                None => self.database.create_collection(collection).await,
            };
            match created {
                Err(error) if !failure::exists_already(&error) => return Err(error),
                _ => {}
            }
        }
        for index in &INDEXES {
            self.documents(index.collection).create_index(index.model()).await?;
        }
        // Here, so that hosts which claim at once never make it at once.
        let counter = doc! { "$setOnInsert": { "last": 0_i64 } };
        match self.meta.update_one(doc! { "_id": "generation" }, counter).upsert(true).await {
            Err(error) if !failure::is_duplicate(&error) => return Err(error),
            _ => {}
        }
        let number = doc! { "$set": { "number": SCHEMA } };
        match self.meta.update_one(doc! { "_id": "schema" }, number).upsert(true).await {
            Err(error) if !failure::is_duplicate(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Indexes that are not there, each with its remedy.
    pub async fn missing_indexes(&self) -> mongodb::error::Result<Vec<CatalogProblem>> {
        let mut problems = Vec::new();
        for collection in COLLECTIONS {
            let wanted: Vec<_> = INDEXES.iter().filter(|index| index.collection == collection).collect();
            if wanted.is_empty() {
                continue;
            }
            let found: Vec<IndexModel> =
                self.documents(collection).list_indexes().await?.try_collect().await?;
            for index in wanted {
                if !found.iter().any(|found| found.keys == (index.keys)()) {
                    problems.push(CatalogProblem {
                        problem: format!("the index {} on {collection} is missing", index.name),
                        remedy: format!(
                            "create it: db.{collection}.createIndex({}, {{name: \"{}\"}}), or remove the document _id \"schema\" from meta and start a host",
                            (index.keys)(),
                            index.name
                        ),
                    });
                }
            }
        }
        Ok(problems)
    }
}
