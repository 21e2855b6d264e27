//! The latest version of every resource, page by page.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use floret_pipeline::Floret;
use maud::html;
use serde::Deserialize;

use super::layout::{self, Section, empty, moment, scroll, sizes};
use super::{Console, at, percent_encoded};
use crate::given::Parameters;
use crate::problem::Problem;
use crate::search::Listing;

const PAGE: usize = 50;

/// What a form asks for: fields that are left empty say nothing.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Filled {
    namespace: String,
    #[serde(rename = "type")]
    resource_type: String,
    prefix: String,
    after: String,
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) async fn page(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    Parameters(Filled { namespace, resource_type, prefix, after }): Parameters<Filled>,
) -> Result<Response, Problem> {
    let listing = Listing {
        namespace: given(&namespace).map(str::parse).transpose()?,
        resource_type: given(&resource_type).map(str::parse).transpose()?,
        prefix: given(&prefix).map(str::to_owned),
        after: given(&after).map(str::to_owned),
        limit: None,
    };
    let query = listing.query(PAGE, PAGE)?;
    let is_first = query.after.is_none();
    let found = host.list(&query).await?;
    let next = found.last().filter(|_| found.len() == PAGE).map(|last| {
        format!(
            "?namespace={namespace}&type={resource_type}&prefix={}&after={}",
            percent_encoded(&prefix),
            percent_encoded(&last.key.to_string())
        )
    });
    let body = html! {
        form class="line" role="search" {
            label { "Namespace" input name="namespace" value=(namespace) placeholder="any" size="12"; }
            label { "Type" input name="type" value=(resource_type) placeholder="any" size="12"; }
            label { "Id begins with" input name="prefix" value=(prefix) size="18"; }
            button class="main" { "Show" }
        }
        @if found.is_empty() {
            (empty("No resource is like that."))
        } @else {
            (scroll("Resources", html! {
                table {
                    thead { tr {
                        th { "resource" } th { "version" } th class="number" { "seq" } th { "published" }
                        th class="number" { "stored" } th { "codec" } th { "tags" }
                    } }
                    tbody {
                        @for version in &found {
                            @let location = &version.content_location;
                            tr {
                                td class="wide" { a href=(at(&version.key)) { (version.key) } }
                                td { (version.version) }
                                td class="number" { (version.seq) }
                                td { (moment(&version.created_at.to_string())) }
                                td class="number" { (sizes(location.size_bytes, location.size_compressed)) }
                                td { (location.compression) }
                                td { @for tag in &version.tags { (layout::badge("", tag)) " " } }
                            }
                        }
                    }
                }
            }))
        }
        nav class="actions" aria-label="Pages" {
            @if !is_first { a href={ "?namespace=" (namespace) "&type=" (resource_type) "&prefix=" (percent_encoded(&prefix)) } { "First page" } }
            @if let Some(next) = next { a href=(next) { "Next page" } }
        }
    };
    Ok(layout::page(&console, Section::Resources, "Resources", body))
}
