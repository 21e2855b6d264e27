//! Components and bindings: looked at, uploaded, swapped after a look at what that rebuilds, taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Form, Multipart, State};
use axum::response::Response;
use bytes::Bytes;
use floret_model::{Plan, ResourceKey, ResourceType, Seq, TypedMetadata, Version};
use floret_pipeline::{Binding, BindingLimits, Breaker, Floret, Inspected, InstallRequest, Saved};
use floret_show::{bytes, count, plural};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::layout::{self, Section, badge, empty, moment, notice, scroll};
use super::policies::config;
use super::{Console, at, percent_encoded, see, work};
use crate::given::{Parameters, Part};
use crate::jobs::Jobs;
use crate::problem::Problem;
use crate::versions::Nothing;

/// Versions of a history.
const VERSIONS: usize = 20;
/// Resources of a plan that are named.
const NAMED_MAX: usize = 100;

/// Names of the installed components of a contract, whatever its version.
pub(super) async fn names_of(host: &Floret, contract: &str) -> Result<Vec<String>, Problem> {
    let of = |version: &Arc<Version>| match &version.metadata.typed {
        TypedMetadata::Plugin(plugin) if plugin.contract.split('@').next() == Some(contract) => {
            Some(version.key.resource_id.to_string())
        }
        _ => None,
    };
    Ok(host.plugins().await?.iter().filter_map(of).collect())
}

pub(super) async fn list(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    _: Parameters<Nothing>,
) -> Result<Response, Problem> {
    let components = host.plugins().await?;
    let states = host.binding_states().await?;
    let breakers: BTreeMap<String, Breaker> = host.open_breakers().await?.into_iter().collect();
    let body = html! {
        @for quarantine in host.quarantines(false).await? { (notice("bad", html! { (quarantine) })) }
        h2 { "Bindings" }
        p class="faint" { "Which component does what. A type is built by the component that is bound to it." }
        (scroll("Bindings", html! {
            table {
                thead { tr { th { "bound to" } th { "component in use" } th { "binding" } th { "state" } } }
                tbody {
                    @for state in &states {
                        tr {
                            td { a href={ "/console/bindings/" (percent_encoded(&state.id)) } { (state.id) } }
                            td { @if let Some(component) = &state.component { a href={ "/console/plugins/" (percent_encoded(component.key.resource_id.as_str())) } { (component) } } @else { "none" } }
                            td { @if let Some(binding) = &state.binding { (binding) } @else { "–" } }
                            td class="wide" {
                                @if breakers.contains_key(&state.id) { (badge("bad", "not asked")) " it failed too often" }
                                @else if let Some(problem) = &state.problem { (badge("warn", "held back")) " " (problem) }
                                @else { (badge("good", "in use")) }
                            }
                        }
                    }
                }
            }
        }))
        form class="line" action="/console/bindings" {
            label { "Bind another type" input name="to" required pattern="[a-z0-9][a-z0-9._\\-]*" size="16"; }
            button { "Go on" }
        }
        h2 { "Components" }
        @if components.is_empty() { (empty("No component is installed.")) }
        @else {
            (scroll("Components", html! {
                table {
                    thead { tr { th { "name" } th { "contract" } th { "version" } th { "installed" } th class="number" { "size" } th { "" } } }
                    tbody { @for version in &components { (row(version)) } }
                }
            }))
        }
        h2 { "Install a component" }
        form method="post" enctype="multipart/form-data" class="stack panel" {
            label { "Component (.wasm)" input type="file" name="component" accept=".wasm,application/wasm" required; }
            label { "Name (its own, if empty)" input name="name"; }
            label { "Signature (the lines of its .minisig file, where keys are configured)" textarea name="signature" spellcheck="false" {} }
            div { button class="main" { "Install" } }
        }
    };
    Ok(layout::page(&console, Section::Plugins, "Plugins", body))
}

fn row(version: &Version) -> Markup {
    let TypedMetadata::Plugin(plugin) = &version.metadata.typed else { return html! {} };
    html! {
        tr {
            td { a href={ "/console/plugins/" (percent_encoded(version.key.resource_id.as_str())) } { (version.key.resource_id) } }
            td { (plugin.contract) }
            td { (plugin.component_version) }
            td { (moment(&version.created_at.to_string())) }
            td class="number" { (bytes(version.content_location.size_bytes)) }
            td { @if plugin.built_in { (badge("", "came with the host")) } @if plugin.signature.is_some() { " " (badge("good", "signed")) } }
        }
    }
}

