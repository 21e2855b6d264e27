//! What the host costs as a whole: each row is a call that a user makes, beside what it stands on where that can be had
//! in the same run. What one crate costs by itself stands in that crate's own benches.
//!
//! Data: made here from seed 20250731. "1 KB" is a dictionary entry as JSON (about 1,000 bytes in canonical form),
//! "5 MB" a vocabulary with frequencies, as a parsed JSON document or as lines of bytes; corpora hold 20,000 of
//! 100,000 made-up words each. Every part runs on a host of its own in the temporary folder, embedded and durable
//! as by default, with the components of `plugins/dist`, compiled beforehand. Times are medians by the wall clock, as a
//! caller sees them; beside them the mean time of processors, all threads together. The machine may do other things:
//! compare the ratios.
//!
//! Run: `cargo xtask bench pipeline`, or only parts of it (`memory`, `disk`, `save`, `many`, `policy`, `master`,
//! `cascade`): `cargo xtask bench pipeline -- master`.

mod data;
mod watch;
mod world;

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use floret_model::{Codec, CompressionType, ResourceKey, canonical_json};
use floret_pipeline::{Change, Content, Error, Floret, Freshness, Progress, SaveRequest, Selector};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::data::{SEED, child_text, entry, entry_key, key, vocabulary_json, vocabulary_lines};
use crate::watch::{Measured, Watch, median};
use crate::world::{Tiers, World, open};

const WRITERS: usize = 64;
const SAVES_OF_A_WRITER: usize = 500;
const CHILDREN: usize = 50;
const NODES: usize = 10_000;

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|asked| asked == part);
    let asynchronous = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let asynchronous = asynchronous.expect("threads can be started");
    println!(
        "{:<56} {:>10} {:>10} {:>7} {:>10}   beside",
        "work (ratio to goal: at most 1 is met)", "median", "goal", "ratio", "processors"
    );
    asynchronous.block_on(async {
        if wanted("memory") {
            memory_hits(1_000, Duration::from_nanos(200)).await;
            memory_hits(20_000, Duration::from_nanos(350)).await;
        }
        if wanted("disk") {
            disk_hits().await;
        }
        if wanted("save") {
            small_saves().await;
            large_saves().await;
        }
        if wanted("many") {
            writers().await;
            batches().await;
        }
        if wanted("policy") {
            preparing().await;
        }
        if wanted("master") {
            masters().await;
        }
        if wanted("cascade") {
            cascades().await;
        }
    });
}

fn row(work: &str, measured: &Measured, goal: Duration, beside: &str) {
    let Measured { time, processor } = *measured;
    let ratio = time.as_secs_f64() / goal.as_secs_f64();
    let (time, goal, processor) = (told(time), told(goal), told(processor));
    println!("{work:<56} {time:>10} {goal:>10} {ratio:>6.2}x {processor:>10}   {beside}");
}

fn beside(what: &str, other: Duration, ours: Duration) -> String {
    format!("{what} {}: {:.1}x of it", told(other), ours.as_secs_f64() / other.as_secs_f64())
}

fn told(time: Duration) -> String {
    let us = time.as_secs_f64() * 1e6;
    match us {
        _ if us < 10.0 => format!("{us:.2} us"),
        _ if us < 1_000.0 => format!("{us:.1} us"),
        _ => format!("{:.1} ms", us / 1e3),
    }
}

async fn latest(host: &Floret, key: &ResourceKey) -> Bytes {
    let snapshot = host.get(key, &Selector::Latest, Freshness::Cached).await.expect("it was saved");
    snapshot.content.clone()
}

