//! C12, O6 and O7: the directory, crashes, warming, and memory that moves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{config, open, temporary, try_open};
use bytes::Bytes;
use floret_cache::{Cache, DiskState, Error, Lookup, NamespaceConfig, PutOptions, SystemClock, Warmed};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

const PLAIN: PutOptions = PutOptions { ttl: None, ticket: None };

fn disk_only() -> NamespaceConfig {
    NamespaceConfig { memory_items_max: 0, ..NamespaceConfig::default() }
}

/// The value that belongs to a key: any other is damage.
fn value_of(number: u32) -> Bytes {
    let mut rng = StdRng::seed_from_u64(number.into());
    let mut value = vec![0; if number.is_multiple_of(5) { 90_000 } else { 700 }];
    rng.fill_bytes(&mut value);
    value.into()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn c12_the_directory_is_private() {
    let parent = temporary();
    let directory = parent.path().join("new").join("cache");
    let opened = open(Some(&directory), &[("n", disk_only())]);
    for number in 0..10 {
        opened.space("n").put(number.to_string(), value_of(number), PLAIN).await;
    }
    opened.cache.flush().await.expect("flushes");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join("large")), 0o700);
    for name in ["lock", "format", "access-log"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
    let large = files(&directory.join("large"));
    assert_eq!(large.len(), 2);
    assert!(large.iter().all(|file| mode(file) == 0o600));
}

#[tokio::test]
async fn c12_one_process_at_a_time() {
    let directory = temporary();
    let first = open(Some(directory.path()), &[("n", disk_only())]);
    let second = try_open(config(Some(directory.path()), &[("n", disk_only())]));
    assert!(matches!(second, Err(Error::Locked { .. })));
    drop(first);
    open(Some(directory.path()), &[("n", disk_only())]);
}

#[tokio::test]
async fn c12_a_newer_format_is_refused_and_an_older_one_wiped() {
    let directory = temporary();
    let format = directory.path().join("format");
    let reopen = || try_open(config(Some(directory.path()), &[("n", disk_only())]));
    for (contents, kept) in [("floret-cache 1\n", true), ("floret-cache 0\n", false), ("floret", false)] {
        let opened = reopen().expect("opens");
        opened.space("n").put("k", Bytes::from("v"), PLAIN).await;
        drop(opened);
        fs::write(&format, contents).expect("writable");
        let found = reopen().expect("opens").space("n").get("k").await;
        assert_eq!(found.into_value().is_some(), kept, "{contents:?}");
    }
    fs::write(&format, "floret-cache 2\n").expect("writable");
    match reopen().map(|_| ()) {
        Err(Error::NewerFormat { found: 2, supported: 1, .. }) => {}
        other => panic!("expected NewerFormat, got {other:?}"),
    }
    assert!(directory.path().join("small").exists(), "and nothing was touched");
}

#[tokio::test]
async fn c12_a_directory_of_somebody_else_is_never_wiped() {
    let directory = temporary();
    fs::write(directory.path().join("thesis.tex"), "years of work").expect("writable");
    match try_open(config(Some(directory.path()), &[("n", disk_only())])).map(|_| ()) {
        Err(Error::NotACache { found, .. }) => assert_eq!(found, "thesis.tex"),
        other => panic!("expected NotACache, got {other:?}"),
    }
    assert_eq!(files(directory.path()).len(), 1);
}

#[tokio::test]
async fn c12_torn_and_changed_files_are_misses_and_are_deleted() {
    let directory = temporary();
    let opened = open(Some(directory.path()), &[("n", disk_only())]);
    let space = opened.space("n");
    for number in [0, 5, 10, 15] {
        space.put(number.to_string(), value_of(number), PLAIN).await;
    }
    let large = files(&directory.path().join("large"));
    let whole = fs::read(&large[0]).expect("readable");
    fs::write(&large[0], &whole[..whole.len() - 1]).expect("writable");
    let mut changed = fs::read(&large[1]).expect("readable");
    changed[50_000] ^= 1;
    fs::write(&large[1], &changed).expect("writable");
    // Another key's entry, whole but in the wrong place.
    fs::copy(&large[3], &large[2]).expect("writable");
    for number in [0, 5, 10] {
        assert_eq!(space.get(number.to_string()).await, Lookup::Miss, "{number}");
    }
    assert_eq!(space.get("15").await, Lookup::Disk(value_of(15)));
    let stats = space.stats();
    assert_eq!((stats.damaged, stats.disk_entries, stats.disk_errors), (3, 1, 0));
    assert_eq!(files(&directory.path().join("large")).len(), 1);
}

