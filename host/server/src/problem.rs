//! What went wrong, as HTTP tells it: problem details (RFC 9457) with the codes of the command line. The only place that says
//! which status an error has.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use floret_model::{KeyError, ResourceKey};
use floret_pipeline::{Classified, Error, Kind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::given::{Parameters, Part};
use crate::versions::Nothing;

/// After how many seconds who got a 429 or 503 may come again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Where what the codes mean can be read; also what the types of problems begin with.
pub(crate) const ERRORS: &str = "/errors";

/// Codes of problems that only HTTP has; the others are those of [`floret_pipeline::all_codes`].
pub const HTTP_CODES: [&str; 10] = [
    "cross_site",
    "forbidden",
    "method_not_allowed",
    "misdirected",
    "timed_out",
    "too_many_requests",
    "took_too_long",
    "unauthenticated",
    "unsatisfiable_range",
    "unsupported_media_type",
];

/// What an error code means, for people: where `type` of a problem leads to.
pub(crate) async fn explained(Part(code): Part, _: Parameters<Nothing>) -> Result<Response, Problem> {
    let Some(entry) = floret_pipeline::explain(&code) else {
        return Err(Problem::not_found(format!("no error has the code {code:?}")));
    };
    let text = format!("# `{}`\n\n{}\n", entry.code, entry.text);
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("text/markdown; charset=utf-8"))], text)
        .into_response())
}

/// Why a request was not carried out (RFC 9457).
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct ProblemDocument {
    /// `/errors/CODE`, where the code is explained.
    r#type: String,
    /// The status in words.
    title: Option<&'static str>,
    status: u16,
    /// What was expected, what came and what to do.
    pub detail: String,
    /// Stable.
    #[schemars(with = "Code")]
    code: &'static str,
}

/// A code of an error.
pub(crate) struct Code;

impl JsonSchema for Code {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ErrorCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let shared = floret_pipeline::all_codes().map(|classified| classified.code);
        let codes: BTreeSet<_> = shared.chain(["cascade_failed"]).chain(HTTP_CODES).collect();
        json_schema!({
            "description": "What went wrong, as programs know it; `GET /errors/{code}` explains it.",
            "type": "string",
            "enum": codes,
        })
    }
}

/// An answer to a request that was not carried out.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Problem {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong, and what to do.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// A request that cannot be carried out as it is.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "invalid_request", detail: detail.into() }
    }

    pub fn not_found(detail: String) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "not_found", detail }
    }

    pub fn method_not_allowed() -> Self {
        let detail = "this method is not for this path; `allow` names those that are".to_owned();
        Self { status: StatusCode::METHOD_NOT_ALLOWED, code: "method_not_allowed", detail }
    }

    pub fn misdirected() -> Self {
        let detail = "this server listens for its own machine only: send the request to localhost, 127.0.0.1 or [::1] as the header `host` says, or add its name to serve.hosts";
        let (status, code) = (StatusCode::MISDIRECTED_REQUEST, "misdirected");
        Self { status, code, detail: detail.to_owned() }
    }

    pub fn unauthenticated(detail: &str) -> Self {
        let (status, code) = (StatusCode::UNAUTHORIZED, "unauthenticated");
        Self { status, code, detail: detail.to_owned() }
    }

    pub fn forbidden(detail: &str) -> Self {
        Self { status: StatusCode::FORBIDDEN, code: "forbidden", detail: detail.to_owned() }
    }

    pub fn cross_site() -> Self {
        let detail = "a page of another site asks for a change, which is refused: its `origin` or `sec-fetch-site` says so".to_owned();
        Self { status: StatusCode::FORBIDDEN, code: "cross_site", detail }
    }

    pub fn too_large(bytes_max: u64) -> Self {
        let detail = format!("the content is longer than {bytes_max} bytes, the most that is taken here");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, code: "too_large", detail }
    }

    pub fn unsupported_media_type(detail: &str) -> Self {
        let (status, code) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type");
        Self { status, code, detail: detail.to_owned() }
    }

    pub fn unsatisfiable_range(size_bytes: u64) -> Self {
        let detail = format!("the range begins behind the end of the content, which has {size_bytes} bytes");
        Self { status: StatusCode::RANGE_NOT_SATISFIABLE, code: "unsatisfiable_range", detail }
    }

    pub fn silent(after: Duration) -> Self {
        Self::timed_out(format!("no byte of the body came for {} s; send it again", after.as_secs()))
    }

    pub fn slow(after: Duration) -> Self {
        let seconds = after.as_secs();
        Self::timed_out(format!("the body was not here within {seconds} s; send it again over a faster line"))
    }

    fn timed_out(detail: String) -> Self {
        Self { status: StatusCode::REQUEST_TIMEOUT, code: "timed_out", detail }
    }

    pub fn too_many_requests(requests_max: usize) -> Self {
        let detail = format!(
            "{requests_max} requests of this client are at work here, the most at once; send it again when one is answered"
        );
        Self { status: StatusCode::TOO_MANY_REQUESTS, code: "too_many_requests", detail }
    }

    pub fn took_too_long(limit: Duration) -> Self {
        let detail = format!(
            "it was not done within {:.3} s, and is given up: send it again, or ask for less",
            limit.as_secs_f64()
        );
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: "took_too_long", detail }
    }

    pub fn busy(requests_max: usize) -> Self {
        Self::unavailable(format!(
            "{requests_max} requests are at work here, the most at once; send it again"
        ))
    }

    pub fn unavailable(detail: String) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: "unavailable", detail }
    }

    /// A condition that does not hold.
    pub fn not_as_expected(key: &ResourceKey, expected: &str, found: &str) -> Self {
        let detail =
            format!("{key} has moved on: expected {expected}, found {found}; read it again and decide again");
        Self { status: StatusCode::PRECONDITION_FAILED, code: "conflict", detail }
    }

    /// Work that panicked.
    pub fn unexpected() -> Self {
        let detail = "it ended unexpectedly; the log says where".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "other", detail }
    }

    /// A result that cannot be written as JSON.
    pub fn unwritable(error: serde_json::Error) -> Self {
        let detail = format!("the result cannot be written: {error}");
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "other", detail }
    }

    /// As RFC 9457 has it.
    pub fn document(&self) -> ProblemDocument {
        ProblemDocument {
            r#type: format!("{ERRORS}/{}", self.code),
            title: self.status.canonical_reason(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code,
        }
    }

    #[cfg(test)]
    pub fn parts(self) -> (&'static str, String) {
        (self.code, self.detail)
    }

    /// The answer to a request that named what it expects to be there. Other conflicts, as a lease that was lost, say
    /// nothing of that.
    pub fn with_precondition(self) -> Self {
        match self.code {
            "conflict" => Self { status: StatusCode::PRECONDITION_FAILED, ..self },
            _ => self,
        }
    }
}

