//! Values as they are given on the command line.

use std::io::{Cursor, Read};
use std::path::Path;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use floret_model::{Bump, Seq};
use floret_pipeline::{IfLatest, LARGE_BYTES};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// A mistake on the command line that clap cannot see.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    anyhow!(Failure::Usage(message.into()))
}

/// The bytes of a file, or of standard input where the name is `-`.
pub(crate) fn read(path: &Path) -> Result<Bytes> {
    let failed = |source| anyhow!(Failure::File { action: "read", name: name(path), source });
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes.into());
    }
    Ok(std::fs::read(path).map_err(failed)?.into())
}

/// A content as it is given.
pub(crate) enum Given {
    /// All of it.
    Whole(Bytes),
    /// One that is too large for memory, to be read.
    Large(Box<dyn Read + Send>),
}

/// The content of a file, or of standard input where the name is `-`.
pub(crate) fn content(path: &Path) -> Result<Given> {
    let failed = |source| anyhow!(Failure::File { action: "read", name: name(path), source });
    let mut reader: Box<dyn Read + Send> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(path).map_err(failed)?),
    };
    let mut begun = Vec::new();
    reader.by_ref().take(LARGE_BYTES + 1).read_to_end(&mut begun).map_err(failed)?;
    if begun.len() as u64 <= LARGE_BYTES {
        return Ok(Given::Whole(begun.into()));
    }
    Ok(Given::Large(Box::new(Cursor::new(begun).chain(reader))))
}

/// What a file is called in messages.
pub(crate) fn name(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => path.display().to_string(),
    }
}

/// A JSON document, or what is wrong with it and where.
pub(crate) fn json(text: &[u8], of: &str) -> Result<Value> {
    serde_json::from_slice(text).map_err(|error| usage(format!("{of} is not JSON: {error}")))
}

/// `NAME=VALUE`. The value is JSON where it looks like JSON (a number, `true`, `false`, `null`, or what begins with
/// `{`, `[` or `"`), else a text.
pub(crate) fn pair(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    if name.is_empty() {
        return Err(format!("{text:?} has no name before the ="));
    }
    let structured = value.starts_with(['{', '[', '"']);
    match serde_json::from_str(value) {
        Ok(value) => Ok((name.to_owned(), value)),
        Err(error) if structured => Err(format!("the value of {name} begins as JSON, but is not: {error}")),
        Err(_) => Ok((name.to_owned(), Value::from(value))),
    }
}

/// A configuration from a file, with pairs over it.
pub(crate) fn config(file: Option<&Path>, pairs: &[(String, Value)]) -> Result<Map<String, Value>> {
    let mut config = match file {
        None => Map::new(),
        Some(file) => match json(&read(file)?, &name(file))? {
            Value::Object(config) => config,
            _ => return Err(usage(format!("{} holds no JSON object", name(file)))),
        },
    };
    config.extend(pairs.iter().cloned());
    Ok(config)
}

/// A seq, or `none`.
pub(crate) fn if_latest(text: &str) -> Result<IfLatest, String> {
    match (text, text.parse()) {
        ("none", _) => Ok(IfLatest::Absent),
        (_, Ok(seq @ 1..)) => Ok(IfLatest::Seq(Seq(seq))),
        _ => Err(format!("{text:?} is neither a seq such as 3, nor none")),
    }
}

/// `patch`, `minor`, `major`.
pub(crate) fn bump(text: &str) -> Result<Bump, String> {
    match text {
        "patch" => Ok(Bump::Patch),
        "minor" => Ok(Bump::Minor),
        "major" => Ok(Bump::Major),
        _ => Err(format!("{text:?} is none of patch, minor, major")),
    }
}

/// A duration in milliseconds.
pub(crate) fn duration_ms(text: &str) -> Result<u64, String> {
    let span: crate::config::Span = text.parse()?;
    u64::try_from(span.0.as_millis()).map_err(|_| format!("{text:?} is too long"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pairs_are_json_where_they_look_like_it() {
        for (text, value) in [
            ("a=1", json!(1)),
            ("a=true", json!(true)),
            ("a=hello world", json!("hello world")),
            ("a=", json!("")),
            ("a=\"1\"", json!("1")),
            ("a={\"b\": [1]}", json!({"b": [1]})),
            ("a=x=y", json!("x=y")),
            ("a=1.0.2", json!("1.0.2")),
        ] {
            assert_eq!(pair(text), Ok(("a".to_owned(), value)), "{text}");
        }
        for (text, expected) in [("a", "NAME=VALUE"), ("=1", "no name"), ("a={\"b\"", "begins as JSON")] {
            assert!(pair(text).expect_err(text).contains(expected), "{text}");
        }
    }

    #[test]
    fn v3_preconditions_are_read() {
        assert_eq!(if_latest("none"), Ok(IfLatest::Absent));
        assert_eq!(if_latest("3"), Ok(IfLatest::Seq(Seq(3))));
        for text in ["0", "-1", "latest", ""] {
            assert!(if_latest(text).is_err(), "{text}");
        }
    }

    #[test]
    fn v9_times_to_live_are_durations() {
        assert_eq!(duration_ms("1h 30m"), Ok(5_400_000));
        assert!(duration_ms("10").is_err());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read(Path::new("no such file")).expect_err("there is none").to_string();
        assert!(error.starts_with("cannot read no such file: "), "{error}");
    }
}
