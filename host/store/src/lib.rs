//! Where Floret's versions and contents are kept.
//!
//! A [`Catalog`] holds the version log, its edges, memos and blob rows; a [`BlobStore`] holds large contents in
//! any object store, named by the digest of their raw bytes. The crate knows nothing of components, caches or
//! the cascade: it is told what to keep and keeps the invariants that `ARCHITECTURE.md` lists.

mod blob;
mod catalog;
mod clock;
pub mod codec;
pub mod conformance;
mod error;
mod gc;
pub mod record;
mod retention;
mod verify;

pub use blob::{BLOB_ROOT, BlobOptions, BlobStore, blob_path, local_objects, read_inline};
pub use catalog::{
    Access, BlobRecord, BlobState, Catalog, CatalogStatistics, Claim, Draft, EmbeddedCatalog, IfUnchanged,
    ListQuery, Outcome, Precondition, Publish,
};
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::Error;
pub use gc::{SweepReport, sweep};
pub use retention::{CleanupReport, KeepReason, Kept, LogEntry, Retained, RetentionPolicy, cleanup, retain};
pub use verify::{Problem, VerifyOptions, VerifyReport, verify};
