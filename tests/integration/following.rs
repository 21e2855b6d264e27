//! What one host has cached of what another publishes.

use std::sync::Arc;
use std::time::Duration;

use floret_cache::{ManualClock, Millis};
use floret_model::Seq;
use floret_pipeline::{Binding, Floret, Freshness, Progress, Selector, Snapshot};
use floret_store::{EmbeddedCatalog, local_objects};
use floret_tests::gate::Gate;
use floret_tests::shared::SharedCatalog;
use floret_tests::{Setup, assert_sound, key, open, save_text, small_world};
use futures::future::poll_immediate;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A host that publishes, and one that reads and follows.
struct World {
    catalog: Arc<SharedCatalog>,
    writer: Arc<Floret>,
    reader: Arc<Floret>,
    cache_clock: Arc<ManualClock>,
    gate: Arc<Gate>,
    _folder: TempDir,
}

/// The reader's blobs are behind a gate, which is open at first.
async fn world() -> World {
    let folder = TempDir::new().unwrap();
    let catalog = SharedCatalog::over(EmbeddedCatalog::open(folder.path().join("catalog")).unwrap());
    let objects = || local_objects(&folder.path().join("blobs")).unwrap();
    let setup = || Setup { catalog: Some(catalog.clone()), objects: Some(objects()), ..Setup::default() };
    let writer = open(&folder.path().join("writer"), setup()).await.unwrap();
    let cache_clock = Arc::new(ManualClock::new(Millis(1_700_000_000_000)));
    let gate = Gate::before(objects());
    gate.open();
    let behind = Setup { objects: Some(gate.clone()), cache_clock: cache_clock.clone(), ..setup() };
    let reader = open(&folder.path().join("reader"), behind).await.unwrap();
    World { catalog, writer, reader, cache_clock, gate, _folder: folder }
}

impl World {
    /// Have the reader follow, and wait until a stream stands.
    async fn follow(&self) -> JoinHandle<()> {
        let reader = Arc::clone(&self.reader);
        let following = tokio::spawn(async move { reader.follow().await });
        self.catalog.streams(1).await;
        self.until_cached().await;
        following
    }

    async fn read(&self) -> Arc<Snapshot> {
        self.reader.get(&key("literature/a"), &Selector::Latest, Freshness::Cached).await.unwrap()
    }

    /// Read until the answer is this version, as it is when the stream has told of it.
    async fn until_read(&self, seq: u64) {
        while self.read().await.version.seq != Seq(seq) {
            tokio::task::yield_now().await;
        }
    }

    /// Read until the cache answers, as it does while a stream stands.
    async fn until_cached(&self) {
        while !self.is_cached().await {
            tokio::task::yield_now().await;
        }
    }

