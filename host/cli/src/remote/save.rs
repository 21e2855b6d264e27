//! Saving on a server: the content as the body, what is known of it in a header.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use floret_model::{Bump, CascadeReport, Metadata, ResourceKey, Seq, TypedMetadata, canonical_json};
use floret_pipeline::{Content, Error, Freshness, IfLatest, SaveRequest, Saved, Selector};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Body, RequestBuilder, StatusCode};
use serde_json::{Map, Value, json};

use super::Client;
use super::long::stopped;
use crate::given::usage;
use crate::work::Work;

/// The options of a save, a percent-encoded JSON object with the members of a line of a batch.
const OPTIONS: HeaderName = HeaderName::from_static("floret-options");

impl Client {
    /// Save one version. A content in a file goes out as it is read.
    ///
    /// # Errors
    /// As [`get`](Client::get); a server that passes over what is known of the content.
    pub async fn save(&self, request: SaveRequest) -> Result<Saved> {
        let key = request.key.clone();
        let expected = (request.tags.clone(), request.ttl_ms, request.metadata.clone());
        let answer = self.send(self.put(request, None)?).await?;
        let is_new = answer.status() == StatusCode::CREATED;
        let said: Value = self.document(answer).await?;
        self.saved(&key, &said, is_new, (&expected.0, expected.1, &expected.2)).await
    }

    /// Save a text and give it to a corpus, in one commit.
    ///
    /// # Errors
    /// As [`save`](Self::save); [`Error::Interrupted`] after Ctrl-C.
    pub async fn save_with_parent(
        &self,
        request: SaveRequest,
        parent: &ResourceKey,
        work: &Work,
    ) -> Result<CascadeReport> {
        let put = self.put(request, Some(parent))?;
        let answer = tokio::select! {
            biased;
            answer = self.send(put) => answer?,
            () = stopped(work) => return Err(Error::Interrupted.into()),
        };
        let said: Value = self.document(answer).await?;
        let made = serde_json::from_value(said["cascade"].clone());
        made.map_err(|_| self.unavailable("it does not say what was built: it may be older"))
    }

    fn put(&self, request: SaveRequest, parent: Option<&ResourceKey>) -> Result<RequestBuilder> {
        let mut options = options(&request)?;
        options.extend(parent.map(|parent| ("parent".to_owned(), json!(parent.to_string()))));
        let mut put = self.http.put(self.of(&request.key, &[])?);
        put = match request.if_latest {
            None => put,
            Some(IfLatest::Absent) => put.header(IF_NONE_MATCH, "*"),
            Some(IfLatest::Seq(seq)) => put.header(IF_MATCH, format!("\"{seq}\"")),
        };
        if !options.is_empty() {
            put = put.header(OPTIONS, encoded(&Value::Object(options).to_string()));
        }
        let mut media_type = request.media_type.clone();
        put = match request.content {
            Content::Bytes(bytes) => put.body(bytes),
            Content::Json(value) => {
                media_type = Some("application/json".to_owned());
                put.body(canonical_json(&value))
            }
            Content::File(spooled) => {
                // The cursor is nobody else's: those who read it otherwise read by position.
                let mut file = spooled.file().try_clone()?;
                std::io::Seek::rewind(&mut file)?;
                put.header(CONTENT_LENGTH, spooled.size_bytes())
                    .body(Body::from(tokio::fs::File::from_std(file)))
            }
        };
        if let Some(media_type) = media_type {
            put = put.header(CONTENT_TYPE, media_type);
        }
        Ok(put)
    }

    /// Save several versions at once: all of them, or none.
    ///
    /// # Errors
    /// As [`save`](Self::save); contents that are not text.
    pub async fn save_batch(&self, requests: Vec<SaveRequest>) -> Result<Vec<Saved>> {
        let mut lines = String::new();
        for request in &requests {
            lines.push_str(&Value::Object(line(request)?).to_string());
            lines.push('\n');
        }
        let batch = self.http.post(self.at(&["batches"])?).header(CONTENT_TYPE, "application/x-ndjson");
        let said: Value = self.document(self.send(batch.body(lines)).await?).await?;
        let told = said["saved"].as_array().filter(|told| told.len() == requests.len());
        let told = told.ok_or_else(|| self.unavailable("it does not say what was saved"))?;
        let mut saved = Vec::with_capacity(requests.len());
        for (request, told) in requests.iter().zip(told) {
            let is_new = told["is_new"].as_bool().unwrap_or_default();
            let expected = (&request.tags, request.ttl_ms, &request.metadata);
            saved.push(self.saved(&request.key, told, is_new, expected).await?);
        }
        Ok(saved)
    }

