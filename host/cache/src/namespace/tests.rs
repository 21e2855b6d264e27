//! Races, each stopped at its worst moment by taking the two halves of a path apart.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{Cache, CacheConfig, ManualClock, Millis};

fn open(
    directory: &std::path::Path,
    config: NamespaceConfig,
) -> (Cache<Bytes>, NamespaceHandle<Bytes>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Millis(1_000_000)));
    let config = CacheConfig {
        namespaces: [("heads".to_owned(), config)].into(),
        directory: Some(directory.to_owned()),
        ..CacheConfig::default()
    };
    let cache = Cache::open(config, clock.clone()).expect("a new directory");
    let heads = cache.namespace("heads").expect("configured");
    (cache, heads, clock)
}

fn put_on_disk_only(space: &NamespaceHandle<Bytes>, key: &str) {
    assert!(space.0.memory.remove(key.as_bytes(), &*space.0.clock));
}

#[tokio::test]
async fn c4_a_promotion_never_resurrects_what_was_invalidated() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (_cache, heads, _) = open(directory.path(), NamespaceConfig::default());
    for change in ["invalidate", "glob", "put"] {
        heads.put("k", Bytes::from("old"), PutOptions::default()).await;
        put_on_disk_only(&heads, "k");
        let key = Key::new(b"k");
        // A reader has the old value in its hands …
        let found = heads.read_disk(&key).await.expect("on disk");
        // … when the key changes …
        let after = match change {
            "invalidate" => {
                let removed = heads.invalidate("k").await;
                assert_eq!(removed, Invalidated { memory: 0, disk: 1 });
                None
            }
            "glob" => {
                heads.invalidate_matching(&Pattern::prefix("k")).await;
                None
            }
            _ => {
                heads.put("k", Bytes::from("new"), PutOptions::default()).await;
                Some(Bytes::from("new"))
            }
        };
        // … and goes on.
        heads.promote(&key, &found);
        assert_eq!(heads.get_memory("k"), after, "{change}");
        assert_eq!(heads.get("k").await.into_value(), after, "{change}");
    }
}

#[tokio::test]
async fn c4_a_promotion_gives_way_to_a_writer_that_is_at_work() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (_cache, heads, _) = open(directory.path(), NamespaceConfig::default());
    heads.put("k", Bytes::from("old"), PutOptions::default()).await;
    put_on_disk_only(&heads, "k");
    let guard = Arc::clone(&heads.0.stripe(b"k").lock).lock_owned().await;
    assert_eq!(heads.get("k").await, Lookup::Disk(Bytes::from("old")), "reads do not wait");
    assert_eq!(heads.get_memory("k"), None);
    drop(guard);
    assert_eq!(heads.get("k").await, Lookup::Disk(Bytes::from("old")));
    assert_eq!(heads.get("k").await, Lookup::Memory(Bytes::from("old")));
}

#[tokio::test]
async fn c3_fifty_waiters_one_loader_call() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (_cache, heads, _) = open(directory.path(), NamespaceConfig::default());
    let (release, gate) = tokio::sync::watch::channel(false);
    let waiters: Vec<_> = (0..50)
        .map(|_| {
            let (heads, mut gate) = (heads.clone(), gate.clone());
            tokio::spawn(async move {
                let load = || async move {
                    gate.wait_for(|open| *open).await.expect("opened below");
                    Ok::<_, std::io::Error>(Bytes::from("once"))
                };
                heads.get_or_load("k", PutOptions::default(), load).await
            })
        })
        .collect();
    let flights = &heads.0.stripe(b"k").flights;
    while flights.waiters(b"k") < 49 {
        tokio::task::yield_now().await;
    }
    release.send(true).expect("the loader listens");
    for waiter in waiters {
        let value = waiter.await.expect("no panic").expect("the loader succeeds");
        assert_eq!(value, "once");
    }
    let stats = heads.stats();
    assert_eq!((stats.loads, stats.load_waits, stats.misses, stats.puts), (1, 49, 1, 1));
}

#[tokio::test]
async fn c3_a_panicking_or_dropped_loader_lets_a_waiter_take_over() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (_cache, heads, _) = open(directory.path(), NamespaceConfig::default());
    for end in ["panic", "drop"] {
        let key = Bytes::from(end);
        let (tell, mut told) = tokio::sync::watch::channel(false);
        let first = {
            let (heads, key) = (heads.clone(), key.clone());
            tokio::spawn(async move {
                let load = || async move {
                    told.wait_for(|go| *go).await.expect("told below");
                    assert_ne!(end, "panic", "the loader panics, as planned");
                    std::future::pending::<Result<Bytes, std::io::Error>>().await
                };
                heads.get_or_load(key, PutOptions::default(), load).await
            })
        };
        let flights = &heads.0.stripe(&key).flights;
        while heads.stats().loads == heads.stats().load_failures + heads.stats().puts {
            tokio::task::yield_now().await;
        }
        let second = {
            let (heads, key) = (heads.clone(), key.clone());
            tokio::spawn(async move {
                let load = || async { Ok::<_, std::io::Error>(Bytes::from("second")) };
                heads.get_or_load(key, PutOptions::default(), load).await
            })
        };
        while flights.waiters(&key) < 1 {
            tokio::task::yield_now().await;
        }
        tell.send(true).expect("the loader listens");
        if end == "drop" {
            first.abort();
        }
        assert!(first.await.is_err(), "{end}");
        let value = second.await.expect("no panic").expect("its own loader");
        assert_eq!(value, "second");
        assert_eq!(heads.get_memory(&key), Some(Bytes::from("second")));
    }
    assert_eq!((heads.stats().loads, heads.stats().load_failures), (4, 2));
}

