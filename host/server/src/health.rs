//! Probes: whether the process lives, and whether it can do its work.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use floret_pipeline::Floret;
use schemars::JsonSchema;
use serde::Serialize;

use crate::given::Parameters;
use crate::problem::Problem;
use crate::versions::Nothing;

/// Catalog and blob store are to answer within this.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// What a probe finds.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    status: Status,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Status {
    Lives,
    Ready,
}

pub(crate) async fn lives(_: Parameters<Nothing>) -> Json<Health> {
    Json(Health { status: Status::Lives })
}

pub(crate) async fn is_ready(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
) -> Result<Json<Health>, Problem> {
    match tokio::time::timeout(READY_TIMEOUT, host.check_ready()).await {
        Ok(Ok(())) => Ok(Json(Health { status: Status::Ready })),
        Ok(Err(error)) => Err(Problem::unavailable(error.to_string())),
        Err(_) => {
            let seconds = READY_TIMEOUT.as_secs();
            Err(Problem::unavailable(format!(
                "the catalog or the blob store did not answer within {seconds} s"
            )))
        }
    }
}