    /// The version that a server says that it saved, with what was said of it.
    async fn saved(
        &self,
        key: &ResourceKey,
        told: &Value,
        is_new: bool,
        (tags, ttl_ms, metadata): (&BTreeSet<String>, Option<u64>, &Metadata),
    ) -> Result<Saved> {
        let seq = told["seq"].as_u64().ok_or_else(|| self.unavailable("it does not say what was saved"))?;
        let version = self.record(key, &Selector::Seq(Seq(seq)), Freshness::Cached).await?;
        let (asked, kept) = (members(metadata)?, members(&version.metadata)?);
        let is_kept = asked.iter().all(|(name, value)| kept.get(name) == Some(value));
        let is_taken = version.tags == *tags && version.ttl_ms == ttl_ms && is_kept;
        if !is_taken {
            return Err(self.unavailable(
                "it saved the content and passed over its tags, its time to live or its fields: it may be older",
            ));
        }
        Ok(Saved { version, is_new })
    }
}

/// A save as a line of a batch.
fn line(request: &SaveRequest) -> Result<Map<String, Value>> {
    let mut line = options(request)?;
    line.insert("key".to_owned(), json!(request.key.to_string()));
    match &request.content {
        Content::Json(value) => line.insert("json".to_owned(), value.clone()),
        Content::Bytes(bytes) if let Ok(text) = std::str::from_utf8(bytes) => {
            line.insert("text".to_owned(), json!(text))
        }
        _ => {
            let message = "is not text, and a batch for a server is: save it by itself, or with --each";
            return Err(usage(format!("the content of {} {message}", request.key)));
        }
    };
    if let Some(media_type) = &request.media_type {
        line.insert("media_type".to_owned(), json!(media_type));
    }
    match request.if_latest {
        None => {}
        Some(IfLatest::Absent) => drop(line.insert("if_latest".to_owned(), json!("none"))),
        Some(IfLatest::Seq(seq)) => drop(line.insert("if_latest".to_owned(), json!(seq))),
    }
    Ok(line)
}

/// What is not as it is by itself, by the names that a line of a batch has.
fn options(request: &SaveRequest) -> Result<Map<String, Value>> {
    let mut options = members(&request.metadata)?;
    if !request.tags.is_empty() {
        options.insert("tags".to_owned(), json!(request.tags));
    }
    if let Some(ttl_ms) = request.ttl_ms {
        options.insert("ttl".to_owned(), json!(format!("{ttl_ms}ms")));
    }
    if request.bump != Bump::default() {
        options.insert("bump".to_owned(), json!(request.bump));
    }
    Ok(options)
}

fn members(metadata: &Metadata) -> Result<Map<String, Value>> {
    let typed = match &metadata.typed {
        TypedMetadata::None => BTreeMap::new(),
        TypedMetadata::Literature(text) => BTreeMap::from([
            ("title", json!(text.title)),
            ("authors", json!(text.authors)),
            ("year", json!(text.publication_year)),
            ("genres", json!(text.genres)),
            ("source", json!(text.source)),
        ]),
        TypedMetadata::Dictionary(entry) => BTreeMap::from([
            ("word", json!(entry.word)),
            ("provider", json!(entry.provider)),
            ("language", json!(entry.language)),
        ]),
        _ => return Err(usage("only texts and dictionary entries have fields of their own that are saved")),
    };
    let is_told =
        |value: &Value| !value.is_null() && value.as_array().is_none_or(|values| !values.is_empty());
    let typed = typed.into_iter().filter(|(_, value)| is_told(value));
    let mut members: Map<String, Value> = typed.map(|(name, value)| (name.to_owned(), value)).collect();
    if !metadata.custom.is_empty() {
        members.insert("meta".to_owned(), json!(metadata.custom));
    }
    Ok(members)
}

/// What is not encoded: letters, digits and these.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encoded but for letters, digits and `-._~`.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use floret_model::LiteratureMetadata;

    use super::*;

    #[test]
    fn options_are_those_of_a_line_of_a_batch() {
        let key: ResourceKey = "literature/walden".parse().expect("a key");
        let plain = SaveRequest::new(key.clone(), Bytes::new());
        assert!(options(&plain).expect("no options").is_empty());
        let text = r#"{"title": "Walden", "authors": ["Henry D. Thoreau"], "publication_year": 1854}"#;
        let literature: LiteratureMetadata = serde_json::from_str(text).expect("valid");
        let custom = BTreeMap::from([("real_time".to_owned(), json!(true))]);
        let request = SaveRequest {
            metadata: Metadata { typed: TypedMetadata::Literature(literature), custom },
            tags: ["kept".to_owned()].into(),
            ttl_ms: Some(1500),
            bump: Bump::Major,
            ..plain
        };
        let expected = json!({
            "title": "Walden", "authors": ["Henry D. Thoreau"], "year": 1854,
            "meta": {"real_time": true}, "tags": ["kept"], "ttl": "1500ms", "bump": "major",
        });
        assert_eq!(Value::Object(options(&request).expect("options")), expected);
        assert_eq!(crate::given::duration_ms("1500ms"), Ok(1500));
    }

    #[test]
    fn headers_are_plain_text_whatever_is_said() {
        assert_eq!(encoded("{\"a\": \"ü\"}~"), "%7B%22a%22%3A%20%22%C3%BC%22%7D~");
    }
}
