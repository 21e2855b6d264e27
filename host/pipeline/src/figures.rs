//! What builders count, in the form in which it is remembered.

use std::collections::BTreeMap;

use floret_model::{CorpusMetadata, Digest, Metadata, TrieMetadata, TypedMetadata};
use floret_runtime::{CorpusStatistics, StatisticValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Statistics of a build.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub(crate) enum Figures {
    /// Of a corpus.
    Corpus(CorpusFigures),
    /// Of an index: by name, as its component gave them.
    Index { values: BTreeMap<String, Value> },
    /// Of what the host puts together.
    None,
}

/// Statistics of a corpus.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct CorpusFigures {
    pub vocabulary_size: u64,
    pub total_tokens: u64,
    pub vocabulary_hash: Digest,
    pub top_words: Vec<(String, u64)>,
}

/// Statistics that have a place in the typed metadata; the others are kept beside it.
const TYPED: [&str; 10] = [
    "node_count",
    "max_depth",
    "supports_fuzzy",
    "embedding_dimension",
    "model_name",
    "index_type",
    "quantization",
    "memory_usage_bytes",
    "word_count",
    "vocabulary_size",
];

impl Figures {
    pub fn of_built_corpus(statistics: CorpusStatistics) -> Self {
        Self::Corpus(CorpusFigures {
            vocabulary_size: statistics.vocabulary_size,
            total_tokens: statistics.total_tokens,
            vocabulary_hash: statistics.vocabulary_hash,
            top_words: statistics.top_words,
        })
    }

    /// The figures that a corpus's metadata was made from.
    pub fn of_corpus(typed: &TypedMetadata) -> Option<Self> {
        let TypedMetadata::Corpus(corpus) = typed else { return None };
        let mut top_words: Vec<(String, u64)> =
            corpus.word_frequencies.iter().map(|(word, count)| (word.clone(), *count)).collect();
        top_words.sort_by(|one, two| two.1.cmp(&one.1).then_with(|| one.0.cmp(&two.0)));
        Some(Self::Corpus(CorpusFigures {
            vocabulary_size: corpus.vocabulary_size,
            total_tokens: corpus.total_tokens,
            vocabulary_hash: corpus.vocabulary_hash?,
            top_words,
        }))
    }

    pub fn of_index(statistics: Vec<(String, StatisticValue)>) -> Self {
        let value = |value| match value {
            StatisticValue::Count(count) => Value::from(count),
            StatisticValue::Real(real) => Value::from(real),
            StatisticValue::Flag(flag) => Value::from(flag),
            StatisticValue::Text(text) => Value::from(text),
        };
        Self::Index {
            values: statistics.into_iter().map(|(name, statistic)| (name, value(statistic))).collect(),
        }
    }

    pub fn count(&self, name: &str) -> u64 {
        self.value(name).and_then(Value::as_u64).unwrap_or(0)
    }

    pub fn text(&self, name: &str) -> String {
        self.value(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.value(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Index { values } => values.get(name),
            _ => None,
        }
    }

    /// `custom` with the statistics that have no place in the typed metadata.
    pub fn extra(&self, mut custom: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        if let Self::Index { values } = self {
            let extra = values.iter().filter(|(name, _)| !TYPED.contains(&name.as_str()));
            custom.extend(extra.map(|(name, value)| (name.clone(), value.clone())));
        }
        custom
    }

    /// Metadata that tells a policy how many items there are, before the whole of it is known.
    pub fn as_policy_sees_them(&self) -> Metadata {
        Metadata::typed(match self {
            Self::Corpus(corpus) => TypedMetadata::Corpus(CorpusMetadata {
                vocabulary_size: corpus.vocabulary_size,
                ..CorpusMetadata::default()
            }),
            Self::Index { values } if values.contains_key("node_count") => {
                TypedMetadata::Trie(TrieMetadata {
                    corpus_ids: Vec::new(),
                    node_count: self.count("node_count"),
                    max_depth: 0,
                    supports_fuzzy: false,
                    word_count: 0,
                })
            }
            Self::Index { .. } | Self::None => TypedMetadata::None,
        })
    }
}
