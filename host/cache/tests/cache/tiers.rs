//! C1–C8, C10 and C11: what the two tiers promise together.

use std::time::Duration;

use crate::support::{open, temporary};
use bytes::Bytes;
use floret_cache::{
    Compression, DiskState, ENTRY_OVERHEAD_BYTES, Error, Invalidated, LoadError, Lookup, NamespaceConfig,
    Pattern, Put, PutOptions,
};

const PLAIN: PutOptions = PutOptions { ttl: None, ticket: None };

fn ttl(seconds: u64) -> PutOptions {
    PutOptions { ttl: Some(Duration::from_secs(seconds)), ..PLAIN }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[tokio::test]
async fn c1_items_are_bounded() {
    let opened = open(None, &[("n", NamespaceConfig::default())]);
    let space = opened.space("n");
    for number in 0..150 {
        assert_eq!(space.put(format!("{number}"), bytes("v"), PLAIN).await, Put::Stored);
        assert!(space.stats().memory_entries <= 100);
    }
    let stats = space.stats();
    assert_eq!((stats.memory_entries, stats.memory_evictions), (100, 50));
    assert!(space.get_memory("149").is_some() && space.get_memory("0").is_none(), "the oldest went");
}

#[tokio::test]
async fn c1_bytes_are_bounded_and_one_too_large_takes_its_old_value_along() {
    let memory_bytes_max = 10 * (1_000 + 1 + ENTRY_OVERHEAD_BYTES);
    let config = NamespaceConfig { memory_bytes_max, ..NamespaceConfig::default() };
    let opened = open(None, &[("n", config)]);
    let space = opened.space("n");
    for number in 0..10_u8 {
        space.put([number], Bytes::from(vec![0; 1_000]), PLAIN).await;
    }
    assert_eq!(space.stats().memory_entries, 10, "exactly full");
    space.put("big", Bytes::from(vec![0; 5_000]), PLAIN).await;
    let stats = space.stats();
    assert!(stats.memory_bytes <= memory_bytes_max, "{stats:?}");
    assert!(space.get_memory("big").is_some());
    let too_large = Bytes::from(vec![0; 20_000]);
    assert_eq!(space.put("big", too_large, PLAIN).await, Put::NotKept);
    assert_eq!(space.get("big").await, Lookup::Miss, "an overwritten value is never served");
}

#[tokio::test]
async fn c1_zero_turns_a_tier_off() {
    let directory = temporary();
    let no_memory = NamespaceConfig { memory_items_max: 0, ..NamespaceConfig::default() };
    let no_disk = NamespaceConfig { disk_bytes_max: 0, ..NamespaceConfig::default() };
    let neither = NamespaceConfig { memory_bytes_max: 0, ..no_disk.clone() };
    let opened = open(Some(directory.path()), &[("disk", no_memory), ("memory", no_disk), ("none", neither)]);
    for name in ["disk", "memory", "none"] {
        opened.space(name).put("k", bytes("v"), PLAIN).await;
    }
    assert_eq!(opened.space("disk").get("k").await, Lookup::Disk(bytes("v")));
    assert_eq!(opened.space("disk").get_memory("k"), None);
    assert_eq!(opened.space("memory").get("k").await, Lookup::Memory(bytes("v")));
    assert_eq!(opened.space("none").get("k").await, Lookup::Miss);
    let stats = opened.cache.stats();
    assert_eq!((stats.total.disk_entries, stats.total.memory_entries), (1, 1));
    assert_eq!(stats.disk, DiskState::Ready);
}

#[tokio::test]
async fn c2_an_unknown_namespace_is_a_typed_error() {
    let opened = open(None, &[("a", NamespaceConfig::default()), ("b", NamespaceConfig::default())]);
    match opened.cache.namespace("c") {
        Err(Error::UnknownNamespace { name, known }) => {
            assert_eq!((name.as_str(), known), ("c", vec!["a".to_owned(), "b".to_owned()]))
        }
        other => panic!("expected UnknownNamespace, got {:?}", other.map(|_| "a namespace")),
    }
    assert!(opened.cache.invalidate_namespace("c").await.is_err());
}

#[tokio::test]
async fn c3_memory_then_disk_then_loader_which_fills_both() {
    let directory = temporary();
    let opened = open(Some(directory.path()), &[("n", NamespaceConfig::default())]);
    let space = opened.space("n");
    let load = || async { Ok::<_, std::io::Error>(bytes("loaded")) };
    assert_eq!(space.get_or_load("k", PLAIN, load).await.expect("loads"), "loaded");
    let never = || async { Err::<Bytes, _>(std::io::Error::other("called")) };
    assert_eq!(space.get_or_load("k", PLAIN, never).await.expect("in memory"), "loaded");
    drop((space, opened));
    let opened = open(Some(directory.path()), &[("n", NamespaceConfig::default())]);
    let space = opened.space("n");
    assert_eq!(space.get_or_load("k", PLAIN, never).await.expect("on disk"), "loaded");
    assert_eq!(space.get_memory("k"), Some(bytes("loaded")));
    let stats = space.stats();
    assert_eq!((stats.disk_hits, stats.loads, stats.misses), (1, 0, 0));
}

#[tokio::test]
async fn c3_a_failure_goes_to_all_who_wait_and_is_not_cached() {
    let opened = open(None, &[("n", NamespaceConfig::default())]);
    let space = opened.space("n");
    let (open_gate, gate) = tokio::sync::watch::channel(false);
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let (space, mut gate) = (space.clone(), gate.clone());
            tokio::spawn(async move {
                let load = || async move {
                    gate.wait_for(|open| *open).await.expect("opened below");
                    Err::<Bytes, _>(std::io::Error::other("no such word"))
                };
                space.get_or_load("k", PLAIN, load).await
            })
        })
        .collect();
    while space.stats().load_waits < 9 {
        tokio::task::yield_now().await;
    }
    open_gate.send(true).expect("the loader listens");
    for call in calls {
        let Err(LoadError::Loader(error)) = call.await.expect("no panic") else {
            panic!("expected the loader's error");
        };
        assert_eq!(error.to_string(), "no such word");
    }
    assert_eq!((space.stats().loads, space.stats().load_failures), (1, 1));
    let load = || async { Ok::<_, std::io::Error>(bytes("v")) };
    assert_eq!(space.get_or_load("k", PLAIN, load).await.expect("loads"), "v");
}

