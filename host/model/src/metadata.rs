use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, ResourceType};

/// What is known of a version beside its bytes: the fields of its type, and whatever the caller adds.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Fields of the resource's type.
    #[serde(default)]
    pub typed: TypedMetadata,
    /// The caller's own fields. One that is `true` is a flag that policies see, e.g. `real_time`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Value>,
}

impl Metadata {
    /// Metadata with the fields of a type and nothing else.
    pub fn typed(typed: TypedMetadata) -> Self {
        Self { typed, custom: BTreeMap::new() }
    }

    /// Names of the caller's fields whose value is `true`, sorted.
    pub fn flags(&self) -> Vec<String> {
        let set = self.custom.iter().filter(|(_, value)| **value == Value::Bool(true));
        set.map(|(name, _)| name.clone()).collect()
    }

    /// What the builder counted: a corpus's words, a trie's nodes, a semantic index's words.
    pub fn items(&self) -> Option<u64> {
        match &self.typed {
            TypedMetadata::Corpus(corpus) => Some(corpus.vocabulary_size),
            TypedMetadata::Trie(trie) => Some(trie.node_count),
            TypedMetadata::Semantic(semantic) => Some(semantic.word_count),
            _ => None,
        }
    }
}

/// The fields of each resource type.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TypedMetadata {
    /// A type without fields of its own.
    #[default]
    None,
    /// M9.
    Dictionary(DictionaryMetadata),
    /// M15.
    Literature(LiteratureMetadata),
    /// M10 to M13.
    Corpus(CorpusMetadata),
    /// M16.
    Trie(TrieMetadata),
    /// M14.
    Semantic(SemanticMetadata),
    /// M17.
    Search(SearchMetadata),
    /// A component.
    Plugin(PluginMetadata),
    /// A binding.
    Binding(BindingMetadata),
}

impl TypedMetadata {
    /// The resource type whose fields these are; `None` for a type without.
    pub fn resource_type(&self) -> Option<ResourceType> {
        Some(match self {
            Self::None => return None,
            Self::Dictionary(_) => ResourceType::dictionary(),
            Self::Literature(_) => ResourceType::literature(),
            Self::Corpus(_) => ResourceType::corpus(),
            Self::Trie(_) => ResourceType::trie(),
            Self::Semantic(_) => ResourceType::semantic(),
            Self::Search(_) => ResourceType::search(),
            Self::Plugin(_) => ResourceType::plugin(),
            Self::Binding(_) => ResourceType::binding(),
        })
    }
}

fn english() -> String {
    "en".to_owned()
}

/// A dictionary entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DictionaryMetadata {
    /// The word explained.
    pub word: String,
    /// Who explains it.
    pub provider: String,
    /// Language of the word (BCP 47).
    #[serde(default = "english")]
    pub language: String,
}

/// A text and its statistics, which a component derives.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiteratureMetadata {
    /// Title.
    pub title: String,
    /// Authors, in the title page's order.
    #[serde(default)]
    pub authors: Vec<String>,
    /// Year of publication; negative before the common era.
    #[serde(default)]
    pub publication_year: Option<i32>,
    /// Genres, e.g. `speech`.
    #[serde(default)]
    pub genres: BTreeSet<String>,
    /// Where the text comes from.
    #[serde(default)]
    pub source: Option<String>,
    /// SHA-256 of the text.
    #[serde(default)]
    pub text_hash: Option<Digest>,
    /// Length of the text.
    #[serde(default)]
    pub text_size_bytes: u64,
    /// What the component counted; absent until it has.
    #[serde(flatten)]
    pub statistics: Option<LiteratureStatistics>,
}

/// What a component counted in a text.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LiteratureStatistics {
    /// Words by UAX #29.
    pub word_count: u64,
    /// Distinct words after case folding.
    pub unique_words: u64,
    /// Sentences by UAX #29.
    pub sentence_count: u64,
    /// Ease of reading, by the formula named beside it.
    pub readability_score: Option<f64>,
    /// Name of the formula.
    pub readability_formula: String,
}

/// What sort of corpus.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CorpusType {
    /// Of given texts or words.
    #[default]
    Base,
    /// Of a language: aggregates documents, tokens and sources of its children.
    Language,
    /// Of literature: aggregates authors, periods and genres.
    Literature,
    /// Of other corpora.
    Composite,
}

/// A corpus, as its builder and its inputs say. Parents are derived from the graph, never stored.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorpusMetadata {
    /// What sort.
    pub corpus_type: CorpusType,
    /// Ids of its child corpora, in the order given.
    #[serde(default)]
    pub child_corpus_ids: Vec<String>,
    /// Whether it has children.
    pub is_master: bool,
    /// Distinct words.
    pub vocabulary_size: u64,
    /// SHA-256 of the sorted words, a line feed after each; equal for corpora that differ only in counts.
    pub vocabulary_hash: Option<Digest>,
    /// Words counted with repetition.
    pub total_tokens: u64,
    /// Sources of its texts and of its children's, sorted.
    #[serde(default)]
    pub source_references: BTreeSet<String>,
    /// The most frequent words with their counts, at most 20; the whole list is the content.
    #[serde(default)]
    pub word_frequencies: BTreeMap<String, u64>,
    /// Aggregates over its texts and its children's.
    pub language_statistics: LanguageStatistics,
    /// Ids of its texts and of its children's, sorted.
    #[serde(default)]
    pub literature_data_ids: BTreeSet<String>,
    /// Authors of those texts.
    #[serde(default)]
    pub authors: BTreeSet<String>,
    /// Years of those texts, as centuries, e.g. `1801-1900`.
    #[serde(default)]
    pub time_periods: BTreeSet<String>,
    /// Genres of those texts.
    #[serde(default)]
    pub genres: BTreeSet<String>,
}

