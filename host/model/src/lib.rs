//! Pure values of Floret: digests, keys, versions, metadata, recipes, plans. No I/O, no clock, no randomness.
//!
//! The crate knows nothing of how anything is stored, cached, built or shown. Entry points: [`ResourceKey`]
//! names a resource, [`Version`] is one entry of its log, [`Recipe`] names a build by what goes into it.

mod canonical;
mod codes;
mod content;
mod digest;
mod key;
mod metadata;
mod plan;
mod recipe;
mod schema;
mod spec;
mod time;
mod version;

pub use canonical::canonical_json;
pub use content::{Codec, CompressionType, ContentLocation, StorageType, UnknownName};
pub use digest::{Digest, DigestHasher, ParseDigestError};
pub use key::{KeyError, Namespace, ResourceId, ResourceKey, ResourceType, Seq, VersionRef};
pub use metadata::{
    BindingMetadata, CorpusMetadata, CorpusType, DictionaryMetadata, LanguageStatistics, LiteratureMetadata,
    LiteratureStatistics, Metadata, PluginMetadata, PluginSignature, SearchMetadata, SemanticMetadata,
    TrieMetadata, TypedMetadata,
};
pub use plan::{CascadeReport, Fate, Plan, PlannedStep, StepPhases, StepReason, StepReport};
pub use recipe::{Memo, Recipe};
pub use schema::{RESOURCE_PATTERN, VERSION_PATTERN};
pub use spec::{
    BuildRecord, BuildSpec, ComponentRef, PolicyDecision, PolicyQuestion, RecordedInput, SpecInput,
};
pub use time::TimestampMs;
pub use version::{Bump, Dependency, Version, VersionInfo};