async fn memory_hits(keys: usize, goal: Duration) {
    let World { host, .. } = &open(Tiers::Both).await;
    let mut random = StdRng::seed_from_u64(SEED);
    let bare = moka::sync::Cache::<String, Arc<serde_json::Value>>::new(2 * keys as u64);
    let names: Vec<ResourceKey> = (0..keys).map(entry_key).collect();
    let entries: Vec<SaveRequest> = (0..keys).map(|number| entry(number, 0)).collect();
    for some in entries.chunks(1_000) {
        host.save_batch(some.to_vec()).await.expect("saved");
    }
    for name in &names {
        bare.insert(name.to_string(), Arc::default());
        latest(host, name).await;
    }
    let asked: Vec<&ResourceKey> = (0..100_000).map(|_| &names[random.random_range(0..keys)]).collect();
    let theirs: Vec<String> = asked.iter().map(ToString::to_string).collect();
    let mut watch = Watch::start(asked.len());
    let mut mokas = Vec::new();
    for _ in 0..15 {
        watch
            .read(async {
                for key in &asked {
                    black_box(host.get(key, &Selector::Latest, Freshness::Cached).await.expect("a hit"));
                }
            })
            .await;
        watch
            .aside(async {
                let started = Instant::now();
                assert!(theirs.iter().all(|name| black_box(bare.get(name)).is_some()), "every key was put");
                mokas.push(started.elapsed() / asked.len() as u32);
            })
            .await;
    }
    let ours = watch.end();
    let work = format!("memory hit: get the latest of {keys} keys");
    row(&work, &ours, goal, &beside("bare moka", median(mokas), ours.time));
}

async fn disk_hits() {
    for (size, bytes, goal) in [
        ("1 KB", 1 << 10, Duration::from_micros(3)),
        ("100 KB", 100 << 10, Duration::from_micros(25)),
        ("5 MB", 5 << 20, Duration::from_millis(3)),
    ] {
        let World { host, .. } = &open(Tiers::DiskOnly).await;
        let mut random = StdRng::seed_from_u64(SEED);
        let count = ((64 << 20) / bytes).clamp(12, 500);
        let lines = vocabulary_lines(0);
        let names: Vec<ResourceKey> =
            (0..count).map(|number| key(&format!("vocabulary/v{number}"))).collect();
        for (number, name) in names.iter().enumerate() {
            let mut content = format!("{number}\n").into_bytes();
            content.extend_from_slice(&lines[..bytes - content.len()]);
            let content = Content::Bytes(content.into());
            host.save(SaveRequest::new(name.clone(), content)).await.expect("saved");
            // The first read brings it into the disk tier.
            latest(host, name).await;
        }
        let mut watch = Watch::start(1);
        for _ in 0..if bytes > 1 << 20 { 60 } else { 4_000 } {
            let name = &names[random.random_range(0..count)];
            let content = watch.read(latest(host, name)).await;
            assert_eq!(content.len(), bytes);
        }
        row(&format!("get {size}, memory tier off"), &watch.end(), goal, "");
    }
}

async fn save(host: &Floret, request: SaveRequest) {
    assert!(host.save(request).await.expect("saved").is_new);
}

async fn save_again(host: &Floret, request: SaveRequest) {
    assert!(!host.save(request).await.expect("seen").is_new);
}

fn appends(folder: &Path, bytes: usize) -> Duration {
    let mut file = std::fs::File::create(folder.join("bare")).expect("a file");
    file.set_len(16 << 20).expect("room");
    file.sync_all().expect("synced");
    let bytes = vec![7; bytes];
    let append = |_| {
        let started = Instant::now();
        file.write_all(&bytes).expect("written");
        file.sync_data().expect("synced");
        started.elapsed()
    };
    median((0..500).map(append).collect())
}

async fn small_saves() {
    let World { host, folder } = &open(Tiers::Both).await;
    let before = appends(folder.path(), 1 << 10);
    let revisions: Vec<SaveRequest> = (0..1_000).map(|revision| entry(7, revision)).collect();
    let mut watch = Watch::start(1);
    for request in revisions {
        watch.read(save(host, request)).await;
    }
    let new = watch.end();
    let bare = before.min(appends(folder.path(), 1 << 10));
    let work = "save a new version of 1 KB, one by one, durable";
    row(work, &new, Duration::from_micros(250), &beside("append + fdatasync", bare, new.time));
    let same = vec![entry(7, 999); 5_000];
    let mut watch = Watch::start(1);
    for request in same {
        watch.read(save_again(host, request)).await;
    }
    row("save 1 KB equal to the latest", &watch.end(), Duration::from_micros(3), "");
}

