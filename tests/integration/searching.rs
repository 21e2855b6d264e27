//! Composite search.

use floret_model::{Seq, TypedMetadata};
use floret_pipeline::{Progress, Selector};
use floret_runtime::Query;
use floret_tests::{Setup, key, open, save_text, small_world};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn m17_all_parts_are_pinned_by_one_publish_and_answer_together() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let answer = host.search(&key("search/all"), &Query::Exact("engine".to_owned()), 5).await.unwrap();
    assert_eq!((answer.hits[0].word.as_str(), answer.hits[0].frequency), ("engine", 2));
    let fuzzy = Query::Fuzzy { text: "sparow".to_owned(), distance: 1 };
    let answer = host.search(&key("search/all"), &fuzzy, 5).await.unwrap();
    assert_eq!((answer.hits[0].word.as_str(), answer.hits[0].distance), ("sparrow", Some(1)));
    let answer = host.search(&key("search/all"), &Query::Semantic("algebra".to_owned()), 3).await.unwrap();
    assert_eq!(answer.hits[0].word, "algebraic");
    let search = host.resolve(&key("search/all"), &Selector::Latest).await.unwrap();
    let TypedMetadata::Search(pins) = &search.metadata.typed else { panic!("{:?}", search.metadata) };
    assert_eq!(pins.component_versions.len(), 3);
    assert_eq!((pins.corpus_id.as_str(), pins.trie_index_id.as_deref()), ("all", Some("all")));
    assert_eq!(pins.supported_languages, ["en".to_owned()].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn m17_old_pins_answer_as_they_did() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    save_text(&host, "a", "The analytical machine").await.unwrap();
    let exact = |word: &str| Query::Exact(word.to_owned());
    let held = host.search(&key("search/all"), &exact("engine"), 5).await.unwrap();
    assert_eq!(held.hits.len(), 1, "nothing changes before the cascade");
    host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    assert!(host.search(&key("search/all"), &exact("engine"), 5).await.unwrap().hits.is_empty());
    assert_eq!(host.search(&key("search/all"), &exact("machine"), 5).await.unwrap().hits.len(), 1);
    let old = host.resolve(&key("search/all"), &Selector::Seq(Seq(1))).await.unwrap();
    assert!(old.dependencies.iter().all(|dependency| dependency.on.seq == Seq(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn m17_what_cannot_be_searched_says_so() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let ask = async |name: &str, limit| {
        host.search(&key(name), &Query::Exact("x".to_owned()), limit).await.unwrap_err().to_string()
    };
    assert!(ask("corpus/all", 5).await.contains("cannot be searched"));
    assert!(ask("search/all", 0).await.contains("1 to 10000"));
    assert!(ask("search/none", 5).await.contains("search/none"));
    let prefix = host.search(&key("semantic/all"), &Query::Prefix("en".to_owned()), 5).await.unwrap_err();
    assert!(prefix.to_string().contains("no part"), "{prefix}");
}
