//! Looking after a host: its cache, and whether its store is sound.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use floret_pipeline::{Floret, Overview, Sampling, VerifyOptions};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::given::{Parameters, Posted};
use crate::jobs::{Jobs, Kind, Wants};
use crate::problem::Problem;
use crate::versions::Nothing;

/// Entries that are warmed unless the request says how many, and at most.
const WARMED: usize = 1_000;
const WARMED_MAX: usize = 1_000_000;

/// What the tiers of the cache hold, and how often they hit since the host began.
pub(crate) async fn cache(State(host): State<Arc<Floret>>, _: Parameters<Nothing>) -> impl IntoResponse {
    Json(host.cache().stats())
}

/// What the home holds, and what the cache does.
pub(crate) async fn overview(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
) -> Result<Json<Overview>, Problem> {
    Ok(Json(host.overview().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Warming {
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

#[derive(Deserialize)]
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

async fn verified(host: &Floret, asked: Verification) -> Result<Value, Problem> {
    let report = host.verify(VerifyOptions { rehash: asked.rehash }).await?;
    let rebuilt = match asked.rebuild {
        None => None,
        Some(sampling) => Some(host.verify_rebuild_of(sampling, &|_, _| {}).await?),
    };
    let is_equal = rebuilt.as_ref().is_none_or(|rebuilt| rebuilt.mismatches().next().is_none());
    let sound = report.is_clean() && is_equal;
    Ok(json!({"sound": sound, "verify": report, "rebuild": rebuilt}))
}
