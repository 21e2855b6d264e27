//! Opened indexes: questions checked, answers checked, broken instances replaced.

use floret_runtime::{Error, Input, LimitKind, Limits, Query, Searcher, TrapKind};
use tokio::task::JoinSet;

use crate::guests::{corpus, load, small_limits};

fn exact(text: &str) -> Query {
    Query::Exact(text.to_owned())
}

async fn misbehaving(index: &str) -> Result<Searcher, Error> {
    let guest = load(small_limits(), "misbehave-index").await;
    guest.open_index(Input::new("index", "application/octet-stream", index.to_owned())).await
}

#[tokio::test]
async fn what_is_no_index_is_the_callers_fault() {
    let error = misbehaving("garbage").await.err().expect("a refusal");
    assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
    assert!(error.to_string().contains("(floret:index@0.2.0) in open: invalid input"), "{error}");
    let error = misbehaving("open-loop").await.err().expect("a loop");
    assert!(matches!(error, Error::Limit { which: LimitKind::QueryTime, .. }), "{error}");
    let error = misbehaving("open-trap").await.err().expect("a trap");
    assert!(matches!(error, Error::Trap { kind: TrapKind::Unreachable, .. }), "{error}");
}

#[tokio::test]
async fn searches_that_break_are_stopped_and_the_instance_replaced() {
    for (index, expected) in [
        ("search-loop", "in search: stopped at the limit query_timeout = 300 ms"),
        ("search-trap", "in search: trapped"),
        ("search-allocate", "in search: stopped at the limit memory_bytes_max"),
    ] {
        let searcher = misbehaving(index).await.expect("it opens");
        assert_eq!(searcher.idle_instances(), 1);
        for _ in 0..2 {
            let error = searcher.search(exact("a"), 10).await.expect_err(index);
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(searcher.idle_instances(), 0, "{index}: a broken instance was kept");
        }
    }
}

#[tokio::test]
async fn answers_are_checked() {
    let check = async |index: &str, expected: &str| {
        let searcher = misbehaving(index).await.expect("it opens");
        let error = searcher.search(exact("a"), 10).await.expect_err(index);
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check("search-too-many", "11 hits, but at most 10 were asked for").await;
    check("search-nan", "the score of \"a\" is NaN").await;
    let guest = load(small_limits(), "misbehave-index").await;
    let error = guest.build_index(vec![corpus("a\t1\n")], r#"{"mode":"wrong-statistics"}"#).await;
    assert!(error.expect_err("NaN").to_string().contains("\"word_count\" stands twice"));
}

#[tokio::test]
async fn questions_are_checked_before_they_are_asked() {
    let searcher = misbehaving("ok").await.expect("it opens");
    let check = async |query: Query, limit: u32, expected: &str| {
        let error = searcher.search(query, limit).await.expect_err(expected);
        assert!(error.is_caller_fault(), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(exact("a"), 0, "the limit is 0: expected 1 to 10000").await;
    check(exact("a"), 10_001, "the limit is 10001").await;
    check(exact(&"x".repeat(1_025)), 1, "the text has 1025 bytes").await;
    check(Query::Prefix("a".into()), 1, "it does not search by prefix, only by exact").await;
    assert_eq!(searcher.search(exact("a"), 1).await.expect("an answer")[0].word, "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_are_made_on_demand_up_to_the_bound() {
    let limits = Limits { searchers_max: 2, ..Limits::default() };
    let trie = load(limits, "trie-fst").await;
    let lines: String = (0..20_000).map(|n| format!("w{n:05}\t{}\n", 1 + n % 7)).collect();
    let built = trie.build_index(vec![corpus(&lines)], "{}").await.expect("a trie");
    let index = Input::new("index", &trie.description().output_media_type, built.bytes);
    let searcher = trie.open_index(index).await.expect("it opens");
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let searcher = searcher.clone();
        tasks.spawn(async move {
            for n in 0..50 {
                let word = format!("w{:05}", (task * 2_000 + n * 7) % 20_000);
                let hits = searcher.search(exact(&word), 5).await.expect("an answer");
                assert_eq!(hits[0].word, word);
                let text = word[..5].to_owned();
                let query = Query::Fuzzy { text, distance: 2 };
                assert_eq!(searcher.search(query, 20).await.expect("an answer").len(), 20);
            }
        });
    }
    tasks.join_all().await;
    assert!((1..=2).contains(&searcher.idle_instances()), "{}", searcher.idle_instances());
}
