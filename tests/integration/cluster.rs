//! Hosts that share a catalog: who builds, who takes over, who cleans up.

use std::sync::Arc;
use std::time::Duration;

use floret_model::{CascadeReport, Seq, TimestampMs};
use floret_pipeline::{Error, Floret, Freshness, Options, Progress, Schedule, Selector, Tended};
use floret_store::{Catalog, EmbeddedCatalog, Lease, Leased, ManualClock, RetentionPolicy, local_objects};
use floret_tests::gate::Gate;
use floret_tests::shared::SharedCatalog;
use floret_tests::{Setup, assert_sound, corpus, key, open, save_text};
use futures::future::{join_all, try_join_all};
use object_store::ObjectStore;
use tempfile::TempDir;

const START: TimestampMs = TimestampMs(1_700_000_000_000);

/// What hosts share.
struct Cluster {
    folder: TempDir,
    catalog: Arc<SharedCatalog>,
    clock: Arc<ManualClock>,
}

impl Cluster {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let catalog = EmbeddedCatalog::open(folder.path().join("catalog")).unwrap();
        let clock = Arc::new(ManualClock::new(START));
        Self { folder, catalog: SharedCatalog::over(catalog), clock }
    }

    fn objects(&self) -> Arc<dyn ObjectStore> {
        local_objects(&self.folder.path().join("blobs")).unwrap()
    }

    /// Another host, with a cache of its own.
    async fn host(&self, name: &str, setup: Setup) -> Arc<Floret> {
        let setup = Setup {
            catalog: Some(self.catalog.clone()),
            objects: Some(setup.objects.clone().unwrap_or_else(|| self.objects())),
            clock: self.clock.clone(),
            ..setup
        };
        open(&self.folder.path().join(name), setup).await.unwrap()
    }

    /// Another host, which cannot read contents from now on; the components that a build needs are loaded.
    async fn gated(&self, name: &str) -> (Arc<Floret>, Arc<Gate>, usize) {
        let gate = Gate::before(self.objects());
        gate.open();
        let host = self.host(name, Setup { objects: Some(gate.clone()), ..Setup::default() }).await;
        save_text(&host, "warm", &long("warm")).await.unwrap();
        build(&host, "warm", &["warm"]).await.unwrap();
        gate.shut();
        let reads = gate.reads();
        (host, gate, reads)
    }

    async fn lease(&self, name: &str, holder: &str, until: TimestampMs) -> Leased {
        let lease = Lease { name: name.to_owned(), holder: holder.to_owned(), until };
        self.catalog.acquire_lease(&lease, floret_store::Clock::now(&*self.clock)).await.unwrap()
    }
}

/// A text whose bytes are in the blob store, so that building from it passes the gate.
fn long(word: &str) -> String {
    (0..2_000).map(|n| format!("{word}{n} ")).collect()
}

async fn build(host: &Floret, id: &str, texts: &[&str]) -> Result<CascadeReport, Error> {
    host.corpus_create(vec![corpus(id, texts, &[])], &Progress::default()).await
}

async fn build_master(host: &Floret, id: &str, children: &[String]) -> Result<CascadeReport, Error> {
    let children: Vec<&str> = children.iter().map(String::as_str).collect();
    host.corpus_create(vec![corpus(id, &[], &children)], &Progress::default()).await
}

