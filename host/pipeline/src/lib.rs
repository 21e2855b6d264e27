//! What Floret does: saving, building, cascading, searching, over the version log, the caches and the component
//! runtime.
//!
//! [`Floret`] is the entry point; it is put together from [`Parts`], so that catalog, object store and clock
//! can be others in a test. The crate names no WebAssembly engine, no database and no wire protocol, and reads
//! neither the environment nor the wall clock.

mod caching;
mod cascade;
mod derive;
mod describe;
mod document;
mod error;
mod figures;
mod host;
mod maintain;
mod merge;
mod plan;
mod plugins;
mod policy;
mod progress;
mod read;
mod save;
mod search;
mod tree;
mod why;

pub use cascade::{Addition, Change};
pub use derive::DerivedSpec;
pub use document::VersionDocument;
pub use error::{Error, FailedCascade};
pub use host::{BuiltIn, Floret, Options, Parts};
pub use maintain::{RebuildReport, Rebuilt};
pub use plugins::{Binding, Inspected, POLICY_BINDING};
pub use progress::{Event, Progress};
pub use read::{Cached, Freshness, Selector, Snapshot};
pub use save::{Content, IfLatest, SaveRequest, Saved};
pub use search::{HITS_MAX, SearchAnswer, SearchHit};
pub use tree::{CorpusRequest, CorpusTree};
pub use why::{NewerInput, Why};