#[tokio::test]
async fn c12_whatever_happens_to_the_files_no_wrong_value_is_served() {
    let directory = temporary();
    let mut rng = StdRng::seed_from_u64(12);
    for round in 0..30 {
        let opened = open(Some(directory.path()), &[("n", disk_only())]);
        let space = opened.space("n");
        for number in 0..40 {
            match space.get(number.to_string()).await {
                Lookup::Miss => drop(space.put(number.to_string(), value_of(number), PLAIN).await),
                found => assert_eq!(found, Lookup::Disk(value_of(number)), "round {round}"),
            }
        }
        drop((space, opened));
        let all = files(directory.path());
        let data: Vec<_> =
            all.iter().filter(|path| !path.ends_with("lock") && !path.ends_with("format")).collect();
        let victim = data[rng.random_range(0..data.len())];
        let mut contents = fs::read(victim).expect("readable");
        if contents.is_empty() {
            continue;
        }
        let at = rng.random_range(0..contents.len().min(200_000));
        if rng.random() {
            contents.truncate(at);
        } else {
            contents[at] ^= 1 << rng.random_range(0..8);
        }
        fs::write(victim, contents).expect("writable");
    }
}

#[tokio::test]
async fn c12_the_directory_is_bounded_in_bytes() {
    const BOUND: u64 = 20 << 20;
    let directory = temporary();
    let namespace = NamespaceConfig { disk_bytes_max: BOUND, ..disk_only() };
    let opened = open(Some(directory.path()), &[("n", namespace)]);
    let space = opened.space("n");
    // 200 MB through 20 MB: half of it small, half of it large values.
    for number in 0..9_000_u32 {
        space.put(number.to_string(), value_of(number), PLAIN).await;
        assert!(space.stats().disk_bytes <= BOUND);
    }
    assert!(space.stats().disk_bytes > BOUND / 2, "and the room is used");
    let large: u64 = files(&directory.path().join("large"))
        .iter()
        .map(|path| fs::metadata(path).expect("there").len())
        .sum();
    assert!(large <= BOUND, "{large}");
    let small: u64 = files(&directory.path().join("small"))
        .iter()
        .map(|path| fs::metadata(path).expect("there").len())
        .sum();
    // fjall's journals (at most 64 MiB) and what it has not compacted yet.
    assert!(small <= BOUND + (96 << 20), "{small}");
    drop((space, opened));
    // A smaller bound holds from the next open on.
    let namespace = NamespaceConfig { disk_bytes_max: 1 << 20, ..disk_only() };
    let opened = open(Some(directory.path()), &[("n", namespace)]);
    assert!(opened.space("n").stats().disk_bytes <= 1 << 20);
    drop(opened);
    // And what is no longer configured goes.
    let opened = open(Some(directory.path()), &[("other", disk_only())]);
    drop(opened);
    let opened = open(Some(directory.path()), &[("n", disk_only())]);
    assert_eq!(opened.space("n").stats().disk_entries, 0);
}

#[tokio::test]
async fn c12_a_directory_that_cannot_be_written_leaves_a_cache_in_memory() {
    // A file system that nobody can write to, whoever runs the test.
    let opened = open(Some(Path::new("/sys/floret-cache")), &[("n", NamespaceConfig::default())]);
    match opened.cache.stats().disk {
        DiskState::Unavailable(why) => assert!(!why.is_empty()),
        other => panic!("expected Unavailable, got {other:?}"),
    }
    let space = opened.space("n");
    space.put("k", Bytes::from("v"), PLAIN).await;
    assert_eq!(space.get("k").await, Lookup::Memory(Bytes::from("v")));
}

/// Not a test by itself: what the next one starts as a process of its own, and kills.
#[tokio::test]
async fn child_that_writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os("FLORET_CACHE_TEST_DIRECTORY") else {
        return;
    };
    let config = config(Some(Path::new(&directory)), &[("n", disk_only())]);
    let cache: Cache<Bytes> =
        Cache::open(config, std::sync::Arc::new(SystemClock::new())).expect("opens after a kill");
    let space = cache.namespace("n").expect("configured");
    println!("writing");
    for number in (0..60).cycle() {
        space.put(number.to_string(), value_of(number), PLAIN).await;
        if number == 59 {
            let glob = floret_cache::Pattern::glob("*[1-9]").expect("valid");
            space.invalidate_matching(&glob).await;
        }
    }
}

