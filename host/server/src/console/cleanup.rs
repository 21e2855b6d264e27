//! Cleanup: first what it would do, then doing it.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::response::Response;
use floret_pipeline::{CleanupReport, Floret};
use floret_show::{bytes, count, plural};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::layout::{self, Section, empty, notice, scroll, tile};
use super::{Console, at, see};
use crate::Retention;
use crate::given::Parameters;
use crate::jobs::{Jobs, Kind};
use crate::problem::Problem;
use crate::versions::Nothing;

/// Versions that are named.
const NAMED_MAX: usize = 500;

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    State(retention): State<Arc<Retention>>,
    _: Parameters<Nothing>,
) -> Response {
    let policy = &retention.policy;
    let body = html! {
        p { "Cleanup drops versions that nothing keeps, and frees their storage. The latest versions, tagged ones and those that a kept version was made from always stay." }
        h2 { "What is kept" }
        p class="faint" { "Of each resource the newest versions, unless a component is bound to "
            a href="/console/bindings/retention" { "retention" } ": then that says which." }
        (scroll("What is kept", html! {
            table {
                thead { tr { th { "type" } th class="number" { "versions" } } }
                tbody {
                    @for (name, newest) in &policy.newest { tr { td { (name) } td class="number" { (newest) } } }
                    tr { td { "others" } td class="number" { (policy.newest_of_others) } }
                }
            }
        }))
        div class="actions" {
            form method="post" { input type="hidden" name="dry_run" value="true"; button class="main" { "See what it would drop" } }
        }
    };
    layout::page(&console, Section::Cleanup, "Cleanup", body)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    dry_run: bool,
}

/// Begin a cleanup, and look at it.
pub(super) async fn run(
    State(host): State<Arc<Floret>>,
    State(jobs): State<Arc<Jobs>>,
    State(retention): State<Arc<Retention>>,
    Form(asked): Form<Asked>,
) -> Result<Response, Problem> {
    let work =
        |_| async move { Ok(host.cleanup(&retention.policy, retention.grace_ms, asked.dry_run).await?) };
    let about = if asked.dry_run { "the store, as a dry run" } else { "the store" };
    let id = jobs.start(Kind::Cleanup, about.to_owned(), work)?;
    Ok(see(&format!("/console/jobs/{id}")))
}

/// What a cleanup did, or would do.
pub(super) fn shown(result: &Value) -> Markup {
    let Ok(report) = CleanupReport::deserialize(result) else { return html! {} };
    let sweep = &report.sweep;
    html! {
        @if report.dry_run { (notice("", html! { "This was a dry run: nothing was changed." })) }
        div class="tiles" {
            (tile(&format!("{} of {}", count(report.dropped.len() as u64), count(report.examined)), if report.dry_run { "versions would be dropped" } else { "versions dropped" }))
            (tile(&bytes(sweep.condemned_bytes), "condemned"))
            (tile(&bytes(sweep.freed_bytes), "freed"))
            (tile(&count(report.memos_forgotten), "builds forgotten"))
        }
        @for error in report.errors.iter().chain(&sweep.errors) { (notice("warn", html! { (error) })) }
        @if let Some(policy) = &report.policy { p class="faint" { "As " (policy) " says." } }
        h2 { @if report.dry_run { "Would be dropped" } @else { "Dropped" } }
        @if report.dropped.is_empty() { (empty("Nothing: everything is kept.")) }
        @else {
            ul { @for version in report.dropped.iter().take(NAMED_MAX) { li { a href={ (at(&version.key)) "?seq=" (version.seq) } { (version) } } } }
            @if report.dropped.len() > NAMED_MAX { p class="faint" { "and " (plural((report.dropped.len() - NAMED_MAX) as u64, "more version")) } }
        }
        @if report.dry_run && !report.dropped.is_empty() {
            form method="post" action="/console/cleanup" {
                input type="hidden" name="dry_run" value="false";
                button class="danger" { "Drop them" }
            }
        }
    }
}
