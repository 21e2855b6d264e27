//! Many at once: bounded, off the async threads, and cancelled when nobody waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use floret_runtime::{Error, Limits, PolicyProfile};
use tokio::task::JoinSet;

use crate::guests::{dist, load, newer_policy_choosing, policy_choosing, runtime, small_limits, text};

const LOOP: &str = r#"{"mode":"loop"}"#;

/// On one async thread, so that a blocked one would show.
#[tokio::test(flavor = "current_thread")]
async fn builds_wait_their_turn_and_leave_the_async_thread_alone() {
    let call_timeout = Duration::from_millis(150);
    let limits = Limits { call_timeout, instances_max: 3, ..small_limits() };
    let guest = load(limits, "misbehave").await;
    let started = Instant::now();
    let mut builds = JoinSet::new();
    for _ in 0..6 {
        let guest = guest.clone();
        builds.spawn(async move { guest.build_corpus(vec![text("x")], LOOP).await });
    }
    let mut ticks = 0;
    let mut interval = tokio::time::interval(Duration::from_millis(5));
    while !builds.is_empty() {
        tokio::select! {
            Some(ended) = builds.join_next() => {
                assert!(matches!(ended.expect("no panic"), Err(Error::Limit { .. })));
            }
            _ = interval.tick() => ticks += 1,
        }
    }
    // Six that loop for 150 ms, two at once, as the third turn is another component's: three rounds. One round would
    // take 150 ms, six 900.
    assert!(started.elapsed() >= call_timeout * 3, "{:?}", started.elapsed());
    assert!(ticks >= 30, "the async thread was held up: {ticks} ticks");
}

/// On one async thread, so that all that loop have asked for their turns before the other component does.
#[tokio::test(flavor = "current_thread")]
async fn a_component_that_loops_leaves_a_turn_to_others() {
    for instances_max in [2, 3] {
        let limits = Limits { call_timeout: Duration::from_secs(600), instances_max, ..small_limits() };
        let runtime = runtime(limits);
        let endless = runtime.load(dist("misbehave")).await.expect("a component");
        let honest = runtime.load(dist("corpus-text")).await.expect("a component");
        let mut builds = JoinSet::new();
        for _ in 0..6 {
            let endless = endless.clone();
            builds.spawn(async move { endless.build_corpus(vec![text("x")], LOOP).await });
        }
        tokio::task::yield_now().await;
        for _ in 0..3 {
            honest.build_corpus(vec![text("good words")], "{}").await.expect("a corpus");
        }
        assert!(builds.try_join_next().is_none(), "they loop on");
    }
}

#[tokio::test]
async fn a_build_that_nobody_waits_for_is_stopped() {
    let limits = Limits { call_timeout: Duration::from_secs(600), instances_max: 1, ..small_limits() };
    let guest = load(limits, "misbehave").await;
    let left = guest.build_corpus(vec![text("x")], LOOP);
    assert!(tokio::time::timeout(Duration::from_millis(50), left).await.is_err());
    // Its turn comes only when the abandoned one has ended.
    let built = guest.build_corpus(vec![text("x")], "{}");
    assert!(tokio::time::timeout(Duration::from_secs(10), built).await.is_ok_and(|built| built.is_ok()));
}

