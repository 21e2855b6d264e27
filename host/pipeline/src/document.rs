//! The wire form of a version: JSON with the field names that readers of the older documents know.

use floret_model::{BuildRecord, ContentLocation, PolicyDecision, Seq, TypedMetadata, Version, VersionInfo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Error, Floret};

/// A version as `floret get --json` shows it (M6). Everything that the log or the graph implies is derived when
/// it is made: `is_latest`, `superseded_by`, `parent_corpus_id`, `build_time_seconds`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VersionDocument {
    /// Id of the resource.
    pub resource_id: String,
    /// Its type.
    pub resource_type: String,
    /// Its namespace.
    pub namespace: String,
    /// The versioning fields.
    pub version_info: VersionInfo,
    /// Media type of the content.
    pub media_type: String,
    /// Where the content is.
    pub content_location: ContentLocation,
    /// Whether the content is inside the record.
    pub content_inline: bool,
    /// The fields of the type, and the caller's.
    pub metadata: Map<String, Value>,
    /// Tags.
    pub tags: Vec<String>,
    /// Time to live in seconds; for ever if absent.
    pub ttl: Option<f64>,
    /// How often the resource was read.
    pub access_count: u64,
    /// When last, in UTC; absent if never.
    pub last_accessed: Option<String>,
    /// How the version was built.
    pub build: Option<BuildRecord>,
    /// How its codec was chosen.
    pub policy: Option<PolicyDecision>,
    /// When cleanup dropped its bytes, if it has.
    pub dropped_at: Option<String>,
}

/// A version in short: an entry of a log, or a line of a list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VersionEntry {
    /// `TYPE/ID` or `NAMESPACE:TYPE/ID`.
    #[schemars(regex(pattern = floret_model::RESOURCE_PATTERN))]
    pub resource: String,
    /// Its place in the log.
    pub seq: Seq,
    /// Its semantic version.
    pub version: String,
    /// When it was published, in UTC.
    pub created_at: String,
    /// SHA-256 of its raw bytes.
    #[schemars(with = "floret_model::Digest")]
    pub data_hash: String,
    /// Length of its raw bytes.
    pub size_bytes: u64,
    /// Length as stored.
    pub size_compressed: u64,
    /// How it is compressed.
    pub compression: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// When cleanup dropped its bytes, if it has.
    pub dropped_at: Option<String>,
    /// With which publish it became visible.
    pub publish_id: String,
    /// How its codec was chosen; absent where no policy was asked.
    pub policy: Option<PolicyDecision>,
}

impl VersionEntry {
    /// The entry of a version.
    pub fn of(version: &Version) -> Self {
        let location = &version.content_location;
        Self {
            resource: version.key.to_string(),
            seq: version.seq,
            version: version.version.to_string(),
            created_at: version.created_at.to_string(),
            data_hash: version.data_hash.to_string(),
            size_bytes: location.size_bytes,
            size_compressed: location.size_compressed,
            compression: location.compression.to_string(),
            tags: version.tags.iter().cloned().collect(),
            dropped_at: version.dropped_at.map(|at| at.to_string()),
            publish_id: version.publish_id.clone(),
            policy: version.policy.clone(),
        }
    }
}

impl Floret {
    /// The wire form of a version.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn document(&self, version: &Version) -> Result<VersionDocument, Error> {
        let head = self.head(&version.key).await?.map_or(version.seq, |head| head.seq);
        let access = self.access(&version.key).await?;
        let mut metadata = fields(version);
        if let TypedMetadata::Corpus(_) = version.metadata.typed {
            let parents = self.corpus_parents(&version.key).await?;
            let parents: Vec<String> = parents.iter().map(|parent| parent.resource_id.to_string()).collect();
            metadata.insert("parent_corpus_id".to_owned(), json!(parents.first()));
            metadata.insert("parent_corpus_ids".to_owned(), json!(parents));
        }
        Ok(VersionDocument {
            resource_id: version.key.resource_id.to_string(),
            resource_type: version.key.resource_type.to_string(),
            namespace: version.key.namespace.to_string(),
            version_info: version.info(head),
            media_type: version.media_type.clone(),
            content_location: ContentLocation {
                // A blob is shared by all namespaces; its copies are kept in that of the resource.
                cache_namespace: version.key.namespace.to_string(),
                ..version.content_location.clone()
            },
            content_inline: version.content_inline.is_some(),
            metadata,
            tags: version.tags.iter().cloned().collect(),
            ttl: version.ttl_ms.map(|ttl_ms| ttl_ms as f64 / 1e3),
            access_count: access.count,
            last_accessed: (access.count > 0).then(|| access.last_at.to_string()),
            build: version.build.clone(),
            policy: version.policy.clone(),
            dropped_at: version.dropped_at.map(|at| at.to_string()),
        })
    }
}

/// The type's fields without their tag, and the caller's fields under theirs.
fn fields(version: &Version) -> Map<String, Value> {
    let typed =
        serde_json::to_value(&version.metadata.typed).expect("metadata has string keys and finite numbers");
    let mut fields = match typed {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    fields.remove("kind");
    if matches!(version.metadata.typed, TypedMetadata::Semantic(_)) {
        let seconds = version.build.as_ref().map(|build| build.build_time_ms / 1e3);
        fields.insert("build_time_seconds".to_owned(), json!(seconds));
    }
    for (name, value) in &version.metadata.custom {
        fields.entry(name.clone()).or_insert_with(|| value.clone());
    }
    fields
}