async fn large_saves() {
    let World { host, .. } = &open(Tiers::Both).await;
    let json = |revision| SaveRequest::new(key("vocabulary/json"), Content::Json(vocabulary_json(revision)));
    let bytes =
        |revision| SaveRequest::new(key("vocabulary/bytes"), Content::Bytes(vocabulary_lines(revision)));
    let forms: [(&str, &dyn Fn(usize) -> SaveRequest); 2] = [("JSON", &json), ("bytes", &bytes)];
    let goals_ms = [(60, 15), (25, 3)];
    let mut revision = 0;
    for ((what, request), (goal_new, goal_same)) in forms.into_iter().zip(goals_ms) {
        for level in [9, 1] {
            world::compress_large_contents(host, level).await;
            let mut zstd = Vec::new();
            let mut watch = Watch::start(1);
            for _ in 0..9 {
                revision += 1;
                let request = watch
                    .aside(async {
                        zstd.push(compress_alone(request(revision).content, level));
                        request(revision)
                    })
                    .await;
                watch.read(save(host, request)).await;
            }
            let new = watch.end();
            let work = format!("save a new version of 5 MB of {what}, durable, zstd {level}");
            let zstd = beside("zstd alone", median(zstd), new.time);
            row(&work, &new, Duration::from_millis(goal_new), &zstd);
        }
        let mut hash = Vec::new();
        let mut watch = Watch::start(1);
        for _ in 0..15 {
            let request = watch
                .aside(async {
                    hash.push(hash_alone(request(revision).content));
                    request(revision)
                })
                .await;
            watch.read(save_again(host, request)).await;
        }
        let (same, goal) = (watch.end(), Duration::from_millis(goal_same));
        let hash = beside("canonical form and hash", median(hash), same.time);
        row(&format!("save 5 MB of {what} equal to the latest"), &same, goal, &hash);
    }
}

fn compress_alone(content: Content, level: i32) -> Duration {
    let bytes = match content {
        Content::Json(value) => canonical_json(&value).into(),
        Content::Bytes(bytes) => bytes,
        Content::File(_) => unreachable!("the benchmark has its contents in memory"),
    };
    let codec = Codec::new(CompressionType::Zstd, level).expect("a level");
    let started = Instant::now();
    black_box(floret_store::codec::encode(&bytes, codec)).expect("encoded");
    started.elapsed()
}

fn hash_alone(content: Content) -> Duration {
    let started = Instant::now();
    match &content {
        Content::Json(value) => black_box(floret_model::Digest::of_json(value)),
        Content::Bytes(bytes) => black_box(floret_model::Digest::of(bytes)),
        Content::File(_) => unreachable!("the benchmark has its contents in memory"),
    };
    started.elapsed()
}

async fn writers() {
    let mut all = Vec::new();
    for _ in 0..5 {
        let World { host, .. } = &open(Tiers::Both).await;
        let requests: Vec<Vec<SaveRequest>> = (0..WRITERS)
            .map(|writer| (0..SAVES_OF_A_WRITER).map(|revision| entry(writer, revision)).collect())
            .collect();
        let mut watch = Watch::start(WRITERS * SAVES_OF_A_WRITER);
        watch
            .read(async {
                let writer = |requests: Vec<SaveRequest>| {
                    let host = Arc::clone(host);
                    tokio::spawn(async move {
                        for request in requests {
                            save(&host, request).await;
                        }
                    })
                };
                for writer in requests.into_iter().map(writer).collect::<Vec<_>>() {
                    writer.await.expect("a writer ends");
                }
            })
            .await;
        all.push(watch.end());
    }
    all.sort_by_key(|measured| measured.time);
    let each = &all[all.len() / 2];
    let work = format!("{WRITERS} writers, new versions of 1 KB, durable, each");
    let rate = format!("{:.0} a second; goal 50000", 1.0 / each.time.as_secs_f64());
    row(&work, each, Duration::from_micros(20), &rate);
}

async fn batches() {
    let World { host, .. } = &open(Tiers::Both).await;
    let batch = |revision| (0..1_000).map(|number| entry(number, revision)).collect::<Vec<_>>();
    let mut watch = Watch::start(1);
    for revision in 0..15 {
        let requests = watch.aside(async { batch(revision) }).await;
        let saved = watch.read(host.save_batch(requests)).await;
        assert!(saved.expect("saved").iter().all(|saved| saved.is_new));
    }
    row("batch of 1,000 x 1 KB, atomic, durable", &watch.end(), Duration::from_millis(15), "");
}

