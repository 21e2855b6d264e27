//! Components that do what they must not: one clear error each, and a store that is as it was.

use std::time::Duration;

use bytes::Bytes;
use floret_model::Seq;
use floret_pipeline::{Binding, Error, Floret, Progress, Selector};
use floret_runtime::{Limits, Query};
use floret_tests::{Setup, assert_sound, component, derived, guest, key, open, save_text, small_world};
use serde_json::json;
use tempfile::TempDir;

/// Bounds that are reached in a moment, and far enough for honest work on small texts.
fn small_limits() -> Limits {
    Limits {
        call_timeout: Duration::from_secs(2),
        query_timeout: Duration::from_secs(1),
        memory_bytes_max: 64 << 20,
        output_bytes_max: 4 << 20,
        ..Limits::default()
    }
}

async fn world(folder: &TempDir) -> std::sync::Arc<Floret> {
    let setup = Setup { limits: small_limits(), ..Setup::default() };
    let host = open(folder.path(), setup).await.unwrap();
    small_world(&host).await.unwrap();
    for name in ["misbehave", "misbehave-index"] {
        host.plugin_install(None, guest(name).unwrap()).await.unwrap();
    }
    host
}

async fn bind(host: &Floret, id: &str, component: &str, mode: Option<&str>) {
    let config = mode.map_or_else(|| json!({}), |mode| json!({"mode": mode}));
    let config = config.as_object().unwrap().clone();
    host.plugin_bind(id, Binding::configured(component, config)).await.unwrap();
}

async fn cascade(host: &Floret) -> Result<(), Error> {
    host.cascade(&[key("literature/a")], &Progress::default()).await.map(drop)
}

async fn seq(host: &Floret, name: &str) -> Seq {
    host.resolve(&key(name), &Selector::Latest).await.unwrap().seq
}

fn assert_told(error: &Error, words: &[&str]) {
    for word in words {
        assert!(error.to_string().contains(word), "no {word:?} in {error}");
    }
}

