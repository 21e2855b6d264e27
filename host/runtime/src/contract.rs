//! The contracts that this host speaks, as plain values. One module for each contract version binds it to
//! wasmtime. Where there are several, a module over them makes one of them (`index.rs`).

/// The module `bindings` that the engine generates for a world, over the interfaces that all contracts share.
macro_rules! bindings {
    ($folder:tt, $world:tt, $($interface:tt = $shared:ident),+) => {
        mod bindings {
            #![allow(missing_docs, reason = "generated; the WIT files carry the documentation")]
            #![allow(
                unused_qualifications,
                dead_code,
                clippy::all,
                clippy::allow_attributes_without_reason,
                reason = "generated"
            )]
            wasmtime::component::bindgen!({
                path: ["../../wit/types", $folder],
                world: $world,
                with: { $($interface: crate::contract::types_v0_1::$shared,)+ },
            });
        }
    };
}
use bindings;

pub mod corpus_v0_1;
pub mod index;
pub mod index_v0_1;
pub mod index_v0_2;
pub mod policy;
pub mod policy_v0_1;
pub mod policy_v0_2;
pub mod retention_v0_2;
pub mod types_v0_1;

use std::fmt;

use floret_model::{Codec, Digest};
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};

/// Media type of a corpus.
pub const CORPUS_MEDIA_TYPE: &str = "text/vnd.floret.corpus; version=1";

/// Bytes that a word of a corpus, and so a query's text, may have.
pub const WORD_BYTES_MAX: usize = 1_024;

/// Most hits that a search may ask for.
pub const HITS_MAX: u32 = 10_000;

/// Most parts that a build of an index may be split into.
pub const PARTS_MAX: u32 = 1_024;

/// What a component is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ContractKind {
    /// Documents to corpora.
    Corpus,
    /// Corpora to search indexes.
    Index,
    /// How contents are stored.
    Policy,
    /// Which versions stay.
    Retention,
}

impl ContractKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Corpus, Self::Index, Self::Policy, Self::Retention];

    /// The WIT package without its version, e.g. `floret:index`.
    pub fn package(self) -> &'static str {
        match self {
            Self::Corpus => "floret:corpus",
            Self::Index => "floret:index",
            Self::Policy | Self::Retention => "floret:policy",
        }
    }

    /// The interface that a component exports.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Corpus | Self::Index => "builder",
            Self::Policy => "compression",
            Self::Retention => "retention",
        }
    }
}

/// A contract with its version.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Contract {
    /// Which.
    pub kind: ContractKind,
    /// Version of the WIT package.
    pub version: Version,
}

impl Contract {
    /// The versions of a contract that this host speaks, oldest first; at least one.
    pub fn supported(kind: ContractKind) -> Vec<Self> {
        let minors: &[u64] = match kind {
            ContractKind::Corpus => &[1],
            ContractKind::Index | ContractKind::Policy => &[1, 2],
            ContractKind::Retention => &[2],
        };
        minors.iter().map(|minor| Self { kind, version: Version::new(0, *minor, 0) }).collect()
    }

    /// Contracts as they are listed in messages: `floret:index@0.1.0, floret:index@0.2.0`.
    pub(crate) fn listed(contracts: &[Self]) -> String {
        let mut names: Vec<String> = contracts.iter().map(Self::to_string).collect();
        // One package may hold several contracts.
        names.dedup();
        names.join(", ")
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.kind.package(), self.version)
    }
}

/// What a component says of itself; checked by the host.
#[derive(Clone, PartialEq, Debug)]
pub struct Description {
    /// Lower-case letters, digits and hyphens, 1 to 64 bytes.
    pub name: String,
    /// Semantic version of the component.
    pub version: Version,
    /// One sentence for people.
    pub summary: String,
    /// Media type of what it writes; empty for a policy.
    pub output_media_type: String,
    /// JSON Schema of its configuration: always an object.
    pub config_schema: serde_json::Value,
}

/// Figures of one corpus. All but what the guest counted is computed by the host while it checks the format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CorpusStatistics {
    /// Distinct words.
    pub vocabulary_size: u64,
    /// Sum of the counts; saturates.
    pub total_tokens: u64,
    /// SHA-256 over each word, in order, followed by a line feed: equal for equal vocabularies.
    pub vocabulary_hash: Digest,
    /// The most frequent words with their counts, most frequent first, then by bytes; at most 20.
    pub top_words: Vec<(String, u64)>,
}

