use std::collections::BTreeSet;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::VERSION_PATTERN;
use crate::{
    BuildRecord, BuildSpec, ContentLocation, Digest, DigestHasher, Metadata, PolicyDecision, ResourceKey,
    Seq, TimestampMs, VersionRef,
};

/// Which part of the semantic version grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bump {
    /// 1.2.3 → 1.2.4.
    #[default]
    Patch,
    /// 1.2.3 → 1.3.0.
    Minor,
    /// 1.2.3 → 2.0.0.
    Major,
}

impl Bump {
    /// The version after `latest`; the first is 1.0.0 whatever is asked.
    pub fn after(self, latest: Option<&semver::Version>) -> semver::Version {
        let Some(latest) = latest else {
            return semver::Version::new(1, 0, 0);
        };
        match self {
            Self::Patch => semver::Version::new(latest.major, latest.minor, latest.patch + 1),
            Self::Minor => semver::Version::new(latest.major, latest.minor + 1, 0),
            Self::Major => semver::Version::new(latest.major + 1, 0, 0),
        }
    }
}

/// A version that another was made from.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Dependency {
    /// What it is to the dependent: `document`, `corpus`, `index`, `component`, `binding`, `part` …
    pub role: String,
    /// Which version.
    #[serde(flatten)]
    pub on: VersionRef,
}

/// One entry of a resource's log. Never changes once committed, but that cleanup may drop its bytes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// Of which resource.
    #[serde(flatten)]
    pub key: ResourceKey,
    /// Its place in the log.
    pub seq: Seq,
    /// Its semantic version: grows with `seq`.
    pub version: semver::Version,
    /// When it was committed.
    pub created_at: TimestampMs,
    /// SHA-256 of the raw bytes; for JSON content, of its canonical form.
    pub data_hash: Digest,
    /// Media type of the raw bytes.
    pub media_type: String,
    /// Where the bytes are.
    pub content_location: ContentLocation,
    /// The stored bytes, when they are inline.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "inline_bytes")]
    #[schemars(with = "Option<Vec<u8>>")]
    pub content_inline: Option<Bytes>,
    /// What it was made from, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// What is known of it.
    pub metadata: Metadata,
    /// Tags keep a version from cleanup.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// How long after `created_at` it is visible, in milliseconds; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// How to build the resource again; absent for what people save.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<BuildSpec>,
    /// How this very version was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildRecord>,
    /// Which policy chose the codec, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyDecision>,
    /// The publish that committed it.
    pub publish_id: String,
    /// When cleanup dropped its bytes, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_at: Option<TimestampMs>,
}

impl Version {
    /// Its name.
    pub fn reference(&self) -> VersionRef {
        VersionRef { key: self.key.clone(), seq: self.seq }
    }

    /// When its time to live passes; `None` if it has no end.
    pub fn visible_until(&self) -> Option<TimestampMs> {
        self.ttl_ms.map(|ttl_ms| self.created_at.plus_ms(ttl_ms))
    }

    /// Whether its time to live has passed at `now`.
    pub fn is_expired(&self, now: TimestampMs) -> bool {
        self.visible_until().is_some_and(|until| now >= until)
    }

    /// Digest of all that makes it differ from its predecessor: content, media type, dependencies, metadata,
    /// tags, time to live and build specification. Two versions with one fingerprint are the same save.
    pub fn fingerprint(&self) -> Digest {
        fingerprint(Fingerprinted {
            data_hash: &self.data_hash,
            media_type: &self.media_type,
            dependencies: &self.dependencies,
            metadata: &self.metadata,
            tags: &self.tags,
            ttl_ms: self.ttl_ms,
            spec: self.spec.as_ref(),
        })
    }

    /// The version fields as readers of the API see them; what the log implies is derived here.
    pub fn info(&self, head: Seq) -> VersionInfo {
        VersionInfo {
            version: self.version.to_string(),
            seq: self.seq,
            created_at: self.created_at.to_string(),
            data_hash: self.data_hash,
            is_latest: self.seq == head,
            superseded_by: (self.seq < head).then(|| self.seq.next()),
            supersedes: self.seq.previous(),
            dependencies: self.dependencies.iter().map(|dependency| dependency.on.to_string()).collect(),
        }
    }
}

/// What a fingerprint covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprinted<'a> {
    pub data_hash: &'a Digest,
    pub media_type: &'a str,
    pub dependencies: &'a [Dependency],
    pub metadata: &'a Metadata,
    pub tags: &'a BTreeSet<String>,
    pub ttl_ms: Option<u64>,
    pub spec: Option<&'a BuildSpec>,
}

fn fingerprint(of: Fingerprinted<'_>) -> Digest {
    let json =
        |value: serde_json::Result<Vec<u8>>| value.expect("metadata has string keys and finite numbers");
    let mut hasher = DigestHasher::default();
    hasher.field(of.data_hash.as_bytes());
    hasher.field(of.media_type.as_bytes());
    for dependency in of.dependencies {
        hasher.field(dependency.role.as_bytes());
        hasher.field(&dependency.on.key.encode());
        hasher.field(&dependency.on.seq.0.to_le_bytes());
    }
    hasher.field(&json(serde_json::to_vec(of.metadata)));
    for tag in of.tags {
        hasher.field(tag.as_bytes());
    }
    hasher.field(&json(serde_json::to_vec(&(of.ttl_ms, of.spec))));
    hasher.finish()
}

/// The versioning fields of a version (M4), as the API shows them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VersionInfo {
    /// Semantic version.
    pub version: String,
    /// Place in the log.
    pub seq: Seq,
    /// When, in UTC (RFC 3339).
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// SHA-256 of the content.
    pub data_hash: Digest,
    /// Derived: whether it is the newest.
    pub is_latest: bool,
    /// Derived: the next version's seq.
    pub superseded_by: Option<Seq>,
    /// The version's before.
    pub supersedes: Option<Seq>,
    /// `TYPE/ID@SEQ` or `NAMESPACE:TYPE/ID@SEQ` of what it was made from.
    #[schemars(inner(regex(pattern = VERSION_PATTERN)))]
    pub dependencies: Vec<String>,
}

/// Bytes that a self-describing format keeps as bytes rather than as a list of numbers.
mod inline_bytes {
    use bytes::Bytes;
    use serde::{Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => serializer.serialize_bytes(bytes),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Option<Bytes>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Some(Bytes::copy_from_slice(bytes)))
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Self::Value, E> {
                Ok(Some(bytes.into()))
            }
            fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(None)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut bytes = Vec::with_capacity(seq.size_hint().unwrap_or(0));
                while let Some(byte) = seq.next_element::<u8>()? {
                    bytes.push(byte);
                }
                Ok(Some(bytes.into()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m5_versions_grow_by_what_is_asked() {
        let mut version = Bump::Major.after(None);
        let mut seen = vec![version.to_string()];
        for bump in [Bump::default(), Bump::Minor, Bump::Patch, Bump::Major] {
            version = bump.after(Some(&version));
            seen.push(version.to_string());
        }
        assert_eq!(seen, ["1.0.0", "1.0.1", "1.1.0", "1.1.1", "2.0.0"]);
    }
}
