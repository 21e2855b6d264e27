//! Changes of what is installed and bound, while the host runs: made, taken back, taken away, or only looked at beforehand.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use floret_model::{Digest, Plan, PluginMetadata, ResourceKey, Seq, VersionRef};
use floret_pipeline::{Binding, Floret, InstallRequest, Saved};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::content::whole;
use crate::given::{Parameters, Part, Posted, header_text};
use crate::options::decoded;
use crate::problem::Problem;
use crate::versions::{Nothing, SavedVersion};

/// A minisign signature of the component in the body: all lines of the `.minisig` file, percent-encoded.
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static("floret-signature");
/// Longest text that says where a component comes from.
const SOURCE_BYTES_MAX: usize = 2_000;

/// What a change answers where it is made or was so already, and where it is only looked at.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "SwappedOrForeseen")]
pub(crate) enum Swap {
    Made(Swapped),
    Foreseen(Box<Foreseen>),
}

/// What was saved of a component or a binding, and what is to be rebuilt for it: `POST /v1/cascades` with its key does.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Swapped {
    #[serde(flatten)]
    saved: SavedVersion,
    /// `NAMESPACE:TYPE/ID`.
    key: String,
    /// Whether there was anything to change.
    is_new: bool,
    /// Latest versions that a cascade would look at.
    dependents: Vec<String>,
}

/// What a change would save, and what would be rebuilt for it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Foreseen {
    /// The component or binding, as `NAMESPACE:TYPE/ID`.
    resource: String,
    /// Whether there is anything to change.
    would_change: bool,
    /// What would be recorded of a component that is to be installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<PluginMetadata>,
    /// The version that would be gone back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<VersionRef>,
    plan: Plan,
}

/// Whether something is done.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Doing {
    /// Only answer what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// How a component is installed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Installing {
    /// SHA-256 that its bytes must have, in hexadecimal digits.
    digest: Option<Digest>,
    /// Where it comes from, at most 2,000 bytes; recorded as it is.
    source: Option<String>,
    /// Only answer what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// Install the body, a component, under the name that it gives itself: 201 with what was saved, or 200 where it is what is
/// installed.
pub(crate) async fn install(
    State(host): State<Arc<Floret>>,
    Parameters(how): Parameters<Installing>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    installed(&host, None, how, &headers, body).await
}

/// Install the body under a name: as [`install`].
pub(crate) async fn install_as(
    State(host): State<Arc<Floret>>,
    Part(name): Part,
    Parameters(how): Parameters<Installing>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    installed(&host, Some(name), how, &headers, body).await
}

async fn installed(
    host: &Floret,
    name: Option<String>,
    how: Installing,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Installing { digest, source, dry_run } = how;
    let is_bad = |source: &String| source.len() > SOURCE_BYTES_MAX || source.chars().any(char::is_control);
    if source.as_ref().is_some_and(is_bad) {
        return Err(Problem::invalid(format!(
            "source cannot be used: expected at most {SOURCE_BYTES_MAX} bytes without control characters"
        )));
    }
    let signature = header_text(headers, &SIGNATURE)?.map(|text| {
        let expected = || Problem::invalid(format!("the header {SIGNATURE}: expected percent-encoded UTF-8"));
        decoded(text).ok_or_else(expected)
    });
    let signature = signature.transpose()?;
    let bytes = whole(headers, body, host.component_bytes_max()).await?;
    let request = InstallRequest { name, bytes, digest, signature, source };
    if !dry_run {
        return changed(host, &host.plugin_install_from(request).await?).await;
    }
    let checked = host.plugin_check(&request).await?;
    let component = Some(checked.metadata);
    foreseen(host, &checked.key, checked.is_new, component, None).await
}

/// Bind a component: 201 with what was saved, or 200 where it is so bound. Calls under way end on the one before.
pub(crate) async fn bind(
    State(host): State<Arc<Floret>>,
    Part(id): Part,
    Parameters(doing): Parameters<Doing>,
    Posted(binding): Posted<Binding>,
) -> Result<Response, Problem> {
    if !doing.dry_run {
        return changed(&host, &host.plugin_bind(&id, binding).await?).await;
    }
    let key = host.plugin_check_binding(&id, &binding).await?;
    let is_bound = host.bindings().await?.iter().any(|(bound, it, _)| *bound == id && *it == binding);
    foreseen(&host, &key, !is_bound, None, None).await
}

/// To which version of what to go back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoingBack {
    /// A component, or a type that is bound; `plugins:plugin/NAME` or `plugins:binding/TYPE` where it is both.
    name: String,
    /// Which version; the newest older one that is another if absent.
    to: Option<Seq>,
    /// Only answer what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// Save an older version of a component or of a binding as the newest.
pub(crate) async fn go_back(
    State(host): State<Arc<Floret>>,
    _: Parameters<Nothing>,
    Posted(asked): Posted<GoingBack>,
) -> Result<Response, Problem> {
    if asked.to == Some(Seq(0)) {
        return Err(Problem::invalid("to=0 names no version: the first one is 1"));
    }
    let key = host.plugin_named(&asked.name).await?;
    if !asked.dry_run {
        return changed(&host, &host.plugin_rollback(&key, asked.to).await?).await;
    }
    let target = host.plugin_rollback_target(&key, asked.to).await?;
    let newest = host.log(&key, None, 1).await?;
    let would_change = newest.iter().any(|newest| newest.data_hash != target.data_hash);
    foreseen(&host, &key, would_change, None, Some(target.reference())).await
}

/// Remove a component; refused while it is bound or needed.
pub(crate) async fn remove(
    State(host): State<Arc<Floret>>,
    Part(name): Part,
    _: Parameters<Nothing>,
) -> Result<Json<Swapped>, Problem> {
    Ok(Json(Swapped::of(&host.plugin_remove(&name).await?, Vec::new())))
}

/// Take a binding away; refused while something could not be rebuilt without it.
pub(crate) async fn unbind(
    State(host): State<Arc<Floret>>,
    Part(id): Part,
    _: Parameters<Nothing>,
) -> Result<Json<Swapped>, Problem> {
    Ok(Json(Swapped::of(&host.plugin_unbind(&id).await?, Vec::new())))
}

impl Swapped {
    fn of(saved: &Saved, dependents: Vec<String>) -> Self {
        Self {
            saved: SavedVersion::of(&saved.version),
            key: saved.version.key.to_string(),
            is_new: saved.is_new,
            dependents,
        }
    }
}

async fn changed(host: &Floret, saved: &Saved) -> Result<Response, Problem> {
    let status = if saved.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let plan = host.plan(std::slice::from_ref(&saved.version.key)).await?;
    let dependents = plan.steps.iter().map(|step| step.key.to_string()).collect();
    Ok((status, Json(Swap::Made(Swapped::of(saved, dependents)))).into_response())
}

async fn foreseen(
    host: &Floret,
    key: &ResourceKey,
    would_change: bool,
    component: Option<PluginMetadata>,
    target: Option<VersionRef>,
) -> Result<Response, Problem> {
    let plan = host.plan(std::slice::from_ref(key)).await?;
    let resource = key.to_string();
    let foreseen = Foreseen { resource, would_change, component, target, plan };
    Ok(Json(Swap::Foreseen(Box::new(foreseen))).into_response())
}
