//! What the host costs as a whole: each row is a call that a user makes, beside what it stands on where that can be had
//! in the same run. What one crate costs by itself stands in that crate's own benches.
//!
//! Data: made here from seed 20250731. "1 KB" is a dictionary entry as JSON (about 1,000 bytes in canonical form), "5 MB" a
//! vocabulary with frequencies, as JSON or as lines of bytes; corpora hold 20,000 of 100,000 made-up words each. Every
//! part of it runs on a host of its own in the temporary folder, embedded and durable as by default, with the
//! components of `plugins/dist`, compiled beforehand. Times are medians by the wall clock, as a caller sees them, of a machine
//! that may do other things: compare the ratios. Run: `cargo xtask bench pipeline`, or with the name of a part
//! (`memory`, `disk`, `save`, `many`, `policy`, `master`, `cascade`): `cargo bench --profile release -p floret-pipeline -- master`.

mod data;
mod world;

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use floret_model::{CascadeReport, Codec, CompressionType, ResourceKey, canonical_json};
use floret_pipeline::{Change, Content, Error, Floret, Freshness, Progress, SaveRequest, Selector};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::data::{SEED, child_text, entry, entry_key, key, vocabulary_json, vocabulary_lines};
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
        "{:<56} {:>10} {:>10} {:>7}   beside",
        "work (ratio to goal: at most 1 is met)", "median", "goal", "ratio"
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

fn row(work: &str, median: Duration, goal: Duration, beside: &str) {
    let ratio = median.as_secs_f64() / goal.as_secs_f64();
    println!("{work:<56} {:>10} {:>10} {ratio:>6.2}x   {beside}", told(median), told(goal));
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

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let started = Instant::now();
    let done = work.await;
    (started.elapsed(), done)
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
    let each = |time: Duration| time / asked.len() as u32;
    let (mut ours, mut mokas) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        let (time, ()) = timed(async {
            for key in &asked {
                black_box(host.get(key, &Selector::Latest, Freshness::Cached).await.expect("a hit"));
            }
        })
        .await;
        ours.push(each(time));
        let started = Instant::now();
        assert!(theirs.iter().all(|name| black_box(bare.get(name)).is_some()), "every key was put");
        mokas.push(each(started.elapsed()));
    }
    let (ours, moka) = (median(ours), median(mokas));
    let work = format!("memory hit: get the latest of {keys} keys");
    row(&work, ours, goal, &beside("bare moka", moka, ours));
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
        let mut times = Vec::new();
        for _ in 0..if bytes > 1 << 20 { 60 } else { 4_000 } {
            let name = &names[random.random_range(0..count)];
            let (time, content) = timed(latest(host, name)).await;
            assert_eq!(content.len(), bytes);
            times.push(time);
        }
        row(&format!("get {size}, memory tier off"), median(times), goal, "");
    }
}

async fn save(host: &Floret, request: SaveRequest) -> Duration {
    let (time, saved) = timed(host.save(request)).await;
    assert!(saved.expect("saved").is_new);
    time
}

async fn save_again(host: &Floret, request: SaveRequest) -> Duration {
    let (time, saved) = timed(host.save(request)).await;
    assert!(!saved.expect("seen").is_new);
    time
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
    let (mut new, mut same) = (Vec::new(), Vec::new());
    let before = appends(folder.path(), 1 << 10);
    for revision in 0..1_000 {
        new.push(save(host, entry(7, revision)).await);
    }
    let bare = before.min(appends(folder.path(), 1 << 10));
    let new = median(new);
    let work = "save a new version of 1 KB, one by one, durable";
    row(work, new, Duration::from_micros(250), &beside("append + fdatasync", bare, new));
    for _ in 0..5_000 {
        let request = entry(7, 999);
        same.push(save_again(host, request).await);
    }
    row("save 1 KB equal to the latest", median(same), Duration::from_micros(3), "");
}