#[tokio::test]
async fn c4_a_load_that_was_overtaken_is_not_cached() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (_cache, heads, _) = open(directory.path(), NamespaceConfig::default());
    for change in ["invalidate", "glob", "put"] {
        let inner = heads.clone();
        let load = || async move {
            match change {
                "invalidate" => drop(inner.invalidate("k").await),
                "glob" => drop(inner.invalidate_matching(&Pattern::all()).await),
                _ => drop(inner.put("k", Bytes::from("new"), PutOptions::default()).await),
            }
            // Who asks after the change does not join this load, but runs its own.
            let again = || async { Ok::<_, std::io::Error>(Bytes::from("new")) };
            let fresh = inner.get_or_load("k", PutOptions::default(), again).await;
            assert_eq!(fresh.expect("loads"), "new", "{change}");
            Ok::<_, std::io::Error>(Bytes::from("old"))
        };
        let value = heads.get_or_load("k", PutOptions::default(), load).await;
        assert_eq!(value.expect("loads"), "old", "it began before the change");
        assert_eq!(heads.get_memory("k"), Some(Bytes::from("new")), "{change}");
        heads.invalidate("k").await;
    }
}

#[tokio::test]
async fn c4_a_write_goes_on_when_its_caller_is_dropped() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (_cache, heads, _) = open(directory.path(), NamespaceConfig::default());
    let disk = Arc::clone(heads.0.disk.as_ref().expect("on"));
    let put = heads.put("k", Bytes::from("v"), PutOptions::default());
    {
        let mut put = std::pin::pin!(put);
        // One poll: the memory is written, the disk write has begun, the caller goes away.
        std::future::poll_fn(|context| {
            let _ = put.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
    }
    assert!(heads.get_memory("k").is_some());
    // The next change of the key waits for it.
    let removed = heads.invalidate("k").await;
    assert_eq!(removed, Invalidated { memory: 1, disk: 1 });
    assert!(!disk.contains(b"k"));
}

#[tokio::test]
async fn c12_a_disk_that_fails_never_fails_a_call_and_is_not_trusted_afterwards() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = NamespaceConfig::default();
    {
        let (_cache, heads, _) = open(directory.path(), config.clone());
        heads.put("k", Bytes::from("old"), PutOptions::default()).await;
        let disk = heads.0.disk.as_ref().expect("on");
        disk.fail_writes.store(true, Ordering::SeqCst);
        assert_eq!(heads.put("k", Bytes::from("new"), PutOptions::default()).await, Put::Stored);
        assert_eq!(heads.get_memory("k"), Some(Bytes::from("new")));
        put_on_disk_only(&heads, "k");
        assert_eq!(heads.get("k").await, Lookup::Miss, "the old value on disk is not served");
        let stats = heads.stats();
        assert_eq!((stats.disk_errors, stats.disk_entries), (1, 0));
    }
    let (_cache, heads, _) = open(directory.path(), config);
    assert_eq!(heads.get("k").await, Lookup::Miss, "nor by the next process");
    assert_eq!(heads.stats().disk_entries, 0);
}

#[tokio::test]
async fn c1_both_bounds_hold_when_many_write_at_once() {
    for eviction in [crate::Eviction::Lru, crate::Eviction::TinyLfu] {
        let config = NamespaceConfig {
            memory_items_max: 50,
            memory_bytes_max: 64 << 10,
            eviction,
            ..NamespaceConfig::default()
        };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (_cache, heads, _) = open(directory.path(), config);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let memory = &heads.0.memory;
                scope.spawn(move || {
                    for number in 0..2_000_u32 {
                        let value = Bytes::from(vec![1; (number as usize * 37) % 8_000]);
                        let written = memory.insert(crate::memory::MemoryWrite {
                            key: Key::new(format!("{thread} {}", number % 300).as_bytes()),
                            weight_bytes: value.weight_bytes(),
                            value,
                            deadline: Millis::NEVER,
                            order: 0,
                        });
                        assert!(written);
                    }
                });
            }
        });
        let (items, bytes, budget_bytes) = heads.0.memory.held();
        assert!(items <= 50 && bytes <= budget_bytes, "{items} items, {bytes} bytes");
        assert!(items * 2 >= 50 || bytes * 2 >= budget_bytes, "and the room is used: {items}, {bytes}");
    }
}

#[tokio::test]
async fn c10_a_hit_without_a_lifetime_reads_no_clock() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (_cache, heads, clock) = open(directory.path(), NamespaceConfig::default());
    heads.put("k", Bytes::from("v"), PutOptions::default()).await;
    let before = clock.reads();
    assert!(heads.get_memory("k").is_some());
    assert_eq!(clock.reads(), before);
    let ttl = Some(Duration::from_secs(1));
    heads.put("k", Bytes::from("v"), PutOptions { ttl, ..PutOptions::default() }).await;
    let before = clock.reads();
    assert!(heads.get_memory("k").is_some());
    assert_eq!(clock.reads(), before + 1);
}
