//! The first page: what there is, how well the cache does, what is at work.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use floret_model::Namespace;
use floret_pipeline::{Floret, Overview, Stock};
use floret_show::{bytes, count, percent};
use maud::{Markup, html};

use super::layout::{self, Section, empty, scroll, tile};
use super::{Console, charts, history, work};
use crate::given::Parameters;
use crate::jobs::Jobs;
use crate::problem::Problem;
use crate::versions::Nothing;

/// Jobs that are shown.
const JOBS_MAX: usize = 8;

pub(super) async fn page(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    State(jobs): State<Arc<Jobs>>,
    _: Parameters<Nothing>,
) -> Result<Response, Problem> {
    let Overview { stock, cache } = host.overview().await?;
    let breakers = host.open_breakers().await?;
    let quarantines = host.quarantines(false).await?;
    let unique = stock.raw_bytes.saturating_sub(stock.deduplicated_bytes);
    let body = html! {
        @for (id, breaker) in &breakers {
            (layout::notice("bad", html! {
                "What is bound to " a href={ "/console/bindings/" (super::percent_encoded(id)) } { (id) }
                " is not asked any more: it failed " (breaker.failures) " times on end."
            }))
        }
        @for quarantine in &quarantines { (layout::notice("bad", html! { (quarantine) })) }
        div data-live data-every=(history::EVERY_SECONDS) {
            div class="tiles" {
                (tile(&at_least(&stock, stock.resources), "resources"))
                (tile(&at_least(&stock, stock.versions), "versions"))
                (tile(&bytes(stock.stored_bytes), "stored"))
                (tile(&bytes(stock.raw_bytes.saturating_sub(stock.stored_bytes)), "saved in all"))
                (tile(&cache.total.hit_rate().map_or_else(|| "–".to_owned(), percent), "cache hits since the start"))
            }
            @if stock.types.iter().all(|of| of.namespace == Namespace::plugins()) { (first_steps()) }
            div class="columns" {
                section aria-labelledby="hits" {
                    h2 id="hits" { "Cache hits over time" }
                    (charts::rates("Cache hits over time", &console.history.hit_rates(), history::EVERY_SECONDS))
                    p class="small faint" {
                        (count(cache.total.memory_hits)) " from memory, " (count(cache.total.disk_hits)) " from disk, "
                        (count(cache.total.misses)) " missed. " a href="/console/cache" { "The cache" }
                    }
                }
                section aria-labelledby="bytes" {
                    h2 id="bytes" { "Bytes" }
                    (charts::amounts("Bytes of all versions", &[
                        ("each by itself", "raw", stock.raw_bytes),
                        ("equal ones once", "unique", unique),
                        ("compressed", "stored", stock.stored_bytes),
                    ]))
                    p class="small faint" {
                        (bytes(stock.deduplicated_bytes)) " are saved because equal contents are stored once, "
                        (bytes(unique.saturating_sub(stock.stored_bytes))) " by compression."
                    }
                }
            }
            section aria-labelledby="types" {
                h2 id="types" { "Resources by type" }
                (types(&stock))
            }
            section aria-labelledby="work" {
                h2 id="work" { "Work" }
                (work::table(&jobs.documents(), JOBS_MAX))
            }
        }
    };
    Ok(layout::page(&console, Section::Overview, "Overview", body))
}

/// Of a home of which only a part was counted, what there is at least.
fn at_least(stock: &Stock, number: u64) -> String {
    format!("{}{}", count(number), if stock.is_partial { "+" } else { "" })
}

fn types(stock: &Stock) -> Markup {
    scroll(
        "Resources by type",
        html! {
            table {
                thead { tr { th { "namespace" } th { "type" } th class="number" { "resources" } th class="number" { "versions" } th class="number" { "raw" } } }
                tbody {
                    @for of in &stock.types {
                        tr {
                            td { (of.namespace) }
                            td { a href={ "/console/resources?namespace=" (of.namespace) "&type=" (of.resource_type) } { (of.resource_type) } }
                            td class="number" { (count(of.resources)) }
                            td class="number" { (count(of.versions)) }
                            td class="number" { (bytes(of.raw_bytes)) }
                        }
                    }
                }
            }
        },
    )
}

fn first_steps() -> Markup {
    html! {
        h2 { "Nothing is stored yet" }
        (empty("Save a text, then make a corpus and an index of it:"))
        pre { "floret save literature/walden walden.txt\nfloret corpus create corpus/walden literature/walden\nfloret build trie/walden corpus/walden" }
    }
}
