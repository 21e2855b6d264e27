//! Looking after a host: its cache, whether its store is sound, and what is old.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use floret_model::Namespace;
use floret_pipeline::{
    CacheStats, Floret, Overview, RebuildReport, RetentionPolicy, Sampling, Uncached, Uncaching,
    VerifyOptions, VerifyReport,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::given::{Parameters, Posted};
use crate::jobs::{Jobs, Kind, Wants};
use crate::problem::Problem;
use crate::versions::Nothing;

/// Entries that are warmed unless the request says how many, and at most.
pub(crate) const WARMED: usize = 1_000;
const WARMED_MAX: usize = 1_000_000;
/// Globs of one invalidation.
const PATTERNS_MAX: usize = 100;

/// What the tiers of the cache hold, and how often they hit since the host began.
pub(crate) async fn cache(State(host): State<Arc<Floret>>, _: Parameters<Nothing>) -> Json<CacheStats> {
    Json(host.cache().stats())
}

/// What the home holds, and what the cache does.
pub(crate) async fn overview(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
) -> Result<Json<Overview>, Problem> {
    Ok(Json(host.overview().await?))
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
    State(jobs): State<Arc<Jobs>>,
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
    State(jobs): State<Arc<Jobs>>,
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

/// What a server keeps when it is asked to clean up: what is configured for it.
#[derive(Clone, Debug)]
pub struct Retention {
    /// What stays, unless a component says so.
    pub policy: RetentionPolicy,
    /// How long condemned bytes stay, in milliseconds.
    pub grace_ms: u64,
}

/// A cleanup that is asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cleanup {
    /// Only say what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// Drop versions that retention does not keep or that have outlived their time, and free their storage.
pub(crate) async fn clean_up(
    State(host): State<Arc<Floret>>,
    State(jobs): State<Arc<Jobs>>,
    State(retention): State<Arc<Retention>>,
    wants: Wants,
    _: Parameters<Nothing>,
    Posted(asked): Posted<Cleanup>,
) -> Result<Response, Problem> {
    let work =
        |_| async move { Ok(host.cleanup(&retention.policy, retention.grace_ms, asked.dry_run).await?) };
    jobs.answer(wants, Kind::Cleanup, "the store".to_owned(), work).await
}

/// Of what cached copies are dropped: exactly one of the members.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invalidation {
    /// Globs of whole names, e.g. `literature/lincoln-*`.
    #[schemars(length(min = 1, max = PATTERNS_MAX))]
    patterns: Option<Vec<String>>,
    /// A whole namespace.
    namespace: Option<Namespace>,
    /// Everything.
    #[serde(default)]
    all: bool,
}

impl Invalidation {
    fn checked(self) -> Result<Uncaching, Problem> {
        match (self.patterns, self.namespace, self.all) {
            (Some(patterns), None, false) if (1..=PATTERNS_MAX).contains(&patterns.len()) => {
                Ok(Uncaching::Matching(patterns))
            }
            (None, Some(namespace), false) => Ok(Uncaching::Namespace(namespace)),
            (None, None, true) => Ok(Uncaching::All),
            _ => Err(Problem::invalid(format!(
                "expected exactly one of `patterns` (1 to {PATTERNS_MAX}), `namespace` and `\"all\": true`"
            ))),
        }
    }
}

/// Drop cached copies.
pub(crate) async fn invalidate(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
    Posted(asked): Posted<Invalidation>,
) -> Result<Json<Uncached>, Problem> {
    Ok(Json(host.uncache_all(&asked.checked()?).await?))
}
