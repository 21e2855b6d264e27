//! The corpus tree.

use floret_model::{Fate, Seq};
use floret_pipeline::{Error, Floret, Freshness, Options, Progress, Selector};
use floret_tests::{Setup, corpus, key, open, save_text, text};
use tempfile::TempDir;

async fn content(host: &Floret, name: &str) -> String {
    let snapshot = host.get(&key(name), &Selector::Latest, Freshness::Cached).await.unwrap();
    String::from_utf8(snapshot.content.to_vec()).unwrap()
}

async fn seq(host: &Floret, name: &str) -> Seq {
    host.resolve(&key(name), &Selector::Latest).await.unwrap().seq
}

/// Texts a, b, c in corpora of their names; ab over a and b; all over ab and c.
async fn family(host: &Floret) {
    for (id, content) in [("a", "apple pear"), ("b", "pear plum"), ("c", "cherry plum plum")] {
        save_text(host, id, content).await.unwrap();
    }
    let corpora = vec![
        corpus("all", &[], &["ab", "c"]),
        corpus("ab", &[], &["a", "b"]),
        corpus("a", &["a"], &[]),
        corpus("b", &["b"], &[]),
        corpus("c", &["c"], &[]),
    ];
    host.corpus_create(corpora, &Progress::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_a_tree_is_created_in_one_commit_whatever_the_order() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    family(&host).await;
    let mut publishes = Vec::new();
    for name in ["a", "b", "c", "ab", "all"] {
        let version = host.resolve(&key(&format!("corpus/{name}")), &Selector::Latest).await.unwrap();
        publishes.push(version.publish_id.clone());
    }
    publishes.dedup();
    assert_eq!(publishes.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn t2_a_master_knows_its_children_and_t3_a_child_its_parents() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    family(&host).await;
    let document = async |name: &str| {
        let version = host.resolve(&key(name), &Selector::Latest).await.unwrap();
        host.document(&version).await.unwrap().metadata
    };
    let master = document("corpus/ab").await;
    assert_eq!(master["child_corpus_ids"], serde_json::json!(["a", "b"]));
    assert_eq!(master["is_master"], true);
    assert_eq!(master["parent_corpus_id"], "all");
    let leaf = document("corpus/a").await;
    assert_eq!((&leaf["is_master"], &leaf["parent_corpus_id"]), (&false.into(), &"ab".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_a_shared_child_knows_all_its_parents() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    family(&host).await;
    host.corpus_create(vec![corpus("other", &[], &["a", "c"])], &Progress::default()).await.unwrap();
    assert_eq!(host.corpus_parents(&key("corpus/a")).await.unwrap(), [key("corpus/ab"), key("corpus/other")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_vocabulary_is_the_union_and_counts_are_summed() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    family(&host).await;
    assert_eq!(content(&host, "corpus/ab").await, "apple\t1\npear\t2\nplum\t1\n");
    assert_eq!(content(&host, "corpus/all").await, "apple\t1\ncherry\t1\npear\t2\nplum\t3\n");
    let error = host
        .corpus_create(vec![corpus("bad", &[], &["a", "nobody"])], &Progress::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("corpus/nobody"), "{error}");
    assert!(matches!(
        host.get(&key("corpus/bad"), &Selector::Latest, Freshness::Strong).await,
        Err(Error::NotFound { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_updating_a_master_keeps_its_children_and_an_unchanged_one_dedupes() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    family(&host).await;
    save_text(&host, "a", "apple apricot").await.unwrap();
    host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    let tree = host.corpus_tree(&key("corpus/all"), &Selector::Latest).await.unwrap();
    assert_eq!(tree.children.len(), 2);
    assert_eq!(seq(&host, "corpus/all").await, Seq(2));
    let again =
        host.corpus_create(vec![corpus("all", &[], &["ab", "c"])], &Progress::default()).await.unwrap();
    assert_eq!(again.steps[0].fate, Fate::CutOff);
    assert_eq!(seq(&host, "corpus/all").await, Seq(2), "nothing in a master's content comes from a clock");
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_adding_a_child_makes_a_new_version_once() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    family(&host).await;
    let add =
        async || host.corpus_add(&key("corpus/ab"), &[], &[key("corpus/c")], &Progress::default()).await;
    add().await.unwrap();
    assert_eq!(seq(&host, "corpus/ab").await, Seq(2));
    assert_eq!(content(&host, "corpus/ab").await, "apple\t1\ncherry\t1\npear\t2\nplum\t3\n");
    add().await.unwrap();
    assert_eq!(seq(&host, "corpus/ab").await, Seq(2), "adding again changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_duplicates_and_cycles_are_refused() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    family(&host).await;
    let create = async |id, children: &[&str]| {
        host.corpus_create(vec![corpus(id, &[], children)], &Progress::default())
            .await
            .unwrap_err()
            .to_string()
    };
    assert!(create("new", &["a", "a"]).await.contains("named twice"));
    assert!(create("new", &["new"]).await.contains("its own child"));
    let cycle = create("a", &["all"]).await;
    assert!(cycle.contains("depend on itself"), "{cycle}");
    let add = host.corpus_add(&key("corpus/a"), &[], &[key("corpus/ab")], &Progress::default()).await;
    assert!(add.unwrap_err().to_string().contains("depend on itself"));
    assert_eq!(seq(&host, "corpus/a").await, Seq(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn t7_the_tree_is_read_as_of_a_past_version() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    family(&host).await;
    save_text(&host, "a", "avocado").await.unwrap();
    host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    let read = async |selector| {
        let tree = host.corpus_tree(&key("corpus/all"), &selector).await.unwrap();
        let leaf = &tree.children[0].children[0];
        (leaf.version.to_string(), leaf.documents[0].to_string(), leaf.vocabulary_size)
    };
    let expected = |leaf: &str, text: &str, size| (leaf.to_owned(), text.to_owned(), size);
    assert_eq!(read(Selector::Latest).await, expected("corpus/a@2", "literature/a@2", 1));
    assert_eq!(read(Selector::Seq(Seq(1))).await, expected("corpus/a@1", "literature/a@1", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn t8_grandparents_follow_and_a_shared_child_counts_once_in_each_master() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    family(&host).await;
    host.corpus_create(vec![corpus("other", &[], &["a", "c"])], &Progress::default()).await.unwrap();
    save_text(&host, "a", "apple mango").await.unwrap();
    let report = host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    let keys: Vec<String> = report.steps.iter().map(|step| step.key.to_string()).collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
    for master in ["corpus/ab", "corpus/all", "corpus/other"] {
        assert!(content(&host, master).await.contains("mango\t1\n"), "{master}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_one_changed_child_of_many_costs_its_path_in_the_merge_tree() {
    let folder = TempDir::new().unwrap();
    let options = Options { merge_fan_in: 4, ..Options::default() };
    let host = open(folder.path(), Setup { options, ..Setup::default() }).await.unwrap();
    let ids: Vec<String> = (0..64).map(|n| format!("c{n:02}")).collect();
    let saves = ids.iter().map(|id| text(id, &format!("common word{id}"))).collect();
    host.save_batch(saves).await.unwrap();
    let mut corpora: Vec<_> = ids.iter().map(|id| corpus(id, &[id], &[])).collect();
    let children: Vec<&str> = ids.iter().map(String::as_str).collect();
    corpora.push(corpus("all", &[], &children));
    host.corpus_create(corpora, &Progress::default()).await.unwrap();
    let memos = async || host.catalog().statistics().await.unwrap().memos;
    let before = memos().await;
    save_text(&host, "c17", "common changed").await.unwrap();
    host.cascade(&[key("literature/c17")], &Progress::default()).await.unwrap();
    // One corpus, then log4(64) = 3 merges, the last of them remembered also as the master as a whole.
    assert_eq!(memos().await - before, 1 + 3 + 1);
}
