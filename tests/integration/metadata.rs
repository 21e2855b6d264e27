//! Typed metadata, filled in by what the builders count.

use floret_model::{CorpusMetadata, CorpusType, Metadata, TypedMetadata};
use floret_pipeline::{Content, CorpusRequest, Floret, Progress, SaveRequest, Selector};
use floret_tests::{Setup, corpus, key, literature, open, small_world, text};
use tempfile::TempDir;

async fn typed(host: &Floret, name: &str) -> TypedMetadata {
    host.resolve(&key(name), &Selector::Latest).await.unwrap().metadata.typed.clone()
}

async fn corpus_metadata(host: &Floret, name: &str) -> CorpusMetadata {
    match typed(host, name).await {
        TypedMetadata::Corpus(corpus) => corpus,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m10_corpus_metadata_is_computed_by_the_builder() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let all = corpus_metadata(&host, "corpus/all").await;
    assert_eq!((all.vocabulary_size, all.total_tokens, all.is_master), (13, 18, true));
    assert_eq!(all.word_frequencies["the"], 3);
    let content =
        host.get(&key("corpus/all"), &Selector::Latest, floret_pipeline::Freshness::Cached).await.unwrap();
    let vocabulary: String = std::str::from_utf8(&content.content)
        .unwrap()
        .lines()
        .map(|line| format!("{}\n", line.split('\t').next().unwrap()))
        .collect();
    assert_eq!(all.vocabulary_hash, Some(floret_model::Digest::of(vocabulary.as_bytes())));
    let by_hand = SaveRequest::new(key("corpus/hand"), Content::Bytes("word\t1\n".into()));
    let error = host.save(by_hand).await.unwrap_err();
    assert!(error.to_string().contains("corpus create"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn m11_all_four_corpus_types_work() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    host.save(text("t", "some words")).await.unwrap();
    use CorpusType::{Base, Composite, Language, Literature};
    for (id, corpus_type) in [("b", Base), ("l", Language), ("t", Literature), ("c", Composite)] {
        let (name, request) = corpus(id, &["t"], &[]);
        host.corpus_create(vec![(name, CorpusRequest { corpus_type, ..request })], &Progress::default())
            .await
            .unwrap();
        assert_eq!(corpus_metadata(&host, &format!("corpus/{id}")).await.corpus_type, corpus_type);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m12_a_language_corpus_aggregates_its_children() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let (name, request) = corpus("english", &[], &["a", "b"]);
    let dialect = Some("en-GB".to_owned());
    let request = CorpusRequest { corpus_type: CorpusType::Language, dialect, ..request };
    host.corpus_create(vec![(name, request)], &Progress::default()).await.unwrap();
    let figures = corpus_metadata(&host, "corpus/english").await.language_statistics;
    assert_eq!((figures.language.as_str(), figures.dialect.as_deref()), ("en", Some("en-GB")));
    assert_eq!((figures.total_documents, figures.total_tokens, figures.unique_sources), (2, 18, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn m13_a_literature_corpus_aggregates_what_its_texts_say() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let all = corpus_metadata(&host, "corpus/all").await;
    assert_eq!(all.literature_data_ids, ["a".to_owned(), "b".to_owned()].into());
    assert_eq!(all.authors, ["Ada".to_owned(), "Bede".to_owned()].into());
    assert_eq!(all.time_periods, ["1801-1900".to_owned(), "701-800".to_owned()].into());
    assert_eq!(all.genres, ["speech".to_owned()].into());
    let missing =
        host.corpus_create(vec![corpus("x", &["nobody"], &[])], &Progress::default()).await.unwrap_err();
    assert!(missing.to_string().contains("literature/nobody"), "{missing}");
    // What a text says of itself reaches the corpora although its words are the same.
    let renamed = literature(
        "a",
        "Augusta Ada King",
        1843,
        "The engine weaves algebraic patterns. The engine computes.",
    );
    assert!(host.save(renamed).await.unwrap().is_new);
    host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    assert!(corpus_metadata(&host, "corpus/all").await.authors.contains("Augusta Ada King"));
}

#[tokio::test(flavor = "multi_thread")]
async fn m14_a_semantic_index_is_pinned_and_its_timings_are_not_content() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let version = host.resolve(&key("semantic/all"), &Selector::Latest).await.unwrap();
    let TypedMetadata::Semantic(index) = &version.metadata.typed else { panic!("{:?}", version.metadata) };
    assert_eq!((index.corpus_id.as_str(), index.corpus_version.as_str()), ("all", "1.0.0"));
    assert_eq!((index.embedding_dimension, index.index_type.as_str()), (256, "flat"));
    assert_eq!(index.quantization, "int8");
    assert!(index.memory_usage_mb > 0.0);
    let document = host.document(&version).await.unwrap();
    assert!(document.metadata["build_time_seconds"].as_f64().unwrap() > 0.0);
    let fields = serde_json::to_value(&version.metadata).unwrap();
    assert!(fields["typed"].get("build_time_seconds").is_none(), "timings would make equal builds differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn m15_a_component_derives_the_statistics_of_a_text() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    host.save(text("t", "The cat sat. The cat ran away!")).await.unwrap();
    let TypedMetadata::Literature(literature) = typed(&host, "literature/t").await else {
        panic!("literature")
    };
    let statistics = literature.statistics.unwrap();
    assert_eq!((statistics.word_count, statistics.unique_words, statistics.sentence_count), (7, 5, 2));
    assert_eq!(statistics.readability_formula, "flesch-reading-ease");
    assert!(statistics.readability_score.unwrap() > 80.0);
    assert_eq!((literature.title.as_str(), literature.text_size_bytes), ("t", 30));
    assert_eq!(literature.text_hash, Some(floret_model::Digest::of(b"The cat sat. The cat ran away!")));
}

#[tokio::test(flavor = "multi_thread")]
async fn m16_a_trie_names_its_corpora_and_its_figures() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let TypedMetadata::Trie(trie) = typed(&host, "trie/all").await else { panic!("a trie") };
    assert_eq!((trie.corpus_ids, trie.word_count, trie.supports_fuzzy), (vec!["all".to_owned()], 13, true));
    assert!(trie.node_count > 13 && trie.max_depth >= 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn m18_the_default_policy_decides_and_its_choice_is_recorded() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let choice = async |name: &str, content: String, custom: &[(&str, bool)]| {
        let mut metadata = Metadata::default();
        metadata.custom.extend(custom.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
        let request = SaveRequest { metadata, ..SaveRequest::new(key(name), Content::Bytes(content.into())) };
        let version = host.save(request).await.unwrap().version;
        let policy = version.policy.as_ref().unwrap();
        assert!(policy.policy.starts_with("policy-default@") && !policy.reason.is_empty());
        version.content_location.compression.to_string()
    };
    assert_eq!(choice("literature/small", "few words".to_owned(), &[]).await, "none");
    assert_eq!(choice("literature/large", "many words. ".repeat(500), &[]).await, "zstd");
    assert_eq!(choice("literature/live", "many words! ".repeat(500), &[("real_time", true)]).await, "lz4");
    assert_eq!(choice("dictionary/d", "never, says the promise. ".repeat(500), &[]).await, "none");
}