#[tokio::test]
async fn c4_expiry_is_absolute_and_survives_promotion() {
    let directory = temporary();
    let config = NamespaceConfig {
        memory_items_max: 1,
        memory_ttl: Some(Duration::from_secs(10)),
        disk_ttl: Some(Duration::from_secs(60)),
        ..NamespaceConfig::default()
    };
    let opened = open(Some(directory.path()), &[("n", config)]);
    let space = opened.space("n");
    space.put("k", bytes("v"), PLAIN).await;
    opened.clock.advance(Duration::from_millis(9_999));
    assert!(space.get_memory("k").is_some());
    opened.clock.advance(Duration::from_millis(1));
    assert!(space.get_memory("k").is_none(), "its time in memory is over");
    opened.clock.advance(Duration::from_secs(45));
    assert_eq!(space.get("k").await, Lookup::Disk(bytes("v")), "at 55 of 60 s");
    assert!(space.get_memory("k").is_some());
    opened.clock.advance(Duration::from_secs(5));
    assert!(space.get_memory("k").is_none(), "promotion gave it no second life");
    assert_eq!(space.get("k").await, Lookup::Miss);
}

#[tokio::test]
async fn c4_the_newer_wins_whatever_the_order_of_the_calls() {
    let directory = temporary();
    let opened = open(Some(directory.path()), &[("n", NamespaceConfig::default())]);
    let space = opened.space("n");
    assert_eq!(space.put_if_newer("head", bytes("5"), 5, PLAIN).await, Put::Stored);
    assert_eq!(space.put_if_newer("head", bytes("4"), 4, PLAIN).await, Put::Older { current: 5 });
    assert_eq!(space.put_if_newer("head", bytes("5 again"), 5, PLAIN).await, Put::Stored);
    assert_eq!(space.put_if_newer("head", bytes("6"), 6, PLAIN).await, Put::Stored);
    // Only on disk, it still counts.
    for number in 0..100 {
        space.put(format!("{number}"), bytes("x"), PLAIN).await;
    }
    assert_eq!(space.get_memory("head"), None);
    assert_eq!(space.put_if_newer("head", bytes("5"), 5, PLAIN).await, Put::Older { current: 6 });
    assert_eq!(space.get("head").await.into_value(), Some(bytes("6")));
}

#[tokio::test]
async fn c4_a_stale_value_is_not_put_back_after_an_invalidation() {
    let opened = open(None, &[("n", NamespaceConfig::default())]);
    let space = opened.space("n");
    // A reader asks the database and gets version 5 …
    let ticket = Some(space.ticket("head"));
    // … version 6 is published, cached, and invalidated again …
    space.put_if_newer("head", bytes("6"), 6, PLAIN).await;
    space.invalidate("head").await;
    // … and the reader comes back.
    let late = PutOptions { ticket, ..PLAIN };
    assert_eq!(space.put_if_newer("head", bytes("5"), 5, late).await, Put::Overtaken);
    assert_eq!(space.get("head").await, Lookup::Miss);
    let ticket = Some(space.ticket("head"));
    let in_time = PutOptions { ticket, ..PLAIN };
    assert_eq!(space.put_if_newer("head", bytes("6"), 6, in_time).await, Put::Stored);
}

