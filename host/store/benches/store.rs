//! What the embedded catalog costs, beside the physical limit in the same run.
//!
//! Data: 1 KB contents inline, made from a counter, with dictionary metadata; keys `word-<n>`; no randomness, so no
//! seed. A fresh folder each, on the disk that holds the temporary folder. Medians; goals from design/numbers.md.
//! The machine is shared: compare the ratios, not the times.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use floret_model::{
    BuildRecord, Bump, Codec, CompressionType, ContentLocation, Dependency, DictionaryMetadata, Digest,
    Metadata, RecordedInput, ResourceKey, Seq, StorageType, TimestampMs, TypedMetadata, VersionRef,
};
use floret_store::{
    BlobOptions, BlobStore, Catalog, Draft, EmbeddedCatalog, IfUnchanged, Precondition, Publish, SystemClock,
    codec, local_objects, record,
};
use tempfile::TempDir;

const SINGLE: usize = 1000;
const WRITERS: usize = 64;
const SAVES: usize = 1000;
const NODES: usize = 10_000;

fn key(id: &str) -> ResourceKey {
    ResourceKey::parse("default", "dictionary", id).expect("a valid key")
}

fn kilobyte(number: usize) -> Bytes {
    let line = format!("{{\"word\": \"word {number}\", \"sense\": \"the {number}th of many\"}}\n");
    line.repeat(1024 / line.len() + 1).into_bytes()[..1024].to_vec().into()
}

fn draft(key: ResourceKey, number: usize) -> Draft {
    let bytes = kilobyte(number);
    let digest = Digest::of(&bytes);
    Draft {
        metadata: Metadata::typed(TypedMetadata::Dictionary(DictionaryMetadata {
            word: key.resource_id.as_str().to_owned(),
            provider: "bench".to_owned(),
            language: "en".to_owned(),
        })),
        key,
        bump: Bump::Patch,
        precondition: Precondition::Any,
        if_unchanged: IfUnchanged::Deduplicate,
        data_hash: digest,
        media_type: "application/json".to_owned(),
        content_location: ContentLocation {
            storage_type: StorageType::Database,
            cache_namespace: "content".to_owned(),
            cache_key: digest.to_string(),
            path: None,
            compression: CompressionType::None,
            compression_level: 0,
            size_bytes: 1024,
            size_compressed: 1024,
            checksum: digest,
        },
        content_inline: Some(bytes),
        dependencies: Vec::new(),
        tags: BTreeSet::new(),
        ttl_ms: None,
        spec: None,
        build: None,
        policy: None,
    }
}

fn publish(drafts: Vec<Draft>) -> Publish {
    Publish { id: "0192f0c1-bench".to_owned(), at: TimestampMs(1_767_225_600_000), drafts, report: None }
}

fn open() -> (Arc<EmbeddedCatalog>, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let catalog = EmbeddedCatalog::open(folder.path()).expect("a fresh catalog opens");
    (catalog, folder)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn row(what: &str, value: f64, unit: &str, goal: f64, at_least: bool) {
    let ratio = if at_least { value / goal } else { goal / value };
    let bound = if at_least { "≥" } else { "≤" };
    println!("{what:<52} {value:>10.1} {unit:<7} {bound} {goal:>8.1}   {ratio:>6.2}");
}

/// Processor time of this process so far, all threads, in microseconds; in steps of 10 ms.
fn processor_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10_000.0
}

fn processor_row(begin_us: f64, count: usize) {
    let each = (processor_us() - begin_us) / count as f64;
    println!("{:<52} {each:>10.1} µs each", "  processor time, all threads");
}

fn bare_sync(folder: &Path) -> f64 {
    let mut file = std::fs::File::create(folder.join("bare")).expect("a file");
    file.set_len(64 * 1024 * 1024).expect("room");
    file.sync_all().expect("synced");
    // About what one version and its rows take in the journal.
    let bytes = vec![7_u8; 2300];
    let times = (0..SINGLE).map(|_| {
        let begin = Instant::now();
        file.write_all(&bytes).expect("written");
        file.sync_data().expect("synced");
        begin.elapsed().as_secs_f64() * 1e6
    });
    median(times.collect())
}

