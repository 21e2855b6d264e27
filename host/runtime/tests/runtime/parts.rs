//! Builds in parts: what can go wrong first, then that nothing about the result depends on the machine.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use floret_runtime::{Component, Error, Input, LimitKind, Limits, StatisticValue, TrapKind, conformance};

use crate::guests::{corpus, load, small_limits};

/// As many builders at once as there are parts, on any machine.
fn limits() -> Limits {
    Limits { instances_max: 4, call_timeout: Duration::from_secs(600), ..small_limits() }
}

fn mode(mode: &str) -> String {
    format!(r#"{{"mode":"{mode}"}}"#)
}

async fn deed(limits: Limits, deed: &str) -> Error {
    let guest = load(limits, "misbehave-index").await;
    let error = guest.build_index(vec![corpus("a\t1\n")], &mode(deed)).await.expect_err("it misbehaves");
    serves(&guest).await;
    error
}

/// Whether what was stopped has given its turns back.
async fn serves(guest: &Arc<Component>) {
    let config = mode("parts");
    let built = guest.build_index(vec![corpus("a\t1\n")], &config);
    let built = tokio::time::timeout(Duration::from_secs(60), built).await.expect("there are turns");
    assert_eq!(built.expect("four parts").bytes.as_ref(), b"0/4 1/4 2/4 3/4 ");
}

#[tokio::test]
async fn a_number_of_parts_beyond_the_contract_is_refused() {
    for (deed_name, expected) in [
        ("parts-none", "in parts: malformed answer: it splits the build into 0 parts: expected 1 to 1024"),
        ("parts-many", "it splits the build into 5000 parts: expected 1 to 1024"),
    ] {
        let error = deed(limits(), deed_name).await;
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert!(error.is_deterministic() && error.to_string().contains(expected), "{error}");
    }
}

/// The other parts never end: only being stopped lets this test go on.
#[tokio::test]
async fn one_part_that_fails_stops_the_others() {
    let error = deed(limits(), "part-trap").await;
    assert!(matches!(&error, Error::Trap { kind: TrapKind::Unreachable, .. }), "{error}");
    let expected = "misbehave-index@0.1.0 (floret:index@0.2.0) in part 2 of 4: trapped";
    assert!(error.to_string().starts_with(expected), "{error}");
    let error = deed(limits(), "part-invalid-input").await;
    assert!(error.is_deterministic(), "{error}");
    assert!(error.to_string().contains("in part 2 of 4: invalid input: corpus 0 is refused"), "{error}");
}

#[tokio::test]
async fn each_part_has_the_limits_of_a_builder() {
    let error = deed(limits(), "part-write").await;
    assert!(error.is_limit(LimitKind::OutputBytes), "{error}");
    assert!(error.to_string().contains("of 4: stopped at the limit output_bytes_max = 4194304"), "{error}");
    let hasty = Limits { call_timeout: Duration::from_millis(200), ..limits() };
    let guest = load(hasty, "misbehave-index").await;
    let error = guest.build_index(vec![corpus("a\t1\n")], &mode("part-loop")).await.expect_err("endless");
    assert!(error.is_limit(LimitKind::CallTime), "{error}");
}

/// Each of the four parts is within the limit of 4 MiB, and two of them are beyond it.
#[tokio::test]
async fn all_parts_together_are_bounded_like_one_output() {
    for instances_max in [1, 4] {
        let error = deed(Limits { instances_max, ..limits() }, "part-large").await;
        assert!(error.is_limit(LimitKind::OutputBytes), "{error}");
    }
}

#[tokio::test]
async fn merging_that_traps_says_so() {
    let error = deed(limits(), "merge-trap").await;
    assert!(error.to_string().contains("(floret:index@0.2.0) in merge-parts: trapped"), "{error}");
}

#[tokio::test]
async fn parts_that_nobody_waits_for_are_stopped() {
    for instances_max in [1, 2] {
        let guest = load(Limits { instances_max, ..limits() }, "misbehave-index").await;
        let config = mode("part-loop");
        let left = guest.build_index(vec![corpus("a\t1\n")], &config);
        assert!(tokio::time::timeout(Duration::from_millis(50), left).await.is_err());
        serves(&guest).await;
    }
}

#[tokio::test]
async fn the_suite_finds_parts_that_are_not_the_whole() {
    let guest = load(Limits { instances_max: 4, ..Limits::default() }, "misbehave-index").await;
    let told = async |deed: &str| {
        let findings = conformance::check(&guest, &mode(deed)).await;
        findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let differ = told("parts-differ").await;
    assert!(
        differ.contains("FAILED: parts merged are the whole build: 16 bytes as a whole, 60 others"),
        "{differ}"
    );
    let anyhow = told("parts").await;
    assert!(anyhow.contains("FAILED: parts of another build are invalid-input: no part at all"), "{anyhow}");
    assert!(anyhow.contains("ok: the same part twice is the same bytes"), "{anyhow}");
}

#[tokio::test]
async fn parts_are_merged_in_their_order_whenever_they_were_done() {
    for instances_max in [1, 2, 4] {
        let guest = load(Limits { instances_max, ..limits() }, "misbehave-index").await;
        let inputs = vec![corpus("a\t1\n"), corpus("bc\t1\n")];
        for _ in 0..20 {
            let built = guest.build_index(inputs.clone(), &mode("parts")).await.expect("four parts");
            assert_eq!(built.bytes.as_ref(), b"0/4 1/4 2/4 3/4 ");
            assert_eq!(built.statistics, [("word_count".to_owned(), StatisticValue::Count(2))]);
            assert_eq!(built.input_bytes, 9);
            assert!(built.call_ms > 0.0 && built.memory_bytes > 0);
        }
    }
}

/// Some 60,000 words: enough to be split.
fn large() -> Input {
    let mut words: Vec<u32> = (0..60_000).map(|n: u32| n.wrapping_mul(2_654_435_761)).collect();
    words.sort_unstable();
    let mut lines = String::new();
    for (at, word) in words.iter().enumerate() {
        writeln!(lines, "w{word:08x}\t{}", at % 97 + 1).expect("a string takes everything");
    }
    corpus(&lines)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_processor_and_many_build_the_same() {
    let config = r#"{"dimension":64,"words_max":50000}"#;
    let mut digests = Vec::new();
    for instances_max in [1, 2, 8] {
        let guest = load(Limits { instances_max, ..Limits::default() }, "semantic-ngram").await;
        let built = guest.build_index(vec![large()], config).await.expect("an index");
        digests.push((built.digest, built.statistics));
        assert_eq!(digests[0], digests[digests.len() - 1], "{instances_max} at once");
    }
}
