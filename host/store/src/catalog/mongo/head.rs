//! Where a resource's log ends, and what a publish decides by.
//!
//! ```text
//! head := { _id, namespace, resource_type, resource_id: string, seq: int64, version: string, created_at: datetime,
//!           ttl_ms?: int64, fingerprint, data_hash: string, dropped?: true, depends_on?: [_id of a resource] }
//! ```

use bson::{Bson, DateTime, Document, doc};
use floret_model::{Digest, ResourceKey, Seq, TimestampMs, Version};

use super::ids;
use crate::Error;

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Head {
    pub seq: Seq,
    pub version: semver::Version,
    pub created_at: TimestampMs,
    pub ttl_ms: Option<u64>,
    pub fingerprint: Digest,
    pub data_hash: Digest,
    pub dropped: bool,
    /// `_id`s of the resources that it depends on, sorted, once each.
    pub depends_on: Vec<String>,
}

impl Head {
    pub fn of(version: &Version, fingerprint: Digest) -> Self {
        let mut depends_on: Vec<String> =
            version.dependencies.iter().map(|dependency| ids::resource(&dependency.on.key)).collect();
        depends_on.sort_unstable();
        depends_on.dedup();
        Self {
            seq: version.seq,
            version: version.version.clone(),
            created_at: version.created_at,
            ttl_ms: version.ttl_ms,
            fingerprint,
            data_hash: version.data_hash,
            dropped: version.dropped_at.is_some(),
            depends_on,
        }
    }

    pub fn is_expired(&self, now: TimestampMs) -> bool {
        self.ttl_ms.is_some_and(|ttl_ms| now >= self.created_at.plus_ms(ttl_ms))
    }

    pub fn to_document(&self, key: &ResourceKey) -> Document {
        let mut document = doc! {
            "_id": ids::resource(key),
            "namespace": key.namespace.as_str(),
            "resource_type": key.resource_type.as_str(),
            "resource_id": key.resource_id.as_str(),
            "seq": long(self.seq.0),
            "version": self.version.to_string(),
            "created_at": date(self.created_at),
            "fingerprint": self.fingerprint.to_string(),
            "data_hash": self.data_hash.to_string(),
        };
        if let Some(ttl_ms) = self.ttl_ms {
            document.insert("ttl_ms", long(ttl_ms));
        }
        if self.dropped {
            document.insert("dropped", true);
        }
        if !self.depends_on.is_empty() {
            document.insert("depends_on", self.depends_on.clone());
        }
        document
    }

    pub fn from_document(document: &Document) -> Result<(String, Self), Error> {
        let id = document.get_str("_id").unwrap_or_default().to_owned();
        let head = read(document).ok_or_else(|| Error::Integrity {
            what: format!("the head {id:?}"),
            problem: "a field is missing, or of another type".to_owned(),
        })?;
        Ok((id, head))
    }
}

fn read(document: &Document) -> Option<Head> {
    let names = match document.get("depends_on") {
        None => Vec::new(),
        Some(names) => {
            names.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
    };
    let ttl_ms = match document.get("ttl_ms") {
        None => None,
        Some(ttl_ms) => Some(u64::try_from(ttl_ms.as_i64()?).ok()?),
    };
    Some(Head {
        seq: Seq(u64::try_from(document.get_i64("seq").ok()?).ok()?),
        version: document.get_str("version").ok()?.parse().ok()?,
        created_at: moment(document.get_datetime("created_at").ok()?),
        ttl_ms,
        fingerprint: document.get_str("fingerprint").ok()?.parse().ok()?,
        data_hash: document.get_str("data_hash").ok()?.parse().ok()?,
        dropped: document.contains_key("dropped"),
        depends_on: names,
    })
}

/// A count as BSON has it. Records refuse 2^63 and more before we come here.
pub(super) fn long(count: u64) -> Bson {
    Bson::Int64(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(super) fn date(at: TimestampMs) -> DateTime {
    DateTime::from_millis(at.0)
}

pub(super) fn moment(at: &DateTime) -> TimestampMs {
    TimestampMs(at.timestamp_millis())
}
