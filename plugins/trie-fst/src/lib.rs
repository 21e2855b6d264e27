//! A finite-state transducer from words to frequencies: exact, prefix and fuzzy search.
//!
//! The transducer (the `fst` crate) holds `u64::MAX − frequency` for each word. It pushes the least value of
//! every subtree towards the root, so that what a path has summed up is exactly the greatest frequency below it:
//! the most frequent words of a prefix are found by best-first search without visiting the others.

mod build;
mod format;
mod fuzzy;
mod prefix;

use std::cell::OnceCell;

use floret_sdk::index::{FuzzyQuery, Hit, IndexBuilder, Mode, Query, Searcher};
use floret_sdk::{Description, Error, Input, Output, Statistic, text};
use levenshtein_automata::LevenshteinAutomatonBuilder;
use serde::Deserialize;

use format::Index;

/// The configuration. What its parts mean stands in `schema.json`.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    fold_queries: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { fold_queries: true }
    }
}

/// The component.
pub struct TrieFst;

impl IndexBuilder for TrieFst {
    type Searcher = TrieSearcher;

    fn describe() -> Description {
        Description {
            name: "trie-fst".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Finite-state transducer of words and frequencies: exact, prefix and fuzzy search"
                .into(),
            output_media_type: format::MEDIA_TYPE.into(),
            config_schema: include_str!("schema.json").into(),
        }
    }

    fn modes() -> Vec<Mode> {
        vec![Mode::Exact, Mode::Prefix, Mode::Fuzzy]
    }

    fn build(corpora: &[Input], config: &str, out: &mut Output) -> Result<Vec<Statistic>, Error> {
        let config: Config = floret_sdk::config::parse(config)?;
        build::build(corpora, config.fold_queries, out)
    }
}

/// An opened index. Beyond the index itself it keeps two small tables, made when first needed.
pub struct TrieSearcher {
    index: Index,
    /// Parametric automata for distance 1 and 2; the second takes milliseconds to make.
    automata: [OnceCell<LevenshteinAutomatonBuilder>; 2],
}

impl Searcher for TrieSearcher {
    fn open(index: &Input) -> Result<Self, Error> {
        Ok(Self { index: Index::open(index)?, automata: [OnceCell::new(), OnceCell::new()] })
    }

    fn search(&self, query: &Query, limit: u32) -> Result<Vec<Hit>, Error> {
        let limit = limit as usize;
        match query {
            Query::Exact(word) => Ok(self.exact(&self.fold(word)).into_iter().take(limit).collect()),
            Query::Prefix(prefix) => Ok(prefix::search(&self.index.fst, self.fold(prefix).as_bytes(), limit)),
            Query::Fuzzy(FuzzyQuery { text, distance: distance @ 1..=2 }) => {
                let automaton = self.automata[usize::from(distance - 1)]
                    .get_or_init(|| LevenshteinAutomatonBuilder::new(*distance, false))
                    .build_dfa(&self.fold(text));
                Ok(fuzzy::search(&self.index.fst, &automaton, limit))
            }
            Query::Fuzzy(FuzzyQuery { distance, .. }) => {
                Err(Error::Unsupported(format!("fuzzy search is done for distance 1 and 2, not {distance}")))
            }
            Query::Semantic(_) => {
                Err(Error::Unsupported("a trie knows nothing of meaning; ask a semantic index".into()))
            }
        }
    }
}

impl TrieSearcher {
    fn fold<'a>(&self, query: &'a str) -> std::borrow::Cow<'a, str> {
        if self.index.fold_queries { text::fold(query).into() } else { query.into() }
    }

    fn exact(&self, word: &str) -> Option<Hit> {
        let value = self.index.fst.get(word)?.value();
        Some(Hit { word: word.to_owned(), frequency: frequency(value), distance: 0, score: 1.0 })
    }
}

/// The frequency that a value of the transducer stands for; and the value for a frequency.
const fn frequency(value: u64) -> u64 {
    u64::MAX - value
}

/// Words in the transducer are whole UTF-8.
fn word(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec())
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

floret_sdk::export_index!(TrieFst);

#[cfg(test)]
mod tests;
