//! Components and bindings as they are: installed, bound, in quarantine, broken.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use floret_pipeline::{BindingDocument, Breaker, Floret, Inspected, Quarantine, Users, VersionEntry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::content::whole;
use crate::given::{Parameters, Part};
use crate::problem::Problem;
use crate::versions::Nothing;

/// The components that are installed, by name.
pub(crate) async fn list(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
) -> Result<Json<Vec<VersionEntry>>, Problem> {
    Ok(Json(host.plugins().await?.iter().map(|version| VersionEntry::of(version)).collect()))
}

/// An installed component.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Installed {
    #[serde(flatten)]
    inspected: Inspected,
    /// Who uses it.
    users: Users,
}

/// What an installed component needs and offers, and who uses it.
pub(crate) async fn inspect(
    State(host): State<Arc<Floret>>,
    Part(name): Part,
    _: Parameters<Nothing>,
) -> Result<Json<Installed>, Problem> {
    let component = host.plugin_bytes(&name).await?;
    let users = host.plugin_users(&name).await?;
    Ok(Json(Installed { inspected: host.plugin_inspect(component).await?, users }))
}

/// What a component in the body needs and offers; it is not installed.
pub(crate) async fn inspect_given(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Inspected>, Problem> {
    let component = whole(&headers, body, host.component_bytes_max()).await?;
    Ok(Json(host.plugin_inspect(component).await?))
}

/// What is bound, by type.
pub(crate) async fn bindings(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
) -> Result<Json<BTreeMap<String, BindingDocument>>, Problem> {
    Ok(Json(host.binding_documents().await?))
}

/// The breakers that are open, by what is bound.
pub(crate) async fn breakers(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
) -> Result<Json<BTreeMap<String, Breaker>>, Problem> {
    Ok(Json(host.open_breakers().await?.into_iter().collect()))
}

/// A breaker that was closed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Closed {
    /// What is bound.
    binding: String,
    /// Whether it was open.
    was_open: bool,
}

/// Close the breaker of what is bound.
pub(crate) async fn reset(
    State(host): State<Arc<Floret>>,
    Part(id): Part,
    _: Parameters<Nothing>,
) -> Result<Json<Closed>, Problem> {
    let was_open = host.reset_breaker(&id).await?;
    Ok(Json(Closed { binding: id, was_open }))
}

/// Which quarantines are asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhichQuarantines {
    /// Those that were lifted, too.
    #[serde(default)]
    all: bool,
}

/// Components that are not to be used, because what they made could not be made again.
pub(crate) async fn quarantines(
    State(host): State<Arc<Floret>>,
    Parameters(which): Parameters<WhichQuarantines>,
) -> Result<Json<Vec<Quarantine>>, Problem> {
    Ok(Json(host.quarantines(which.all).await?))
}

/// Let a component in quarantine be used again, by its name or its digest; the answer is what was lifted.
pub(crate) async fn release(
    State(host): State<Arc<Floret>>,
    Part(what): Part,
    _: Parameters<Nothing>,
) -> Result<Json<Vec<Quarantine>>, Problem> {
    Ok(Json(host.plugin_release(&what).await?))
}
