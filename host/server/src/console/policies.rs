//! Compression policies beside each other, on what is stored.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::response::Response;
use floret_pipeline::{Contender, ContenderSource, Floret, POLICY_BINDING, PolicyComparison, PolicyReplay};
use floret_show::{bytes, count, milliseconds, plural};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::layout::{self, Section, empty, notice, scroll};
use super::{Console, see};
use crate::given::{Parameters, limit};
use crate::jobs::{Jobs, Kind};
use crate::problem::Problem;
use crate::versions::Nothing;

const LAST: usize = 1_000;
const LAST_MAX: usize = 100_000;

pub(super) async fn page(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    _: Parameters<Nothing>,
) -> Result<Response, Problem> {
    let bound = host.bindings().await?.into_iter().find(|(id, _, _)| id == POLICY_BINDING);
    let policies = super::plugins::names_of(&host, "floret:policy").await?;
    let config = bound
        .as_ref()
        .map_or_else(|| "{}".to_owned(), |(_, binding, _)| Value::Object(binding.config.clone()).to_string());
    let body = html! {
        @match &bound {
            Some((_, binding, version)) => p {
                "Contents are stored as " a href={ "/console/plugins/" (super::percent_encoded(&binding.component)) } { (binding.component) } " says, "
                "bound as " a href="/console/bindings/policy" { (version.reference()) } "."
            },
            None => p { "No policy is bound." },
        }
        h2 { "Compare two policies" }
        p class="faint" { "Both decide anew about the latest contents; each content is encoded and decoded as each of them says. Nothing is changed." }
        @if policies.is_empty() { (empty("No policy is installed.")) }
        @else {
            form method="post" {
                div class="columns" {
                    (side("a", "A", &policies, bound.as_ref().map(|(_, binding, _)| binding.component.as_str()), &config))
                    (side("b", "B", &policies, policies.first().map(String::as_str), "{}"))
                }
                div class="actions" {
                    label { "Latest decisions" input type="number" name="last" min="1" max=(LAST_MAX) value=(LAST) required; }
                }
                button class="main" { "Compare" }
            }
        }
    };
    Ok(layout::page(&console, Section::Policies, "Policies", body))
}

fn side(name: &str, title: &str, policies: &[String], chosen: Option<&str>, config: &str) -> Markup {
    html! {
        fieldset class="panel" {
            legend { "Policy " (title) }
            label { "Component"
                select name={ (name) "_component" } {
                    @for policy in policies { option value=(policy) selected[Some(policy.as_str()) == chosen] { (policy) } }
                }
            }
            label { "Configuration (JSON)" textarea name={ (name) "_config" } spellcheck="false" { (config) } }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    a_component: String,
    a_config: String,
    b_component: String,
    b_config: String,
    last: usize,
}

/// A text as the configuration that it should be.
pub(super) fn config(text: &str, what: &str) -> Result<Map<String, Value>, Problem> {
    match text.trim() {
        "" => Ok(Map::new()),
        text => serde_json::from_str(text)
            .map_err(|error| Problem::invalid(format!("{what}: expected a JSON object: {error}"))),
    }
}

/// Begin a comparison, and look at it.
pub(super) async fn compare(
    State(host): State<Arc<Floret>>,
    State(jobs): State<Arc<Jobs>>,
    Form(asked): Form<Asked>,
) -> Result<Response, Problem> {
    let contender = |component: &str, text: &str, what: &str| {
        let source = ContenderSource::Installed(component.to_owned());
        Ok::<_, Problem>(Contender { source, config: config(text, what)? })
    };
    let about = format!("{} and {}", asked.a_component, asked.b_component);
    let replay = PolicyReplay {
        a: contender(&asked.a_component, &asked.a_config, "the configuration of A")?,
        b: contender(&asked.b_component, &asked.b_config, "the configuration of B")?,
        last: limit(asked.last, LAST_MAX)?,
        resource_type: None,
    };
    let work = |_| async move { Ok(host.policy_compare(&replay, &|_, _| {}).await?) };
    let id = jobs.start(Kind::Comparison, about, work)?;
    Ok(see(&format!("/console/jobs/{id}")))
}

/// What a comparison showed.
pub(super) fn shown(id: &str, result: &Value) -> Markup {
    let Ok(comparison) = PolicyComparison::deserialize(result) else { return html! {} };
    html! {
        @if comparison.total.count == 0 { (notice("warn", html! { "No decision is in the log yet: save something first." })) }
        @else {
            img src={ "/console/jobs/" (id) "/picture.svg" } width="960" class="wide"
                alt={ "Stored bytes and times of " (comparison.a.component) " and " (comparison.b.component) ": the table below has the same figures" };
            (scroll("Figures", html! {
                table {
                    caption { (plural(comparison.total.count, "content")) ", " (count(comparison.total.differing)) " decided differently" }
                    thead { tr {
                        th { "type" } th class="number" { "contents" } th class="number" { "raw" }
                        th class="number" { "A stored" } th class="number" { "B stored" } th class="number" { "A encode" } th class="number" { "B encode" }
                        th class="number" { "A decode" } th class="number" { "B decode" }
                    } }
                    tbody {
                        @for (name, costs) in comparison.by_type.iter().map(|(name, costs)| (name.as_str(), costs)).chain([("all", &comparison.total)]) {
                            tr {
                                td { (name) }
                                td class="number" { (count(costs.count)) }
                                td class="number" { (bytes(costs.raw_bytes)) }
                                td class="number" { (bytes(costs.a.bytes)) }
                                td class="number" { (bytes(costs.b.bytes)) }
                                td class="number" { (milliseconds(costs.a.encode_ms)) }
                                td class="number" { (milliseconds(costs.b.encode_ms)) }
                                td class="number" { (milliseconds(costs.a.decode_ms)) }
                                td class="number" { (milliseconds(costs.b.decode_ms)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}
