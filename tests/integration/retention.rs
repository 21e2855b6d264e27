//! A component says which versions stay, and the host holds it to what may never go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use floret_model::{Seq, TimestampMs};
use floret_pipeline::{Binding, Floret, Freshness, Options, RETENTION_BINDING, SaveRequest, Selector};
use floret_runtime::Limits;
use floret_store::{CleanupReport, KeepReason, ManualClock, RetentionPolicy};
use floret_tests::cli::Cli;
use floret_tests::{Setup, assert_sound, guest, key, open, save_text, small_world, text};
use serde_json::{Value, json};
use tempfile::TempDir;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const GRACE_MS: u64 = 60 * 60 * 1000;

async fn host(folder: &TempDir, clock: &Arc<ManualClock>) -> Arc<Floret> {
    let limits = Limits { query_timeout: Duration::from_secs(1), ..Limits::default() };
    let clock: Arc<dyn floret_store::Clock> = clock.clone();
    open(folder.path(), Setup { clock, limits, ..Setup::default() }).await.unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(TimestampMs(1_700_000_000_000)))
}

async fn bind(host: &Floret, component: &str, config: Value) {
    let binding = Binding::configured(component, config.as_object().unwrap().clone());
    host.plugin_bind(RETENTION_BINDING, binding).await.unwrap();
}

async fn misbehave(host: &Floret, config: Value) {
    host.plugin_install(None, guest("misbehave-retention").unwrap()).await.unwrap();
    bind(host, "misbehave-retention", config).await;
}

async fn cleanup(host: &Floret, dry_run: bool) -> CleanupReport {
    host.cleanup(&RetentionPolicy::default(), GRACE_MS, dry_run).await.unwrap()
}

/// Seqs of a resource whose contents are there, oldest first.
async fn kept(host: &Floret, name: &str) -> Vec<u64> {
    let log = host.log(&key(name), None, 1000).await.unwrap();
    let there = log.iter().filter(|version| version.dropped_at.is_none());
    there.map(|version| version.seq.0).rev().collect()
}

fn dropped(report: &CleanupReport, name: &str) -> Vec<u64> {
    let of = report.dropped.iter().filter(|version| version.key == key(name));
    of.map(|version| version.seq.0).collect()
}

