//! What follows from a change: looked at beforehand, or carried out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use floret_model::{CascadeReport, KeyError, Plan, ResourceKey};
use floret_pipeline::{Floret, Progress};
use serde::Deserialize;

use crate::given::{Parameters, Posted};
use crate::problem::Problem;
use crate::versions::Nothing;

/// Resources in one request.
const KEYS_MAX: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Roots {
    /// Resources that changed, as `NAMESPACE:TYPE/ID` or `TYPE/ID`.
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
    _: Parameters<Nothing>,
    Posted(roots): Posted<Roots>,
) -> Result<Json<Plan>, Problem> {
    Ok(Json(host.plan(&roots.checked()?).await?))
}

/// Rebuild whatever depends on these, and really changed. A client that goes away stops it: nothing of it is visible then,
/// and what was built is remembered.
pub(crate) async fn cascade(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
    Posted(roots): Posted<Roots>,
) -> Result<Json<CascadeReport>, Problem> {
    Ok(Json(host.cascade(&roots.checked()?, &Progress::default()).await?))
}
