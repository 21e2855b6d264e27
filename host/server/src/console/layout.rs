//! What all pages share.

use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use floret_show::bytes;
use maud::{DOCTYPE, Markup, html};

use super::Console;
use crate::problem::Problem;

/// Nothing from elsewhere, nothing inline: a text that got through as markup would do nothing.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// What the top of a page leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Section {
    Overview,
    Resources,
    Search,
    Work,
    Plugins,
    Policies,
    Cache,
    Cleanup,
    /// None of them: a problem, or the way in.
    None,
}

const SECTIONS: [(Section, &str, &str); 8] = [
    (Section::Overview, "Overview", "/"),
    (Section::Resources, "Resources", "/console/resources"),
    (Section::Search, "Search", "/console/search"),
    (Section::Work, "Work", "/console/jobs"),
    (Section::Plugins, "Plugins", "/console/plugins"),
    (Section::Policies, "Policies", "/console/policies"),
    (Section::Cache, "Cache", "/console/cache"),
    (Section::Cleanup, "Cleanup", "/console/cleanup"),
];

/// A whole page.
pub(super) fn page(console: &Console, section: Section, title: &str, body: Markup) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Floret" }
                link rel="icon" href="/console/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/console/assets/console.css";
                script src="/console/assets/console.js" defer {}
            }
            body {
                a class="skip" href="#main" { "Skip to the content" }
                header class="top" {
                    div {
                        a class="brand" href="/" { "Floret" }
                        nav aria-label="Sections" {
                            ul {
                                @for (other, name, href) in SECTIONS {
                                    li { a href=(href) aria-current=[(other == section).then_some("page")] { (name) } }
                                }
                            }
                        }
                        @if console.access.asks() && section != Section::None {
                            form method="post" action="/console/logout" { button { "Log out" } }
                        }
                    }
                }
                main id="main" tabindex="-1" {
                    h1 { (title) }
                    (body)
                }
                footer class="small faint" {
                    a href="/docs" { "HTTP interface" }
                    a href="/metrics" { "Metrics" }
                    "Floret " (env!("CARGO_PKG_VERSION"))
                }
            }
        }
    };
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, markup).into_response()
}

/// A problem as a page.
pub(super) fn problem(console: &Console, problem: &Problem) -> Response {
    let body = html! {
        (notice("bad", html! { (problem.detail()) }))
        p class="faint" { "Code " a href={ "/errors/" (problem.code()) } { code { (problem.code()) } } }
        p { a href="/" { "To the overview" } }
    };
    page(console, Section::None, "This did not work", body)
}

/// Something that is to be seen first: `good`, `warn`, `bad` or nothing.
pub(super) fn notice(class: &str, text: Markup) -> Markup {
    html! { div class={ "notice " (class) } role="status" { (text) } }
}

/// What stands where there is nothing.
pub(super) fn empty(text: &str) -> Markup {
    html! { p class="faint" { (text) } }
}

/// A short word with a colour that underlines what it says.
pub(super) fn badge(class: &str, text: &str) -> Markup {
    html! { span class={ "badge " (class) } { (text) } }
}

/// A number with what it counts.
pub(super) fn tile(number: &str, what: &str) -> Markup {
    html! { div class="tile" { b { (number) } span class="faint" { (what) } } }
}

/// Around a table that may be wider than the page; it can be scrolled by keyboard.
pub(super) fn scroll(label: &str, table: Markup) -> Markup {
    html! { div class="scroll" tabindex="0" role="region" aria-label=(label) { (table) } }
}

/// A moment as `2026-03-01 12:00:00`, exactly in its attribute.
pub(super) fn moment(text: &str) -> Markup {
    let short = text.get(..19).map_or_else(|| text.to_owned(), |short| short.replace('T', " "));
    html! { time datetime=(text) { (short) } }
}

/// Bytes as they are and as they are stored.
pub(super) fn sizes(raw: u64, stored: u64) -> String {
    format!("{} of {}", bytes(stored), bytes(raw))
}
