//! Batches: one JSON object a line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use bytes::Bytes;
use floret_model::ResourceKey;
use floret_pipeline::{Content, SaveRequest, Saved};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Told;
use super::describe::Described;
use crate::failure::classify;
use crate::given::{self, usage};
use crate::out::{Out, Tone, count};
use crate::remote::Home;
use crate::work::Bars;

/// Saves of a batch that is not atomic, at once.
const CONCURRENCY_MAX: usize = 16;

pub(super) const FORMAT: &str = "A batch has one JSON object a line, with these members:
  key          TYPE/ID or NAMESPACE:TYPE/ID
  text         the content as a text, or
  json         the content as JSON, or
  file         a file with the content; a path is taken from the batch file's folder
  media_type, title, authors, year, genres, source, word, provider, language,
  meta (an object), tags, ttl (\"30days\"), bump, if_latest (a seq or \"none\")   as the options, all optional
E.g. {\"key\": \"literature/walden\", \"file\": \"walden.txt\", \"title\": \"Walden\", \"authors\": [\"Henry D. Thoreau\"]}";

/// A line of a batch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    text: Option<String>,
    json: Option<Value>,
    file: Option<PathBuf>,
    media_type: Option<String>,
    title: Option<String>,
    #[serde(default)]
    authors: Vec<String>,
    year: Option<i32>,
    #[serde(default)]
    genres: Vec<String>,
    source: Option<String>,
    word: Option<String>,
    provider: Option<String>,
    language: Option<String>,
    #[serde(default)]
    meta: Map<String, Value>,
    #[serde(default)]
    tags: BTreeSet<String>,
    ttl: Option<String>,
    bump: Option<String>,
    if_latest: Option<Value>,
}

/// The requests of a batch file.
pub(super) fn read(file: &Path) -> Result<Vec<SaveRequest>> {
    let text = given::read(file)?;
    let name = given::name(file);
    let text = std::str::from_utf8(&text).map_err(|error| usage(format!("{name} is not UTF-8: {error}")))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut requests = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if !line.trim().is_empty() {
            let request =
                request(line, folder).map_err(|error| usage(format!("{name}, line {number}: {error}")))?;
            requests.push(request);
        }
    }
    if requests.is_empty() { Err(usage(format!("{name} holds no line to save"))) } else { Ok(requests) }
}

fn request(line: &str, folder: &Path) -> Result<SaveRequest> {
    let line: Line = serde_json::from_str(line).map_err(|error| anyhow!("{error}"))?;
    let key: ResourceKey = line.key.parse()?;
    let content = match (line.text, line.json, line.file) {
        (Some(text), None, None) => Content::Bytes(Bytes::from(text)),
        (None, Some(json), None) => Content::Json(json),
        (None, None, Some(file)) => Content::Bytes(given::read(&folder.join(file))?),
        _ => return Err(anyhow!("expected exactly one of text, json and file")),
    };
    let described = Described {
        title: line.title,
        authors: line.authors,
        year: line.year,
        genres: line.genres,
        source: line.source,
        word: line.word,
        provider: line.provider,
        language: line.language,
        meta: line.meta.into_iter().collect(),
    };
    let said = |error: String| anyhow!(error);
    let if_latest = match line.if_latest {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(given::if_latest(&text).map_err(said)?),
        Some(value) => Some(given::if_latest(&value.to_string()).map_err(said)?),
    };
    Ok(SaveRequest {
        media_type: line.media_type,
        metadata: described.metadata(&key)?,
        tags: line.tags,
        ttl_ms: line.ttl.as_deref().map(given::duration_ms).transpose().map_err(said)?,
        bump: line.bump.as_deref().map(given::bump).transpose().map_err(said)?.unwrap_or_default(),
        if_latest,
        ..SaveRequest::new(key, content)
    })
}

/// All of them, or none.
pub(super) async fn save_all(
    home: Home<'_>,
    requests: Vec<SaveRequest>,
    no_cascade: bool,
    out: &mut Out,
    bars: Bars,
) -> Result<()> {
    let bar = bars.bar(None, "saving");
    let saved = home.save_batch(requests).await;
    bar.finish_and_clear();
    let saved = saved?;
    let roots = changed(&saved, no_cascade);
    super::finish(home, Told::Batch { saved, failed: Vec::new() }, &roots, out, bars).await
}

