//! The texts that the demo is told with, from `examples/state-of-the-union`.

use anyhow::{Context, Result};
use serde::Deserialize;

/// What `index.json` says of a text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub file: String,
    pub id: String,
    pub president_id: String,
    pub president: String,
    pub party: String,
    pub year: i32,
    pub date: String,
    pub form: String,
    pub source: String,
    pub sha256: floret_model::Digest,
}

/// A text with what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub entry: Entry,
    pub text: &'static str,
}

const INDEX: &str = include_str!("../../../../examples/state-of-the-union/index.json");

macro_rules! files {
    ($($name:literal,)*) => {
        &[$((concat!($name, ".txt"), include_str!(concat!("../../../../examples/state-of-the-union/speeches/", $name, ".txt")))),*]
    };
}

#[rustfmt::skip]
const FILES: &[(&str, &str)] = files![
    "1790-Washington-1",
    "1791-Washington-1",
    "1793-Washington-1",
    "1794-Washington-1",
    "1796-Washington-1",
    "1797-Adams-1",
    "1798-Adams-1",
    "1799-Adams-1",
    "1800-Adams-1",
    "1801-Jefferson-1",
    "1803-Jefferson-1",
    "1805-Jefferson-1",
    "1806-Jefferson-1",
    "1808-Jefferson-1",
    "1829-Jackson-1",
    "1831-Jackson-1",
    "1832-Jackson-1",
    "1861-Lincoln-1",
    "1862-Lincoln-1",
    "1863-Lincoln-1",
    "1864-Lincoln-1",
    "1869-Grant-1",
    "1871-Grant-1",
    "1872-Grant-1",
    "1876-Grant-1",
    "1913-Wilson-1",
    "1914-Wilson-1",
    "1915-Wilson-1",
    "1917-Wilson-1",
    "1918-Wilson-1",
    "1934-Roosevelt-1",
    "1936-Roosevelt-1",
    "1938-Roosevelt-1",
    "1941-Roosevelt-1",
    "1942-Roosevelt-1",
    "1944-Roosevelt-1",
    "1961-Kennedy-1",
    "1962-Kennedy-1",
    "1963-Kennedy-1",
    "1982-Reagan-1",
    "1983-Reagan-1",
    "1985-Reagan-1",
    "1987-Reagan-1",
    "1988-Reagan-1",
    "1994-Clinton-1",
    "1996-Clinton-1",
    "1998-Clinton-1",
    "2000-Clinton-1",
    "2010-Obama-1",
    "2012-Obama-1",
    "2014-Obama-1",
    "2016-Obama-1",
];

/// All texts, by president and year.
pub(crate) fn all() -> Result<Vec<Text>> {
    let entries: Vec<Entry> =
        serde_json::from_str(INDEX).context("the index of the demo's texts cannot be read")?;
    let text = |entry: Entry| {
        let found = FILES.iter().find(|(file, _)| *file == entry.file);
        let (_, text) = found.with_context(|| format!("{} is not in the program", entry.file))?;
        Ok(Text { entry, text })
    };
    entries.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_text_is_there_whole_and_named_once() {
        let texts = all().expect("every entry has its text");
        assert_eq!(texts.len(), FILES.len());
        let ids: BTreeSet<&str> = texts.iter().map(|text| text.entry.id.as_str()).collect();
        assert_eq!(ids.len(), texts.len());
        for text in &texts {
            assert_eq!(
                floret_model::Digest::of(text.text.as_bytes()),
                text.entry.sha256,
                "{}",
                text.entry.file
            );
        }
        let bytes: usize = texts.iter().map(|text| text.text.len()).sum();
        assert!(bytes <= 3_000_000, "{bytes} bytes are too many to ship");
    }
}