async fn large_saves() {
    let World { host, .. } = &open(Tiers::Both).await;
    let json = |revision| SaveRequest::new(key("vocabulary/json"), Content::Json(vocabulary_json(revision)));
    let bytes =
        |revision| SaveRequest::new(key("vocabulary/bytes"), Content::Bytes(vocabulary_lines(revision)));
    type Request<'a> = &'a dyn Fn(usize) -> SaveRequest;
    let requests: [(&str, Request<'_>, [u64; 2]); 2] =
        [("JSON", &json, [60, 15]), ("bytes", &bytes, [25, 3])];
    let mut revision = 0;
    for (what, request, [goal_new, goal_same]) in requests {
        let hash = median((0..9).map(|_| hash_alone(request(0).content)).collect());
        let mut same = Vec::new();
        for level in [9, 1] {
            world::compress_large_contents(host, level).await;
            let (mut new, mut zstd) = (Vec::new(), Vec::new());
            for _ in 0..9 {
                revision += 1;
                new.push(save(host, request(revision)).await);
                zstd.push(compress_alone(request(revision).content, level));
                let again = [request(revision), request(revision)];
                for request in again {
                    same.push(save_again(host, request).await);
                }
            }
            let (new, zstd) = (median(new), median(zstd));
            let work = format!("save a new version of 5 MB of {what}, durable, zstd {level}");
            let zstd = beside("zstd alone", zstd, new);
            row(&work, new, Duration::from_millis(goal_new), &zstd);
        }
        let (same, goal) = (median(same), Duration::from_millis(goal_same));
        let hash = beside("canonical form and hash", hash, same);
        row(&format!("save 5 MB of {what} equal to the latest"), same, goal, &hash);
    }
}

fn compress_alone(content: Content, level: i32) -> Duration {
    let bytes = match content {
        Content::Json(value) => canonical_json(&value).into(),
        Content::Bytes(bytes) => bytes,
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
    };
    started.elapsed()
}

async fn writers() {
    let mut each = Vec::new();
    for _ in 0..5 {
        let World { host, folder } = open(Tiers::Both).await;
        let requests: Vec<Vec<SaveRequest>> = (0..WRITERS)
            .map(|writer| (0..SAVES_OF_A_WRITER).map(|revision| entry(writer, revision)).collect())
            .collect();
        let (time, ()) = timed(async {
            let writer = |requests: Vec<SaveRequest>| {
                let host = Arc::clone(&host);
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
        each.push(time / (WRITERS * SAVES_OF_A_WRITER) as u32);
        drop(folder);
    }
    let each = median(each);
    let work = format!("{WRITERS} writers, new versions of 1 KB, durable, each");
    let rate = format!("{:.0} a second; goal 50000", 1.0 / each.as_secs_f64());
    row(&work, each, Duration::from_micros(20), &rate);
}

async fn batches() {
    let World { host, .. } = &open(Tiers::Both).await;
    let mut times = Vec::new();
    for revision in 0..15 {
        let requests: Vec<SaveRequest> = (0..1_000).map(|number| entry(number, revision)).collect();
        let (time, saved) = timed(host.save_batch(requests)).await;
        assert!(saved.expect("saved").iter().all(|saved| saved.is_new));
        times.push(time);
    }
    row("batch of 1,000 x 1 KB, atomic, durable", median(times), Duration::from_millis(15), "");
}

/// Everything of a save but its commit: a change whose progress is stopped prepares its saves, and publishes nothing.
async fn prepare(host: &Floret, saves: Vec<SaveRequest>) -> Duration {
    let stopped = Progress::default();
    stopped.stop();
    let change = Change { saves, ..Change::default() };
    let (time, done) = timed(host.apply(change, &stopped)).await;
    assert!(matches!(done, Err(Error::Interrupted)));
    time
}

async fn preparing() {
    let World { host, .. } = &open(Tiers::Both).await;
    let (mut alone, mut in_batch) = (Vec::new(), Vec::new());
    for number in 0..2_000 {
        alone.push(prepare(host, vec![entry(number, 0)]).await);
    }
    for revision in 0..15 {
        let saves = (0..1_000).map(|number| entry(number, revision)).collect();
        in_batch.push(prepare(host, saves).await / 1_000);
    }
    let note = "the policy's decision and the rest of what comes before the commit";
    row("prepare a save of 1 KB, alone", median(alone), Duration::from_micros(35), note);
    row("prepare a save of 1 KB, each of a batch", median(in_batch), Duration::from_micros(1), note);
}

async fn masters() {
    let World { host, .. } = &open(Tiers::Both).await;
    let progress = &Progress::default();
    let mut random = StdRng::seed_from_u64(SEED);
    let mut children: Vec<ResourceKey> = Vec::new();
    for child in 0..CHILDREN {
        host.save(child_text(child, 0)).await.expect("saved");
        children.push(world::corpus(host, &format!("c{child}"), &[&format!("literature/t{child}")]).await);
    }
    let master = |id: String, children: &[ResourceKey]| {
        let children = children.iter().map(ToString::to_string).collect::<Vec<_>>();
        async move {
            let children: Vec<&str> = children.iter().map(String::as_str).collect();
            timed(world::corpus(host, &id, &children)).await.0
        }
    };
    master("all".to_owned(), &children).await;
    let mut incremental = Vec::new();
    for revision in 1..12 {
        let child = random.random_range(0..CHILDREN);
        host.save(child_text(child, revision)).await.expect("saved");
        let (time, report) = timed(host.cascade(&[key(&format!("literature/t{child}"))], progress)).await;
        assert_eq!(report.expect("a cascade").count("built"), 2);
        incremental.push(time);
    }
    let mut full = Vec::new();
    for number in 0..7 {
        // Another order: no group of its merge tree was merged before.
        children.shuffle(&mut random);
        full.push(master(format!("all{number}"), &children).await);
    }
    let goal = Duration::from_millis(200);
    row("master of 50 children x 20,000 words, all of it", median(full), goal, "");
    let goal = Duration::from_millis(40);
    row("the same, one child's text changed: child and master", median(incremental), goal, "");
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
        let (built, ()) = timed(world::corpora(host, nodes)).await;
        let roots = [key("literature/t0")];
        let (mut plans, mut runs) = (Vec::new(), Vec::new());
        for _ in 0..7 {
            let (time, plan) = timed(host.plan(&roots)).await;
            assert_eq!(plan.expect("a plan").steps.len(), NODES + 1);
            plans.push(time);
            let (time, report) = timed(host.cascade(&roots, progress)).await;
            let report: CascadeReport = report.expect("a cascade");
            assert_eq!(report.count("cut_off"), NODES + 1);
            runs.push(time);
        }
        let (plan, run) = (median(plans), median(runs));
        let work = format!("plan 10,000 nodes, {shape}");
        row(&work, plan, Duration::from_millis(100), "");
        let work = "cascade over them, the first cut off, each node";
        let made = format!("{} in all; making them from memos took {}", told(run), told(built));
        row(work, run / NODES as u32, Duration::from_micros(5), &made);
    }
}
