//! Batches: many saves in one request, all of them or none.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use bytes::Bytes;
use floret_model::{ResourceKey, Seq};
use floret_pipeline::{Content, Floret, IfLatest, SaveRequest, Saved};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::content::whole;
use crate::given::Parameters;
use crate::options;
use crate::problem::Problem;
use crate::versions::{Nothing, SavedVersion};

/// Of a batch, which is held in memory.
const BATCH_BYTES_MAX: u64 = 64 << 20;

/// Save the lines of the body, each a JSON object as a line of `floret save --batch` without `file`: all, or none.
pub(crate) async fn save(
    State(host): State<Arc<Floret>>,
    grant: Grant,
    _: Parameters<Nothing>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<SavedBatch>, Problem> {
    let body = whole(&headers, body, BATCH_BYTES_MAX).await?;
    let requests = requests(&body)?;
    grant.check(requests.iter().map(|request| &request.key))?;
    let saved = host.save_batch(requests).await?;
    Ok(Json(SavedBatch { saved: saved.iter().map(SavedLine::of).collect() }))
}

/// A batch that was saved.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SavedBatch {
    /// In the order of the lines.
    saved: Vec<SavedLine>,
}

/// A line of a batch that was saved.
#[derive(Serialize, JsonSchema)]
struct SavedLine {
    #[serde(flatten)]
    saved: SavedVersion,
    /// Whether a version was made; not where the latest one says the same.
    is_new: bool,
}

impl SavedLine {
    fn of(saved: &Saved) -> Self {
        Self { saved: SavedVersion::of(&saved.version), is_new: saved.is_new }
    }
}

fn requests(body: &[u8]) -> Result<Vec<SaveRequest>, Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Problem::invalid(format!("the batch is not UTF-8: {error}")))?;
    let mut requests = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if !line.trim().is_empty() {
            let request = request(line);
            requests.push(request.map_err(|problem| Problem::invalid(format!("line {number}: {problem}")))?);
        }
    }
    match requests.is_empty() {
        true => Err(Problem::invalid("the batch holds no line to save")),
        false => Ok(requests),
    }
}

fn request(line: &str) -> Result<SaveRequest, String> {
    let mut members: Map<String, Value> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let key = text(members.remove("key"), "key")?.ok_or("the member key is missing")?;
    let key: ResourceKey = key.parse().map_err(|error: floret_model::KeyError| error.to_string())?;
    let content = match (text(members.remove("text"), "text")?, members.remove("json")) {
        (Some(text), None) => Content::Bytes(Bytes::from(text)),
        (None, Some(json)) => Content::Json(json),
        _ => return Err("expected exactly one of text and json".to_owned()),
    };
    let media_type = text(members.remove("media_type"), "media_type")?;
    let if_latest = match members.remove("if_latest") {
        None | Some(Value::Null) => None,
        Some(Value::String(none)) if none == "none" => Some(IfLatest::Absent),
        Some(value) => match value.as_u64() {
            Some(seq @ 1..) => Some(IfLatest::Seq(Seq(seq))),
            _ => return Err(format!("if_latest: {value} is neither a seq such as 3, nor \"none\"")),
        },
    };
    let options = options::read(members, &key)?;
    if options.parent.is_some() {
        return Err("a line of a batch has no parent: save it by itself".to_owned());
    }
    Ok(SaveRequest { media_type, if_latest, ..options.on(key, content) })
}

fn text(value: Option<Value>, name: &str) -> Result<Option<String>, String> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("the member {name} is no text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_lines_are_those_of_a_batch_file() {
        let good = r#"{"key": "other:dictionary/cat", "json": {"a": 1}, "word": "cat", "provider": "p", "if_latest": 3}"#;
        let request = request(good).expect("a good line");
        assert_eq!(
            (request.key.to_string().as_str(), request.if_latest),
            ("other:dictionary/cat", Some(IfLatest::Seq(Seq(3))))
        );
        assert_eq!(requests(format!("{good}\n\n{good}").as_bytes()).expect("two lines").len(), 2);
    }

    #[test]
    fn b1_bad_lines_are_refused() {
        for line in [
            "",
            "{",
            "[]",
            "\u{1}",
            r#"{"text": ""}"#,
            r#"{"key": "x", "text": ""}"#,
            r#"{"key": "literature/x"}"#,
            r#"{"key": "literature/x", "text": "", "json": 1}"#,
            r#"{"key": "literature/x", "text": 1}"#,
            r#"{"key": "literature/x", "file": "/etc/passwd"}"#,
            r#"{"key": "literature/x", "text": "", "file": "/etc/passwd"}"#,
            r#"{"key": "literature/x", "text": "", "colour": 1}"#,
            r#"{"key": "literature/x", "text": "", "if_latest": 0}"#,
            r#"{"key": "literature/x", "text": "", "word": "w"}"#,
            r#"{"key": "literature/x", "text": "", "parent": "corpus/c"}"#,
        ] {
            assert!(requests(line.as_bytes()).is_err(), "{line}");
        }
        assert!(requests(b"\xff").is_err());
    }
}
