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
mod copy;
mod doctor;
mod error;
mod gc;
mod objects;
pub mod record;
mod retention;
mod spool;
mod unfinished;
mod verify;

pub use blob::{BLOB_ROOT, BlobOptions, BlobStore, blob_path, read_inline};
pub use catalog::{
    Access, BlobRecord, BlobState, Catalog, CatalogProbe, CatalogProblem, CatalogStatistics, Change,
    ChangeStream, ChangeToken, Claim, CommandObserver, Draft, EmbeddedCatalog, IfUnchanged, Lease, Leased,
    ListQuery, MongoCatalog, Outcome, Precondition, Publish,
};
pub use clock::{Clock, ManualClock, SystemClock};
pub use copy::{CopyEvent, CopyOptions, CopyReport, copy};
pub use doctor::{Finding, PROBE_ROOT, Verdict, examine_catalog, examine_objects};
pub use error::Error;
pub use gc::{SweepReport, sweep};
pub use objects::{
    Objects, ObjectsOptions, check_objects, install_crypto, local_folder, local_objects, open_objects,
};
pub use retention::{
    CleanupReport, Judge, Judged, Judgement, KeepReason, Kept, KnownVersion, LogEntry, Retained,
    RetentionPolicy, Unjudged, cleanup, cleanup_judged, retain,
};
pub use spool::{SpoolReader, Spooled, spool};
pub use verify::{Problem, VerifyOptions, VerifyReport, verify};