#[tokio::test]
async fn c12_kill_9_leaves_only_whole_entries() {
    let directory = temporary();
    let mut rng = StdRng::seed_from_u64(9);
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "directory::child_that_writes_until_it_is_killed", "--nocapture"])
            .env("FLORET_CACHE_TEST_DIRECTORY", directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut output = std::io::BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("writing") {
            line.clear();
            let read = std::io::BufRead::read_line(&mut output, &mut line).expect("a line");
            assert!(read > 0, "round {round}: the child ended by itself");
        }
        // A random moment of the work, not a wait for something to happen.
        std::thread::sleep(std::time::Duration::from_micros(rng.random_range(0..60_000)));
        child.kill().expect("running");
        child.wait().expect("killed");
        let opened = open(Some(directory.path()), &[("n", disk_only())]);
        let space = opened.space("n");
        for number in 0..60 {
            let found = space.get(number.to_string()).await.into_value();
            assert!(found.is_none_or(|found| found == value_of(number)), "round {round}, key {number}");
        }
        assert_eq!(space.stats().disk_errors, 0);
        let large = files(&directory.path().join("large"));
        assert!(large.iter().all(|path| path.extension().is_none()), "nothing half-written stays");
    }
}

#[tokio::test]
async fn o6_warming_brings_back_the_hottest_within_its_bound() {
    let directory = temporary();
    let namespace = NamespaceConfig { memory_items_max: 10, ..NamespaceConfig::default() };
    let opened = open(Some(directory.path()), &[("n", namespace.clone())]);
    let space = opened.space("n");
    for number in 0..50_u32 {
        space.put(number.to_string(), value_of(number), PLAIN).await;
    }
    for _ in 0..30 {
        for number in 20..28_u32 {
            assert!(space.get(number.to_string()).await.into_value().is_some());
        }
        for number in 0..10_u32 {
            assert!(space.get((number + 30).to_string()).await.into_value().is_some());
        }
    }
    space.invalidate("21").await;
    let hottest = opened.cache.hot_keys(100);
    drop(space);
    opened.cache.close().await.expect("flushes");

    let opened = open(Some(directory.path()), &[("n", namespace)]);
    assert_eq!(opened.cache.hot_keys(100), hottest, "the log was kept");
    let space = opened.space("n");
    let hot = |key: &str| hottest.iter().any(|hot| hot.key == key.as_bytes());
    assert!(hot("20") && hot("21"));
    let load = |hot: floret_cache::HotKey| async move {
        let number: u32 = String::from_utf8_lossy(&hot.key).parse().expect("a number");
        if number == 21 { Err(std::io::Error::other("gone")) } else { Ok(value_of(number)) }
    };
    let warmed = opened.cache.warm(1_000, load).await;
    assert_eq!(warmed.from_disk + warmed.failed + warmed.loaded + warmed.in_memory, 10, "{warmed:?}");
    assert!(space.stats().memory_entries >= 9);
    let again = opened.cache.warm(0, load).await;
    assert_eq!(again, Warmed::default());
}

#[tokio::test]
async fn o7_memory_moves_to_the_namespace_that_misses_it_under_one_cap() {
    const CAP: u64 = 1 << 20;
    let namespace = NamespaceConfig {
        memory_items_max: 100_000,
        memory_bytes_max: CAP / 2,
        ..NamespaceConfig::default()
    };
    let mut config = config(None, &[("busy", namespace.clone()), ("idle", namespace)]);
    config.memory_bytes_max = CAP;
    let opened = try_open(config).expect("opens");
    let (busy, idle) = (opened.space("busy"), opened.space("idle"));
    for number in 0..100_u32 {
        idle.put(number.to_string(), Bytes::from(vec![0; 4_000]), PLAIN).await;
    }
    // A working set of about 700 KB, of which 512 KB fit at first. Asked for at random, so that LRU is not beaten by a loop.
    let mut rng = StdRng::seed_from_u64(7);
    let mut hit_rates = Vec::new();
    for _ in 0..12 {
        let mut hits = 0;
        for _ in 0..2_000 {
            let key = rng.random_range(0..160_u32).to_string();
            if busy.get(&key).await.into_value().is_some() {
                hits += 1;
            } else {
                busy.put(&key, Bytes::from(vec![0; 4_000]), PLAIN).await;
            }
        }
        hit_rates.push(hits);
        opened.cache.rebalance().await;
        let total = opened.cache.stats().total;
        assert!(total.memory_budget_bytes <= CAP && total.memory_bytes <= CAP, "{total:?}");
    }
    assert!(hit_rates[11] > 1_990 && hit_rates[0] < 1_800, "{hit_rates:?}");
    assert!(busy.stats().memory_budget_bytes > CAP * 5 / 8);
    assert!(idle.stats().memory_budget_bytes >= CAP / 16, "nobody is starved");
    assert_eq!(opened.cache.rebalance().await, None, "and then it rests");
}
