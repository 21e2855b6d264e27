//! Typed metadata of what is built, from the builder's figures and the inputs' own metadata.

use std::collections::{BTreeMap, BTreeSet};

use floret_model::{
    CorpusMetadata, LanguageStatistics, ResourceType, SearchMetadata, SemanticMetadata, TrieMetadata,
    TypedMetadata, Version,
};

use crate::Error;
use crate::derive::{DerivedSpec, Job, corpus_metadata, input_versions};
use crate::figures::Figures;

/// Frequent words that a corpus's metadata keeps.
const TOP_WORDS: usize = 20;

pub(crate) fn describe(
    asked: &DerivedSpec,
    job: &Job<'_>,
    figures: &Figures,
    head: Option<&Version>,
) -> Result<TypedMetadata, Error> {
    Ok(match job.key.resource_type.as_str() {
        "corpus" => corpus(asked, job, figures, head),
        "trie" => TypedMetadata::Trie(TrieMetadata {
            corpus_ids: ids(job, "corpus"),
            node_count: figures.count("node_count"),
            max_depth: figures.count("max_depth"),
            supports_fuzzy: figures.flag("supports_fuzzy"),
            word_count: figures.count("word_count"),
        }),
        "semantic" => semantic(job, figures)?,
        "search" => search(job),
        _ => TypedMetadata::None,
    })
}

/// A corpus's metadata: figures from its builder, the rest the union of what its texts and children say.
pub(crate) fn corpus(
    asked: &DerivedSpec,
    job: &Job<'_>,
    figures: &Figures,
    head: Option<&Version>,
) -> TypedMetadata {
    let before = head.and_then(corpus_metadata);
    let Figures::Corpus(figures) = figures else { return TypedMetadata::None };
    let mut corpus = CorpusMetadata {
        corpus_type: asked.corpus_type.or(before.map(|before| before.corpus_type)).unwrap_or_default(),
        child_corpus_ids: ids(job, "corpus"),
        vocabulary_size: figures.vocabulary_size,
        vocabulary_hash: Some(figures.vocabulary_hash),
        total_tokens: figures.total_tokens,
        word_frequencies: figures.top_words.iter().take(TOP_WORDS).cloned().collect(),
        ..CorpusMetadata::default()
    };
    corpus.is_master = !corpus.child_corpus_ids.is_empty();
    for input in job.inputs {
        match &input.version.metadata.typed {
            TypedMetadata::Literature(text) => {
                corpus.literature_data_ids.insert(input.version.key.resource_id.to_string());
                corpus.authors.extend(text.authors.iter().cloned());
                corpus.time_periods.extend(text.publication_year.map(century));
                corpus.genres.extend(text.genres.iter().cloned());
                corpus.source_references.extend(text.source.clone());
            }
            TypedMetadata::Corpus(child) => {
                corpus.literature_data_ids.extend(child.literature_data_ids.iter().cloned());
                corpus.authors.extend(child.authors.iter().cloned());
                corpus.time_periods.extend(child.time_periods.iter().cloned());
                corpus.genres.extend(child.genres.iter().cloned());
                corpus.source_references.extend(child.source_references.iter().cloned());
            }
            _ => {}
        }
    }
    let dialect =
        asked.dialect.clone().or(before.and_then(|before| before.language_statistics.dialect.clone()));
    corpus.language_statistics = LanguageStatistics {
        language: job
            .config
            .get("language")
            .and_then(|language| language.as_str())
            .unwrap_or("en")
            .to_owned(),
        dialect,
        total_documents: corpus.literature_data_ids.len() as u64,
        total_tokens: corpus.total_tokens,
        unique_sources: corpus.source_references.len() as u64,
    };
    TypedMetadata::Corpus(corpus)
}

fn semantic(job: &Job<'_>, figures: &Figures) -> Result<TypedMetadata, Error> {
    let [only] = job.inputs else {
        let count = job.inputs.len();
        return Err(Error::invalid(format!(
            "{} is a semantic index: it is built from one corpus, not {count}",
            job.key
        )));
    };
    Ok(TypedMetadata::Semantic(SemanticMetadata {
        corpus_id: only.version.key.resource_id.to_string(),
        corpus_version: only.version.version.to_string(),
        model_name: figures.text("model_name"),
        embedding_dimension: figures.count("embedding_dimension"),
        index_type: figures.text("index_type"),
        quantization: figures.text("quantization"),
        memory_usage_mb: figures.count("memory_usage_bytes") as f64 / 1e6,
        word_count: figures.count("word_count"),
    }))
}

fn search(job: &Job<'_>) -> TypedMetadata {
    let of_type = |wanted: ResourceType| {
        let part = job.inputs.iter().find(|input| input.version.key.resource_type == wanted);
        part.map(|part| part.version.key.resource_id.to_string())
    };
    let corpus = job.inputs.iter().find_map(|input| corpus_metadata(&input.version));
    let config = job.config.as_object().into_iter().flatten();
    TypedMetadata::Search(SearchMetadata {
        trie_index_id: of_type(ResourceType::trie()),
        semantic_index_id: of_type(ResourceType::semantic()),
        corpus_id: of_type(ResourceType::corpus()).unwrap_or_default(),
        component_versions: input_versions(job.inputs),
        search_config: config.map(|(name, value)| (name.clone(), value.clone())).collect::<BTreeMap<_, _>>(),
        supported_languages: corpus
            .map(|corpus| corpus.language_statistics.language.clone())
            .into_iter()
            .collect::<BTreeSet<_>>(),
    })
}

fn ids(job: &Job<'_>, role: &str) -> Vec<String> {
    let inputs = job.inputs.iter().filter(|input| input.role == role);
    inputs.map(|input| input.version.key.resource_id.to_string()).collect()
}

/// The century of a year, by its years: 1863 is in `1801-1900`.
fn century(year: i32) -> String {
    let last = (year - 1).div_euclid(100) * 100 + 100;
    format!("{}-{last}", last - 99)
}

#[cfg(test)]
mod tests {
    use super::century;

    #[test]
    fn m13_years_are_grouped_by_century() {
        let seen: Vec<String> = [1800, 1801, 1900, 2001, 1, 0].map(century).to_vec();
        assert_eq!(seen, ["1701-1800", "1801-1900", "1801-1900", "2001-2100", "1-100", "-99-0"]);
    }
}