/// Each by itself. The exit code is that of the first that fails.
pub(super) async fn save_each(
    home: Home<'_>,
    requests: Vec<SaveRequest>,
    no_cascade: bool,
    out: &mut Out,
    bars: Bars,
) -> Result<()> {
    let keys: Vec<ResourceKey> = requests.iter().map(|request| request.key.clone()).collect();
    let bar = bars.bar(None, "saving");
    let results = home.save_each(requests, CONCURRENCY_MAX).await;
    bar.finish_and_clear();
    let mut saved = Vec::new();
    let mut failed = Vec::new();
    for (key, result) in keys.into_iter().zip(results) {
        match result {
            Ok(one) => saved.push(one),
            Err(error) => failed.push((key, error)),
        }
    }
    let roots = changed(&saved, no_cascade);
    let told: Vec<Value> = failed.iter().map(|(key, error)| refused(key, error)).collect();
    for (key, error) in &failed {
        let sentence = format!("{} {key}: {error}", out.paint(Tone::Bad, "failed"));
        out.fact(&sentence, &["failed", &key.to_string(), classify(error).0, &error.to_string()])?;
    }
    let others = told.len().saturating_sub(1);
    let done = super::finish(home, Told::Batch { saved, failed: told }, &roots, out, bars).await;
    match failed.into_iter().next() {
        None => done,
        Some((key, error)) => {
            done?;
            let more = if others > 0 {
                format!(" (and {} more failed)", count(others as u64))
            } else {
                String::new()
            };
            let named = error.to_string();
            let named =
                if named.contains(key.resource_id.as_str()) { named } else { format!("{key}: {named}") };
            Err(error.context(format!("{named}{more}")))
        }
    }
}

fn refused(key: &ResourceKey, error: &anyhow::Error) -> Value {
    json!({"resource": key.to_string(), "error": {"code": classify(error).0, "message": error.to_string()}})
}

fn changed(saved: &[Saved], no_cascade: bool) -> Vec<ResourceKey> {
    let new = saved.iter().filter(|saved| saved.is_new && !no_cascade);
    let keys: BTreeSet<ResourceKey> = new.map(|saved| saved.version.key.clone()).collect();
    keys.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        request(line, Path::new("")).expect_err(line).to_string()
    }

    #[test]
    fn b1_lines_are_read_as_documented() {
        let line = r#"{"key": "other:dictionary/cat", "json": {"a": 1}, "word": "cat", "provider": "p",
            "meta": {"real_time": true}, "tags": ["x"], "ttl": "1h", "bump": "major", "if_latest": "none"}"#;
        let request = request(line, Path::new("")).expect("a good line");
        assert_eq!(request.key.to_string(), "other:dictionary/cat");
        assert_eq!(request.ttl_ms, Some(3_600_000));
        assert_eq!(request.metadata.flags(), ["real_time"]);
        assert!(matches!(request.content, Content::Json(_)));
    }

    #[test]
    fn b1_bad_lines_say_what_is_wrong() {
        assert!(refused(r#"{"key": "literature/x"}"#).contains("exactly one of"));
        assert!(refused(r#"{"key": "literature/x", "text": "", "json": 1}"#).contains("exactly one of"));
        assert!(refused(r#"{"key": "x", "text": ""}"#).contains("TYPE/ID"));
        assert!(
            refused(r#"{"key": "literature/x", "text": "", "colour": 1}"#).contains("unknown field `colour`")
        );
        assert!(refused(r#"{"key": "literature/x", "text": "", "word": "w"}"#).contains("dictionary entry"));
        assert!(refused(r#"{"key": "dictionary/x", "text": "", "word": "w"}"#).contains("needs a provider"));
        assert!(refused(r#"{"key": "literature/x", "text": "", "ttl": "1"}"#).contains("not a duration"));
        assert!(refused("{").contains("EOF"));
    }

    #[test]
    fn b1_an_empty_batch_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("batch.jsonl");
        std::fs::write(&file, "\n\n").expect("written");
        assert!(read(&file).expect_err("nothing in it").to_string().contains("no line to save"));
        std::fs::write(&file, "{}\n").expect("written");
        assert!(read(&file).expect_err("no key").to_string().contains("line 1"));
    }
}
