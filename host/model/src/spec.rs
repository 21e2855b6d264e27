use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Codec, Digest, ResourceKey, VersionRef};

/// How a derived resource is built: which inputs, and what its configuration adds to its binding's. Which
/// component does it is the binding's business, so that a swap needs no change here.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildSpec {
    /// The resources that it is made from, in order.
    pub inputs: Vec<SpecInput>,
    /// Members that override those of the binding's configuration.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Value>,
}

/// One input of a build: always the latest version when it runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecInput {
    /// What the builder is told that it is: `document`, `corpus`, `part`.
    pub role: String,
    /// Which resource.
    pub key: ResourceKey,
}

/// How a version was built: enough to build it again and compare.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BuildRecord {
    /// What built it; absent for a composite search index, which the host itself puts together.
    pub component: Option<ComponentRef>,
    /// The configuration that the component saw.
    pub config: Value,
    /// What it read.
    pub inputs: Vec<RecordedInput>,
    /// Name of the build by what went into it.
    pub recipe: Digest,
    /// The engine profile.
    pub profile: String,
    /// Whether the result was remembered rather than made.
    pub from_memo: bool,
    /// How long making it took, in milliseconds, when it was made.
    pub build_time_ms: f64,
    /// Bytes read by the component.
    pub input_bytes: u64,
    /// Bytes that it wrote.
    pub output_bytes: u64,
}

/// Names a component exactly.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ComponentRef {
    /// Its resource version.
    pub plugin: VersionRef,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Its contract.
    pub contract: String,
}

/// An input as it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RecordedInput {
    /// What it was to the builder.
    pub role: String,
    /// Which version.
    pub version: VersionRef,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// How a codec came to be chosen.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyDecision {
    /// The component, as `name@version`.
    pub policy: String,
    /// Its digest.
    pub digest: Digest,
    /// Its words.
    pub reason: String,
    /// Entropy of the sample that it was shown, in bits a byte.
    pub entropy_bits_per_byte: f32,
    /// Everything else that is needed to ask again, and the choice. Absent in records of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<PolicyQuestion>,
}

/// What a policy was asked about a content, and what it chose.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyQuestion {
    /// The version of the component.
    pub component: VersionRef,
    /// Its configuration.
    pub config: Map<String, Value>,
    /// Length of the raw bytes.
    pub size_bytes: u64,
    /// Namespace of the resource.
    pub namespace: String,
    /// Type of the resource.
    pub resource_type: String,
    /// Media type as the policy was told it: empty for what a builder made.
    pub media_type: String,
    /// What its builder counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Metadata fields that were `true`, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// The codec that it chose. The bytes may be stored otherwise: contents that were there already are not stored
    /// anew, and small ones get low levels only.
    pub codec: Codec,
    /// Whether it advised to try a difference from an earlier version.
    pub delta: bool,
}
