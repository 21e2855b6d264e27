//! `floret-embed`: what a program meets that opens a home in a folder.

use floret_embed::{
    Binding, CorpusRequest, DerivedSpec, Freshness, Home, Limits, Namespace, Options, POLICY_BINDING,
    Progress, Query, SaveRequest, Selector,
};
use floret_tests::key;
use tempfile::TempDir;

fn home(folder: &TempDir) -> Home {
    Home::at(folder.path().join("home")).compiled_dir(floret_tests::compiled_dir())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_is_opened_once_at_a_time_and_stays() {
    let folder = TempDir::new().unwrap();
    let floret = home(&folder).open().await.unwrap();
    let saved = floret.save(SaveRequest::new(key("literature/a"), "a text")).await.unwrap();
    assert!(saved.is_new);
    let error = home(&folder).open().await.unwrap_err();
    assert_eq!(error.code(), "store_in_use", "{error}");
    floret.close().await.unwrap();
    drop(floret);
    let floret = home(&folder).open().await.unwrap();
    let found = floret.get(&key("literature/a"), &Selector::Latest, Freshness::Cached).await.unwrap();
    assert_eq!(found.content, "a text".as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_its_code() {
    let folder = TempDir::new().unwrap();
    let limits = Limits { memory_bytes_max: 0, ..Limits::default() };
    assert_eq!(home(&folder).limits(limits).open().await.unwrap_err().code(), "configuration");
    std::fs::write(folder.path().join("file"), "no folder").unwrap();
    assert_eq!(Home::at(folder.path().join("file")).open().await.unwrap_err().code(), "io");
    let floret = home(&folder).open().await.unwrap();
    let elsewhere = SaveRequest::new(key("work:literature/a"), "a text");
    assert_eq!(floret.save(elsewhere.clone()).await.unwrap_err().code(), "unknown_namespace");
    let built = SaveRequest::new(key("corpus/a"), "a\t1\n");
    assert_eq!(floret.save(built).await.unwrap_err().code(), "invalid_request");
    let missing = floret.get(&key("literature/a"), &Selector::Latest, Freshness::Cached).await.unwrap_err();
    assert_eq!(missing.code(), "not_found");
    let none = floret.plugin_bind(POLICY_BINDING, Binding::new("no-such-policy")).await.unwrap_err();
    assert_eq!(none.code(), "unknown_component");
    drop(floret);
    let work: Namespace = "work".parse().unwrap();
    let floret = home(&folder).namespace(&work).open().await.unwrap();
    assert!(floret.save(elsewhere).await.unwrap().is_new);
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_are_given_as_they_come_and_indexes_built_in_a_few_words() {
    let folder = TempDir::new().unwrap();
    let options = Options { parallel_steps_max: 1, ..Options::default() };
    let floret = home(&folder).options(options).open().await.unwrap();
    let progress = Progress::default();
    for request in [
        SaveRequest::new(key("literature/a"), "one sparrow".to_owned()),
        SaveRequest::new(key("literature/b"), b"two sparrows".to_vec()),
        SaveRequest::new(key("dictionary/c"), serde_json::json!({"word": "sparrow"})),
    ] {
        floret.save(request).await.unwrap();
    }
    let corpus = CorpusRequest::of([key("literature/a"), key("literature/b")]);
    floret.corpus_create(vec![(key("corpus/all"), corpus)], &progress).await.unwrap();
    let builds = vec![
        DerivedSpec::index(key("trie/all"), key("corpus/all")),
        DerivedSpec::search(key("search/all"), [key("corpus/all"), key("trie/all")]),
    ];
    assert_eq!(floret.build_all(builds, &progress).await.unwrap().count("built"), 2);
    let answer = floret.search(&key("search/all"), &Query::Prefix("spar".to_owned()), 9).await.unwrap();
    let words: Vec<_> = answer.hits.iter().map(|hit| hit.word.as_str()).collect();
    assert_eq!(words, ["sparrow", "sparrows"]);
    let bad = DerivedSpec::index(key("trie/all"), key("corpus/all"))
        .with_config([("no_such".to_owned(), true.into())].into_iter().collect());
    let error = floret.build_all(vec![bad], &progress).await.unwrap_err();
    assert_eq!(error.code(), "cascade_failed", "{error}");
}