/// Builds that a component ran for, and those that came from memory.
fn counts<'a>(reports: impl IntoIterator<Item = &'a CascadeReport>) -> (usize, usize) {
    let counted = reports.into_iter().map(|report| (report.count("built"), report.count("memo_hit")));
    counted.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// The recipe of a corpus of these texts, worked out where nobody else is.
async fn recipe_of(texts: &[(&str, String)]) -> String {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    for (id, text) in texts {
        save_text(&host, id, text).await.unwrap();
    }
    let ids: Vec<&str> = texts.iter().map(|(id, _)| *id).collect();
    let report = build(&host, "any", &ids).await.unwrap();
    report.steps[0].recipe.unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_that_want_one_build_make_it_once() {
    let cluster = Cluster::new();
    let (one, gate, before) = cluster.gated("one").await;
    let other = cluster.host("other", Setup::default()).await;
    save_text(&other, "a", &long("a")).await.unwrap();
    let first = tokio::spawn(async move { build(&one, "one", &["a"]).await });
    while gate.reads() == before {
        tokio::task::yield_now().await;
    }
    let second = tokio::spawn({
        let other = Arc::clone(&other);
        async move { build(&other, "other", &["a"]).await }
    });
    cluster.catalog.refused_leases(2).await;
    assert!(!second.is_finished(), "it waits for the other host");
    gate.open();
    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
    assert_eq!((counts([&first]), counts([&second])), ((1, 0), (0, 1)));
    assert_sound(&other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_tasks_that_want_one_build_make_it_once() {
    let cluster = Cluster::new();
    let host = cluster.host("one", Setup::default()).await;
    save_text(&host, "a", &long("a")).await.unwrap();
    let names: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let reports = try_join_all(names.iter().map(|name| build(&host, name, &["a"]))).await.unwrap();
    assert_eq!(counts(&reports), (1, 49));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_dropped_lets_the_next_begin_at_once() {
    let cluster = Cluster::new();
    let (one, gate, before) = cluster.gated("one").await;
    let other = cluster.host("other", Setup::default()).await;
    save_text(&other, "a", &long("a")).await.unwrap();
    let first = tokio::spawn(async move { build(&one, "one", &["a"]).await });
    while gate.reads() == before {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    // The clock stands still, so no lease runs out.
    let report = build(&other, "other", &["a"]).await.unwrap();
    assert_eq!(counts([&report]), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_build_of_a_dead_host_is_taken_over_when_its_lease_has_run_out() {
    let text = long("a");
    let recipe = recipe_of(&[("a", text.clone())]).await;
    let cluster = Cluster::new();
    let host = cluster.host("one", Setup::default()).await;
    save_text(&host, "a", &text).await.unwrap();
    let name = format!("build/{recipe}");
    assert_eq!(cluster.lease(&name, "dead", START.plus_ms(10_000)).await, Leased::Granted);
    let waiting = tokio::spawn({
        let host = Arc::clone(&host);
        async move { build(&host, "one", &["a"]).await }
    });
    cluster.catalog.refused_leases(3).await;
    assert!(!waiting.is_finished(), "it waits as long as the lease lasts");
    cluster.clock.advance_ms(10_001);
    assert_eq!(counts([&waiting.await.unwrap().unwrap()]), (1, 0));
    // It was given back, not left to run out.
    assert_eq!(cluster.lease(&name, "next", START.plus_ms(30_000)).await, Leased::Granted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_is_tried_by_who_waits() {
    let cluster = Cluster::new();
    let (one, gate, before) = cluster.gated("one").await;
    let other = cluster.host("other", Setup::default()).await;
    save_text(&other, "a", &long("a")).await.unwrap();
    let first = tokio::spawn(async move { build(&one, "one", &["a"]).await });
    while gate.reads() == before {
        tokio::task::yield_now().await;
    }
    // What the first reads is gone; what the second reads is in its cache.
    other.get(&key("literature/a"), &Selector::Latest, Freshness::Cached).await.unwrap();
    std::fs::rename(cluster.folder.path().join("blobs"), cluster.folder.path().join("gone")).unwrap();
    let second = tokio::spawn({
        let other = Arc::clone(&other);
        async move { build(&other, "other", &["a"]).await }
    });
    cluster.catalog.refused_leases(1).await;
    gate.open();
    assert!(first.await.unwrap().is_err());
    assert_eq!(counts([&second.await.unwrap().unwrap()]), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_that_share_nodes_do_not_wait_for_each_other_for_ever() {
    let cluster = Cluster::new();
    let options = || Options { merge_fan_in: 2, parallel_steps_max: 8, ..Options::default() };
    let setup = || Setup { options: options(), ..Setup::default() };
    let hosts = [cluster.host("one", setup()).await, cluster.host("other", setup()).await];
    let children: Vec<String> = (0..16).map(|n| format!("c{n}")).collect();
    for child in &children {
        save_text(&hosts[0], child, &long(child)).await.unwrap();
        build(&hosts[0], child, &[child]).await.unwrap();
    }
    // Masters over the same children, over the first of them, and over the rest: nodes of one are nodes of others, on
    // other levels, too.
    let builds = (0..12).map(|n| {
        let children = match n % 3 {
            0 => &children[..],
            1 => &children[..8],
            _ => &children[4..],
        };
        let (host, id) = (&hosts[n % 2], format!("master{n}"));
        async move { build_master(host, &id, children).await.unwrap() }
    });
    let reports = join_all(builds).await;
    assert_eq!(counts(&reports), (3, 9), "each of the three was built once");
    assert_sound(&hosts[0]).await;
}

fn schedule() -> Schedule {
    Schedule {
        every: Duration::from_secs(24 * 3600),
        policy: RetentionPolicy::default(),
        grace_ms: 3_600_000,
    }
}

const DAY_MS: u64 = 24 * 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn r5_one_host_cleans_up_and_the_others_wait_for_the_next_time() {
    let cluster = Cluster::new();
    let (one, other) =
        (cluster.host("one", Setup::default()).await, cluster.host("other", Setup::default()).await);
    for n in 0..6 {
        save_text(&one, "a", &format!("text {n}")).await.unwrap();
    }
    let Tended::Cleaned(report) = one.clean_up_if_due(&schedule()).await.unwrap() else {
        panic!("nobody else cleans up");
    };
    assert_eq!((report.dropped.len(), report.errors.len()), (3, 0));
    for host in [&one, &other] {
        assert_eq!(host.clean_up_if_due(&schedule()).await.unwrap(), Tended::NotYet { wait_ms: DAY_MS });
    }
    cluster.clock.advance_ms(DAY_MS - 1);
    assert_eq!(other.clean_up_if_due(&schedule()).await.unwrap(), Tended::NotYet { wait_ms: 1 });
    cluster.clock.advance_ms(1);
    assert!(matches!(other.clean_up_if_due(&schedule()).await.unwrap(), Tended::Cleaned(_)));
    assert_eq!(one.clean_up_if_due(&schedule()).await.unwrap(), Tended::NotYet { wait_ms: DAY_MS });
    assert_sound(&other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_the_pass_of_a_host_that_died_in_it_is_taken_over() {
    let cluster = Cluster::new();
    let host = cluster.host("one", Setup::default()).await;
    // As a heartbeat leaves it.
    cluster.lease("cleanup", "dead", START.plus_ms(10_000)).await;
    assert_eq!(host.clean_up_if_due(&schedule()).await.unwrap(), Tended::NotYet { wait_ms: 10_000 });
    cluster.clock.advance_ms(10_000);
    assert!(matches!(host.clean_up_if_due(&schedule()).await.unwrap(), Tended::Cleaned(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_host_that_runs_on_cleans_up_by_itself() {
    let cluster = Cluster::new();
    let (one, other) =
        (cluster.host("one", Setup::default()).await, cluster.host("other", Setup::default()).await);
    for n in 0..6 {
        save_text(&one, "a", &format!("text {n}")).await.unwrap();
    }
    let (often, oldest) = (Schedule { every: Duration::from_millis(20), ..schedule() }, key("literature/a"));
    let cleaned = async {
        while !matches!(
            other.get(&oldest, &Selector::Seq(Seq(1)), Freshness::Strong).await,
            Err(Error::Dropped(_))
        ) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = one.tend(&often) => panic!("it goes on until it is dropped"),
        seen = tokio::time::timeout(Duration::from_secs(60), cleaned) => seen.unwrap(),
    }
    // It was dropped in the middle of its pass, perhaps.
    assert_sound(&other).await;
}
