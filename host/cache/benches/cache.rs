//! The cache beside what it stands on, in one run.
//!
//! Data: made here from seed 20250731; keys `words:entry:<number>` (19–24 bytes), values of random bytes, which no codec
//! shrinks. Disk: a temporary directory, page cache warm, as numbers.md measures it. Machine: whatever runs it; compare
//! the ratios. Run: `cargo bench --profile release -p floret-cache`.

use std::collections::BTreeMap;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use floret_cache::{
    Cache, CacheConfig, Eviction, Lookup, NamespaceConfig, NamespaceHandle, Pattern, PutOptions, SystemClock,
};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

const SEED: u64 = 20_250_731;
const ROUNDS: usize = 25;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("threads can be started");
    println!(
        "{:<44} {:>12} {:>12} {:>7}   {:<18} {:>12} {:>7}",
        "work (median)", "ours", "goal", "ratio", "beside", "", "ratio"
    );
    for (keys, goal_ns) in [(1_000, 200), (20_000, 350)] {
        for eviction in [Eviction::Lru, Eviction::TinyLfu] {
            memory_hits(&runtime, keys, Duration::from_nanos(goal_ns), eviction);
        }
    }
    for (label, bytes, goal_us) in [("1 KB", 1 << 10, 3), ("100 KB", 100 << 10, 25), ("5 MB", 5 << 20, 3000)]
    {
        disk_hit(&runtime, label, bytes, Duration::from_micros(goal_us));
    }
    for (tiers, memory, disk) in
        [("both tiers", 200_000, 1 << 30), ("memory only", 200_000, 0), ("disk only", 0, 1 << 30)]
    {
        glob(&runtime, tiers, memory, disk);
    }
}

fn report(work: &str, ours: Duration, goal: Option<Duration>, beside: &str, other: Option<Duration>) {
    let ratio = |to: Option<Duration>| {
        to.map_or(String::new(), |to| format!("{:.2}", ours.as_secs_f64() / to.as_secs_f64()))
    };
    let time = |t: Option<Duration>| t.map_or(String::new(), |t| format!("{t:.3?}"));
    println!(
        "{work:<44} {:>12} {:>12} {:>7}   {beside:<18} {:>12} {:>7}",
        time(Some(ours)),
        time(goal),
        ratio(goal),
        time(other),
        ratio(other)
    );
}

fn key(number: usize) -> String {
    format!("words:entry:{number}")
}

fn value(rng: &mut StdRng, bytes: usize) -> Bytes {
    let mut value = vec![0; bytes];
    rng.fill_bytes(&mut value);
    value.into()
}

fn open(directory: Option<&Path>, namespace: NamespaceConfig) -> (Cache<Bytes>, NamespaceHandle<Bytes>) {
    let config = CacheConfig {
        namespaces: BTreeMap::from([("bench".to_owned(), namespace)]),
        directory: directory.map(Path::to_owned),
        memory_bytes_max: 4 << 30,
        ..CacheConfig::default()
    };
    let cache = Cache::open(config, Arc::new(SystemClock::new())).expect("a new directory opens");
    let handle = cache.namespace("bench").expect("configured above");
    (cache, handle)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Both in turns, so that a noisy neighbour disturbs both.
fn side_by_side(
    mut one: impl FnMut() -> Duration,
    mut other: impl FnMut() -> Duration,
) -> (Duration, Duration) {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ones.push(one());
        others.push(other());
    }
    (median(ones), median(others))
}

