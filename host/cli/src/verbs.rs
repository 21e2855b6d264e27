//! One file for each verb: its options, and how it calls the pipeline and shows what came of it.

pub(crate) mod build;
pub(crate) mod cache;
pub(crate) mod cascade;
pub(crate) mod cleanup;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod corpus;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod health;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod plan;
pub(crate) mod plugin;
pub(crate) mod policy;
pub(crate) mod save;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod verify;
pub(crate) mod why;

use floret_model::ResourceKey;
use floret_pipeline::{Floret, Selector};

/// Every resource is there, so that a slip of the pen is not taken for a resource on which nothing depends.
async fn check_there(host: &Floret, keys: &[ResourceKey]) -> anyhow::Result<()> {
    for key in keys {
        host.resolve(key, &Selector::Latest).await?;
    }
    Ok(())
}