/// A corpus builder in each mode: the cascade fails with these words, nothing is published, and the builder
/// that was bound before goes on where the cascade stopped.
async fn check_builders(modes: &[(&str, &[&str])]) {
    let folder = TempDir::new().unwrap();
    let host = world(&folder).await;
    for (round, (mode, words)) in (0u64..).zip(modes) {
        bind(&host, "corpus", "misbehave", Some(mode)).await;
        save_text(&host, "a", &format!("words of round {round}")).await.unwrap();
        let error = cascade(&host).await.unwrap_err();
        assert!(matches!(error, Error::Cascade(_)), "{mode}: {error}");
        assert_told(
            &error,
            &["corpus/a: misbehave@0.1.0 (floret:corpus@0.1.0) in build", "nothing was published"],
        );
        assert_told(&error, words);
        assert!(error.to_string().len() < 5_000, "{mode}: {} bytes", error.to_string().len());
        for name in ["corpus/a", "corpus/all", "trie/all", "search/all"] {
            assert_eq!(seq(&host, name).await, Seq(1 + round), "{mode}: {name}");
        }
        assert_sound(&host).await;
        bind(&host, "corpus", "corpus-text", None).await;
        cascade(&host).await.unwrap();
    }
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k6_builders_without_end_are_stopped_at_a_limit_that_the_error_names() {
    check_builders(&[
        ("loop", &["stopped at the limit call_timeout = 2000 ms", "raise the limit"]),
        ("allocate", &["stopped at the limit memory_bytes_max = 67108864 bytes"]),
        ("write", &["stopped at the limit output_bytes_max = 4194304 bytes"]),
        ("recurse", &["trapped: stack overflow"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k6_builders_that_give_up_say_how() {
    check_builders(&[
        ("trap", &["trapped: it gave up (an `unreachable` instruction)"]),
        ("panic", &["panicked at", "misbehaving as asked"]),
        ("failed", &["failed: failed failed"]),
        ("invalid-input", &["invalid input: document 0 is refused as asked"]),
        ("unsupported", &["unsupported: not done, as asked"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k6_corpora_that_break_the_format_are_refused_by_line() {
    check_builders(&[
        ("unsorted", &["malformed answer: the output is no corpus: line 2: \"a\" follows \"b\""]),
        ("duplicate", &["line 2: \"a\" stands twice"]),
        ("malformed", &["line 1: no tab in \"a 1\""]),
        ("not-utf8", &["line 1: byte 1 is not UTF-8"]),
        ("nothing", &["it says 2 words and 3 tokens, but wrote 0 and 0"]),
        ("wrong-statistics", &["it says 7 words and 7 tokens, but wrote 2 and 3"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k6_a_noisy_builder_is_only_noisy() {
    let folder = TempDir::new().unwrap();
    let host = world(&folder).await;
    for mode in ["log-flood", "log-long"] {
        bind(&host, "corpus", "misbehave", Some(mode)).await;
        host.cascade(&[key("plugins:binding/corpus")], &Progress::default()).await.unwrap();
    }
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m15_a_text_whose_statistics_cannot_be_had_is_not_saved() {
    let folder = TempDir::new().unwrap();
    let host = world(&folder).await;
    for (mode, words) in [
        ("trap", &["misbehave@0.1.0 (floret:corpus@0.1.0) in analyze: trapped"][..]),
        ("ok", &["in analyze: malformed answer: readability_score"]),
    ] {
        bind(&host, "literature", "misbehave", Some(mode)).await;
        let error = save_text(&host, "new", "a text").await.unwrap_err();
        assert_told(error.downcast_ref::<Error>().unwrap(), words);
        assert!(host.resolve(&key("literature/new"), &Selector::Latest).await.is_err());
    }
    bind(&host, "literature", "corpus-text", None).await;
    save_text(&host, "new", "a text").await.unwrap();
    assert_sound(&host).await;
}

async fn misbehaving_index(host: &Floret, mode: &str) {
    let mut build = derived("misbehaving/x", "corpus", &["corpus/all"]);
    build.spec.config = json!({"mode": mode}).as_object().unwrap().clone();
    let change = floret_pipeline::Change { builds: vec![build], ..floret_pipeline::Change::default() };
    host.apply(change, &Progress::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn m16_bad_indexes_fail_when_they_are_asked_and_nobody_else_does() {
    let folder = TempDir::new().unwrap();
    let host = world(&folder).await;
    bind(&host, "misbehaving", "misbehave-index", None).await;
    let question = Query::Exact("engine".to_owned());
    for (mode, words) in [
        ("bad-index", &["in open: invalid input: index 0 is not one"][..]),
        ("nothing", &["in open: invalid input: index 0 is not one"]),
        ("open-loop", &["in open: stopped at the limit query_timeout = 1000 ms"]),
        ("open-trap", &["in open: trapped"]),
        ("search-loop", &["in search: stopped at the limit query_timeout = 1000 ms"]),
        ("search-trap", &["in search: trapped"]),
        ("search-allocate", &["in search: stopped at the limit memory_bytes_max"]),
        ("search-too-many", &["in search: malformed answer"]),
        ("search-nan", &["in search: malformed answer"]),
    ] {
        misbehaving_index(&host, mode).await;
        let error = host.search(&key("misbehaving/x"), &question, 10).await.unwrap_err();
        assert!(matches!(error, Error::Plugin(_)), "{mode}: {error}");
        assert_told(&error, &["misbehave-index@0.1.0 (floret:index@0.2.0)"]);
        assert_told(&error, words);
        let answer = host.search(&key("search/all"), &question, 10).await.unwrap();
        assert_eq!(answer.hits[0].word, "engine", "{mode}");
    }
    assert_sound(&host).await;
}

/// A component in text form.
fn wat(text: &str) -> Bytes {
    wat::parse_str(text).unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_component_of_ours_is_not_installed() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let installed = host.plugins().await.unwrap();
    let whole = component("trie-fst").unwrap();
    let builder = r#"(instance $i) (export "floret:corpus/builder@0.1.0" (instance $i))"#;
    for (what, bytes, words) in [
        ("nothing", Bytes::new(), &["is not a WebAssembly component", "the file is empty"][..]),
        ("text", "this is a text".into(), &["is not a WebAssembly component", "it begins with 74 68 69 73"]),
        ("a module", wat("(module)"), &["is not a WebAssembly component", "it is a core module"]),
        ("its beginning", whole.slice(..9), &["sha256:", "is not a WebAssembly component"]),
        ("half of one", whole.slice(..whole.len() / 2), &["is not a WebAssembly component"]),
        ("one but a byte", whole.slice(..whole.len() - 1), &["is not a WebAssembly component"]),
        (
            "no contract",
            wat("(component)"),
            &["exports no Floret contract", "floret:index", "exports nothing"],
        ),
        (
            "two contracts",
            guest("two-contracts").unwrap(),
            &[
                "exports several contracts",
                "floret:corpus/builder@0.1.0",
                "floret:policy/compression@0.1.0",
                "expected exactly one",
            ],
        ),
        (
            "HTTP",
            wat(&format!(r#"(component (import "wasi:http/types@0.2.0" (instance)) {builder})"#)),
            &[
                "imports wasi:http/types@0.2.0, which floret:corpus@0.1.0 does not offer",
                "build it without them: in Rust, build for wasm32-unknown-unknown",
            ],
        ),
        (
            "an unknown import",
            wat(&format!(r#"(component (import "acme:secret/door@1.0.0" (instance)) {builder})"#)),
            &["imports acme:secret/door@1.0.0, which floret:corpus@0.1.0 does not offer"],
        ),
        (
            "a contract of the future",
            wat(r#"(component (instance $i) (export "floret:index/builder@0.9.0" (instance $i)))"#),
            &["exports floret:index", "this host speaks floret:index@0.1.0, floret:index@0.2.0"],
        ),
    ] {
        let error = host.plugin_install(Some("new"), bytes.clone()).await.unwrap_err();
        assert!(matches!(error, Error::Plugin(_)), "{what}: {error}");
        assert_told(&error, words);
        let inspected = host.plugin_inspect(bytes).await.unwrap_err();
        assert_eq!(inspected.to_string(), error.to_string(), "{what}");
    }
    assert_eq!(host.plugins().await.unwrap(), installed);
    assert_sound(&host).await;
}
