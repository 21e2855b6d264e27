//! Saving and reading versions.

use std::sync::Arc;
use std::time::Duration;

use floret_model::{Bump, Metadata, Seq, StorageType};
use floret_pipeline::{Content, Error, Freshness, IfLatest, SaveRequest, Selector};
use floret_store::{ListQuery, ManualClock, VerifyOptions};
use floret_tests::{Setup, key, open, save_text, text};
use futures::future::try_join_all;
use tempfile::TempDir;

fn raw(id: &str, content: &[u8]) -> SaveRequest {
    SaveRequest::new(key(&format!("dictionary/{id}")), Content::Bytes(content.to_vec().into()))
}

#[tokio::test(flavor = "multi_thread")]
async fn v1_json_is_saved_in_its_canonical_form() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let save = async |content: &str| {
        let json = serde_json::from_str(content).unwrap();
        host.save(SaveRequest::new(key("dictionary/cat"), Content::Json(json))).await.unwrap()
    };
    assert!(save(r#"{"b": 1.0, "a": 2}"#).await.is_new);
    assert!(!save(r#"{"a": 2, "b": 1}"#).await.is_new);
    let snapshot = host.get(&key("dictionary/cat"), &Selector::Latest, Freshness::Strong).await.unwrap();
    assert_eq!(snapshot.content, r#"{"a":2,"b":1}"#.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_saving_what_equals_the_latest_returns_it_and_a_b_a_makes_three_versions() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let (one, two) = ("a long text. ".repeat(1000), "another long text. ".repeat(1000));
    for (content, is_new, seq) in
        [(&one, true, 1), (&one, false, 1), (&two, true, 2), (&one, true, 3), (&one, false, 3)]
    {
        let saved = save_text(&host, "t", content).await.unwrap();
        assert_eq!((saved.is_new, saved.version.seq), (is_new, Seq(seq)));
    }
    assert_eq!(
        host.get(&key("literature/t"), &Selector::Latest, Freshness::Cached).await.unwrap().content,
        one.as_bytes()
    );
    let log = host.log(&key("literature/t"), None, 10).await.unwrap();
    assert_eq!(log[0].content_location.path, log[2].content_location.path);
    assert_ne!(log[0].content_location.path, log[1].content_location.path);
    let tagged = SaveRequest { tags: ["keep".to_owned()].into(), ..text("t", &one) };
    assert!(host.save(tagged).await.unwrap().is_new, "other metadata is another version");
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_sixty_four_tasks_on_one_resource_leave_no_gap_and_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let writers = (0..64).map(|writer| {
        let host = Arc::clone(&host);
        tokio::spawn(async move {
            let mut seqs = Vec::new();
            for round in 0..4 {
                let saved = host.save(raw("one", format!("{writer} {round}").as_bytes())).await.unwrap();
                assert!(saved.is_new);
                seqs.push((saved.version.seq.0, format!("{writer} {round}")));
            }
            seqs
        })
    });
    let mut seqs: Vec<_> = try_join_all(writers).await.unwrap().into_iter().flatten().collect();
    seqs.sort();
    assert_eq!(seqs.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), (1..=256).collect::<Vec<_>>());
    for (seq, content) in &seqs {
        let snapshot =
            host.get(&key("dictionary/one"), &Selector::Seq(Seq(*seq)), Freshness::Strong).await.unwrap();
        assert_eq!(snapshot.content, content.as_bytes());
    }
    let latest = host.get(&key("dictionary/one"), &Selector::Latest, Freshness::Cached).await.unwrap();
    assert_eq!((latest.version.seq, &latest.content[..]), (Seq(256), seqs[255].1.as_bytes()));
    assert!(host.verify(VerifyOptions::default()).await.unwrap().problems.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_a_stale_precondition_is_a_conflict() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let save = async |content: &str, if_latest| {
        host.save(SaveRequest { if_latest: Some(if_latest), ..raw("x", content.as_bytes()) }).await
    };
    save("1", IfLatest::Absent).await.unwrap();
    save("2", IfLatest::Seq(Seq(1))).await.unwrap();
    for stale in [IfLatest::Absent, IfLatest::Seq(Seq(1)), IfLatest::Seq(Seq(3))] {
        let error = save("3", stale).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
        assert!(error.to_string().contains("found @2"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v4_one_id_in_two_namespaces_names_two_resources() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let other = key("other:dictionary/x");
    host.save(raw("x", b"here")).await.unwrap();
    host.save(SaveRequest::new(other.clone(), Content::Bytes("there".into()))).await.unwrap();
    let read =
        async |key| host.get(&key, &Selector::Latest, Freshness::Cached).await.unwrap().content.clone();
    assert_eq!(read(key("dictionary/x")).await, "here".as_bytes());
    assert_eq!(read(other).await, "there".as_bytes());
    let error = host
        .save(SaveRequest::new(key("nowhere:dictionary/x"), Content::Bytes("?".into())))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::UnknownNamespace { .. }), "{error}");
    assert!(error.to_string().contains("default, other, plugins"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn m5_the_caller_chooses_which_part_of_the_version_grows() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let mut seen = Vec::new();
    for (content, bump) in [("1", Bump::Major), ("2", Bump::Patch), ("3", Bump::Minor), ("4", Bump::Major)] {
        let saved = host.save(SaveRequest { bump, ..raw("x", content.as_bytes()) }).await.unwrap();
        seen.push(saved.version.version.to_string());
    }
    assert_eq!(seen, ["1.0.0", "1.0.1", "1.1.0", "2.0.0"]);
    let selector: Selector = "1.1.0".parse().unwrap();
    let snapshot = host.get(&key("dictionary/x"), &selector, Freshness::Cached).await.unwrap();
    assert_eq!(snapshot.content, "3".as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn v6_a_save_is_in_the_cache_and_never_stale() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    for round in 0..20 {
        let content = format!("round {round}");
        host.save(raw("x", content.as_bytes())).await.unwrap();
        let hits = || host.cache().stats().namespaces["default"].memory_hits;
        let before = hits();
        let read = host.get(&key("dictionary/x"), &Selector::Latest, Freshness::Cached).await.unwrap();
        assert_eq!(read.content, content.as_bytes());
        assert_eq!(hits(), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v7_snapshots_do_not_change_and_the_cache_can_be_passed_by() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    host.save(raw("x", b"first")).await.unwrap();
    let before = host.get(&key("dictionary/x"), &Selector::Latest, Freshness::Cached).await.unwrap();
    host.save(raw("x", b"second")).await.unwrap();
    assert_eq!(before.content, "first".as_bytes());
    for freshness in [Freshness::Cached, Freshness::Strong] {
        let now = host.get(&key("dictionary/x"), &Selector::Latest, freshness).await.unwrap();
        assert_eq!(now.content, "second".as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v8_large_content_is_a_blob_named_by_its_digest() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let small = save_text(&host, "small", "few words").await.unwrap();
    assert_eq!(small.version.content_location.storage_type, StorageType::Database);
    let large = save_text(&host, "large", &"many words. ".repeat(1000)).await.unwrap();
    let location = &large.version.content_location;
    assert_eq!(location.storage_type, StorageType::Disk);
    let path = location.path.as_ref().unwrap();
    assert!(path.contains(&large.version.data_hash.to_string()), "{path}");
    assert!(folder.path().join("blobs").join(path).exists());
    assert!(location.size_compressed < location.size_bytes, "the default policy compresses a large text");
}

#[tokio::test(flavor = "multi_thread")]
async fn v9_a_time_to_live_hides_at_once() {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(floret_model::TimestampMs(1_800_000_000_000)));
    let host = open(folder.path(), Setup { clock: clock.clone(), ..Setup::default() }).await.unwrap();
    host.save(SaveRequest { ttl_ms: Some(1000), ..raw("x", b"soon gone") }).await.unwrap();
    clock.advance_ms(999);
    host.get(&key("dictionary/x"), &Selector::Latest, Freshness::Cached).await.unwrap();
    clock.advance_ms(1);
    let error = host.get(&key("dictionary/x"), &Selector::Latest, Freshness::Cached).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let again = host.save(raw("x", b"soon gone")).await.unwrap();
    assert_eq!((again.is_new, again.version.seq), (true, Seq(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn v9_a_page_of_a_list_is_whole_though_some_have_expired() {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(floret_model::TimestampMs(1_800_000_000_000)));
    let host = open(folder.path(), Setup { clock: clock.clone(), ..Setup::default() }).await.unwrap();
    for (id, ttl_ms) in
        [("a", Some(1)), ("b", None), ("c", Some(1)), ("d", Some(1)), ("e", None), ("f", None)]
    {
        host.save(SaveRequest { ttl_ms, ..raw(id, b"text") }).await.unwrap();
    }
    clock.advance_ms(1);
    let page = async |after: Option<&str>, limit| {
        let namespace = Some(floret_model::Namespace::default_namespace());
        let query = ListQuery { namespace, after: after.map(key), limit, ..ListQuery::default() };
        let found = host.list(&query).await.unwrap();
        found.iter().map(|version| version.key.resource_id.to_string()).collect::<String>()
    };
    assert_eq!(page(None, 2).await, "be");
    assert_eq!(page(Some("dictionary/e"), 2).await, "f");
    assert_eq!((page(None, 100).await.as_str(), page(None, 0).await.as_str()), ("bef", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn m6_any_bytes_are_content_and_reads_are_counted_without_a_write_each() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    for (id, content) in
        [("empty", vec![]), ("zeros", vec![0; 100]), ("bytes", (0..=255).collect::<Vec<u8>>())]
    {
        host.save(raw(id, &content)).await.unwrap();
        let snapshot =
            host.get(&key(&format!("dictionary/{id}")), &Selector::Latest, Freshness::Strong).await.unwrap();
        assert_eq!(snapshot.content, content);
    }
    for _ in 0..41 {
        host.get(&key("dictionary/bytes"), &Selector::Latest, Freshness::Cached).await.unwrap();
    }
    host.close().await.unwrap();
    drop(host);
    let host = open(folder.path(), Setup::default()).await.unwrap();
    assert_eq!(host.access(&key("dictionary/bytes")).await.unwrap().count, 42);
    let snapshot = host.get(&key("dictionary/bytes"), &Selector::Latest, Freshness::Cached).await.unwrap();
    let document = serde_json::to_value(host.document(&snapshot.version).await.unwrap()).unwrap();
    assert_eq!(document["access_count"], 43);
    for field in
        ["resource_id", "resource_type", "namespace", "version_info", "content_location", "metadata", "tags"]
    {
        assert!(!document[field].is_null(), "{field} in {document}");
    }
    assert_eq!(document["version_info"]["version"], "1.0.0");
    assert_eq!(document["version_info"]["is_latest"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn m9_dictionary_entries_are_inline_and_their_metadata_is_of_their_type() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let entry = r#"{"typed": {"kind": "dictionary", "word": "cat", "provider": "wordnet"}}"#;
    let metadata: Metadata = serde_json::from_str(entry).unwrap();
    let content = "an animal ".repeat(5000);
    let saved = host
        .save(SaveRequest { metadata: metadata.clone(), ..raw("cat", content.as_bytes()) })
        .await
        .unwrap();
    assert_eq!(saved.version.content_location.storage_type, StorageType::Database);
    let error = host.save(SaveRequest { metadata, ..text("cat", "text") }).await.unwrap_err();
    assert!(error.to_string().contains("metadata of a dictionary"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_nobody_waits_for_any_more_leaves_no_older_version_in_the_cache() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    save_text(&host, "a", "the first text").await.unwrap();
    let (key, cached) = (key("literature/a"), Freshness::Cached);
    for polls in 1..60 {
        host.get(&key, &Selector::Latest, cached).await.unwrap();
        let mut saving = Box::pin(host.save(text("a", &format!("text {polls}"))));
        for _ in 0..polls {
            if futures::poll!(saving.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(saving);
        // Commits come one after the other: when this one is there, so is that of the other, if it was begun.
        save_text(&host, "b", &format!("text {polls}")).await.unwrap();
        let committed =
            host.catalog().heads(std::slice::from_ref(&key)).await.unwrap().pop().flatten().unwrap();
        let known = async {
            while host.get(&key, &Selector::Latest, cached).await.unwrap().version.seq != committed.seq {
                tokio::task::yield_now().await;
            }
        };
        let known = tokio::time::timeout(Duration::from_secs(60), known).await;
        known.unwrap_or_else(|_| panic!("after {polls} polls the cache has not {}", committed.reference()));
    }
}
