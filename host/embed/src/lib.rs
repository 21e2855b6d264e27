//! Floret inside another program: one dependency, and a few lines from a folder to a host.
//!
//! [`Home::at`] names a folder; [`Home::open`] opens the embedded store, the caches and the component runtime in it, with
//! the components that come with Floret installed, and answers a [`Floret`]. The folder is laid out as the `floret`
//! program lays it out, so that `floret --data FOLDER` works on it too, though not at the same time.
//!
//! ```no_run
//! use floret_embed::{Content, Home, SaveRequest};
//!
//! # async fn example() -> Result<(), floret_embed::Error> {
//! let floret = Home::at("library").open().await?;
//! floret.save(SaveRequest::new("literature/walden".parse()?, "I went to the woods")).await?;
//! floret.close().await
//! # }
//! ```
//!
//! A home on MongoDB and S3, or with a clock of one's own, is put together from [`pipeline::Parts`]; the five crates
//! below are here by their short names.

mod built_ins;
mod home;

pub use floret_cache as cache;
pub use floret_model as model;
pub use floret_pipeline as pipeline;
pub use floret_runtime as runtime;
pub use floret_store as store;

pub use built_ins::{built_in_digest, built_ins};
pub use floret_cache::NamespaceConfig;
pub use floret_model::{CascadeReport, Namespace, ResourceKey, Seq, Version};
pub use floret_pipeline::{
    Binding, BuiltIn, Change, Content, CorpusRequest, DerivedSpec, Error, Floret, Freshness, IfLatest,
    Options, POLICY_BINDING, Progress, SaveRequest, Saved, SearchAnswer, Selector, Snapshot,
};
pub use floret_runtime::{Limits, Query};
pub use home::{
    BLOBS_FOLDER, CACHE_FOLDER, CATALOG_FOLDER, COMPILED_FOLDER, Home, TEMPORARY_FOLDER, make_private,
    session,
};
