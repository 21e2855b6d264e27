//! What a guest that was built for WASI finds: an empty world, the same for equal jobs on every runtime.

use std::sync::Arc;
use std::time::Duration;

use floret_runtime::{
    Component, Error, Input, LimitKind, Limits, Query, Runtime, RuntimeConfig, Searcher, TrapKind,
};

use crate::guests::{corpus, dist, load, runtime, small_limits};

const LINES: &str = "a\t1\n";

/// Answers that do not depend on the job.
const NOTHING: [&str; 14] = [
    "arguments=[]",
    "variables=[]",
    "folder=None",
    "folders=0",
    "terminal=false",
    "wall=0.0",
    "wall-tick=0.1",
    "monotonic=0",
    "monotonic-tick=1",
    "ready=true",
    "polled=3",
    "read=closed",
    "lookup=Err(\"access-denied\")",
    "socket=Err(\"access-denied\")",
];

/// A probe of a runtime that shares no compiled code with another.
async fn probe_elsewhere() -> Arc<Component> {
    let config = RuntimeConfig { compiled_dir: None, limits: small_limits() };
    Runtime::new(config).expect("a runtime").load(dist("wasi-probe")).await.expect("the probe")
}

async fn probe() -> Arc<Component> {
    load(small_limits(), "wasi-probe").await
}

async fn asked(probe: &Component, lines: &str, config: &str) -> Vec<String> {
    let built = probe.build_index(vec![corpus(lines)], config).await.expect("answers");
    let text = String::from_utf8(built.bytes.to_vec()).expect("text");
    text.lines().map(str::to_owned).collect()
}

async fn opened(probe: &Component, index: &str) -> Searcher {
    let index = Input::new("index", &probe.description().output_media_type, index.to_owned());
    probe.open_index(index).await.expect("it opens")
}

async fn found(searcher: &Searcher, text: &str) -> String {
    let hits = searcher.search(Query::Exact(text.to_owned()), 1).await.expect("an answer");
    hits[0].word.clone()
}