fn memory_hits(runtime: &tokio::runtime::Runtime, keys: usize, goal: Duration, eviction: Eviction) {
    let mut rng = StdRng::seed_from_u64(SEED);
    let limits = NamespaceConfig {
        memory_items_max: 2 * keys as u64,
        memory_bytes_max: 1 << 30,
        eviction,
        ..NamespaceConfig::default()
    };
    let (_cache, ours) = open(None, limits);
    let policy = match eviction {
        Eviction::Lru => moka::policy::EvictionPolicy::lru(),
        Eviction::TinyLfu => moka::policy::EvictionPolicy::tiny_lfu(),
    };
    let bare = moka::sync::Cache::<String, Bytes, _>::builder()
        .max_capacity(2 * keys as u64)
        .eviction_policy(policy)
        .build_with_hasher(foldhash::fast::RandomState::default());
    for number in 0..keys {
        let value = value(&mut rng, 1 << 10);
        runtime.block_on(ours.put(key(number), value.clone(), PutOptions::default()));
        bare.insert(key(number), value);
    }
    let asked: Vec<String> = (0..100_000).map(|_| key(rng.random_range(0..keys))).collect();
    for threads in [1, 2] {
        let run = |hit: &(dyn Fn(&str) -> bool + Sync)| {
            let started = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| assert!(asked.iter().all(|key| hit(key)), "every key was put"));
                }
            });
            started.elapsed() / asked.len() as u32
        };
        let (mine, theirs) = side_by_side(
            || run(&|key| black_box(ours.get_memory(key)).is_some()),
            || run(&|key| black_box(bare.get(key)).is_some()),
        );
        let work = format!("memory hit, {keys} keys, {eviction:?}, {threads} threads");
        report(&work, mine, Some(goal), "bare moka", Some(theirs));
    }
}

fn disk_hit(runtime: &tokio::runtime::Runtime, label: &str, bytes: usize, goal: Duration) {
    let entries = (64 << 20) / bytes.max(64 << 10);
    let mut rng = StdRng::seed_from_u64(SEED);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plain = directory.path().join("plain");
    let disk_only =
        NamespaceConfig { memory_items_max: 0, disk_bytes_max: 1 << 30, ..NamespaceConfig::default() };
    let both = NamespaceConfig { memory_items_max: 1, ..disk_only.clone() };
    for (tiers, config) in [("disk only", disk_only), ("with promotion", both)] {
        let (_cache, ours) = open(Some(&directory.path().join(tiers)), config);
        let mut contents = Vec::new();
        for number in 0..entries {
            let value = value(&mut rng, bytes);
            contents.extend_from_slice(&value);
            runtime.block_on(ours.put(key(number), value, PutOptions::default()));
        }
        std::fs::write(&plain, &contents).expect("room in the temporary directory");
        let file = File::open(&plain).expect("just written");
        let keys: Vec<String> = (0..entries).map(key).collect();
        let hits = || {
            runtime.block_on(async {
                let started = Instant::now();
                for key in &keys {
                    assert!(matches!(black_box(ours.get(key).await), Lookup::Disk(_)));
                }
                started.elapsed() / entries as u32
            })
        };
        let pread = || {
            let started = Instant::now();
            for number in 0..entries {
                let mut buffer = vec![0; bytes];
                file.read_exact_at(&mut buffer, (number * bytes) as u64).expect("just written");
                black_box(buffer);
            }
            started.elapsed() / entries as u32
        };
        let (mine, theirs) = side_by_side(hits, pread);
        report(&format!("disk hit, {label}, {tiers}"), mine, Some(goal), "pread", Some(theirs));
    }
}

fn glob(runtime: &tokio::runtime::Runtime, tiers: &str, memory_items_max: u64, disk_bytes_max: u64) {
    let mut rng = StdRng::seed_from_u64(SEED);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = NamespaceConfig {
        memory_items_max,
        memory_bytes_max: 1 << 30,
        disk_bytes_max,
        ..NamespaceConfig::default()
    };
    let (_cache, ours) = open(Some(directory.path()), config);
    let some = value(&mut rng, 1 << 10);
    let glob = Pattern::glob("words:entry:*7").expect("a valid pattern");
    let numbers: Vec<usize> = (0..100_000).collect();
    let mut times = Vec::new();
    let mut to_put: Vec<usize> = numbers.clone();
    for _ in 0..7 {
        for &number in &to_put {
            runtime.block_on(ours.put(key(number), some.clone(), PutOptions::default()));
        }
        to_put = numbers.iter().copied().filter(|n| n % 10 == 7).collect();
        let started = Instant::now();
        let removed = runtime.block_on(ours.invalidate_matching(&glob));
        times.push(started.elapsed());
        let expected = |on: bool| if on { 10_000 } else { 0 };
        assert_eq!(removed.memory, expected(memory_items_max > 0));
        assert_eq!(removed.disk, expected(disk_bytes_max > 0));
    }
    report(
        &format!("glob 10,000 of 100,000, {tiers}"),
        median(times),
        Some(Duration::from_millis(30)),
        "",
        None,
    );
}
