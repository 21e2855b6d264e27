//! What a request says: names in its path, parameters, conditions.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use floret_model::{Digest, ResourceKey, Seq};
use floret_pipeline::Selector;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// Longest JSON document that is taken: the default of axum.
const JSON_BYTES_MAX: u64 = 2 << 20;

/// The resource that a path names. Each part is percent-decoded once: a `/` in an id is written `%2F`, and what a part
/// decodes to is never decoded again, nor is a path of any file made of it.
pub(crate) struct Named(pub ResourceKey);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String, String)>::from_request_parts(parts, state).await;
        let Path((namespace, resource_type, id)) =
            path.map_err(|error: PathRejection| Problem::invalid(error.body_text()))?;
        Ok(Self(ResourceKey::parse(&namespace, &resource_type, &id)?))
    }
}

/// The one part of a path that is not fixed: the name of a component, or a type.
pub(crate) struct Part(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Part {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(part) = path.map_err(|error: PathRejection| Problem::invalid(error.body_text()))?;
        Ok(Self(part))
    }
}

/// Parameters behind the `?`; those that are not known are refused.
pub(crate) struct Parameters<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let Query(parameters) = query.map_err(|error: QueryRejection| Problem::invalid(error.body_text()))?;
        Ok(Self(parameters))
    }
}

/// A JSON object in the body, up to 2 MB.
pub(crate) struct Posted<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Posted<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let posted = Json::<Map<String, Value>>::from_request(request, state).await;
        let Json(document) = posted.map_err(|error: JsonRejection| match &error {
            JsonRejection::MissingJsonContentType(_) => {
                let expected = "expected a JSON document, and `content-type: application/json`";
                Problem::unsupported_media_type(expected)
            }
            _ if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(JSON_BYTES_MAX),
            _ => Problem::invalid(error.body_text()),
        })?;
        let read = serde_json::from_value(Value::Object(document));
        read.map(Self).map_err(|error| Problem::invalid(format!("the document in the body: {error}")))
    }
}

/// Which version a request names: at most one of a seq and a version (`1.0.2`, a seq, or `latest`).
pub(crate) fn selector(seq: Option<u64>, version: Option<&str>) -> Result<Selector, Problem> {
    match (seq, version) {
        (None, None) => Ok(Selector::Latest),
        (Some(0), None) => Err(Problem::invalid("seq=0 names no version: the first one is 1")),
        (Some(seq), None) => Ok(Selector::Seq(Seq(seq))),
        (None, Some(version)) => Ok(version.parse()?),
        (Some(_), Some(_)) => Err(Problem::invalid("seq and version exclude each other: give one of them")),
    }
}

/// How many a request asks for, within what is answered at once.
pub(crate) fn limit(asked: usize, max: usize) -> Result<usize, Problem> {
    match (1..=max).contains(&asked) {
        true => Ok(asked),
        false => Err(Problem::invalid(format!("limit={asked} cannot be used: expected 1 to {max}"))),
    }
}

/// A header as text, if it is there.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::invalid(format!("the header {name} is given more than once")));
    }
    let text = value.to_str();
    text.map(Some).map_err(|_| Problem::invalid(format!("the header {name} is not plain text")))
}

/// What a save expects of the latest version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    /// There is none.
    Absent,
    /// It has this seq.
    Seq(Seq),
    /// It has this content.
    Digest(Digest),
}

impl Condition {
    /// A seq or a digest: a digest may consist of decimal digits only, and is longer than any seq.
    fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(digest) => Some(Self::Digest(digest)),
            Err(_) => text.parse().ok().filter(|seq| *seq > 0).map(|seq| Self::Seq(Seq(seq))),
        }
    }
}

/// What a save expects: `if-match: "SEQ"` or `"DIGEST"`, the tag that GET and PUT answer; `if-none-match: *` for none.
pub(crate) fn condition(headers: &HeaderMap) -> Result<Option<Condition>, Problem> {
    match (header_text(headers, &IF_MATCH)?, header_text(headers, &IF_NONE_MATCH)?) {
        (None, None) => Ok(None),
        (None, Some("*")) => Ok(Some(Condition::Absent)),
        (Some(tag), None) => {
            let text = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            match text.and_then(Condition::parse) {
                Some(condition) => Ok(Some(condition)),
                None => Err(Problem::invalid(format!(
                    "if-match: {tag} cannot be used: expected the seq of the latest version in quotes, e.g. \"3\", or its etag"
                ))),
            }
        }
        (None, Some(tag)) => Err(Problem::invalid(format!(
            "if-none-match: {tag} cannot be used with PUT: expected *, for a resource that is not there yet"
        ))),
        (Some(_), Some(_)) => {
            Err(Problem::invalid("if-match and if-none-match exclude each other: give one of them"))
        }
    }
}

/// Whether a reader has this content already: `if-none-match` names its tag, or `*`.
pub(crate) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn v3_conditions_are_read() {
        assert_eq!(condition(&headers(&[])).expect("none"), None);
        assert_eq!(condition(&headers(&[("if-none-match", "*")])).expect("good"), Some(Condition::Absent));
        assert_eq!(
            condition(&headers(&[("if-match", "\"3\"")])).expect("good"),
            Some(Condition::Seq(Seq(3)))
        );
        // All digits, as a digest may be.
        let digest = "0000000000000000000000000000000000000000000000000000000000000001";
        let quoted = HeaderValue::from_str(&format!("\"{digest}\"")).expect("ASCII");
        let given = HeaderMap::from_iter([(IF_MATCH, quoted)]);
        let expected = Condition::Digest(digest.parse().expect("a digest"));
        assert_eq!(condition(&given).expect("good"), Some(expected));
        for bad in [
            &[("if-match", "3")][..],
            &[("if-match", "\"0\"")],
            &[("if-match", "W/\"3\"")],
            &[("if-match", "*")],
            &[("if-match", "\"")],
            &[("if-none-match", "\"3\"")],
            &[("if-match", "\"3\""), ("if-none-match", "*")],
        ] {
            assert!(condition(&headers(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tags_are_compared_as_they_should_be() {
        let tag = "\"abc\"";
        for (value, expected) in [
            ("\"abc\"", true),
            ("W/\"abc\"", true),
            ("\"x\", \"abc\"", true),
            ("*", true),
            ("abc", false),
            ("\"ab\"", false),
        ] {
            assert_eq!(is_known(&headers(&[("if-none-match", value)]), tag), expected, "{value}");
        }
        assert!(!is_known(&headers(&[]), tag));
    }
}