async fn one_by_one(catalog: &EmbeddedCatalog, drafts: impl Iterator<Item = Draft>) -> f64 {
    let mut times = Vec::new();
    let drafts: Vec<_> = drafts.collect();
    for draft in drafts {
        let begin = Instant::now();
        catalog.publish(publish(vec![draft])).await.expect("published");
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    median(times)
}

async fn single(folder: &Path) {
    let (catalog, _kept) = open();
    let before = bare_sync(folder);
    let new = (0..SINGLE).map(|number| draft(key(&format!("word-{number}")), number));
    let first = one_by_one(&catalog, new).await;
    let processor = processor_us();
    let again = (0..SINGLE).map(|number| draft(key("word-1"), number));
    let next = one_by_one(&catalog, again).await;
    let processor_end = processor_us();
    let bare = before.min(bare_sync(folder));
    row("bare append + fdatasync, 2.3 KB", bare, "µs", 140.0, false);
    row("durable save 1 KB, first version, one by one", first, "µs", 250.0, false);
    row("durable save 1 KB, next version, one by one", next, "µs", 250.0, false);
    println!("{:<52} {:>10.2} ×", "  of the bare append", next / bare);
    processor_row(processor_us() - (processor_end - processor), SINGLE);
    let same = (0..SINGLE).map(|_| draft(key("word-2"), 2));
    let same = one_by_one(&catalog, same).await;
    row("save 1 KB, equal to the latest", same, "µs", 250.0, false);
}

async fn writers() {
    let mut rates = Vec::new();
    let processor = processor_us();
    for _ in 0..3 {
        let (catalog, _kept) = open();
        let begin = Instant::now();
        let tasks = (0..WRITERS).map(|writer| {
            let catalog = Arc::clone(&catalog);
            tokio::spawn(async move {
                for number in 0..SAVES {
                    let draft = draft(key(&format!("word-{writer}")), number);
                    catalog.publish(publish(vec![draft])).await.expect("published");
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("a writer");
        }
        rates.push((WRITERS * SAVES) as f64 / begin.elapsed().as_secs_f64());
    }
    row("64 writers, durable saves of 1 KB a second", median(rates), "/s", 50_000.0, true);
    processor_row(processor, 3 * WRITERS * SAVES);
}

async fn batch() {
    let mut times = Vec::new();
    let (catalog, _kept) = open();
    for round in 0..11 {
        let drafts = (0..1000).map(|number| draft(key(&format!("word-{number}")), number + round));
        let drafts: Vec<_> = drafts.collect();
        let begin = Instant::now();
        let published = catalog.publish(publish(drafts)).await.expect("published");
        times.push(begin.elapsed().as_secs_f64() * 1e3);
        assert_eq!(published.len(), 1000);
    }
    row("atomic batch of 1,000 × 1 KB, durable", median(times), "ms", 15.0, false);
}

/// A binary tree of nodes, each depending on two, with a build record.
fn node(number: usize, role: &str) -> Draft {
    let reference = |number: usize| VersionRef { key: key(&format!("node-{number:05}")), seq: Seq(1) };
    let inputs = [2 * number + 1, 2 * number + 2].into_iter().filter(|input| *input < NODES).map(reference);
    let inputs: Vec<_> = inputs.collect();
    let recorded = inputs.iter().map(|version| RecordedInput {
        role: role.to_owned(),
        version: version.clone(),
        digest: Digest::of(b"input"),
    });
    Draft {
        build: Some(BuildRecord {
            component: None,
            config: serde_json::json!({"language": "en", "min_count": 2}),
            inputs: recorded.collect(),
            recipe: Digest::of(b"recipe"),
            profile: "wasmtime 48, canonical NaN, no threads".to_owned(),
            from_memo: false,
            build_time_ms: 12.5,
            input_bytes: 4096,
            output_bytes: 1024,
        }),
        dependencies: inputs.into_iter().map(|on| Dependency { role: role.to_owned(), on }).collect(),
        ..draft(key(&format!("node-{number:05}")), number)
    }
}

async fn planning() {
    let (catalog, _kept) = open();
    for some in (0..NODES).rev().collect::<Vec<_>>().chunks(1000) {
        let drafts = some.iter().map(|number| node(*number, "part")).collect();
        catalog.publish(publish(drafts)).await.expect("published");
    }
    let keys: Vec<_> = (0..NODES).map(|number| key(&format!("node-{number:05}"))).collect();
    let (mut edges, mut heads) = (Vec::new(), Vec::new());
    for _ in 0..11 {
        let begin = Instant::now();
        let found = catalog.dependents(&keys).await.expect("found");
        edges.push(begin.elapsed().as_secs_f64() * 1e3);
        assert_eq!(found.iter().map(Vec::len).sum::<usize>(), NODES - 1);
        let begin = Instant::now();
        let found = catalog.heads(&keys).await.expect("found");
        heads.push(begin.elapsed().as_secs_f64() * 1e3);
        assert!(found.iter().all(Option::is_some));
    }
    let (edges, heads) = (median(edges), median(heads));
    row("dependents of 10,000 nodes", edges, "ms", 50.0, false);
    row("heads of 10,000 nodes, with build records", heads, "ms", 50.0, false);
    row("  both", edges + heads, "ms", 100.0, false);
    let version = catalog.heads(&keys[..1]).await.expect("found")[0].clone();
    let version = version.expect("it is there");
    let document = record::version_to_document(&version).expect("encodes");
    let per = |work: &dyn Fn()| {
        let begin = Instant::now();
        (0..10_000).for_each(|_| work());
        begin.elapsed().as_secs_f64() * 1e6 / 10_000.0
    };
    let encode = per(&|| drop(record::version_to_document(&version)));
    let decode = per(&|| drop(record::version_from_document(&document)));
    row("encode a record of 1 KB and a build", encode, "µs", 6.0, false);
    row("decode it", decode, "µs", 6.0, false);
    let mut times = Vec::new();
    for number in 0..NODES {
        let begin = Instant::now();
        catalog.heads(&keys[number..=number]).await.expect("found");
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    row("one head", median(times), "µs", 6.0, false);
}

async fn blobs() {
    let (catalog, folder) = open();
    let objects = local_objects(&folder.path().join("objects")).expect("a folder");
    let options = BlobOptions::default();
    let storage_type = StorageType::Disk;
    let store = BlobStore::new(catalog, objects, storage_type, Arc::new(SystemClock), options);
    let zstd = Codec::new(CompressionType::Zstd, 3).expect("a level");
    let text = |number: usize| {
        let lines = (0..100_000).map(|line| format!("word{:06x} {}\n", line * 7919 + number, line % 977));
        Bytes::from(lines.collect::<String>().into_bytes()).slice(..1_500_000)
    };
    let (mut put, mut get, mut pure) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..11 {
        let bytes = text(number);
        let digest = Digest::of(&bytes);
        let begin = Instant::now();
        drop(codec::encode(&bytes, zstd));
        pure.push(begin.elapsed().as_secs_f64() * 1e3);
        let begin = Instant::now();
        let location = store.put(bytes, digest, zstd).await.expect("stored");
        put.push(begin.elapsed().as_secs_f64() * 1e3);
        let begin = Instant::now();
        store.get(&location).await.expect("read");
        get.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let pure = median(pure);
    row("put 1.5 MB, zstd-3, durable (goal: zstd alone + 2)", median(put), "ms", pure + 2.0, false);
    row("get it, decoded and verified", median(get), "ms", 5.0, false);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    println!("{:<52} {:>10} {:<7} {:>10}   ratio (> 1: better than the goal)", "what", "median", "", "goal");
    // `cargo bench --bench store -- planning` runs one section.
    let asked: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    runtime.block_on(async {
        if wanted("single") {
            single(folder.path()).await;
        }
        if wanted("writers") {
            writers().await;
        }
        if wanted("batch") {
            batch().await;
        }
        if wanted("planning") {
            planning().await;
        }
        if wanted("blobs") {
            blobs().await;
        }
    });
}
