//! Components and bindings: looked at, installed and swapped while the host runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use floret_pipeline::{Binding, Breaker, Floret, Inspected, InstallRequest, Saved, VersionEntry};
use schemars::JsonSchema;
use serde::Serialize;

use crate::content::whole;
use crate::given::{Parameters, Part, Posted, header_text};
use crate::options::decoded;
use crate::problem::Problem;
use crate::versions::{Nothing, SavedVersion};

/// The components that are installed, by name.
pub(crate) async fn list(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
) -> Result<Json<Vec<VersionEntry>>, Problem> {
    Ok(Json(host.plugins().await?.iter().map(|version| VersionEntry::of(version)).collect()))
}

/// What an installed component needs and offers.
pub(crate) async fn inspect(
    State(host): State<Arc<Floret>>,
    Part(name): Part,
    _: Parameters<Nothing>,
) -> Result<Json<Inspected>, Problem> {
    let component = host.plugin_bytes(&name).await?;
    Ok(Json(host.plugin_inspect(component).await?))
}

/// A minisign signature of the component in the body: all lines of the `.minisig` file, percent-encoded.
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("floret-signature");

/// Install the body, a component, under a name: 201 with what was saved, or 200 where it is what is installed.
pub(crate) async fn install(
    State(host): State<Arc<Floret>>,
    Part(name): Part,
    _: Parameters<Nothing>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let signature = header_text(&headers, &SIGNATURE)?.map(|text| {
        let expected = || Problem::invalid(format!("the header {SIGNATURE}: expected percent-encoded UTF-8"));
        decoded(text).ok_or_else(expected)
    });
    let signature = signature.transpose()?;
    let bytes = whole(&headers, body, host.component_bytes_max()).await?;
    let request = InstallRequest { name: Some(name), bytes, signature, ..InstallRequest::default() };
    swapped(&host, host.plugin_install_from(request).await?).await
}

/// A binding as it stands.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StandingBinding")]
pub(crate) struct Bound {
    #[serde(flatten)]
    binding: Binding,
    seq: floret_model::Seq,
    /// The breaker of its component, if it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<Breaker>,
}

/// What is bound, by type.
pub(crate) async fn bindings(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
) -> Result<Json<BTreeMap<String, Bound>>, Problem> {
    let mut breakers: BTreeMap<String, Breaker> = host.open_breakers().await?.into_iter().collect();
    let bindings = host.bindings().await?.into_iter().map(|(id, binding, version)| {
        let breaker = breakers.remove(&id);
        (id, Bound { binding, seq: version.seq, breaker })
    });
    Ok(Json(bindings.collect()))
}

/// Bind a component: 201 with what was saved, or 200 where it is so bound. Calls under way end on the one before.
pub(crate) async fn bind(
    State(host): State<Arc<Floret>>,
    Part(id): Part,
    _: Parameters<Nothing>,
    Posted(binding): Posted<Binding>,
) -> Result<Response, Problem> {
    swapped(&host, host.plugin_bind(&id, binding).await?).await
}

/// Close the breaker of what is bound.
pub(crate) async fn reset(
    State(host): State<Arc<Floret>>,
    Part(id): Part,
    _: Parameters<Nothing>,
) -> Result<StatusCode, Problem> {
    host.reset_breaker(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was saved of a component or a binding, and what is to be rebuilt for it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Swapped {
    #[serde(flatten)]
    saved: SavedVersion,
    /// The resource that says so, e.g. `plugins:binding/trie`: `POST /v1/cascades` with it rebuilds.
    #[schemars(regex(pattern = floret_model::RESOURCE_PATTERN))]
    key: String,
    /// Resources that it would build, in order.
    dependents: Vec<String>,
}

async fn swapped(host: &Floret, saved: Saved) -> Result<Response, Problem> {
    let status = if saved.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let key = &saved.version.key;
    let plan = host.plan(std::slice::from_ref(key)).await?;
    let dependents = plan.steps.iter().map(|step| step.key.to_string()).collect();
    let answer = Swapped { saved: SavedVersion::of(&saved.version), key: key.to_string(), dependents };
    Ok((status, Json(answer)).into_response())
}
