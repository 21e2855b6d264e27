//! Guests that do what they must not: each ends in one clear error, near its bound, and the host goes on.

use std::time::{Duration, Instant};

use floret_runtime::{Component, Error, LimitKind, Limits, PolicyProfile, TrapKind};

use crate::guests::{corpus, deed, load, policy_choosing, policy_describing, runtime, small_limits, text};

fn check_limit(error: &Error, expected: LimitKind) {
    match error {
        Error::Limit { which, at, .. } => {
            assert_eq!(*which, expected, "{error}");
            assert!(!at.component.is_empty());
        }
        other => panic!("{other} is no limit"),
    }
    assert!(!error.is_deterministic());
    let text = error.to_string();
    assert!(text.contains(expected.name()) && text.contains("raise the limit"), "{text}");
}

#[tokio::test]
async fn one_that_loops_is_stopped_near_its_deadline() {
    let limits = Limits { call_timeout: Duration::from_millis(200), ..small_limits() };
    let guest = load(limits, "misbehave").await;
    let started = Instant::now();
    let error = guest.build_corpus(vec![text("x")], r#"{"mode":"loop"}"#).await.expect_err("it loops");
    let took = started.elapsed();
    check_limit(&error, LimitKind::CallTime);
    // One tick late at best; the rest is room for a loaded machine.
    assert!((200..1_200).contains(&took.as_millis()), "{took:?}");
    let text = error.to_string();
    let expected =
        "misbehave@0.1.0 (floret:corpus@0.1.0) in build: stopped at the limit call_timeout = 200 ms";
    assert!(text.starts_with(expected), "{text}");
}

/// Without a loop and without a call, the clock is looked at within the instructions or not at all.
#[tokio::test]
async fn one_that_fills_memory_in_few_instructions_is_stopped_within_them() {
    let fill = "(memory.fill (i32.const 2048) (i32.const 1) (i32.const 1048576000))";
    let body = format!("(drop (memory.grow (i32.const 16000))) {} i32.const 256", fill.repeat(60));
    let limits = Limits { query_timeout: Duration::from_millis(300), ..Limits::default() };
    let guest = runtime(limits).load(policy_choosing("", &body)).await.expect("a policy");
    let profile = PolicyProfile {
        size_bytes: 1,
        namespace: "n".into(),
        resource_type: "t".into(),
        media_type: "text/plain".into(),
        items: None,
        flags: Vec::new(),
        entropy_bits_per_byte: 4.5,
    };
    let error = guest.choose(&[profile], "{}").await.expect_err("sixty times 1,000 MiB take seconds");
    check_limit(&error, LimitKind::QueryTime);
}

#[tokio::test]
async fn one_that_takes_memory_without_end_is_stopped() {
    check_limit(&deed(small_limits(), "allocate").await, LimitKind::Memory);
}

#[tokio::test]
async fn one_that_writes_without_end_is_stopped() {
    check_limit(&deed(small_limits(), "write").await, LimitKind::OutputBytes);
}

#[tokio::test]
async fn one_that_hands_over_too_much_at_once_is_stopped() {
    let limits = Limits { call_bytes_max: 1 << 20, ..small_limits() };
    check_limit(&deed(limits, "log-long").await, LimitKind::CallBytes);
}

#[tokio::test]
async fn one_with_too_many_inputs_is_refused() {
    let limits = Limits { inputs_max: 2, ..small_limits() };
    let guest = load(limits, "misbehave").await;
    let error = guest.build_corpus(vec![text("x"); 3], "{}").await.expect_err("three inputs");
    check_limit(&error, LimitKind::Inputs);
    assert!(guest.build_corpus(vec![text("x"); 2], "{}").await.is_ok());
}

#[tokio::test]
async fn many_inputs_fit_when_the_bound_does() {
    let guest = load(Limits::default(), "corpus-text").await;
    let built = guest.build_corpus(vec![text("x"); 65_536], "{}").await.expect("a corpus");
    assert_eq!(built.statistics.total_tokens, 65_536);
}

#[tokio::test]
async fn tables_and_core_instances_are_bounded() {
    let grows = policy_describing(
        "(table $t 1 funcref)",
        "(drop (table.grow $t (ref.null func) (i32.const 200000))) i32.const 0",
    );
    let limits = Limits { table_elements_max: 100, ..small_limits() };
    let error = runtime(limits).load(grows.clone()).await.err().expect("a table too large");
    check_limit(&error, LimitKind::TableElements);
    let limits = Limits { core_instances_max: 1, ..small_limits() };
    let error = runtime(limits).load(crate::guests::dist("misbehave")).await.err().expect("instances");
    check_limit(&error, LimitKind::CoreInstances);
}

#[tokio::test]
async fn growing_beyond_its_own_bound_is_told_to_the_guest() {
    let grows = policy_describing(
        "(table $t 1 10 funcref)",
        "(if (i32.ne (table.grow $t (ref.null func) (i32.const 20)) (i32.const -1)) (then unreachable)) i32.const 0",
    );
    assert!(runtime(small_limits()).load(grows).await.is_ok());
}

#[tokio::test]
async fn a_memory_beyond_the_limit_is_stopped_and_one_beyond_its_kind_is_told() {
    let grows =
        |pages: u32| policy_describing("", &format!("(drop (memory.grow (i32.const {pages}))) i32.const 0"));
    let error = runtime(small_limits()).load(grows(512)).await.err().expect("512 pages and one");
    check_limit(&error, LimitKind::Memory);
    assert!(runtime(small_limits()).load(grows(511)).await.is_ok());
    // 65,536 pages and one are more than 32 bits address: so everywhere, and no limit of ours.
    assert!(runtime(small_limits()).load(grows(65_536)).await.is_ok());
}

#[tokio::test]
async fn traps_tell_their_kind_and_where() {
    let error = deed(small_limits(), "trap").await;
    let Error::Trap { kind, traces, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*kind, TrapKind::Unreachable);
    assert!(!traces.backtrace.is_empty(), "no backtrace");
    assert!(!error.is_deterministic());
    let error = deed(small_limits(), "recurse").await;
    assert!(matches!(&error, Error::Trap { kind: TrapKind::StackOverflow, .. }), "{error}");
}

#[tokio::test]
async fn a_panics_text_is_in_the_error() {
    let text = deed(small_limits(), "panic").await.to_string();
    assert!(text.contains("panicked at") && text.contains("misbehaving as asked"), "{text}");
}

#[tokio::test]
async fn what_the_guest_says_is_told_apart() {
    let check = async |mode: &str, expected: &str| {
        let error = deed(small_limits(), mode).await;
        assert!(error.is_deterministic(), "{error}");
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(text.len() < 4_300, "{} bytes", text.len());
    };
    check("invalid-input", "in build: invalid input: document 0 is refused as asked").await;
    check("invalid-config", "invalid configuration: mode is refused").await;
    check("unsupported", "unsupported: not done").await;
    check("failed", "failed: failed failed").await;
}

#[tokio::test]
async fn malformed_corpora_are_refused_by_line() {
    let check = async |mode: &str, expected: &str| {
        let error = deed(small_limits(), mode).await;
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check("unsorted", "the output is no corpus: line 2: \"a\" follows \"b\"").await;
    check("duplicate", "line 2: \"a\" stands twice").await;
    check("malformed", "line 1: no tab in \"a 1\"").await;
    check("not-utf8", "line 1: byte 1 is not UTF-8").await;
    check("wrong-statistics", "it says 7 words and 7 tokens, but wrote 2 and 3").await;
    check("nothing", "it says 2 words and 3 tokens, but wrote 0 and 0").await;
}

#[tokio::test]
async fn merge_and_analyze_are_bounded_and_checked_too() {
    let guest = load(small_limits(), "misbehave").await;
    let merge = async |mode: &str| {
        guest.merge_corpora(vec![corpus(&format!("!mode={mode}\t1\n"))]).await.expect_err("it misbehaves")
    };
    check_limit(&merge("write").await, LimitKind::OutputBytes);
    let error = merge("unsorted").await;
    assert!(error.to_string().contains("in merge: malformed answer"), "{error}");
    let error = guest.analyze(text("x"), "{}").await.expect_err("a score that is NaN");
    assert!(error.to_string().contains("in analyze: malformed answer: readability_score"), "{error}");
    let error = guest.analyze(text("x"), r#"{"mode":"trap"}"#).await.expect_err("a trap");
    assert!(matches!(error, Error::Trap { .. }), "{error}");
}

#[tokio::test]
async fn a_flood_of_log_lines_is_dropped_and_counted() {
    let guest = load(small_limits(), "misbehave").await;
    for mode in ["log-flood", "log-long"] {
        let built = guest.build_corpus(vec![text("x")], &format!(r#"{{"mode":"{mode}"}}"#)).await;
        assert_eq!(built.expect("only noisy").bytes.as_ref(), b"a\t1\nb\t2\n");
    }
}

#[tokio::test]
async fn a_component_serves_on_after_it_was_stopped() {
    let guest = load(small_limits(), "misbehave").await;
    for mode in ["trap", "allocate", "recurse", "unsorted"] {
        let config = format!(r#"{{"mode":"{mode}"}}"#);
        assert!(guest.build_corpus(vec![text("x")], &config).await.is_err());
        assert!(serves(&guest).await);
    }
}

async fn serves(guest: &Component) -> bool {
    guest.build_corpus(vec![text("x")], "{}").await.is_ok_and(|built| built.statistics.total_tokens == 3)
}