/// Take a component, and look at it.
pub(super) async fn install(
    State(host): State<Arc<Floret>>,
    mut form: Multipart,
) -> Result<Response, Problem> {
    let (mut component, mut name, mut signature) = (Bytes::new(), None, None);
    let broken = |error: axum::extract::multipart::MultipartError| {
        Problem::invalid(format!("the form: {}", error.body_text()))
    };
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("component") => component = field.bytes().await.map_err(broken)?,
            Some("name") => name = Some(field.text().await.map_err(broken)?).filter(|name| !name.is_empty()),
            Some("signature") => {
                signature = Some(field.text().await.map_err(broken)?).filter(|text| !text.trim().is_empty());
            }
            other => return Err(Problem::invalid(format!("the form has no field {other:?}"))),
        }
    }
    // Browsers send lines of a text with CR LF.
    let signature = signature.map(|text| text.replace("\r\n", "\n"));
    let request = InstallRequest { name, bytes: component, signature, ..InstallRequest::default() };
    let saved = host.plugin_install_from(request).await?;
    Ok(see(&format!("/console/plugins/{}", percent_encoded(saved.version.key.resource_id.as_str()))))
}

pub(super) async fn component(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    Part(name): Part,
    _: Parameters<Nothing>,
) -> Result<Response, Problem> {
    let inspected = host.plugin_inspect(host.plugin_bytes(&name).await?).await?;
    let users = host.plugin_users(&name).await?;
    let key = host.plugin_named(&format!("plugins:plugin/{name}")).await?;
    let log = host.log(&key, None, VERSIONS).await?;
    let plan = host.plan(std::slice::from_ref(&key)).await?;
    let before = host.plugin_rollback_target(&key, None).await.ok();
    let body = html! {
        p { (inspected.summary) }
        div class="columns" {
            section { h2 { "Component" } (facts(&inspected)) }
            section {
                h2 { "Who uses it" }
                @if users.bindings.is_empty() { (empty("It is bound to nothing.")) }
                @else { p { "Bound to " @for (place, id) in users.bindings.iter().enumerate() { @if place > 0 { ", " } a href={ "/console/bindings/" (percent_encoded(id)) } { (id) } } "." } }
                @if users.latest_versions.is_empty() { (empty("It built no latest version.")) }
                @for (of, number) in &users.latest_versions { p { (plural(*number, &format!("latest version of {of}"))) " by it." } }
                h2 { "Versions" }
                (history(&log))
                div class="actions" {
                    @if let Some(before) = &before { (back(before, "Go back to the one before")) }
                    @if users.bindings.is_empty() { form method="post" { input type="hidden" name="act" value="remove"; button class="danger" { "Remove" } } }
                    @if !plan.steps.is_empty() { form method="post" { input type="hidden" name="act" value="rebuild"; button { "Look over what depends on it (" (count(plan.steps.len() as u64)) ")" } } }
                }
            }
        }
        details id="schema" { summary { "Schema of its configuration" } pre tabindex="0" { (pretty(&inspected.config_schema)) } }
        details id="limits" { summary { "Limits here" } pre tabindex="0" { (pretty(&serde_json::json!(inspected.limits))) } }
        details id="metadata" { summary { "What its maker wrote into it" } pre tabindex="0" { (pretty(&serde_json::json!(inspected.metadata))) } }
    };
    Ok(layout::page(&console, Section::Plugins, &name, body))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn facts(inspected: &Inspected) -> Markup {
    html! {
        dl {
            dt { "Contract" } dd { (inspected.contract) }
            dt { "Calls itself" } dd { (inspected.name) " " (inspected.version) }
            dt { "Makes" } dd { @if inspected.output_media_type.is_empty() { "–" } @else { (inspected.output_media_type) } }
            dt { "Size" } dd { (bytes(inspected.size_bytes)) }
            dt { "Digest" } dd class="mono" { (inspected.digest) }
            dt { "Needs" } dd { @if inspected.imports.is_empty() { "nothing" } @for import in &inspected.imports { div class="mono" { (import) } } }
            dt { "Offers" } dd { @for export in &inspected.exports { div class="mono" { (export) } } }
        }
    }
}

/// A button that goes back to a version, whatever the newest is by then.
fn back(version: &Version, text: &str) -> Markup {
    html! {
        form method="post" {
            input type="hidden" name="act" value="rollback";
            input type="hidden" name="to" value=(version.seq);
            button { (text) }
        }
    }
}

fn history(log: &[Arc<Version>]) -> Markup {
    html! {
        ol class="timeline" {
            @for (place, version) in log.iter().enumerate() {
                li class=[(place == 0).then_some("here")] {
                    a href={ (at(&version.key)) "?seq=" (version.seq) } { (version.version) }
                    span class="faint small" { " seq " (version.seq) " · " (moment(&version.created_at.to_string())) " · sha256:" (version.data_hash.short()) }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Change {
    act: Doing,
    to: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Doing {
    Rollback,
    Remove,
    Rebuild,
}

/// Go back to a component's version before, take it away, or look over what depends on it.
pub(super) async fn change(
    State(host): State<Arc<Floret>>,
    State(jobs): State<Arc<Jobs>>,
    Part(name): Part,
    Form(change): Form<Change>,
) -> Result<Response, Problem> {
    let key = host.plugin_named(&format!("plugins:plugin/{name}")).await?;
    match change.act {
        Doing::Rollback => host.plugin_rollback(&key, change.to.map(Seq)).await.map(drop)?,
        Doing::Remove => {
            host.plugin_remove(&name).await?;
            return Ok(see("/console/plugins"));
        }
        Doing::Rebuild => return work::begin_cascade(host, &jobs, key),
    }
    Ok(see(&format!("/console/plugins/{}", percent_encoded(&name))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Another {
    to: String,
}

/// Go on to the page of a type that may not be bound yet.
pub(super) async fn another(Parameters(another): Parameters<Another>) -> Response {
    see(&format!("/console/bindings/{}", percent_encoded(&another.to)))
}

/// A binding as a form has it.
#[derive(Clone, Deserialize)]
pub(super) struct Filled {
    act: Act,
    #[serde(default)]
    component: String,
    #[serde(default)]
    config: String,
    #[serde(default)]
    limits: String,
    /// Of a rollback: named, so that a form that is sent twice goes back once.
    to: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Act {
    /// Only look at what it would rebuild.
    Plan,
    /// Bind, and rebuild.
    Swap,
    /// Bind, and rebuild nothing yet.
    Hold,
    Rollback,
    Unbind,
    Reset,
}

impl Filled {
    fn of(binding: Option<&Binding>) -> Self {
        let limits = binding.filter(|binding| !binding.limits.is_empty());
        Self {
            act: Act::Plan,
            to: None,
            component: binding.map_or_else(String::new, |binding| binding.component.clone()),
            config: binding
                .map_or_else(|| "{}".to_owned(), |binding| pretty(&Value::Object(binding.config.clone()))),
            limits: limits.map_or_else(String::new, |binding| pretty(&serde_json::json!(binding.limits))),
        }
    }

    fn binding(&self) -> Result<Binding, Problem> {
        let limits = match self.limits.trim() {
            "" => BindingLimits::default(),
            text => serde_json::from_str(text).map_err(|error| {
                Problem::invalid(format!(
                    "the limits: expected a JSON object such as {{\"call_timeout_ms\": 1000}}: {error}"
                ))
            })?,
        };
        let mut binding =
            Binding::configured(self.component.clone(), config(&self.config, "the configuration")?);
        binding.limits = limits;
        Ok(binding)
    }
}

pub(super) async fn binding(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    Part(id): Part,
    _: Parameters<Nothing>,
) -> Result<Response, Problem> {
    shown(&host, &console, &id, None).await
}

/// The page of a binding; with what a swap would rebuild, if one is looked at.
async fn shown(
    host: &Floret,
    console: &Console,
    id: &str,
    foreseen: Option<(Filled, Plan)>,
) -> Result<Response, Problem> {
    let bound = host.bindings().await?.into_iter().find(|(bound, _, _)| bound == id);
    let breaker = host.open_breakers().await?.into_iter().find(|(open, _)| open == id);
    let log = match &bound {
        Some((_, _, version)) => host.log(&version.key, None, VERSIONS).await?,
        None => Vec::new(),
    };
    let before = match &bound {
        Some((_, _, version)) => host.plugin_rollback_target(&version.key, None).await.ok(),
        None => None,
    };
    let components = host.plugins().await?;
    let filled = foreseen.as_ref().map_or_else(
        || Filled::of(bound.as_ref().map(|(_, binding, _)| binding)),
        |(filled, _)| filled.clone(),
    );
    let body = html! {
        @if let Some((_, breaker)) = &breaker {
            (notice("bad", html! {
                "It failed " (breaker.failures) " times on end and is not asked any more. The last time: " (breaker.last_error)
                form method="post" class="actions" { input type="hidden" name="act" value="reset"; button { "Ask it again" } }
            }))
        }
        @match &bound {
            Some((_, binding, version)) => p { "Bound to " a href={ "/console/plugins/" (percent_encoded(&binding.component)) } { (binding.component) } " as " (version.reference()) "." },
            None => p { "Nothing is bound to " (id) " yet." },
        }
        @if let Some((filled, plan)) = &foreseen { (confirm(filled, plan)) }
        h2 { @if bound.is_some() { "Swap" } @else { "Bind" } }
        form method="post" class="stack panel" {
            input type="hidden" name="act" value="plan";
            label { "Component"
                select name="component" {
                    @for version in &components {
                        @let name = version.key.resource_id.as_str();
                        option value=(name) selected[name == filled.component] { (name) }
                    }
                }
            }
            label { "Configuration (JSON)" textarea name="config" spellcheck="false" { (filled.config) } }
            label { "Limits below the host's (JSON, may be empty)" textarea name="limits" spellcheck="false" { (filled.limits) } }
            div { button class="main" { "See what it would rebuild" } }
        }
        @if !log.is_empty() {
            h2 { "Versions" }
            (history(&log))
            div class="actions" {
                @if let Some(before) = &before { (back(before, "Go back to the one before, and rebuild")) }
                form method="post" { input type="hidden" name="act" value="unbind"; button class="danger" { "Unbind" } }
            }
        }
    };
    Ok(layout::page(console, Section::Plugins, &format!("Binding of {id}"), body))
}

fn confirm(filled: &Filled, plan: &Plan) -> Markup {
    let again = |act: &str, class: &str, text: &str| {
        html! {
            form method="post" {
                input type="hidden" name="act" value=(act);
                input type="hidden" name="component" value=(filled.component);
                input type="hidden" name="config" value=(filled.config);
                input type="hidden" name="limits" value=(filled.limits);
                button class=(class) { (text) }
            }
        }
    };
    html! {
        section class="notice warn" aria-labelledby="plan" {
            h2 id="plan" { "What it would rebuild" }
            @if plan.steps.is_empty() { p { "Nothing depends on it." } }
            @else {
                p { (plural(plan.steps.len() as u64, "resource")) ":" }
                ul { @for step in plan.steps.iter().take(NAMED_MAX) { li { a href=(at(&step.key)) { (step.key) } } } }
                @if plan.steps.len() > NAMED_MAX { p { "and " (count((plan.steps.len() - NAMED_MAX) as u64)) " more" } }
            }
            div class="actions" {
                (again("swap", "main", "Bind it and rebuild"))
                (again("hold", "", "Bind it, rebuild later"))
            }
        }
    }
}

/// Look at a swap, make one, take one back.
pub(super) async fn swap(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    State(jobs): State<Arc<Jobs>>,
    Part(id): Part,
    Form(filled): Form<Filled>,
) -> Result<Response, Problem> {
    let saved: Saved = match filled.act {
        Act::Plan => {
            let key = host.plugin_check_binding(&id, &filled.binding()?).await?;
            let plan = host.plan(std::slice::from_ref(&key)).await?;
            return shown(&host, &console, &id, Some((filled, plan))).await;
        }
        Act::Swap | Act::Hold => host.plugin_bind(&id, filled.binding()?).await?,
        Act::Rollback => host.plugin_rollback(&binding_key(&id)?, filled.to.map(Seq)).await?,
        Act::Unbind => {
            host.plugin_unbind(&id).await?;
            return Ok(see("/console/plugins"));
        }
        Act::Reset => {
            host.reset_breaker(&id).await?;
            return Ok(see(&format!("/console/bindings/{}", percent_encoded(&id))));
        }
    };
    let key = saved.version.key.clone();
    let is_held = filled.act == Act::Hold || host.plan(std::slice::from_ref(&key)).await?.steps.is_empty();
    match is_held {
        true => Ok(see(&format!("/console/bindings/{}", percent_encoded(&id)))),
        false => work::begin_cascade(host, &jobs, key),
    }
}

fn binding_key(id: &str) -> Result<ResourceKey, Problem> {
    Ok(ResourceKey::parse("plugins", ResourceType::binding().as_str(), id)?)
}
