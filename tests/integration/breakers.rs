//! Limits of a binding, and breakers: what one component may use, and how often it may break.

use std::sync::Arc;
use std::time::Duration;

use floret_model::TimestampMs;
use floret_pipeline::{Binding, BindingLimits, Change, Error, Event, Floret, Options, Progress};
use floret_runtime::{Limits, Query};
use floret_store::ManualClock;
use floret_tests::{Setup, derived, guest, key, open, save_text, small_world};
use serde_json::json;
use tempfile::TempDir;

const COOLDOWN: Duration = Duration::from_secs(30);

async fn host(folder: &TempDir, clock: &Arc<ManualClock>) -> Arc<Floret> {
    let options = Options { breaker_failures_max: 3, breaker_cooldown: COOLDOWN, ..Options::default() };
    let clock: Arc<dyn floret_store::Clock> = Arc::clone(clock) as _;
    open(folder.path(), Setup { options, clock, ..Setup::default() }).await.unwrap()
}

async fn world(folder: &TempDir, clock: &Arc<ManualClock>) -> Arc<Floret> {
    let host = host(folder, clock).await;
    small_world(&host).await.unwrap();
    host.plugin_install(None, guest("misbehave-index").unwrap()).await.unwrap();
    host
}

fn misbehaving(mode: &str, limits: BindingLimits) -> Binding {
    let config = json!({ "mode": mode }).as_object().unwrap().clone();
    Binding { limits, ..Binding::configured("misbehave-index", config) }
}

async fn rebuild(host: &Floret) -> Error {
    host.cascade(&[key("plugins:binding/trie")], &Progress::default()).await.unwrap_err()
}

