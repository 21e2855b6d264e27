//! One resource: what its versions are, what they were made from, and what is made from them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use floret_model::{BuildRecord, ResourceKey, ResourceType, Seq, Version};
use floret_pipeline::{Floret, Found, Freshness, LARGE_BYTES, VersionDocument, Why};
use floret_show::{bytes, count, milliseconds, plural};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Section, badge, empty, moment, scroll, sizes};
use super::lineage::{self, Lineage};
use super::{Console, at, work};
use crate::given::{Named, Parameters};
use crate::problem::Problem;

/// Versions of the time line.
const VERSIONS: usize = 20;
/// Nodes of the small graph.
const NODES: usize = 24;
/// Bytes of a text that are shown.
const PREVIEW_BYTES: usize = 4_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    seq: Option<u64>,
    before: Option<u64>,
}

pub(super) async fn page(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    Named(key): Named,
    Parameters(shown): Parameters<Shown>,
) -> Result<Response, Problem> {
    let selector = crate::given::selector(shown.seq, None)?;
    let found = host.find(&key, &selector, Freshness::Cached).await?;
    let version = Arc::clone(found.version());
    let (document, log, why, lineage) = tokio::try_join!(
        host.document(&version),
        host.log(&key, shown.before.map(Seq), VERSIONS),
        host.why(&key),
        Lineage::of(&host, &key, NODES),
    )?;
    let graph = lineage::drawn(lineage.graph(), format!("Lineage of {key}")).await?;
    let preview = preview(&host, found).await;
    let is_latest = document.version_info.is_latest;
    let body = html! {
        p {
            @if is_latest { (badge("good", "latest")) } @else { (badge("warn", "superseded")) }
            @if version.dropped_at.is_some() { " " (badge("bad", "bytes dropped")) }
            @for tag in &version.tags { " " (badge("", tag)) }
            @if !is_latest { " " a href=(at(&key)) { "Look at the latest" } }
        }
        @for newer in &why.newer_inputs {
            (layout::notice("warn", html! {
                "Its " (newer.role) " " a href=(at(&newer.latest.key)) { (newer.latest) } " is newer than " (newer.built_from)
                ", from which it was built" @if !newer.content_differs { ", with the same content" } "."
            }))
        }
        div class="columns" {
            section aria-labelledby="facts" { h2 id="facts" { "Version" } (facts(&document, &version)) }
            section aria-labelledby="log" { h2 id="log" { "Time line" } (time_line(&key, &log, version.seq)) }
        }
        section aria-labelledby="lineage" {
            h2 id="lineage" { "Lineage" }
            @if lineage.is_alone() { (empty("It is made from nothing, and nothing is made from it.")) }
            @else {
                div class="graph" tabindex="0" role="region" aria-label="Lineage" { (graph) }
                p { a href={ (at(&key)) "/lineage" } { "The whole graph" }
                    @if lineage.more > 0 { span class="faint" { " — at least " (count(lineage.more)) " more are not shown here" } } }
            }
        }
        @if let Some(build) = &version.build {
            section aria-labelledby="provenance" { h2 id="provenance" { "Provenance" } (provenance(build)) }
        }
        @if let Some(policy) = &version.policy {
            section aria-labelledby="policy" {
                h2 id="policy" { "How it is stored" }
                p { (policy.policy) " says: " (policy.reason) }
                p class="small faint" { "The sample had " (format!("{:.2}", policy.entropy_bits_per_byte)) " bits of entropy a byte." }
            }
        }
        (history(&why))
        section aria-labelledby="metadata" {
            h2 id="metadata" { "Metadata" }
            pre tabindex="0" { (serde_json::to_string_pretty(&document.metadata).unwrap_or_default()) }
        }
        section aria-labelledby="content" {
            h2 id="content" { "Content" }
            (preview)
            p { a href={ "/v1" (at(&key).trim_start_matches("/console/resources")) "?seq=" (version.seq) } download { "Download" } }
        }
        div class="actions" {
            form method="post" action={ (at(&key)) "/cascade" } { button { "Rebuild what depends on it" } }
        }
    };
    let title = match is_latest {
        true => key.to_string(),
        false => version.reference().to_string(),
    };
    Ok(layout::page(&console, Section::Resources, &title, body))
}