/// Figures of one text.
#[derive(Clone, PartialEq, Debug)]
pub struct TextStatistics {
    /// Words that hold a letter or a digit.
    pub word_count: u64,
    /// Distinct words after case folding.
    pub unique_words: u64,
    /// Sentences that hold a word.
    pub sentence_count: u64,
    /// How easy it is to read; finite.
    pub readability_score: Option<f64>,
    /// By which formula.
    pub readability_formula: String,
}

/// A figure's value.
#[derive(Clone, PartialEq, Debug)]
pub enum StatisticValue {
    /// A whole number.
    Count(u64),
    /// A finite real number.
    Real(f64),
    /// A yes or no.
    Flag(bool),
    /// At most 1,024 bytes.
    Text(String),
}

impl From<StatisticValue> for serde_json::Value {
    fn from(value: StatisticValue) -> Self {
        match value {
            StatisticValue::Count(count) => count.into(),
            StatisticValue::Real(real) => real.into(),
            StatisticValue::Flag(flag) => flag.into(),
            StatisticValue::Text(text) => text.into(),
        }
    }
}

/// A way to search.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Mode {
    /// Words equal to the text.
    Exact,
    /// Words that begin with the text.
    Prefix,
    /// Words within an edit distance.
    Fuzzy,
    /// Words nearest in meaning or shape.
    Semantic,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Prefix, Self::Fuzzy, Self::Semantic];

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Fuzzy => "fuzzy",
            Self::Semantic => "semantic",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A question to an index. The text has at most 1,024 bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// The word itself.
    Exact(String),
    /// What begins with the text.
    Prefix(String),
    /// What is within an edit distance, 1 or 2, of the text.
    Fuzzy {
        /// The word looked for.
        text: String,
        /// Greatest Levenshtein distance: 1 or 2.
        #[schemars(range(min = 1, max = 2))]
        distance: u8,
    },
    /// What is nearest to the text.
    Semantic(String),
}

impl Query {
    /// Which way it searches.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Exact(_) => Mode::Exact,
            Self::Prefix(_) => Mode::Prefix,
            Self::Fuzzy { .. } => Mode::Fuzzy,
            Self::Semantic(_) => Mode::Semantic,
        }
    }

    /// What is looked for.
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) | Self::Fuzzy { text, .. } | Self::Semantic(text) => text,
        }
    }
}

/// One answer of a search.
#[derive(Clone, PartialEq, Debug)]
pub struct Hit {
    /// The word as it stands in the corpus.
    pub word: String,
    /// Its count; 0 where the index keeps none.
    pub frequency: u64,
    /// Edit distance; 0 but for fuzzy searches.
    pub distance: u8,
    /// How well it fits: greater is better; finite.
    pub score: f32,
}

/// What a policy is told of a content.
#[derive(Clone, PartialEq, Debug)]
pub struct PolicyProfile {
    /// Length of the raw bytes.
    pub size_bytes: u64,
    /// Namespace of the resource.
    pub namespace: String,
    /// Type of the resource.
    pub resource_type: String,
    /// Media type of the content.
    pub media_type: String,
    /// What its builder counted.
    pub items: Option<u64>,
    /// Metadata fields that are `true`, sorted.
    pub flags: Vec<String>,
    /// Shannon entropy of a sample, in bits a byte: 0.0 to 8.0.
    pub entropy_bits_per_byte: f32,
}

/// What a policy decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// How to compress, the level checked.
    pub codec: Codec,
    /// Whether to try a difference from an earlier version.
    pub delta: bool,
    /// Why; at most 256 bytes.
    pub reason: String,
}

/// What a retention policy is told of a resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetentionSubject {
    /// Namespace of the resource.
    pub namespace: String,
    /// Type of the resource.
    pub resource_type: String,
    /// Id of the resource.
    pub id: String,
    /// How often any of its versions was read.
    pub access_count: u64,
    /// How long ago it was read last, in milliseconds.
    pub last_access_age_ms: Option<u64>,
}

/// What a retention policy is told of a version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionFacts {
    /// Its place in the log.
    pub seq: u64,
    /// Its semantic version.
    pub semantic_version: String,
    /// How long ago it was published, in milliseconds.
    pub age_ms: u64,
    /// Length of the raw bytes.
    pub size_bytes: u64,
    /// Length of the bytes as stored.
    pub stored_bytes: u64,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// Whether it is the latest version.
    pub latest: bool,
    /// Whether a version that is not dropped was made from it.
    pub referenced: bool,
}

/// What a retention policy says of a version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetentionVerdict {
    /// Whether it stays.
    pub keep: bool,
    /// Why; 1 to 256 bytes.
    pub reason: String,
}

/// A failure in the guest's own words, not yet told where it happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    InvalidInput(String),
    InvalidConfig(String),
    Unsupported(String),
    Failed(String),
}