async fn deed(limits: Limits, deed: &str) -> Error {
    let probe = load(limits, "wasi-probe").await;
    let config = format!(r#"{{"deed":"{deed}"}}"#);
    probe.build_index(vec![corpus(LINES)], &config).await.expect_err("it does not end well")
}

#[tokio::test]
async fn nothing_of_the_machine_is_told_to_a_build_or_to_a_search() {
    let probe = probe().await;
    let built = asked(&probe, LINES, "{}").await;
    assert_eq!(built[..NOTHING.len()], NOTHING);
    assert_eq!(built[NOTHING.len() + 3], "insecure-bytes=100");
    let searcher = opened(&probe, "x").await;
    for question in ["opened", "asked"] {
        let found = found(&searcher, question).await;
        assert!(found.starts_with(&NOTHING.join(" ")), "{question}: {found}");
    }
}

#[tokio::test]
async fn equal_jobs_draw_equal_randomness_on_every_runtime() {
    let (here, elsewhere) = (probe().await, probe_elsewhere().await);
    assert_eq!(here.description().summary, elsewhere.description().summary);
    let first = asked(&here, LINES, "{}").await;
    assert_eq!(first, asked(&here, LINES, "{}").await);
    assert_eq!(first, asked(&elsewhere, LINES, "{}").await);
    let (one, two) = (opened(&here, "x").await, opened(&elsewhere, "x").await);
    assert_eq!(found(&one, "opened").await, found(&two, "opened").await);
    let answer = found(&one, "asked").await;
    // How many questions an instance answered before must not show.
    for searcher in [&one, &two, &one, &two] {
        assert_eq!(found(searcher, "asked").await, answer);
    }
}

#[tokio::test]
async fn other_jobs_draw_other_randomness() {
    let probe = probe().await;
    let first = asked(&probe, LINES, "{}").await;
    for other in [asked(&probe, "b\t1\n", "{}").await, asked(&probe, LINES, r#"{"salt":"x"}"#).await] {
        assert_eq!(other[..NOTHING.len()], NOTHING);
        for (one, other) in first.iter().zip(&other).skip(NOTHING.len()) {
            assert_eq!(one == other, one.starts_with("insecure-bytes"), "{one} and {other}");
        }
    }
    let (one, two) = (opened(&probe, "x").await, opened(&probe, "y").await);
    assert_ne!(found(&one, "opened").await, found(&two, "opened").await);
}

#[tokio::test]
async fn what_no_plugin_gets_is_a_trap_that_names_it() {
    for (mode, expected) in [
        (
            "exit",
            "it called wasi:cli/exit@0.2.3#exit: a plugin returns an answer or an error and never exits",
        ),
        ("time-zone", "it called wasi:clocks/timezone@0.2.3#utc-offset, which is not available to a plugin"),
        ("random-flood", "it asked for 18446744073709551615 random bytes at once: at most 1048576 are given"),
        ("write-too-much", "it wrote 1048576 bytes at once to a stream that permits 65536"),
    ] {
        let error = deed(small_limits(), mode).await;
        assert!(matches!(error, Error::Trap { kind: TrapKind::Other(_), .. }), "{mode}: {error}");
        let text = error.to_string();
        assert!(text.starts_with("wasi-probe@0.1.0 (floret:index@0.2.0) in build: trapped: "), "{text}");
        assert!(text.contains(expected), "{text}");
    }
    let error = deed(small_limits(), "handles").await;
    assert!(matches!(error, Error::Trap { .. }), "{error}");
}

#[tokio::test]
async fn what_is_printed_is_the_log() {
    let error = deed(small_limits(), "print").await;
    let traces = error.traces().expect("a trap");
    for line in ["printed line", "what went wrong: é", "and the beginning of another"] {
        assert!(traces.log.iter().any(|logged| logged == line), "no {line:?} in {:?}", traces.log);
    }
}

#[tokio::test]
async fn a_flood_of_printed_lines_is_dropped_and_counted() {
    let limits = Limits { call_timeout: Duration::from_millis(500), ..small_limits() };
    let error = deed(limits, "flood").await;
    assert!(error.is_limit(LimitKind::CallTime), "{error}");
    let traces = error.traces().expect("a limit");
    assert_eq!((traces.log.len(), traces.log_bytes_dropped > 0), (8, true));
}

#[tokio::test]
async fn what_is_imported_is_listed() {
    let probe = probe().await;
    for import in ["wasi:random/random@0.2.3", "wasi:cli/environment@0.2.3", "floret:types/io@0.1.0"] {
        assert!(probe.imports().iter().any(|name| name == import), "{import}");
    }
}

/// A component that imports an interface and exports nothing of use: what is refused tells how far linking came.
async fn refusal(import: &str) -> String {
    let text =
        format!(r#"(component {import} (instance $i) (export "floret:corpus/builder@0.1.0" (instance $i)))"#);
    let component = wat::parse_str(text).expect("a component");
    runtime(small_limits()).load(component.into()).await.err().expect("a refusal").to_string()
}

#[tokio::test]
async fn every_0_2_version_is_linked_under_its_own_name() {
    for version in ["0.2.0", "0.2.9", "0.2.99"] {
        let text = refusal(&format!(
            r#"(import "wasi:io/poll@{version}" (instance $poll
                (export "pollable" (type $pollable (sub resource)))
                (export "[method]pollable.ready" (func (param "self" (borrow $pollable)) (result bool)))))
            (alias export $poll "pollable" (type $pollable))
            (import "wasi:clocks/monotonic-clock@{version}" (instance
                (alias outer 1 $pollable (type $outer))
                (export "pollable" (type $pollable (eq $outer)))
                (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
            (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u64)))))"#
        ))
        .await;
        assert!(text.contains("does not fit floret:corpus@0.1.0") && !text.contains("wasi:"), "{text}");
    }
}

#[tokio::test]
async fn an_interface_with_other_types_is_refused_by_name() {
    let import =
        r#"(import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result string)))))"#;
    let text = refusal(import).await;
    assert!(text.contains("does not fit floret:corpus@0.1.0"), "{text}");
    assert!(text.contains("wasi:random/random@0.2.0"), "{text}");
}