#[tokio::test]
async fn c5_overwriting_at_the_limit_evicts_nobody() {
    let directory = temporary();
    let config = NamespaceConfig {
        memory_items_max: 10,
        disk_bytes_max: 10 * (100 + 32 + 33 + 4 + 1 + 1),
        ..NamespaceConfig::default()
    };
    let opened = open(Some(directory.path()), &[("n", config)]);
    let space = opened.space("n");
    let value = Bytes::from(vec![7; 100]);
    for key in 0..10_u8 {
        space.put([key], value.clone(), PLAIN).await;
    }
    for round in 0..1_000_u32 {
        space.put([(round % 10) as u8], value.clone(), PLAIN).await;
    }
    let stats = space.stats();
    assert_eq!((stats.memory_evictions, stats.disk_evictions), (0, 0));
    assert_eq!((stats.memory_entries, stats.disk_entries), (10, 10));
    // One more evicts one, and it is the one that was used longest ago.
    assert!(space.get_memory([0]).is_some());
    space.put([10], value, PLAIN).await;
    let stats = space.stats();
    assert_eq!((stats.memory_evictions, stats.disk_evictions), (1, 1));
    assert!(space.get_memory([0]).is_some() && space.get_memory([1]).is_none());
}

#[tokio::test]
async fn c6_an_entrys_own_lifetime_holds_in_both_tiers() {
    let directory = temporary();
    let config = NamespaceConfig {
        memory_ttl: Some(Duration::from_secs(10)),
        disk_ttl: Some(Duration::from_secs(10)),
        ..NamespaceConfig::default()
    };
    let opened = open(Some(directory.path()), &[("n", config.clone())]);
    let space = opened.space("n");
    space.put("short", bytes("v"), ttl(1)).await;
    space.put("long", bytes("v"), ttl(100)).await;
    space.put("usual", bytes("v"), PLAIN).await;
    opened.clock.advance(Duration::from_secs(1));
    assert_eq!(space.get("short").await, Lookup::Miss);
    opened.clock.advance(Duration::from_secs(9));
    assert_eq!(space.get("usual").await, Lookup::Miss);
    opened.clock.advance(Duration::from_secs(80));
    assert_eq!(space.get("long").await, Lookup::Memory(bytes("v")));
    assert_eq!(space.invalidate("short").await, Invalidated::default(), "expired ones are not counted");
    opened.cache.sweep_expired().await;
    assert_eq!((space.stats().memory_entries, space.stats().disk_entries), (1, 1));
    drop((space, opened));

    let opened = open(Some(directory.path()), &[("n", config)]);
    opened.clock.advance(Duration::from_secs(90));
    let space = opened.space("n");
    assert_eq!(space.get("long").await, Lookup::Disk(bytes("v")), "on disk too");
    opened.clock.advance(Duration::from_secs(9));
    assert!(space.get_memory("long").is_some(), "promoted with its own lifetime");
    opened.clock.advance(Duration::from_secs(1));
    assert_eq!(space.get("long").await, Lookup::Miss);
}

#[tokio::test]
async fn c7_a_changed_codec_still_reads_old_entries() {
    let directory = temporary();
    let codecs =
        [Compression::None, Compression::Zstd { level: 3 }, Compression::Lz4, Compression::Gzip { level: 6 }];
    // Small ones go into fjall, large ones into files.
    let small = Bytes::from("word ".repeat(1_000));
    let large = Bytes::from((0..400_000_u32).flat_map(|n| (n * n).to_le_bytes()).collect::<Vec<u8>>());
    for (nth, compression) in codecs.into_iter().enumerate() {
        let config = NamespaceConfig { compression, memory_items_max: 0, ..NamespaceConfig::default() };
        let opened = open(Some(directory.path()), &[("n", config)]);
        let space = opened.space("n");
        space.put(format!("small {nth}"), small.clone(), PLAIN).await;
        space.put(format!("large {nth}"), large.clone(), PLAIN).await;
        for older in 0..=nth {
            assert_eq!(space.get(format!("small {older}")).await, Lookup::Disk(small.clone()));
            assert_eq!(space.get(format!("large {older}")).await, Lookup::Disk(large.clone()));
        }
    }
}

#[tokio::test]
async fn c8_invalidating_a_key_counts_both_tiers() {
    let directory = temporary();
    let opened = open(Some(directory.path()), &[("n", NamespaceConfig::default())]);
    let space = opened.space("n");
    space.put("k", bytes("v"), PLAIN).await;
    space.put("kk", bytes("v"), PLAIN).await;
    assert_eq!(space.invalidate("k").await, Invalidated { memory: 1, disk: 1 });
    assert_eq!(space.invalidate("k").await, Invalidated { memory: 0, disk: 0 });
    assert_eq!(space.get("k").await, Lookup::Miss);
    assert_eq!(space.get("kk").await, Lookup::Memory(bytes("v")));
}

