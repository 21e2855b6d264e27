//! What Floret does: saving, building, cascading, searching, over the version log, the caches and the component
//! runtime.
//!
//! [`Floret`] is the entry point; it is put together from [`Parts`], so that catalog, object store and clock
//! can be others in a test. The crate names no WebAssembly engine, no database and no wire protocol, and reads
//! neither the environment nor the wall clock.

mod bounds;
mod breaker;
mod caching;
mod cascade;
mod compare;
mod content;
mod derive;
mod describe;
mod doctor;
mod document;
mod error;
mod explain;
mod figures;
mod follow;
mod host;
mod kind;
mod large;
mod lease;
mod maintain;
mod merge;
mod meters;
mod observe;
mod overview;
mod pause;
mod plan;
mod plugins;
mod policy;
mod progress;
mod publications;
mod publish;
mod quarantine;
mod question;
mod read;
mod rebuild;
mod retention;
mod sample;
mod save;
mod search;
mod tend;
mod tree;
mod why;
#[cfg(test)]
mod wire;

pub use bounds::{BindingLimits, LimitInForce, LimitSource};
pub use breaker::Breaker;
pub use caching::{Uncached, Uncaching};
pub use cascade::{Addition, Change};
pub use compare::{Compared, Contender, ContenderSource, Cost, Costs, PolicyComparison, PolicyReplay};
pub use content::Content;
pub use derive::DerivedSpec;
pub use doctor::examine_components;
pub use document::{VersionDocument, VersionEntry};
pub use error::{Error, FailedCascade};
pub use explain::{Explanation, explain, explanations};
pub use floret_cache::{CacheStats, Warmed};
pub use floret_runtime::{LogLevel, Query};
pub use floret_store::{CleanupReport, ListQuery, RetentionPolicy, Spooled, VerifyOptions, VerifyReport};
pub use host::{BuiltIn, Floret, Options, Parts};
pub use kind::{Classified, Kind, all_codes, classify_cache, classify_runtime, classify_store};
pub use large::LARGE_BYTES;
pub use meters::describe_metrics;
pub use overview::{Overview, Stock, TypeStock};
pub use plugins::{
    Binding, BindingDocument, BindingState, Checked, ComponentMetadata, Inspected, InstallRequest,
    POLICY_BINDING, TrustedKeys, UnreadableBinding, Users, check_config,
};
pub use policy::entropy_bits_per_byte;
pub use progress::{Event, LogLine, Progress};
pub use publications::{Publication, Publications};
pub use quarantine::Quarantine;
pub use question::SearchMode;
pub use read::{Cached, Found, Freshness, Selector, Snapshot};
pub use rebuild::{RebuildReport, Rebuilt};
pub use retention::RETENTION_BINDING;
pub use sample::{Sample, Sampling};
pub use save::{IfLatest, SaveRequest, Saved};
pub use search::{HITS_MAX, SearchAnswer, SearchHit};
pub use tend::{Schedule, Tended};
pub use tree::{CorpusRequest, CorpusTree};
pub use why::{NewerInput, Why};