/// Everything of a save but its commit: a change whose progress is stopped prepares its saves, and publishes nothing.
async fn prepare(host: &Floret, saves: Vec<SaveRequest>) {
    let stopped = Progress::default();
    stopped.stop();
    let change = Change { saves, ..Change::default() };
    assert!(matches!(host.apply(change, &stopped).await, Err(Error::Interrupted)));
}

async fn preparing() {
    let World { host, .. } = &open(Tiers::Both).await;
    let batch = |revision| (0..1_000).map(|number| entry(number, revision)).collect::<Vec<_>>();
    let mut alone = Watch::start(1);
    for request in alone.aside(async { batch(0) }).await {
        alone.read(prepare(host, vec![request])).await;
    }
    let note = "the policy's decision and all else that comes before the commit";
    row("prepare a save of 1 KB, alone", &alone.end(), Duration::from_micros(35), note);
    let mut together = Watch::start(1_000);
    for revision in 1..16 {
        let saves = together.aside(async { batch(revision) }).await;
        together.read(prepare(host, saves)).await;
    }
    let note = "as before; the goal is that of the policy's decision alone";
    row("prepare a save of 1 KB, each of a batch", &together.end(), Duration::from_micros(1), note);
}

async fn masters() {
    let World { host, .. } = &open(Tiers::Both).await;
    let mut random = StdRng::seed_from_u64(SEED);
    let mut children: Vec<ResourceKey> = Vec::new();
    for child in 0..CHILDREN {
        host.save(child_text(child, 0)).await.expect("saved");
        children.push(world::corpus(host, &format!("c{child}"), &[&format!("literature/t{child}")]).await);
    }
    world::master(host, "all", &children).await;
    let progress = &Progress::default();
    let mut incremental = Watch::start(1);
    for revision in 1..12 {
        let child = random.random_range(0..CHILDREN);
        let saved = incremental.aside(async { host.save(child_text(child, revision)).await });
        saved.await.expect("saved");
        let roots = [key(&format!("literature/t{child}"))];
        let report = incremental.read(host.cascade(&roots, progress)).await;
        assert_eq!(report.expect("a cascade").count("built"), 2);
    }
    let incremental = incremental.end();
    let mut full = Watch::start(1);
    for number in 0..7 {
        // Another order: no group of its merge tree was merged before.
        children.shuffle(&mut random);
        full.read(world::master(host, &format!("all{number}"), &children)).await;
    }
    let goal = Duration::from_millis(200);
    row("master of 50 children x 20,000 words, all of it", &full.end(), goal, "");
    let goal = Duration::from_millis(40);
    row("the same, one child's text changed: child and master", &incremental, goal, "");
}

async fn cascades() {
    let progress = &Progress::default();
    let wide = |_: usize| "corpus/base".to_owned();
    let deep = |number: usize| match number {
        0 => "corpus/base".to_owned(),
        _ => format!("corpus/n{}", number - 1),
    };
    let shapes: [(&str, &dyn Fn(usize) -> String); 2] = [("wide", &wide), ("deep", &deep)];
    for (shape, parent) in shapes {
        let World { host, .. } = &open(Tiers::Both).await;
        host.save(child_text(0, 0)).await.expect("saved");
        world::corpus(host, "base", &["literature/t0"]).await;
        let nodes = (0..NODES).map(|number| (format!("n{number}"), parent(number)));
        let mut made = Watch::start(NODES);
        made.read(world::corpora(host, nodes)).await;
        let made = made.end();
        let roots = [key("literature/t0")];
        let mut plans = Watch::start(1);
        for _ in 0..9 {
            let plan = plans.read(host.plan(&roots)).await;
            assert_eq!(plan.expect("a plan").steps.len(), NODES + 1);
        }
        let mut runs = Watch::start(NODES);
        for _ in 0..9 {
            let report = runs.read(host.cascade(&roots, progress)).await;
            assert_eq!(report.expect("a cascade").count("cut_off"), NODES + 1);
        }
        row(&format!("plan 10,000 nodes, {shape}"), &plans.end(), Duration::from_millis(100), "");
        let work = format!("cascade over them, the first cut off, each node, {shape}");
        let note = format!("making each of them, a memo hit, took {}", told(made.time));
        row(&work, &runs.end(), Duration::from_micros(5), &note);
    }
}