#[tokio::test]
async fn c9_globs_prefixes_and_all_reach_both_tiers_for_good() {
    let directory = temporary();
    let config = NamespaceConfig { memory_items_max: 500, ..NamespaceConfig::default() };
    let large = Bytes::from(vec![1; 100 << 10]);
    {
        let opened = open(Some(directory.path()), &[("n", config.clone())]);
        let space = opened.space("n");
        for number in 0..1_000 {
            space.put(format!("corpus:{number}"), bytes("v"), PLAIN).await;
        }
        for key in ["[draft]", "d", "corpus:large:7"] {
            space.put(key, large.clone(), PLAIN).await;
        }
        let glob = |pattern: &str| Pattern::glob(pattern).expect("a valid pattern");
        let removed = space.invalidate_matching(&glob(&Pattern::escape("[draft]"))).await;
        assert_eq!(removed, Invalidated { memory: 1, disk: 1 });
        assert!(space.get_memory("d").is_some(), "the brackets were not a class");
        // 100 of 1,000, and the large one; of the newest 498 in memory, 50 and the large one.
        let removed = space.invalidate_matching(&glob("corpus:*7")).await;
        assert_eq!(removed.disk, 101);
        assert!((50..=51).contains(&removed.memory), "{removed:?}");
        space.put("corpus:17", bytes("new"), PLAIN).await;
        let removed = space.invalidate_matching(&Pattern::prefix("corpus:1")).await;
        assert_eq!(removed.disk, 101);
        space.put("corpus:11", bytes("new"), PLAIN).await;
    }
    let opened = open(Some(directory.path()), &[("n", config)]);
    let space = opened.space("n");
    assert_eq!(space.get("corpus:27").await, Lookup::Miss, "also after a restart");
    assert_eq!(space.get("corpus:large:7").await, Lookup::Miss);
    assert_eq!(space.get("corpus:11").await, Lookup::Disk(bytes("new")));
    assert_eq!(space.get("corpus:22").await, Lookup::Disk(bytes("v")));
    let left = space.stats().disk_entries;
    assert_eq!(opened.cache.invalidate_all().await.disk, left);
    assert_eq!(space.stats().disk_bytes, 0);
}

#[tokio::test]
async fn c10_stats_add_up_by_namespace_and_in_total() {
    let directory = temporary();
    let two = [("a", NamespaceConfig::default()), ("b", NamespaceConfig::default())];
    let opened = open(Some(directory.path()), &two);
    for name in ["a", "b"] {
        let space = opened.space(name);
        assert_eq!(space.get("k").await, Lookup::Miss);
        space.put("k", Bytes::from(vec![0; 1_000]), PLAIN).await;
        for _ in 0..3 {
            assert!(space.get("k").await.into_value().is_some());
        }
    }
    let stats = opened.cache.stats();
    let a = &stats.namespaces["a"];
    assert_eq!((a.memory_hits, a.disk_hits, a.misses, a.puts), (3, 0, 1, 1));
    assert_eq!(a.hit_rate(), Some(0.75));
    assert_eq!(a.memory_bytes, 1_000 + 1 + ENTRY_OVERHEAD_BYTES);
    // Value, header, row, and the key with its namespace.
    assert_eq!(a.disk_bytes, 1_000 + 32 + 33 + 4 + 1 + 1);
    assert_eq!((stats.total.memory_hits, stats.total.misses), (6, 2));
    assert_eq!(stats.total.disk_bytes, 2 * a.disk_bytes);
    assert_eq!(stats.total.disk_read.count, 0);
}

#[tokio::test]
async fn c11_namespaces_and_keys_never_mix() {
    let directory = temporary();
    let config = NamespaceConfig { memory_items_max: 0, ..NamespaceConfig::default() };
    let opened = open(Some(directory.path()), &[("a", config.clone()), ("a:b", config)]);
    opened.space("a").put("b:c", bytes("first"), PLAIN).await;
    opened.space("a:b").put("c", bytes("second"), PLAIN).await;
    assert_eq!(opened.space("a").get("b:c").await, Lookup::Disk(bytes("first")));
    assert_eq!(opened.space("a:b").get("c").await, Lookup::Disk(bytes("second")));
    for key in ["", "../../etc/passwd", "a\0b", "\u{1F33C}", &"k".repeat(5_000)] {
        opened.space("a").put(key, bytes(key), PLAIN).await;
        assert_eq!(opened.space("a").get(key).await, Lookup::Disk(bytes(key)), "{key:?}");
    }
    let unbounded = "k".repeat(70_000);
    assert_eq!(opened.space("a").put(&unbounded, bytes("v"), PLAIN).await, Put::NotKept);
}
