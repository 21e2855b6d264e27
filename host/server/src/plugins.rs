//! Components and bindings: looked at, installed and swapped while the host runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use floret_model::{Digest, Seq, Version};
use floret_pipeline::{
    Binding, Breaker, Floret, Inspected, InstallRequest, Saved, UnreadableBinding, Users, VersionEntry,
};
use serde::Serialize;
use serde_json::json;

use crate::content::whole;
use crate::given::{Parameters, Part, Posted, header_text};
use crate::options::decoded;
use crate::problem::Problem;
use crate::versions::{Nothing, document};

/// The components that are installed, by name.
pub(crate) async fn list(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
) -> Result<Json<Vec<VersionEntry>>, Problem> {
    Ok(Json(host.plugins().await?.iter().map(|version| VersionEntry::of(version)).collect()))
}

/// An installed component.
#[derive(Serialize)]
pub(crate) struct Installed {
    #[serde(flatten)]
    component: Inspected,
    users: Users,
}

/// What an installed component needs and offers, who uses it, and within which limits.
pub(crate) async fn inspect(
    State(host): State<Arc<Floret>>,
    Part(name): Part,
    _: Parameters<Nothing>,
) -> Result<Json<Installed>, Problem> {
    let component = host.plugin_bytes(&name).await?;
    let users = host.plugin_users(&name).await?;
    Ok(Json(Installed { component: host.plugin_inspect(component).await?, users }))
}

/// A minisign signature of the component in the body: all lines of the `.minisig` file, percent-encoded.
const SIGNATURE: HeaderName = HeaderName::from_static("floret-signature");

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
#[derive(Serialize)]
pub(crate) struct Bound {
    /// Nothing of it where it cannot be read.
    #[serde(flatten)]
    binding: Option<Binding>,
    seq: Seq,
    /// The breaker of its component, if it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<Breaker>,
    #[serde(flatten)]
    unreadable: Option<Unreadable>,
}

/// Why a binding cannot be read.
#[derive(Serialize)]
struct Unreadable {
    data_hash: Digest,
    problem: String,
}

/// What is bound, by type.
pub(crate) async fn bindings(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
) -> Result<Json<BTreeMap<String, Bound>>, Problem> {
    let mut breakers: BTreeMap<String, Breaker> = host.open_breakers().await?.into_iter().collect();
    let mut bindings = BTreeMap::new();
    for (id, binding, version) in host.bindings().await? {
        let breaker = breakers.remove(&id);
        bindings.insert(id, Bound { binding: Some(binding), seq: version.seq, breaker, unreadable: None });
    }
    for UnreadableBinding { id, binding, data_hash, problem, .. } in host.unreadable_bindings().await? {
        let breaker = breakers.remove(&id);
        let unreadable = Some(Unreadable { data_hash, problem });
        bindings.insert(id, Bound { binding: None, seq: binding.seq, breaker, unreadable });
    }
    Ok(Json(bindings))
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

/// What was saved, and how much is to be rebuilt for it: `POST /v1/cascades` with its key does.
async fn swapped(host: &Floret, saved: Saved) -> Result<Response, Problem> {
    let status = if saved.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let version: &Version = &saved.version;
    let plan = host.plan(std::slice::from_ref(&version.key)).await?;
    let dependents: Vec<String> = plan.steps.iter().map(|step| step.key.to_string()).collect();
    let mut document = document(version);
    document["key"] = json!(version.key.to_string());
    document["dependents"] = json!(dependents);
    Ok((status, Json(document)).into_response())
}
