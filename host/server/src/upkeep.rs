//! Looking after a host: its cache, and whether its store is sound.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use floret_pipeline::{CacheStats, Floret, RebuildReport, Sampling, VerifyOptions, VerifyReport};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::given::{Parameters, Posted};
use crate::jobs::{Jobs, Kind, Wants};
use crate::problem::Problem;
use crate::versions::Nothing;

/// Entries that are warmed unless the request says how many, and at most.
const WARMED: usize = 1_000;
const WARMED_MAX: usize = 1_000_000;

/// What the tiers of the cache hold, and how often they hit since the host began.
pub(crate) async fn cache(State(host): State<Arc<Floret>>, _: Parameters<Nothing>) -> Json<CacheStats> {
    Json(host.cache().stats())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Warming {
    /// How many entries; 1,000 unless it is given.
    #[schemars(range(max = WARMED_MAX))]
    limit: Option<usize>,
}

/// Fill the cache with what was asked for most.
pub(crate) async fn warm(
    State(host): State<Arc<Floret>>,
    Extension(jobs): Extension<Arc<Jobs>>,
    wants: Wants,
    _: Parameters<Nothing>,
    Posted(warming): Posted<Warming>,
) -> Result<Response, Problem> {
    let limit = warming.limit.unwrap_or(WARMED);
    if limit > WARMED_MAX {
        return Err(Problem::invalid(format!("limit={limit} cannot be used: expected at most {WARMED_MAX}")));
    }
    let work = |_| async move { Ok(host.warm(limit).await) };
    jobs.answer(wants, Kind::Warming, "the cache".to_owned(), work).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verification {
    /// Whether contents are read and hashed.
    #[serde(default = "is_usual")]
    rehash: bool,
    /// What is built again and compared; nothing if absent.
    rebuild: Option<Sampling>,
}

fn is_usual() -> bool {
    true
}

/// Check every invariant of the store. That something is wrong is an answer, not a failure.
pub(crate) async fn verify(
    State(host): State<Arc<Floret>>,
    Extension(jobs): Extension<Arc<Jobs>>,
    wants: Wants,
    _: Parameters<Nothing>,
    Posted(asked): Posted<Verification>,
) -> Result<Response, Problem> {
    let work = |_| async move { verified(&host, asked).await };
    jobs.answer(wants, Kind::Verification, "the store".to_owned(), work).await
}

/// What a verification found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Verified {
    /// Whether every invariant holds, and everything that was built again is as it was.
    sound: bool,
    verify: VerifyReport,
    rebuild: Option<RebuildReport>,
}

async fn verified(host: &Floret, asked: Verification) -> Result<Verified, Problem> {
    let verify = host.verify(VerifyOptions { rehash: asked.rehash }).await?;
    let rebuild = match asked.rebuild {
        None => None,
        Some(sampling) => Some(host.verify_rebuild_of(sampling, &|_, _| {}).await?),
    };
    let is_equal = rebuild.as_ref().is_none_or(|rebuilt| rebuilt.mismatches().next().is_none());
    Ok(Verified { sound: verify.is_clean() && is_equal, verify, rebuild })
}
