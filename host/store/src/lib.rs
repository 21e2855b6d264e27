//! Where Floret's versions and contents are kept.
//!
//! A [`Catalog`] holds the version log, its edges, memos and blob rows; a [`BlobStore`] holds large contents in
//! any object store, named by the digest of their raw bytes. The crate knows nothing of components, caches or
//! the cascade: it is told what to keep and keeps the invariants that `ARCHITECTURE.md` lists.

mod catalog;
mod error;

pub use catalog::{
    Access, BlobRecord, BlobState, Catalog, CatalogStatistics, Claim, Draft, IfUnchanged,
    ListQuery, Outcome, Precondition, Publish,
};
pub use error::Error;