/// Long enough that a spell does not do all of them, so that whoever goes away leaves others' in the line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_text_of_many_gets_its_own_figures_whoever_goes_away() {
    let guest = load(Limits::default(), "corpus-text").await;
    let mut analyses = JoinSet::new();
    for words in 1..=120 {
        let guest = guest.clone();
        analyses.spawn(async move {
            let document = text(&"word ".repeat(100 * words));
            let analysis = guest.analyze(document, "{}");
            // A third of them, after times that spread over the work.
            if words % 3 == 0 {
                drop(tokio::time::timeout(Duration::from_micros(100 * words as u64), analysis).await);
                return;
            }
            let figures = analysis.await.expect("a good text");
            assert_eq!(figures.word_count, 100 * words as u64);
        });
    }
    let all = async {
        while let Some(ended) = analyses.join_next().await {
            ended.expect("its own figures");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("none waits for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_build_many_times_at_once_is_the_same_bytes() {
    let guest = load(Limits::default(), "corpus-text").await;
    let document = "The quick brown fox jumps over the lazy dog. Straße, naïve café! ".repeat(200);
    let mut builds = JoinSet::new();
    for _ in 0..16 {
        let (guest, document) = (guest.clone(), text(&document));
        builds.spawn(async move { guest.build_corpus(vec![document], "{}").await.expect("a corpus") });
    }
    let built = builds.join_all().await;
    assert!(built.iter().all(|one| one.bytes == built[0].bytes && one.digest == built[0].digest));
    assert_eq!(built[0].input_bytes, document.len() as u64);
    assert!(built[0].call_ms > 0.0 && built[0].memory_bytes > 0);
    assert_eq!(built[0].statistics.top_words[0], ("the".to_owned(), 400));
}

fn profile(size_bytes: u64) -> PolicyProfile {
    PolicyProfile {
        size_bytes,
        namespace: "n".into(),
        resource_type: "literature".into(),
        media_type: "text/plain".into(),
        items: None,
        flags: Vec::new(),
        entropy_bits_per_byte: 4.5,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_alone_and_in_a_batch_agree() {
    let policy = load(Limits::default(), "policy-default").await;
    let profiles: Vec<_> = (0..100).map(|n| profile(1 << (n % 30))).collect();
    let batch = policy.choose(&profiles, "{}").await.expect("choices");
    // More than eight in a row, so that quick ones move to the calling thread on the way.
    for (profile, expected) in profiles.iter().zip(&batch) {
        let alone = policy.choose(std::slice::from_ref(profile), "{}").await.expect("a choice");
        assert_eq!(&alone[..], std::slice::from_ref(expected));
    }
    assert!(policy.choose(&[], "{}").await.expect("no choices").is_empty());
    let error = policy.choose(&profiles[..1], r#"{"small_bytes":9,"large_bytes":1}"#).await;
    let text = error.expect_err("a contradiction").to_string();
    assert!(
        text.starts_with("policy-default@0.1.0 (floret:policy@0.1.0) in choose: invalid config"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_decide_at_once() {
    let policy = Arc::new(load(Limits::default(), "policy-default").await);
    let mut tasks = JoinSet::new();
    for task in 0..8u64 {
        let policy = policy.clone();
        tasks.spawn(async move {
            for n in 0..50 {
                policy.choose(&[profile(task * 1_000 + n)], "{}").await.expect("a choice");
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn policies_of_both_versions_decide_alike() {
    let runtime = runtime(small_limits());
    for (policy, contract) in [
        (policy_choosing("", "i32.const 256"), "floret:policy@0.1.0"),
        (newer_policy_choosing("i32.const 256"), "floret:policy@0.2.0"),
    ] {
        let policy = runtime.load(policy).await.expect("a policy");
        assert_eq!(policy.contract().to_string(), contract);
        let choices = policy.choose(&[profile(1)], "{}").await.expect("a choice");
        assert_eq!((choices[0].reason.as_str(), choices[0].delta), ("wat-", false), "{choices:?}");
    }
}

#[tokio::test]
async fn a_policy_that_traps_is_replaced() {
    let traps = runtime(small_limits()).load(policy_choosing("", "unreachable")).await.expect("a policy");
    for _ in 0..20 {
        let error = traps.choose(&[profile(1)], "{}").await.expect_err("a trap");
        assert!(matches!(error, Error::Trap { .. }), "{error}");
    }
}

/// Quick a hundred times, so that its decisions move to the calling thread, then endless there: it is stopped
/// after 10 ms and asked again elsewhere, in a new instance that is quick again.
#[tokio::test(flavor = "current_thread")]
async fn a_policy_that_turns_slow_does_not_hold_up_the_async_thread() {
    let turns = policy_choosing(
        "(global $turns (mut i32) (i32.const 0))",
        "(global.set $turns (i32.add (global.get $turns) (i32.const 1)))
         (if (i32.gt_u (global.get $turns) (i32.const 100)) (then (loop (br 0))))
         i32.const 256",
    );
    let limits = Limits { query_timeout: Duration::from_secs(6), ..small_limits() };
    let policy = runtime(limits).load(turns).await.expect("a policy");
    for _ in 0..100 {
        policy.choose(&[profile(1)], "{}").await.expect("a choice");
    }
    let started = Instant::now();
    let answer = policy.choose(&[profile(1)], "{}").await;
    // If this machine was too busy for the decisions to prove quick, it loops elsewhere and is stopped later.
    let quick = started.elapsed() < Duration::from_secs(5);
    assert_eq!(answer.is_ok(), quick, "{answer:?}");
}