fn facts(document: &VersionDocument, version: &Version) -> Markup {
    let location = &version.content_location;
    html! {
        dl {
            dt { "Version" } dd { (version.version) " (seq " (version.seq) ")" }
            dt { "Published" } dd { (moment(&version.created_at.to_string())) }
            dt { "Media type" } dd { (version.media_type) }
            dt { "Size" } dd { (sizes(location.size_bytes, location.size_compressed)) " as " (location.compression)
                @if document.content_inline { ", in the record itself" } }
            dt { "Digest" } dd class="mono" { (version.data_hash) }
            dt { "Read" } dd { (plural(document.access_count, "time"))
                @if let Some(last) = &document.last_accessed { ", last " (moment(last)) } }
            @if let Some(ttl) = document.ttl { dt { "Time to live" } dd { (milliseconds(ttl * 1e3)) } }
            dt { "Publish" } dd class="mono" { (version.publish_id) }
        }
    }
}

fn time_line(key: &ResourceKey, log: &[Arc<Version>], here: Seq) -> Markup {
    html! {
        ol class="timeline" {
            @for version in log {
                li class=[(version.seq == here).then_some("here")] {
                    a href={ (at(key)) "?seq=" (version.seq) } aria-current=[(version.seq == here).then_some("true")] {
                        (version.version)
                    }
                    span class="faint small" { " seq " (version.seq) " · " (moment(&version.created_at.to_string())) " · " (bytes(version.content_location.size_bytes)) }
                    @if let Some(previous) = version.seq.previous() {
                        " " a class="small" href={ (at(key)) "/diff?a=" (previous) "&b=" (version.seq) } { "diff" span class="faint" { " to " (previous) } }
                    }
                }
            }
        }
        @if let Some(last) = log.last().filter(|last| last.seq.0 > 1) {
            a class="small" href={ "?before=" (last.seq) "&seq=" (here) } { "Older versions" }
        }
    }
}

fn provenance(build: &BuildRecord) -> Markup {
    html! {
        dl {
            dt { "Built by" } dd {
                @match &build.component {
                    Some(component) => {
                        a href={ "/console/plugins/" (super::percent_encoded(component.plugin.key.resource_id.as_str())) } { (component.plugin) }
                        span class="faint small" { " " (component.contract) ", sha256:" (component.digest.short()) }
                    }
                    None => "the host itself"
                }
            }
            dt { "Time" } dd { (milliseconds(build.build_time_ms)) @if build.from_memo { " when it was made; remembered, not made again" } }
            dt { "Read and written" } dd { (bytes(build.input_bytes)) " in, " (bytes(build.output_bytes)) " out" }
            dt { "Recipe" } dd class="mono" { (build.recipe) }
            dt { "Configuration" } dd class="mono" { (build.config) }
        }
        (scroll("Inputs", html! {
            table {
                caption { "Inputs" }
                thead { tr { th { "role" } th { "version" } th { "digest" } } }
                tbody {
                    @for input in &build.inputs {
                        tr {
                            td { (input.role) }
                            td class="wide" { a href={ (at(&input.version.key)) "?seq=" (input.version.seq) } { (input.version) } }
                            td class="mono" { (input.digest.short()) }
                        }
                    }
                }
            }
        }))
    }
}

fn history(why: &Why) -> Markup {
    html! {
        @if !why.steps.is_empty() {
            section aria-labelledby="builds" {
                h2 id="builds" { "Last builds" }
                (scroll("Last builds", html! {
                    table {
                        thead { tr { th { "cascade" } th { "outcome" } th { "why" } th class="number" { "time" } } }
                        tbody {
                            @for (cascade, step) in &why.steps {
                                tr {
                                    td class="mono" { (cascade) }
                                    td { (work::fate(&step.fate)) }
                                    td class="wide" { (work::reason(&step.reason)) }
                                    td class="number" { (work::duration(step.elapsed_ms)) }
                                }
                            }
                        }
                    }
                }))
            }
        }
    }
}

/// The beginning of a text, or why there is none to be seen.
async fn preview(host: &Floret, found: Found) -> Markup {
    let version = found.version();
    let size_bytes = version.content_location.size_bytes;
    if version.key.resource_type == ResourceType::plugin() {
        return empty("A component is not shown.");
    }
    if size_bytes > LARGE_BYTES {
        return empty("It is too long to be shown here.");
    }
    let snapshot = match host.read(found).await {
        Ok(snapshot) => snapshot,
        Err(error) => return layout::notice("warn", html! { (error) }),
    };
    let content = &snapshot.content;
    let begin = &content[..content.len().min(PREVIEW_BYTES)];
    let text = match std::str::from_utf8(begin) {
        Ok(text) => text,
        // The end may be in the middle of a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&begin[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return empty("It is no text."),
    };
    html! {
        @if text.contains('\0') { (empty("It is no text.")) }
        @else if text.is_empty() { (empty("It is empty.")) }
        @else {
            pre tabindex="0" { (text) }
            @if text.len() < content.len() { p class="small faint" { "The first " (bytes(text.len() as u64)) " of " (bytes(size_bytes)) "." } }
        }
    }
}
