//! What is known of a content that is saved, beside its bytes: the header `floret-options`, a percent-encoded JSON object
//! whose members are those of a line of `floret save --batch`.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderMap, HeaderName};
use floret_model::{
    Bump, DictionaryMetadata, KeyError, LiteratureMetadata, Metadata, ResourceKey, TypedMetadata,
};
use floret_pipeline::{Content, SaveRequest};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::given::header_text;
use crate::problem::Problem;

pub(crate) const OPTIONS: HeaderName = HeaderName::from_static("floret-options");

/// What is known of a content, beside its bytes.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "SaveOptions")]
pub(crate) struct Line {
    /// Of a text, as the next four.
    title: Option<String>,
    authors: Vec<String>,
    year: Option<i32>,
    genres: BTreeSet<String>,
    source: Option<String>,
    /// Of a dictionary entry, as the next two.
    word: Option<String>,
    provider: Option<String>,
    language: Option<String>,
    /// Whatever else is to be kept.
    meta: BTreeMap<String, Value>,
    /// Keep the version from cleanup.
    tags: BTreeSet<String>,
    /// How long it is visible: hours and less, e.g. `36h`.
    ttl: Option<String>,
    /// How the semantic version grows.
    bump: Bump,
    /// A corpus that gets the text in the same commit; not in a batch.
    parent: Option<String>,
}

/// Options of a save.
#[derive(Debug, Default)]
pub(crate) struct Options {
    metadata: Metadata,
    tags: BTreeSet<String>,
    ttl_ms: Option<u64>,
    bump: Bump,
    /// A corpus that gets the text in the same commit.
    pub parent: Option<ResourceKey>,
}

impl Options {
    /// A save of a content with these options.
    pub fn on(self, key: ResourceKey, content: impl Into<Content>) -> SaveRequest {
        let Self { metadata, tags, ttl_ms, bump, parent: _ } = self;
        SaveRequest { metadata, tags, ttl_ms, bump, ..SaveRequest::new(key, content) }
    }
}

/// The options that a request gives for a resource; the usual ones without the header.
pub(crate) fn given(headers: &HeaderMap, key: &ResourceKey) -> Result<Options, Problem> {
    let Some(text) = header_text(headers, &OPTIONS)? else { return Ok(Options::default()) };
    let refused = |problem: String| Problem::invalid(format!("the header {OPTIONS}: {problem}"));
    let text = decoded(text).ok_or_else(|| refused("expected percent-encoded UTF-8".to_owned()))?;
    let members: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
    read(members, key).map_err(refused)
}

/// The options that a JSON object has.
pub(crate) fn read(members: Map<String, Value>, key: &ResourceKey) -> Result<Options, String> {
    let line: Line = serde_json::from_value(Value::Object(members)).map_err(|error| error.to_string())?;
    let ttl_ms = line.ttl.as_deref().map(milliseconds).transpose()?;
    let parent = line.parent.as_deref().map(str::parse).transpose();
    let parent = parent.map_err(|error: KeyError| format!("parent: {error}"))?;
    let (tags, bump) = (line.tags.clone(), line.bump);
    let metadata = metadata(line, key).map_err(|problem| format!("{key}: {problem}"))?;
    Ok(Options { metadata, tags, ttl_ms, bump, parent })
}

/// The fields of the resource's type, and the caller's.
fn metadata(line: Line, key: &ResourceKey) -> Result<Metadata, &'static str> {
    let is_text = line.title.is_some()
        || line.year.is_some()
        || line.source.is_some()
        || !line.authors.is_empty()
        || !line.genres.is_empty();
    let is_entry = line.word.is_some() || line.provider.is_some() || line.language.is_some();
    let name = || key.resource_id.to_string();
    let typed = match key.resource_type.as_str() {
        "literature" if is_entry => return Err("word, provider and language describe a dictionary entry"),
        "literature" if is_text => TypedMetadata::Literature(LiteratureMetadata {
            title: line.title.unwrap_or_else(name),
            authors: line.authors,
            publication_year: line.year,
            genres: line.genres,
            source: line.source,
            text_hash: None,
            text_size_bytes: 0,
            statistics: None,
        }),
        "dictionary" if is_text => return Err("title, author, year, genre and source describe a text"),
        "dictionary" if is_entry => TypedMetadata::Dictionary(DictionaryMetadata {
            word: line.word.unwrap_or_else(name),
            provider: line.provider.ok_or("a dictionary entry needs a provider")?,
            language: line.language.unwrap_or_else(|| "en".to_owned()),
        }),
        _ if is_text || is_entry => return Err("its type has no fields of its own; use meta"),
        _ => TypedMetadata::None,
    };
    Ok(Metadata { typed, custom: line.meta })
}

/// A time to live, e.g. `36h` or `1500ms`.
fn milliseconds(text: &str) -> Result<u64, String> {
    let span: Option<jiff::SignedDuration> = text.parse().ok();
    span.and_then(|span| u64::try_from(span.as_millis()).ok()).ok_or_else(|| {
        format!("ttl: {text:?} is not a duration: expected hours and less, e.g. 36h or 1h 30m")
    })
}

/// Percent-encoded UTF-8, decoded once.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'%' => {
                let (digits, after) = after.split_at_checked(2)?;
                bytes.push(hex::decode(digits).ok()?[0]);
                after
            }
            byte => {
                bytes.push(*byte);
                after
            }
        };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(key: &str, text: &str) -> Result<Options, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(OPTIONS, text.parse().expect("a header"));
        given(&headers, &key.parse().expect("a key"))
    }

    #[test]
    fn options_are_those_of_a_line_of_a_batch() {
        let text = "%7B%22title%22%3A%22%C3%BC%22%2C%22tags%22%3A%5B%22x%22%5D%2C%22ttl%22%3A%221500ms%22%2C%22bump%22%3A%22major%22%2C%22meta%22%3A%7B%22hot%22%3Atrue%7D%7D";
        let options = header("literature/x", text).expect("good options");
        let TypedMetadata::Literature(literature) = &options.metadata.typed else { panic!("a text") };
        assert_eq!((literature.title.as_str(), options.ttl_ms, options.bump), ("ü", Some(1500), Bump::Major));
        assert_eq!((options.metadata.flags(), options.tags.len()), (vec!["hot".to_owned()], 1));
        assert_eq!(given(&HeaderMap::new(), &"corpus/x".parse().expect("a key")).expect("none").ttl_ms, None);
    }

    #[test]
    fn bad_options_are_refused() {
        for (key, text) in [
            ("literature/x", "{"),
            ("literature/x", "%7"),
            ("literature/x", "%FF"),
            ("literature/x", "%zz"),
            ("literature/x", r#"{"colour": 1}"#),
            ("literature/x", r#"{"word": "w"}"#),
            ("literature/x", r#"{"ttl": "soon"}"#),
            ("literature/x", r#"{"parent": "c"}"#),
            ("literature/x", r#"{"ttl": "-1h"}"#),
            ("dictionary/x", r#"{"word": "w"}"#),
            ("dictionary/x", r#"{"title": "w", "provider": "p"}"#),
            ("trie/x", r#"{"title": "w"}"#),
        ] {
            assert!(header(key, text).is_err(), "{key} {text}");
        }
    }
}
