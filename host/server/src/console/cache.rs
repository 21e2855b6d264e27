//! What the cache holds, and dropping or filling it.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::response::Response;
use floret_pipeline::{Floret, Uncaching};
use floret_show::{bytes, count, milliseconds, percent};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Section, notice, scroll, tile};
use super::{Console, charts, history, see};
use crate::given::Parameters;
use crate::jobs::{Jobs, Kind};
use crate::problem::Problem;
use crate::upkeep::WARMED;
use crate::versions::Nothing;

pub(super) async fn page(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    _: Parameters<Nothing>,
) -> Response {
    shown(&host, &console, None)
}

fn shown(host: &Floret, console: &Console, said: Option<Markup>) -> Response {
    let stats = host.cache().stats();
    let total = &stats.total;
    let body = html! {
        @if let Some(said) = said { (notice("good", said)) }
        div data-live data-every=(history::EVERY_SECONDS) {
            div class="tiles" {
                (tile(&total.hit_rate().map_or_else(|| "–".to_owned(), percent), "hits since the start"))
                (tile(&format!("{} of {}", bytes(total.memory_bytes), bytes(stats.memory_bytes_max)), "in memory"))
                (tile(&bytes(total.disk_bytes), "on disk"))
                (tile(&milliseconds(total.disk_read.p50_ns as f64 / 1e6), "median read from disk"))
                (tile(&milliseconds(total.load.p50_ns as f64 / 1e6), "median read from the store"))
            }
            p class="faint" { "The disk tier is " (String::from(stats.disk.clone())) "." }
            (charts::rates("Cache hits over time", &console.history.hit_rates(), history::EVERY_SECONDS))
            h2 { "Namespaces" }
            (scroll("Namespaces", html! {
                table {
                    thead { tr {
                        th { "namespace" } th class="number" { "hits" } th class="number" { "memory" } th class="number" { "disk" } th class="number" { "missed" }
                        th class="number" { "in memory" } th class="number" { "on disk" } th class="number" { "evicted" } th class="number" { "damaged" }
                    } }
                    tbody {
                        @for (name, of) in &stats.namespaces {
                            tr {
                                td { (name) }
                                td class="number" { (of.hit_rate().map_or_else(|| "–".to_owned(), percent)) }
                                td class="number" { (count(of.memory_hits)) }
                                td class="number" { (count(of.disk_hits)) }
                                td class="number" { (count(of.misses)) }
                                td class="number" { (count(of.memory_entries)) ", " (bytes(of.memory_bytes)) " of " (bytes(of.memory_budget_bytes)) }
                                td class="number" { (count(of.disk_entries)) ", " (bytes(of.disk_bytes)) " of " (bytes(of.disk_budget_bytes)) }
                                td class="number" { (count(of.memory_evictions)) " / " (count(of.disk_evictions)) }
                                td class="number" { (count(of.damaged)) }
                            }
                        }
                    }
                }
            }))
        }
        h2 { "Drop cached copies" }
        p class="faint" { "Everything in the cache is in the store, too: it is only read anew." }
        form method="post" class="line" {
            input type="hidden" name="act" value="drop";
            label { "Names that match" input name="pattern" placeholder="literature/lincoln-*" required; }
            button { "Drop" }
        }
        div class="actions" {
            form method="post" { input type="hidden" name="act" value="drop_all"; button class="danger" { "Drop everything" } }
            form method="post" { input type="hidden" name="act" value="warm"; button { "Fill it with what was asked for most" } }
        }
    };
    layout::page(console, Section::Cache, "Cache", body)
}

#[derive(Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub(super) enum Change {
    Drop { pattern: String },
    DropAll,
    Warm,
}

pub(super) async fn change(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    State(jobs): State<Arc<Jobs>>,
    Form(change): Form<Change>,
) -> Result<Response, Problem> {
    let what = match change {
        Change::Drop { pattern } => Uncaching::Matching(vec![pattern]),
        Change::DropAll => Uncaching::All,
        Change::Warm => {
            let work = |_| async move { Ok(host.warm(WARMED).await) };
            let id = jobs.start(Kind::Warming, "the cache".to_owned(), work)?;
            return Ok(see(&format!("/console/jobs/{id}")));
        }
    };
    let gone = host.uncache_all(&what).await?;
    let said =
        html! { (count(gone.memory)) " entries were dropped from memory, " (count(gone.disk)) " from disk." };
    Ok(shown(&host, &console, Some(said)))
}