fn status(Classified { code, kind }: Classified) -> StatusCode {
    match (code, kind) {
        ("dropped", _) => StatusCode::GONE,
        ("untrusted", _) => StatusCode::FORBIDDEN,
        // What was sent is at fault, though the same codes may come of what was installed long ago.
        (
            "digest_mismatch"
            | "plugin_compile"
            | "plugin_contract_mismatch"
            | "plugin_contract_version"
            | "plugin_forbidden_import"
            | "plugin_invalid_schema"
            | "plugin_no_contract"
            | "plugin_not_a_component"
            | "plugin_several_contracts"
            | "plugin_too_large",
            _,
        ) => StatusCode::UNPROCESSABLE_ENTITY,
        (_, Kind::Invalid) => StatusCode::BAD_REQUEST,
        (_, Kind::NotFound) => StatusCode::NOT_FOUND,
        (_, Kind::Conflict) => StatusCode::CONFLICT,
        (_, Kind::InUse | Kind::Unavailable | Kind::Interrupted) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let classified = error.classify();
        Self { status: status(classified), code: classified.code, detail: error.to_string() }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        Error::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(status = self.status.as_u16(), code = self.code, "{}", self.detail);
        }
        let mut response = (self.status, Json(self.document())).into_response();
        response.extensions_mut().insert(self.clone());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_its_status() {
        for (code, kind, expected) in [
            ("invalid_request", Kind::Invalid, 400),
            ("not_found", Kind::NotFound, 404),
            ("dropped", Kind::NotFound, 410),
            ("conflict", Kind::Conflict, 409),
            ("plugin_trap", Kind::Plugin, 500),
            ("integrity", Kind::Integrity, 500),
            ("unavailable", Kind::Unavailable, 503),
            ("other", Kind::Other, 500),
        ] {
            assert_eq!(status(Classified { code, kind }).as_u16(), expected, "{code}");
        }
    }

    #[test]
    fn the_index_of_errors_tells_the_statuses() {
        for classified in floret_pipeline::all_codes() {
            let entry = floret_pipeline::explain(classified.code).expect("an entry");
            assert_eq!(entry.status, Some(status(classified).as_u16()), "{}", classified.code);
        }
        let own = [
            Problem::method_not_allowed(),
            Problem::misdirected(),
            Problem::cross_site(),
            Problem::unauthenticated("x"),
            Problem::forbidden("x"),
            Problem::silent(Duration::ZERO),
            Problem::slow(Duration::ZERO),
            Problem::unsupported_media_type("x"),
            Problem::unsatisfiable_range(1),
            Problem::too_many_requests(1),
            Problem::took_too_long(Duration::ZERO),
        ];
        for problem in own {
            assert!(HTTP_CODES.contains(&problem.code), "{} is not listed", problem.code);
            let entry = floret_pipeline::explain(problem.code).expect("an entry");
            assert_eq!((entry.status, entry.exit), (Some(problem.status.as_u16()), None), "{}", problem.code);
        }
        for problem in [Problem::invalid("x"), Problem::too_large(1), Problem::busy(1)] {
            let shared = floret_pipeline::all_codes().any(|classified| classified.code == problem.code);
            assert!(shared, "{} is not listed", problem.code);
        }
    }

    #[test]
    fn v3_a_lost_race_that_was_foreseen_is_a_failed_precondition() {
        let lost = || {
            Problem::from(Error::Conflict {
                key: "literature/a".parse().expect("a key"),
                expected: "@1".to_owned(),
                found: "@2".to_owned(),
            })
        };
        assert_eq!(lost().status, StatusCode::CONFLICT);
        assert_eq!(lost().with_precondition().status, StatusCode::PRECONDITION_FAILED);
        let lease = Problem { code: "lease_lost", ..lost() };
        assert_eq!(
            lease.with_precondition().status,
            StatusCode::CONFLICT,
            "it says nothing of the condition"
        );
        assert_eq!(Problem::invalid("x").with_precondition().status, StatusCode::BAD_REQUEST);
    }
}