    /// Whether two reads are answered by one snapshot in memory.
    async fn is_cached(&self) -> bool {
        Arc::ptr_eq(&self.read().await, &self.read().await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v7_without_a_stream_every_read_of_the_latest_version_is_fresh() {
    let world = world().await;
    for n in 1..=3 {
        save_text(&world.writer, "a", &format!("text {n}")).await.unwrap();
        assert_eq!(world.read().await.version.seq, Seq(n));
        assert!(!world.is_cached().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v7_what_another_host_publishes_overtakes_what_is_cached() {
    let world = world().await;
    save_text(&world.writer, "a", "text 1").await.unwrap();
    let following = world.follow().await;
    for n in 2..=20 {
        assert!(world.is_cached().await);
        save_text(&world.writer, "a", &format!("text {n}")).await.unwrap();
        world.until_read(n).await;
    }
    // What the reader publishes itself is cached at once, and its own change does not drop it.
    save_text(&world.reader, "a", "text 21").await.unwrap();
    assert_eq!(world.read().await.content, "text 21");
    assert!(world.is_cached().await);
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn v7_while_the_stream_is_cut_reads_are_fresh_and_after_it_what_was_missed_comes_first() {
    let world = world().await;
    save_text(&world.writer, "a", "text 1").await.unwrap();
    let following = world.follow().await;
    save_text(&world.writer, "a", "text 2").await.unwrap();
    world.until_read(2).await;
    for (round, lost) in [(1, false), (2, true), (3, false)] {
        world.catalog.cut();
        while world.is_cached().await {
            tokio::task::yield_now().await;
        }
        save_text(&world.writer, "a", &format!("round {round}")).await.unwrap();
        assert_eq!(world.read().await.content, format!("round {round}"), "no stream stands");
        // Not read before the stream stands again: it must not be served from before.
        save_text(&world.writer, "a", &format!("late in round {round}")).await.unwrap();
        world.catalog.mend(lost);
        world.until_cached().await;
        assert_eq!(world.read().await.content, format!("late in round {round}"));
    }
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn v7_when_following_ends_the_cache_is_passed_by() {
    let world = world().await;
    save_text(&world.writer, "a", "text 1").await.unwrap();
    let following = world.follow().await;
    following.abort();
    assert!(following.await.unwrap_err().is_cancelled());
    save_text(&world.writer, "a", "text 2").await.unwrap();
    assert_eq!(world.read().await.content, "text 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_a_change_that_no_stream_told_of_is_seen_when_the_time_to_live_is_over() {
    let world = world().await;
    save_text(&world.writer, "a", "text 1").await.unwrap();
    let following = world.follow().await;
    world.catalog.silence(true);
    save_text(&world.writer, "a", "text 2").await.unwrap();
    assert_eq!(world.read().await.content, "text 1", "nobody told of it");
    world.cache_clock.advance(Duration::from_secs(29));
    assert_eq!(world.read().await.content, "text 1");
    world.cache_clock.advance(Duration::from_secs(1));
    assert_eq!(world.read().await.content, "text 2");
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_a_read_under_way_does_not_bring_back_what_was_overtaken_meanwhile() {
    let world = world().await;
    let long = |word: &str| (0..2_000).map(|n| format!("{word}{n} ")).collect::<String>();
    save_text(&world.writer, "a", "short").await.unwrap();
    save_text(&world.writer, "b", "mark 1").await.unwrap();
    let following = world.follow().await;
    let marked = key("literature/b");
    let mark = async || {
        let read = world.reader.get(&marked, &Selector::Latest, Freshness::Cached);
        read.await.unwrap().version.seq
    };
    assert_eq!(mark().await, Seq(1));
    save_text(&world.writer, "a", &long("old")).await.unwrap();
    world.gate.shut();
    let wanted = key("literature/a");
    let mut read = Box::pin(world.reader.get(&wanted, &Selector::Latest, Freshness::Strong));
    let before = world.gate.reads();
    while world.gate.reads() == before {
        assert!(poll_immediate(&mut read).await.is_none());
        tokio::task::yield_now().await;
    }
    // The latest version is read, its content is not. Now it is overtaken, and the reader hears of it: changes come in
    // order, and that of the mark is heard of.
    save_text(&world.writer, "a", "new").await.unwrap();
    save_text(&world.writer, "b", "mark 2").await.unwrap();
    while mark().await == Seq(1) {
        tokio::task::yield_now().await;
    }
    world.gate.open();
    assert_eq!(read.await.unwrap().content, long("old"), "it began before");
    assert_eq!(world.read().await.content, "new");
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn v7_who_saved_a_version_reads_it_on_every_host() {
    let world = world().await;
    save_text(&world.writer, "a", "text 1").await.unwrap();
    let following = world.follow().await;
    world.catalog.silence(true);
    let saved = save_text(&world.writer, "a", "text 2").await.unwrap();
    assert_eq!(world.read().await.content, "text 1", "nobody told of it");
    let wanted = key("literature/a");
    let at_least = |seq| world.reader.get(&wanted, &Selector::Latest, Freshness::AtLeast(seq));
    assert_eq!(at_least(Seq(1)).await.unwrap().content, "text 1");
    assert_eq!(at_least(saved.version.seq).await.unwrap().content, "text 2");
    assert_eq!(world.read().await.content, "text 2", "what was read is cached");
    let never = at_least(Seq(3)).await.unwrap_err().to_string();
    assert!(never.contains("literature/a@3 is not there") && never.contains("is @2"), "{never}");
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_a_save_is_compared_with_what_is_latest_and_not_with_what_is_cached() {
    let world = world().await;
    save_text(&world.writer, "a", "text A").await.unwrap();
    let following = world.follow().await;
    world.catalog.silence(true);
    save_text(&world.writer, "a", "text B").await.unwrap();
    assert_eq!(world.read().await.content, "text A", "nobody told of it");
    let saved = save_text(&world.reader, "a", "text A").await.unwrap();
    assert_eq!((saved.is_new, saved.version.seq), (true, Seq(3)));
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_of_another_host_is_used_by_the_next_build() {
    let world = world().await;
    small_world(&world.writer).await.unwrap();
    let following = world.follow().await;
    let progress = Progress::default();
    let of_reader = async |text: &str| {
        world.reader.save(floret_tests::text("a", text)).await.unwrap();
        world.reader.cascade(&[key("literature/a")], &progress).await.unwrap();
        let version = world.reader.resolve(&key("semantic/all"), &Selector::Latest).await.unwrap();
        version.build.as_ref().unwrap().config["dimension"].clone()
    };
    let before = of_reader("The reader builds it.").await;
    let config = [("dimension".to_owned(), 128.into())].into_iter().collect();
    let binding = Binding::configured("semantic-ngram", config);
    world.writer.plugin_bind("semantic", binding).await.unwrap();
    save_text(&world.writer, "b", "a mark").await.unwrap();
    let mut n = 0;
    while of_reader(&format!("The reader builds it again, {n}.")).await == before {
        n += 1;
    }
    assert_sound(&world.reader).await;
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_else_publishes_there_is_nothing_to_follow() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    host.follow().await;
    save_text(&host, "a", "text").await.unwrap();
    let saved = key("literature/a");
    let read = || host.get(&saved, &Selector::Latest, Freshness::Cached);
    let (one, other) = (read().await.unwrap(), read().await.unwrap());
    assert!(Arc::ptr_eq(&one, &other));
}

#[tokio::test(flavor = "multi_thread")]
async fn v7_a_host_that_warms_its_cache_keeps_no_latest_version_for_ever() {
    let world = world().await;
    save_text(&world.writer, "a", "text 1").await.unwrap();
    let following = world.follow().await;
    world.read().await;
    world.reader.uncache(&key("literature/a")).await.unwrap();
    let warmed = world.reader.warm(100).await;
    assert!(warmed.loaded > 0, "{warmed:?}");
    world.catalog.silence(true);
    save_text(&world.writer, "a", "text 2").await.unwrap();
    world.cache_clock.advance(Duration::from_secs(30));
    assert_eq!(world.read().await.content, "text 2");
    following.abort();
}
