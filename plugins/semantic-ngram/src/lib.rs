//! Character n-gram vectors without a model: words of similar shape, and so mostly of similar meaning.
//!
//! A word's vector counts its hashed n-grams (see [`vector`]); words are compared by the cosine of their
//! vectors, all of them, so that recall is complete up to quantisation.

mod build;
mod config;
mod format;
mod parts;
mod quantize;
mod scan;
mod vector;

use floret_sdk::index::{Hit, IndexBuilder, Mode, Query, Searcher};
use floret_sdk::{Description, Error, Input, Output, Statistic, text};

use config::Config;
use format::Index;

/// The component.
pub struct SemanticNgram;

impl IndexBuilder for SemanticNgram {
    type Searcher = NgramSearcher;

    fn describe() -> Description {
        Description {
            name: "semantic-ngram".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Character n-gram vectors without a model: words of similar shape, compared exactly"
                .into(),
            output_media_type: format::MEDIA_TYPE.into(),
            config_schema: config::SCHEMA.into(),
        }
    }

    fn modes() -> Vec<Mode> {
        vec![Mode::Exact, Mode::Semantic]
    }

    fn build(corpora: &[Input], config: &str, out: &mut Output) -> Result<Vec<Statistic>, Error> {
        build::build(corpora, &Config::read(config)?, out)
    }

    fn parts(corpora: &[Input], config: &str) -> Result<u32, Error> {
        Ok(parts::count(corpora, &Config::read(config)?))
    }

    fn build_part(
        corpora: &[Input],
        config: &str,
        part: u32,
        parts: u32,
        out: &mut Output,
    ) -> Result<(), Error> {
        parts::build(corpora, &Config::read(config)?, part, parts, out)
    }

    fn merge_parts(
        parts: &[Input],
        corpora: &[Input],
        config: &str,
        out: &mut Output,
    ) -> Result<Vec<Statistic>, Error> {
        parts::merge(parts, corpora, &Config::read(config)?, out)
    }
}

/// An opened index: its file in memory, and nothing else.
pub struct NgramSearcher(Index);

impl Searcher for NgramSearcher {
    fn open(index: &Input) -> Result<Self, Error> {
        Ok(Self(Index::open(index)?))
    }

    fn search(&self, query: &Query, limit: u32) -> Result<Vec<Hit>, Error> {
        let fold = |text: &str| {
            if self.0.header.fold_queries { text::fold(text) } else { text.to_owned() }
        };
        match query {
            Query::Exact(word) => Ok(self
                .0
                .find(&fold(word))
                .map(|at| self.hit(at, 1.0))
                .into_iter()
                .take(limit as usize)
                .collect()),
            Query::Semantic(text) => {
                let hits = scan::nearest(&self.0, &fold(text), limit as usize);
                Ok(hits.into_iter().map(|(at, score)| self.hit(at, score)).collect())
            }
            Query::Prefix(_) | Query::Fuzzy(_) => Err(Error::Unsupported(
                "a semantic index has no prefixes and edit distances; ask a trie".into(),
            )),
        }
    }
}

impl NgramSearcher {
    fn hit(&self, at: usize, score: f32) -> Hit {
        Hit { word: self.0.word(at).to_owned(), frequency: self.0.frequency(at), distance: 0, score }
    }
}

floret_sdk::export_index!(SemanticNgram);

#[cfg(test)]
mod tests;