/// Aggregates of a language corpus (M12).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LanguageStatistics {
    /// Language (BCP 47).
    pub language: String,
    /// Dialect or region, e.g. `en-US`.
    #[serde(default)]
    pub dialect: Option<String>,
    /// Distinct texts.
    pub total_documents: u64,
    /// Words with repetition.
    pub total_tokens: u64,
    /// Distinct sources.
    pub unique_sources: u64,
}

/// A trie index.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrieMetadata {
    /// Corpora that it was built from.
    pub corpus_ids: Vec<String>,
    /// Nodes of the automaton.
    pub node_count: u64,
    /// Longest path, in the builder's own unit.
    pub max_depth: u64,
    /// Whether it answers fuzzy queries.
    pub supports_fuzzy: bool,
    /// Distinct words.
    pub word_count: u64,
}

/// A semantic index, pinned to one exact corpus version. How long it took stands in the build record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SemanticMetadata {
    /// The corpus.
    pub corpus_id: String,
    /// Its version.
    pub corpus_version: String,
    /// What makes the vectors.
    pub model_name: String,
    /// Numbers in a vector.
    pub embedding_dimension: u64,
    /// How it searches, e.g. `flat`.
    pub index_type: String,
    /// `none`, `float16`, `int8` …
    pub quantization: String,
    /// Memory that an opened index takes, in millions of bytes.
    pub memory_usage_mb: f64,
    /// Vectors.
    pub word_count: u64,
}

/// A composite search index: pins of one publish.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchMetadata {
    /// The trie.
    pub trie_index_id: Option<String>,
    /// The semantic index.
    pub semantic_index_id: Option<String>,
    /// The corpus that both were built from.
    pub corpus_id: String,
    /// Version of each part, by `TYPE/ID`.
    pub component_versions: BTreeMap<String, String>,
    /// How answers are merged.
    #[serde(default)]
    pub search_config: BTreeMap<String, Value>,
    /// Languages of the corpus.
    pub supported_languages: BTreeSet<String>,
}

/// A component.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginMetadata {
    /// Its contract, e.g. `floret:index@0.1.0`.
    pub contract: String,
    /// Name that it gives itself.
    pub component_name: String,
    /// Version that it gives itself.
    pub component_version: String,
    /// What it says of itself.
    pub summary: String,
    /// Whether it came with the host, which may then replace it by a newer one.
    pub built_in: bool,
    /// Where it was installed from, as it was named, with the digest of its manifest where that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The signature that it was installed by, where keys are trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<PluginSignature>,
    /// Whether this version says that the component is no longer installed; its content is empty then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub removed: bool,
}

/// A minisign signature that was verified.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginSignature {
    /// Of the key that it was made with: 16 digits, as minisign writes them.
    pub key_id: String,
    /// What its maker signed along with the component.
    pub trusted_comment: String,
    /// All of it, four lines, so that it can be verified again.
    pub text: String,
}

/// A binding.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingMetadata {
    /// Name of the component.
    pub component: String,
    /// Whether this version says that nothing is bound any longer; its content is `null` then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub removed: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(metadata: &Metadata) {
        let text = serde_json::to_string(metadata).expect("serialises");
        assert_eq!(&serde_json::from_str::<Metadata>(&text).expect("reads back"), metadata, "{text}");
    }

    #[test]
    fn m9_dictionary_metadata_is_validated() {
        let good = r#"{"typed": {"kind": "dictionary", "word": "cat", "provider": "wordnet"}}"#;
        let metadata: Metadata = serde_json::from_str(good).expect("valid");
        let TypedMetadata::Dictionary(entry) = &metadata.typed else { panic!("a dictionary entry") };
        assert_eq!(entry.language, "en");
        round_trip(&metadata);
        for bad in [
            r#"{"typed": {"kind": "dictionary", "word": "cat"}}"#,
            r#"{"typed": {"kind": "dictionary", "word": "cat", "provider": "w", "colour": 1}}"#,
            r#"{"typed": {"kind": "map"}}"#,
        ] {
            assert!(serde_json::from_str::<Metadata>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn m11_all_four_corpus_types_round_trip() {
        use CorpusType::{Base, Composite, Language, Literature};
        for corpus_type in [Base, Language, Literature, Composite] {
            let corpus = CorpusMetadata { corpus_type, vocabulary_size: 3, ..CorpusMetadata::default() };
            round_trip(&Metadata::typed(TypedMetadata::Corpus(corpus)));
        }
    }

    #[test]
    fn m15_literature_statistics_are_absent_or_whole() {
        let text = r#"{"typed": {"kind": "literature", "title": "Walden"}}"#;
        let mut metadata: Metadata = serde_json::from_str(text).expect("valid");
        let TypedMetadata::Literature(literature) = &mut metadata.typed else { panic!("literature") };
        assert_eq!(literature.statistics, None);
        literature.statistics = Some(LiteratureStatistics {
            word_count: 2,
            unique_words: 1,
            sentence_count: 1,
            readability_score: Some(60.5),
            readability_formula: "flesch-reading-ease".to_owned(),
        });
        round_trip(&metadata);
    }

    #[test]
    fn h3_only_true_fields_are_flags() {
        let text = r#"{"custom": {"real_time": true, "hot": false, "note": "true"}}"#;
        let metadata: Metadata = serde_json::from_str(text).expect("valid");
        assert_eq!(metadata.flags(), ["real_time"]);
    }
}