/// One text a day, the second one tagged.
async fn eight_days(host: &Floret, clock: &ManualClock) {
    for day in 1..=8 {
        let tags = if day == 2 { BTreeSet::from(["release".to_owned()]) } else { BTreeSet::new() };
        let request = SaveRequest { tags, ..text("a", &format!("the text of day {day}")) };
        host.save(request).await.unwrap();
        clock.advance_ms(DAY_MS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_what_the_policy_says_of_everything_else_the_host_protects() {
    let folder = TempDir::new().unwrap();
    let host = host(&folder, &clock()).await;
    small_world(&host).await.unwrap();
    for round in 0..4 {
        // Not cascaded: the corpus goes on referring to the first version.
        save_text(&host, "a", &format!("round {round}")).await.unwrap();
    }
    misbehave(&host, json!({"mode": "drop-all"})).await;
    let report = cleanup(&host, false).await;
    assert_eq!(kept(&host, "literature/a").await, [1, 5], "the latest, and what a corpus was made from");
    assert_eq!(dropped(&report, "literature/a"), [2, 3, 4]);
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.policy.as_deref(), Some("misbehave-retention@0.1.0"));
    let overruled = |seq: u64| {
        let of = report
            .judged
            .iter()
            .find(|one| one.version.key == key("literature/a") && one.version.seq.0 == seq);
        of.unwrap().overruled
    };
    assert_eq!(overruled(1), Some(KeepReason::Referenced));
    assert_eq!(overruled(5), Some(KeepReason::Latest));
    assert_eq!(overruled(3), None);
    for name in ["literature/a", "literature/b", "corpus/all", "trie/all", "semantic/all", "search/all"] {
        host.get(&key(name), &Selector::Latest, Freshness::Strong).await.unwrap();
    }
    assert!(host.plugins().await.unwrap().len() >= 6, "components are not asked about");
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_policy_without_a_good_answer_drops_nothing_of_that_resource() {
    let folder = TempDir::new().unwrap();
    let host = host(&folder, &clock()).await;
    for round in 0..3 {
        for id in ["a", "b"] {
            save_text(&host, id, &format!("text {id} {round}")).await.unwrap();
        }
    }
    for (mode, words) in [
        ("too-few", &["malformed answer: 2 verdicts for 3 versions"][..]),
        ("too-many", &["malformed answer: 4 verdicts for 3 versions"]),
        ("long-reason", &["a reason has 257 bytes"]),
        ("trap", &["in keep: trapped"]),
        ("loop", &["stopped at the limit query_timeout = 1000 ms"]),
        ("failed", &["failed: gave up, as asked"]),
    ] {
        misbehave(&host, json!({"mode": mode, "only": "a"})).await;
        let report = cleanup(&host, true).await;
        assert_eq!(dropped(&report, "literature/a"), [0; 0], "{mode}");
        assert_eq!(dropped(&report, "literature/b"), [1, 2], "{mode}: others are judged");
        let [error] = &report.errors[..] else { panic!("{mode}: {:?}", report.errors) };
        for word in ["literature/a was not judged, and nothing of it is dropped"].iter().chain(words) {
            assert!(error.contains(word), "{mode}: no {word:?} in {error}");
        }
        assert_eq!(report.kept_by_reason[&KeepReason::Unjudged], 2, "{mode}");
    }
    let report = cleanup(&host, false).await;
    assert_eq!((dropped(&report, "literature/a").len(), dropped(&report, "literature/b").len()), (0, 2));
    assert_eq!(kept(&host, "literature/a").await, [1, 2, 3]);
    assert_sound(&host).await;
}

/// Twelve texts, each with a version that a policy may drop.
async fn twelve(host: &Floret) {
    for id in 10..22 {
        for round in 0..2 {
            save_text(host, &id.to_string(), &format!("text {id} {round}")).await.unwrap();
        }
    }
}

/// Breakers that are open, with the failures on end that opened them.
async fn open_breakers(host: &Floret) -> Vec<(String, u32)> {
    let open = host.open_breakers().await.unwrap();
    open.into_iter().map(|(id, breaker)| (id, breaker.failures)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_policy_that_breaks_again_and_again_is_not_asked_and_everything_stays() {
    let folder = TempDir::new().unwrap();
    let clock = clock();
    let host = host(&folder, &clock).await;
    twelve(&host).await;
    misbehave(&host, json!({"mode": "trap"})).await;
    let report = cleanup(&host, false).await;
    assert!(report.dropped.is_empty(), "{:?}", report.dropped);
    // As many as open a breaker, and one line for all that were not asked about then.
    assert_eq!(report.errors.len(), 6, "{:?}", report.errors);
    let last = report.errors.last().unwrap();
    for word in [
        "nobody was asked about 7 resources, of which nothing is dropped",
        "misbehave-retention@0.1.0, bound to retention, broke several times on end",
        "floret plugin reset retention",
    ] {
        assert!(last.contains(word), "no {word:?} in {last}");
    }
    assert_eq!(open_breakers(&host).await, [("retention".to_owned(), 5)]);
    assert_eq!(kept(&host, "literature/21").await, [1, 2]);

    // While it is open nobody is asked, and nothing goes.
    let report = cleanup(&host, false).await;
    let [error] = &report.errors[..] else { panic!("{:?}", report.errors) };
    assert!(error.starts_with("nobody was asked about 12 resources, "), "{error}");
    assert_eq!((report.dropped.len(), report.kept_by_reason[&KeepReason::Unjudged]), (0, 12));

    // One trial when its time is over, and as many again when somebody closes it.
    clock.advance_ms(Options::default().breaker_cooldown.as_millis() as u64);
    let report = cleanup(&host, false).await;
    assert_eq!(report.errors.len(), 2, "{:?}", report.errors);
    assert!(report.errors[0].contains("in keep: trapped"), "{:?}", report.errors);
    assert!(host.reset_breaker(RETENTION_BINDING).await.unwrap());
    assert_eq!(cleanup(&host, false).await.errors.len(), 6);

    // A policy that answers begins with a closed one.
    bind(&host, "retention-default", json!({"newest": 1, "types": {}})).await;
    assert_eq!(open_breakers(&host).await, []);
    let report = cleanup(&host, false).await;
    assert_eq!((report.dropped.len(), report.errors.len()), (12, 0), "{:?}", report.errors);
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_policy_that_gives_up_again_and_again_is_asked_no_more() {
    let folder = TempDir::new().unwrap();
    let host = host(&folder, &clock()).await;
    twelve(&host).await;
    misbehave(&host, json!({"mode": "failed"})).await;
    let report = cleanup(&host, false).await;
    assert_eq!((report.dropped.len(), report.errors.len()), (0, 9), "{:?}", report.errors);
    let last = report.errors.last().unwrap();
    assert!(
        last.contains("nobody was asked about 4 resources") && last.contains("failed 8 times in a row"),
        "{last}"
    );
    assert_eq!(open_breakers(&host).await, []);
}

#[test]
fn r1_the_breaker_of_a_policy_is_seen_and_closed_by_people() {
    let cli = Cli::configured("[limits]\nbreaker_failures_max = 1\n");
    for round in 0..2 {
        cli.save("literature/a", format!("round {round}").as_bytes());
    }
    let guest = cli.file("guest.wasm", guest("misbehave-retention").unwrap());
    cli.run(&["plugin", "install", guest.to_str().unwrap()]).ok();
    cli.run(&["plugin", "bind", "retention", "misbehave-retention", "--set", "mode=trap"]).ok();
    let told = cli.run(&["cleanup", "--dry-run"]).ok();
    assert!(told.err.contains("literature/a was not judged"), "{}", told.err);
    let told = cli.run(&["cleanup"]).ok();
    assert!(
        told.err.contains("nobody was asked about 1 resource, of which nothing is dropped"),
        "{}",
        told.err
    );
    let listed = cli.run(&["plugin", "list"]).ok();
    assert!(listed.err.contains("the breaker of retention is open after 1 failures"), "{}", listed.err);
    let reset = cli.run(&["--json", "plugin", "reset", "retention"]).ok().json();
    assert_eq!(reset["was_open"], true);
    let listed = cli.run(&["plugin", "list"]).ok();
    assert!(!listed.err.contains("breaker"), "{}", listed.err);
    cli.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_what_expired_goes_as_without_a_policy_but_for_a_resource_that_was_not_judged() {
    let folder = TempDir::new().unwrap();
    let clock = clock();
    let host = host(&folder, &clock).await;
    for (id, round) in [("a", 0), ("a", 1), ("b", 0), ("b", 1)] {
        let request = SaveRequest { ttl_ms: (round == 0).then_some(DAY_MS), ..text(id, &format!("{round}")) };
        host.save(request).await.unwrap();
        save_text(&host, id, &format!("{round} again")).await.unwrap();
    }
    clock.advance_ms(2 * DAY_MS);
    misbehave(&host, json!({"mode": "failed", "only": "a"})).await;
    cleanup(&host, false).await;
    assert_eq!(kept(&host, "literature/a").await, [1, 2, 3, 4], "not even what expired");
    assert_eq!(kept(&host, "literature/b").await, [4]);
    bind(&host, "retention-default", json!({"newest": 9, "types": {}})).await;
    cleanup(&host, false).await;
    assert_eq!(kept(&host, "literature/a").await, [2, 3, 4], "what expired goes without being asked about");
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_the_built_in_policy_goes_by_number_age_and_distance() {
    for (config, expected) in [
        (json!({"newest": 2, "types": {}}), &[2, 7, 8][..]),
        (json!({"newest": 9, "types": {}, "max_age_days": 3.5}), &[2, 6, 7, 8]),
        (json!({"newest": 1, "types": {}, "weekly": 2}), &[1, 2, 8]),
        (json!({"newest": 1, "types": {"literature": {"newest": 4}}}), &[2, 5, 6, 7, 8]),
    ] {
        let folder = TempDir::new().unwrap();
        let clock = clock();
        let host = host(&folder, &clock).await;
        eight_days(&host, &clock).await;
        bind(&host, "retention-default", config.clone()).await;
        let planned = cleanup(&host, true).await;
        assert_eq!(kept(&host, "literature/a").await.len(), 8, "a dry run drops nothing");
        let done = cleanup(&host, false).await;
        assert_eq!(kept(&host, "literature/a").await, expected, "{config}");
        assert_eq!(planned.dropped, done.dropped);
        assert_eq!(planned.judged, done.judged);
        assert!(done.judged.iter().all(|one| !one.reason.is_empty()));
        assert_eq!(cleanup(&host, false).await.dropped, [], "and once more changes nothing");
        let gone = host.get(&key("literature/a"), &Selector::Seq(Seq(3)), Freshness::Strong).await;
        assert!(gone.is_err());
        assert_sound(&host).await;
    }
}

#[test]
fn r1_a_dry_run_tells_the_reasons() {
    let cli = Cli::new();
    for round in 0..3 {
        cli.save("literature/a", format!("round {round}").as_bytes());
    }
    cli.run(&["plugin", "bind", "retention", "policy-default"])
        .fails(2, &["policy-default has the contract floret:policy@0.1.0", "needs floret:policy/retention"]);
    cli.run(&["plugin", "bind", "policy", "retention-default"]).fails(
        2,
        &["retention-default has the contract floret:policy@0.2.0", "needs floret:policy/compression"],
    );
    let json = cli.run(&["--json", "cleanup", "--dry-run"]).ok().json();
    assert_eq!((&json["policy"], json["dropped"].as_array().unwrap().len()), (&Value::Null, 0));
    cli.run(&["plugin", "bind", "retention", "retention-default", "--set", "newest=1", "--set", "types={}"])
        .ok();
    let told = cli.run(&["cleanup", "--dry-run"]).ok();
    for line in [
        "dropped\tliterature/a@1\tnot among the 1 newest",
        "dropped\tliterature/a@2\tnot among the 1 newest",
        "kept\tliterature/a@3\tthe latest",
    ] {
        assert!(told.text().lines().any(|told| told == line), "no {line:?} in {}", told.text());
    }
    let json = cli.run(&["--json", "cleanup"]).ok().json();
    assert_eq!(json["policy"], "retention-default@0.1.0");
    assert_eq!(json["dropped"].as_array().unwrap().len(), 2);
    cli.verify();
}
