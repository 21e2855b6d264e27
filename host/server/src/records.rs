//! Versions with everything that is recorded of them, for programs that work on them as the host itself does: the command
//! line with `--server`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use floret_model::{ResourceKey, Seq, Version};
use floret_pipeline::{Floret, Freshness, ListQuery, Selector};
use serde::Deserialize;

use crate::given::{Named, Parameters};
use crate::problem::Problem;

/// A record is a few KB.
const RECORDS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// `latest`, a seq or a semantic version.
    version: Option<String>,
    /// Whether the cache is passed by.
    #[serde(default)]
    strong: bool,
    /// That version or a later one.
    at_least: Option<u64>,
}

/// A version without its bytes, which are asked for by themselves.
fn record(version: &Version) -> Version {
    Version { content_inline: None, ..version.clone() }
}

/// One version.
pub(crate) async fn one(
    State(host): State<Arc<Floret>>,
    Named(key): Named,
    Parameters(which): Parameters<Which>,
) -> Result<Json<Version>, Problem> {
    let selector = match &which.version {
        Some(version) => version.parse::<Selector>()?,
        None => Selector::Latest,
    };
    let freshness = match (which.at_least, which.strong) {
        (Some(_), true) => return Err(Problem::invalid("at_least and strong exclude each other")),
        (Some(seq), false) => Freshness::AtLeast(Seq(seq)),
        (None, true) => Freshness::Strong,
        (None, false) => Freshness::Cached,
    };
    Ok(Json(record(host.find(&key, &selector, freshness).await?.version())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: usize,
    before: Option<u64>,
}

/// Versions of a resource, newest first.
pub(crate) async fn log(
    State(host): State<Arc<Floret>>,
    Named(key): Named,
    Parameters(page): Parameters<Page>,
) -> Result<Json<Vec<Version>>, Problem> {
    let limit = checked(page.limit)?;
    let log = host.log(&key, page.before.map(Seq), limit).await?;
    Ok(Json(log.iter().map(|version| record(version)).collect()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listing {
    namespace: Option<floret_model::Namespace>,
    #[serde(rename = "type")]
    resource_type: Option<floret_model::ResourceType>,
    prefix: Option<String>,
    after: Option<String>,
    limit: usize,
}

/// Latest versions, sorted by key.
pub(crate) async fn list(
    State(host): State<Arc<Floret>>,
    Parameters(listing): Parameters<Listing>,
) -> Result<Json<Vec<Version>>, Problem> {
    let Listing { namespace, resource_type, prefix: id_prefix, after, limit } = listing;
    let after = after.map(|after| after.parse::<ResourceKey>()).transpose()?;
    let limit = checked(limit)?;
    let found = host.list(&ListQuery { namespace, resource_type, id_prefix, after, limit }).await?;
    Ok(Json(found.iter().map(|version| record(version)).collect()))
}

fn checked(limit: usize) -> Result<usize, Problem> {
    match limit {
        1..=RECORDS_MAX => Ok(limit),
        _ => Err(Problem::invalid(format!("limit={limit} cannot be used: expected 1 to {RECORDS_MAX}"))),
    }
}