fn is_breaker(error: &Error) -> bool {
    matches!(error, Error::Cascade(failed) if matches!(failed.first, Error::BreakerOpen { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_breaks_again_and_again_is_not_asked_for_a_while() {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(TimestampMs(1_767_225_600_000)));
    let host = world(&folder, &clock).await;
    host.plugin_bind("trie", misbehaving("trap", BindingLimits::default())).await.unwrap();
    for round in 0..3 {
        let error = rebuild(&host).await;
        assert!(!is_breaker(&error), "round {round}: {error}");
    }
    let refused = rebuild(&host).await;
    assert!(is_breaker(&refused), "{refused}");
    for word in ["misbehave-index", "trie", "floret plugin reset trie"] {
        assert!(refused.to_string().contains(word), "no {word} in {refused}");
    }
    let open = host.open_breakers().await.unwrap();
    assert_eq!((open.len(), open[0].0.as_str(), open[0].1.failures), (1, "trie", 3));
    assert!(open[0].1.last_error.contains("trapped"), "{open:?}");

    // Others do not suffer.
    save_text(&host, "a", "other words").await.unwrap();
    host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap_err();
    assert!(host.search(&key("semantic/all"), &Query::Semantic("words".to_owned()), 5).await.is_ok());

    // One trial when the time is over, and as long again when it breaks.
    clock.advance_ms(COOLDOWN.as_millis() as u64);
    let trial = rebuild(&host).await;
    assert!(!is_breaker(&trial), "{trial}");
    assert!(is_breaker(&rebuild(&host).await));

    assert!(host.reset_breaker("trie").await.unwrap());
    assert!(host.open_breakers().await.unwrap().is_empty());
    assert!(!is_breaker(&rebuild(&host).await));
    assert!(!host.reset_breaker("trie").await.unwrap(), "it was closed");

    // Another binding begins anew, and a good trial closes it.
    host.plugin_bind("trie", Binding::new("trie-fst")).await.unwrap();
    host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_is_known_to_the_next_host() {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(TimestampMs(1_767_225_600_000)));
    let host = world(&folder, &clock).await;
    host.plugin_bind("trie", misbehaving("trap", BindingLimits::default())).await.unwrap();
    for _ in 0..3 {
        rebuild(&host).await;
    }
    host.close().await.unwrap();
    drop(host);
    let host = self::host(&folder, &clock).await;
    assert!(is_breaker(&rebuild(&host).await));
    clock.advance_ms(COOLDOWN.as_millis() as u64);
    assert!(!is_breaker(&rebuild(&host).await), "the trial");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_narrows_what_its_component_may_use() {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(TimestampMs(1_767_225_600_000)));
    let host = world(&folder, &clock).await;
    for (mode, limits, word) in [
        (
            "loop",
            BindingLimits { call_timeout_ms: Some(100), ..BindingLimits::default() },
            "call_timeout = 100",
        ),
        (
            "allocate",
            BindingLimits { memory_bytes_max: Some(16 << 20), ..BindingLimits::default() },
            "memory_bytes_max = 16777216",
        ),
        (
            "write",
            BindingLimits { output_bytes_max: Some(4096), ..BindingLimits::default() },
            "output_bytes_max = 4096",
        ),
    ] {
        host.plugin_bind("trie", misbehaving(mode, limits)).await.unwrap();
        let error = rebuild(&host).await;
        assert!(error.to_string().contains(word), "{mode}: no {word} in {error}");
    }
    // Memory is a part of the recipe, time is not.
    let bound = |limits| Binding { limits, ..Binding::new("trie-fst") };
    let slow = BindingLimits { call_timeout_ms: Some(60_000), ..BindingLimits::default() };
    host.plugin_bind("trie", bound(slow)).await.unwrap();
    let report = host.cascade(&[key("plugins:binding/trie")], &Progress::default()).await.unwrap();
    assert_eq!(report.count("built"), 0, "{report:?}");
    let small = BindingLimits { memory_bytes_max: Some(64 << 20), ..BindingLimits::default() };
    host.plugin_bind("trie", bound(small)).await.unwrap();
    let report = host.cascade(&[key("plugins:binding/trie")], &Progress::default()).await.unwrap();
    assert!(report.count("built") > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_beyond_those_of_the_host_are_refused() {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(TimestampMs(1_767_225_600_000)));
    let host = world(&folder, &clock).await;
    let limits = BindingLimits { memory_bytes_max: Some(1 << 40), ..BindingLimits::default() };
    let error = host.plugin_bind("trie", misbehaving("nothing", limits)).await.unwrap_err();
    for word in ["memory_bytes_max", "this host allows", "[limits]"] {
        assert!(error.to_string().contains(word), "no {word} in {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_loops_leaves_steps_and_turns_to_others() {
    let folder = TempDir::new().unwrap();
    let options = Options { parallel_steps_max: 2, ..Options::default() };
    let limits = Limits { instances_max: 2, ..Limits::default() };
    let host = open(folder.path(), Setup { options, limits, ..Setup::default() }).await.unwrap();
    small_world(&host).await.unwrap();
    host.plugin_install(None, guest("misbehave-index").unwrap()).await.unwrap();
    host.plugin_bind("endless", misbehaving("loop", BindingLimits::default())).await.unwrap();
    let change = |ids: &[&str]| {
        let builds = ids.iter().map(|id| derived(id, "corpus", &["corpus/a"])).collect();
        Change { builds, ..Change::default() }
    };
    let (started, mut is_started) = tokio::sync::mpsc::unbounded_channel();
    let progress = Progress::new(move |event| {
        if let Event::StepStarted { key } = event {
            started.send(key).unwrap();
        }
    });
    let endless = tokio::spawn({
        let (host, change) = (Arc::clone(&host), change(&["endless/a", "endless/b", "endless/c"]));
        async move { host.apply(change, &progress).await }
    });
    is_started.recv().await.unwrap();
    let built = host.apply(change(&["semantic/x", "trie/x"]), &Progress::default()).await.unwrap();
    assert_eq!(built.count("built"), 2, "{built:?}");
    assert!(!endless.is_finished() && is_started.is_empty(), "one of three is under way");
    endless.abort();
    assert!(endless.await.unwrap_err().is_cancelled());
}
