//! Who is looking at the pages: a token, shown once, for which a cookie stands afterwards.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use maud::html;
use serde::Deserialize;

use super::layout::{self, Section};
use super::{Console, see};
use crate::access::{SESSION_COOKIE, SESSION_SECONDS};
use crate::given::Parameters;
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    next: Option<String>,
}

/// Where to go on: a page of this console and nothing else.
fn safe(next: Option<&str>) -> &str {
    match next {
        Some(next) if next.starts_with("/console/") && !next.contains(['\\', '\r', '\n']) => next,
        _ => "/",
    }
}

/// Ask for a token.
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    Parameters(wanted): Parameters<Wanted>,
) -> Response {
    asking(&console, safe(wanted.next.as_deref()), None)
}

fn asking(console: &Console, next: &str, problem: Option<&str>) -> Response {
    let body = html! {
        @if let Some(problem) = problem { (layout::notice("bad", html! { (problem) })) }
        @if !console.access.asks() { (layout::notice("", html! { "This host asks nobody for a token." })) }
        form method="post" class="stack" {
            input type="hidden" name="next" value=(next);
            label { "Token" input type="password" name="token" autocomplete="current-password" required autofocus; }
            div { button class="main" { "Log in" } }
        }
        p class="faint" { code { "floret token create NAME --scope read" } " makes one." }
    };
    layout::page(console, Section::None, "Log in", body)
}

#[derive(Deserialize)]
pub(super) struct Shown {
    token: String,
    next: Option<String>,
}

/// Take a token, and give a cookie for it.
pub(super) async fn begin(
    State(console): State<Arc<Console>>,
    Form(shown): Form<Shown>,
) -> Result<Response, Problem> {
    let next = safe(shown.next.as_deref());
    match console.access.begin_session(shown.token.trim()) {
        Ok(id) => Ok(([(SET_COOKIE, console.cookie(&id, SESSION_SECONDS))], see(next)).into_response()),
        Err(problem) => {
            let page = asking(&console, next, Some(problem.detail()));
            Ok((StatusCode::UNAUTHORIZED, page).into_response())
        }
    }
}

/// Forget who it was.
pub(super) async fn end(State(console): State<Arc<Console>>, headers: HeaderMap) -> Response {
    console.access.end_session(&headers);
    ([(SET_COOKIE, console.cookie("", 0))], see("/console/login")).into_response()
}

impl Console {
    fn cookie(&self, id: &str, age_seconds: u64) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        format!("{SESSION_COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age_seconds}{secure}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert_eq!(safe(Some("/console/jobs?a=b")), "/console/jobs?a=b");
        for bad in
            ["//evil.example", "https://evil.example", "/\\evil.example", "/console/\\x", "", "/v1/jobs"]
        {
            assert_eq!(safe(Some(bad)), "/", "{bad}");
        }
        assert_eq!(safe(None), "/");
    }
}
