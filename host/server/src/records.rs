//! Versions with everything that is recorded of them, for programs that work on them as the host itself does: the command
//! line with `--server`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use floret_model::{Seq, Version};
use floret_pipeline::Floret;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::Grant;
use crate::given::{Named, Parameters, limit};
use crate::problem::Problem;
use crate::search::Listing;
use crate::versions::Which;

/// A record is a few KB.
const RECORDS_MAX: usize = 100;

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
    let found = host.find(&key, &which.selector()?, which.freshness()?).await?;
    Ok(Json(record(found.version())))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// How many.
    #[schemars(range(min = 1, max = RECORDS_MAX))]
    limit: usize,
    /// Only versions before this seq.
    before: Option<u64>,
}

/// Versions of a resource, newest first.
pub(crate) async fn log(
    State(host): State<Arc<Floret>>,
    Named(key): Named,
    Parameters(page): Parameters<Page>,
) -> Result<Json<Vec<Version>>, Problem> {
    let log = host.log(&key, page.before.map(Seq), limit(page.limit, RECORDS_MAX)?).await?;
    Ok(Json(log.iter().map(|version| record(version)).collect()))
}

/// Latest versions, sorted by key.
pub(crate) async fn list(
    State(host): State<Arc<Floret>>,
    grant: Grant,
    Parameters(listing): Parameters<Listing>,
) -> Result<Json<Vec<Version>>, Problem> {
    let asked = listing.limit.unwrap_or(RECORDS_MAX);
    let query = listing.query(asked, RECORDS_MAX)?;
    grant.check_namespace(query.namespace.as_ref())?;
    let found = host.list(&query).await?;
    Ok(Json(found.iter().map(|version| record(version)).collect()))
}
