//! A span for each request, if somebody listens to spans: those that the work begins are below it.

use std::fmt;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName};
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Span, trace_span};

/// W3C Trace Context: the span of a client below which that of its request is, and what its vendors say of it.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Puts the span of a request below that of its client. Whoever starts the server knows who collects the spans, and how a
/// parent is named there.
#[derive(Clone)]
pub struct Parenting(Arc<Adopt>);

type Adopt = dyn Fn(&Span, &str, Option<&str>) + Send + Sync;

impl Parenting {
    /// By `adopt`, which is given the span, the `traceparent` of the request, unchecked, and its `tracestate`.
    pub fn new(adopt: impl Fn(&Span, &str, Option<&str>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(adopt))
    }
}

impl fmt::Debug for Parenting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parenting").finish_non_exhaustive()
    }
}

/// The span of a request, named and described by the semantic conventions of OpenTelemetry for HTTP.
pub(crate) fn begun(parenting: &Parenting, request: &Request) -> Option<Span> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let span = trace_span!(
        target: "floret::span",
        "request",
        otel.name = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method.as_str(),
        http.route = Empty,
        http.response.status_code = Empty,
    );
    if span.is_disabled() {
        return None;
    }
    match &route {
        Some(route) => {
            span.record("otel.name", format!("{method} {}", route.as_str()).as_str());
            span.record("http.route", route.as_str());
        }
        None => {
            span.record("otel.name", method.as_str());
        }
    }
    if let Some(parent) = text(request.headers(), &TRACEPARENT) {
        (parenting.0)(&span, parent, text(request.headers(), &TRACESTATE));
    }
    Some(span)
}

/// What became of its request.
pub(crate) fn ended(span: &Span, response: &Response) {
    span.record("http.response.status_code", i64::from(response.status().as_u16()));
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// A header as text. One that is none is no reason to refuse a request.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
