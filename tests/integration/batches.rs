//! Batches and several operations as one.

use std::sync::Arc;

use floret_model::Seq;
use floret_pipeline::{Change, Content, Error, Freshness, IfLatest, Progress, SaveRequest, Selector};
use floret_store::ListQuery;
use floret_tests::{Setup, corpus, derived, key, open, text};
use tempfile::TempDir;

fn entry(id: &str, content: &str) -> SaveRequest {
    SaveRequest::new(key(&format!("dictionary/{id}")), Content::Bytes(content.to_owned().into()))
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_a_batch_is_all_or_nothing() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    host.save(entry("taken", "first")).await.unwrap();
    let stale = SaveRequest { if_latest: Some(IfLatest::Absent), ..entry("taken", "second") };
    let mut batch: Vec<SaveRequest> = (0..50).map(|n| entry(&format!("new {n}"), "content")).collect();
    batch.push(stale);
    let error = host.save_batch(batch.clone()).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    let query = ListQuery { namespace: Some("default".parse().unwrap()), limit: 100, ..ListQuery::default() };
    assert_eq!(host.list(&query).await.unwrap().len(), 1);
    batch.pop();
    let saved = host.save_batch(batch).await.unwrap();
    assert!(saved.iter().all(|saved| saved.is_new));
    assert!(saved.iter().all(|one| one.version.publish_id == saved[0].version.publish_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn b3_a_batch_that_is_not_atomic_gives_a_result_for_each_item() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let unknown = SaveRequest::new(key("melody/x"), Content::Bytes("?".into()));
    let results = host.save_each(vec![entry("a", "1"), unknown, entry("b", "2")], 2).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    let error = results[1].as_ref().unwrap_err();
    assert!(matches!(error, Error::UnknownType { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_saves_and_builds_are_published_once() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let (name, request) = corpus("c", &["t"], &[]);
    let inputs = request.documents.clone();
    let change = Change {
        saves: vec![text("t", "one two two")],
        builds: vec![
            derived("corpus/c", "document", &["literature/t"]),
            derived("trie/c", "corpus", &["corpus/c"]),
        ],
        ..Change::default()
    };
    assert_eq!(inputs, [key("literature/t")]);
    let report = host.apply(change, &Progress::default()).await.unwrap();
    assert!(report.published);
    let mut publishes = Vec::new();
    for key in [key("literature/t"), name, key("trie/c")] {
        publishes.push(host.resolve(&key, &Selector::Latest).await.unwrap().publish_id.clone());
    }
    publishes.dedup();
    assert_eq!(publishes, [report.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn b4_a_change_that_fails_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let change = Change {
        saves: vec![text("t", "one two two")],
        builds: vec![derived("corpus/c", "document", &["literature/missing"])],
        ..Change::default()
    };
    let error = host.apply(change, &Progress::default()).await.unwrap_err();
    assert!(error.to_string().contains("literature/missing"), "{error}");
    let error = host.get(&key("literature/t"), &Selector::Latest, Freshness::Strong).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn v10_saving_with_a_parent_updates_the_parent_in_the_same_commit() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    host.save(text("one", "first words")).await.unwrap();
    host.corpus_create(vec![corpus("c", &["one"], &[])], &Progress::default()).await.unwrap();
    let parent = key("corpus/c");
    let report =
        host.save_with_parent(text("two", "second words"), &parent, &Progress::default()).await.unwrap();
    let text = host.resolve(&key("literature/two"), &Selector::Latest).await.unwrap();
    let corpus = host.get(&parent, &Selector::Latest, Freshness::Cached).await.unwrap();
    assert_eq!((&text.publish_id, &corpus.version.publish_id), (&report.id, &report.id));
    assert_eq!(corpus.version.seq, Seq(2));
    assert_eq!(corpus.content, "first\t1\nsecond\t1\nwords\t2\n".as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn v10_texts_added_to_one_parent_at_once_are_all_kept() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    host.save(text("0", "zero")).await.unwrap();
    host.corpus_create(vec![corpus("c", &["0"], &[])], &Progress::default()).await.unwrap();
    let additions = (1..=8).map(|n| {
        let host = Arc::clone(&host);
        tokio::spawn(async move {
            let save = text(&n.to_string(), &format!("word{n}"));
            host.save_with_parent(save, &key("corpus/c"), &Progress::default()).await.unwrap();
        })
    });
    futures::future::try_join_all(additions).await.unwrap();
    let tree = host.corpus_tree(&key("corpus/c"), &Selector::Latest).await.unwrap();
    assert_eq!((tree.documents.len(), tree.vocabulary_size), (9, 9));
}
