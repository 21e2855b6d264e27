//! What follows from a change: looked at beforehand, or carried out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use floret_model::{KeyError, Plan, ResourceKey};
use floret_pipeline::Floret;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::Grant;
use crate::given::{Parameters, Posted};
use crate::jobs::{Jobs, Kind, Wants, subject};
use crate::problem::Problem;
use crate::versions::Nothing;

/// Resources in one request.
const KEYS_MAX: usize = 1000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Changed")]
pub(crate) struct Roots {
    /// Resources that changed, as `NAMESPACE:TYPE/ID` or `TYPE/ID`.
    #[schemars(length(min = 1, max = KEYS_MAX))]
    keys: Vec<String>,
}

impl Roots {
    fn checked(self) -> Result<Vec<ResourceKey>, Problem> {
        match self.keys.len() {
            1..=KEYS_MAX => Ok(self.keys.iter().map(|key| key.parse()).collect::<Result<_, KeyError>>()?),
            count => Err(Problem::invalid(format!(
                "{count} keys cannot be used: expected 1 to {KEYS_MAX} in `keys`"
            ))),
        }
    }
}

/// What a cascade would do.
pub(crate) async fn plan(
    State(host): State<Arc<Floret>>,
    grant: Grant,
    _: Parameters<Nothing>,
    Posted(roots): Posted<Roots>,
) -> Result<Json<Plan>, Problem> {
    let keys = roots.checked()?;
    grant.check_reach(&host, &keys).await?;
    Ok(Json(host.plan(&keys).await?))
}

/// Rebuild whatever depends on these, and really changed. A client that waits and goes away stops it: nothing of it is
/// visible then, and what was built is remembered.
pub(crate) async fn cascade(
    State(host): State<Arc<Floret>>,
    grant: Grant,
    State(jobs): State<Arc<Jobs>>,
    wants: Wants,
    _: Parameters<Nothing>,
    Posted(roots): Posted<Roots>,
) -> Result<Response, Problem> {
    let keys = roots.checked()?;
    grant.check_reach(&host, &keys).await?;
    let about = subject(&keys);
    let work = |progress| async move { Ok(host.cascade(&keys, &progress).await?) };
    jobs.answer(wants, Kind::Cascade, about, work).await
}
