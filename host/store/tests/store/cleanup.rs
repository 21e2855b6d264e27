use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use floret_model::{Digest, Memo, ResourceType, Seq, TimestampMs};
use floret_store::{Catalog, Clock, KeepReason, LogEntry, Retained, RetentionPolicy, cleanup, retain, sweep};

use crate::support::{HOUR_MS, NOW, files, fresh, key, part, reference, zstd};

/// After all leases and grace periods, by the store's clock and by the machine's, whose times objects have.
const LATER: TimestampMs = TimestampMs(i64::MAX / 2);

fn entry(seq: u64) -> LogEntry {
    LogEntry { seq: Seq(seq), tagged: false, expired: false, dropped: false, referenced: false }
}

fn check(newest: usize, log: &[LogEntry], kept: &[(u64, KeepReason)], droppable: &[u64]) {
    let expected = Retained {
        kept: kept.iter().map(|(seq, reason)| (Seq(*seq), *reason)).collect(),
        droppable: droppable.iter().copied().map(Seq).collect(),
    };
    assert_eq!(retain(newest, log), expected, "{log:?}");
}

#[test]
fn r1_the_newest_stay_and_whatever_is_pinned() {
    use KeepReason::{Latest, Newest, Referenced, Tagged};
    check(3, &[], &[], &[]);
    check(3, &[entry(1)], &[(1, Latest)], &[]);
    let five: Vec<_> = (1..=5).map(entry).collect();
    check(3, &five, &[(5, Latest), (4, Newest), (3, Newest)], &[2, 1]);
    check(1, &five, &[(5, Latest)], &[4, 3, 2, 1]);
    check(9, &five, &[(5, Latest), (4, Newest), (3, Newest), (2, Newest), (1, Newest)], &[]);
    let mut pinned = five.clone();
    pinned[0].tagged = true;
    pinned[1].referenced = true;
    check(2, &pinned, &[(5, Latest), (4, Newest), (2, Referenced), (1, Tagged)], &[3]);
    let mut dropped = five.clone();
    dropped[3].dropped = true;
    check(2, &dropped, &[(5, Latest), (3, Newest)], &[2, 1]);
}

#[test]
fn v9_what_has_expired_goes_unless_it_is_pinned() {
    use KeepReason::{Latest, Newest, Tagged};
    let mut log: Vec<_> = (1..=4).map(entry).collect();
    log[3].expired = true;
    check(2, &log, &[(3, Newest), (2, Newest)], &[4, 1]);
    log[3].tagged = true;
    check(2, &log, &[(4, Tagged), (3, Newest), (2, Newest)], &[1]);
    log[3].expired = false;
    log[2].expired = true;
    check(3, &log, &[(4, Tagged), (2, Newest), (1, Newest)], &[3]);
    log[3].tagged = false;
    check(1, &log, &[(4, Latest)], &[3, 2, 1]);
}

#[test]
fn r1_defaults_are_those_promised() {
    let policy = RetentionPolicy::default();
    for (name, count) in [
        ("dictionary", 5),
        ("corpus", 3),
        ("semantic", 5),
        ("literature", 3),
        ("trie", 5),
        ("search", 10),
        ("binding", 5),
        ("whatever", 5),
    ] {
        let resource_type = ResourceType::new(name).expect("valid");
        assert_eq!(policy.newest_of(&resource_type), count, "{name}");
    }
    let none = RetentionPolicy { newest_of_others: 0, ..policy };
    assert_eq!(none.newest_of(&ResourceType::plugin()), 1, "never the latest");
}

#[tokio::test]
async fn r1_cleanup_keeps_what_is_needed_and_says_why() {
    let (store, _folder) = fresh();
    let (text, corpus) = (key("literature", "t"), key("corpus", "c"));
    for number in 1..=6 {
        let mut draft = store.stored(&text, format!("text {number}").repeat(500)).await;
        if number == 1 {
            draft.tags = BTreeSet::from(["first".to_owned()]);
        }
        store.save(draft).await;
        let mut built = store.inline(&corpus, format!("corpus {number}"));
        built.dependencies = vec![part(&text, number)];
        store.save(built).await;
    }
    store.clock.advance_ms(HOUR_MS);
    let policy = RetentionPolicy::default();
    let catalog = &*store.catalog;
    let now = store.clock.now();
    let planned = cleanup(catalog, &store.blobs, &policy, now, HOUR_MS, true).await.expect("planned");
    assert!(planned.dry_run);
    assert_eq!(catalog.statistics().await.expect("read").raw_bytes, planned_raw(&store).await);
    let done = cleanup(catalog, &store.blobs, &policy, now, HOUR_MS, false).await.expect("done");
    // Corpora 4 to 6 stay, and with them texts 4 to 6; text 1 for its tag.
    let gone = [1, 2, 3].map(|seq| reference(&corpus, seq));
    let expected = [&gone[..], &[reference(&text, 2), reference(&text, 3)]].concat();
    assert_eq!(done.dropped, expected);
    assert_eq!(planned.dropped, done.dropped, "a dry run says what would be done");
    assert_eq!(done.kept.len(), 1);
    assert_eq!((&done.kept[0].version, done.kept[0].reason), (&reference(&text, 1), KeepReason::Tagged));
    assert_eq!(done.kept_by_reason[&KeepReason::Latest], 2);
    assert_eq!(done.kept_by_reason[&KeepReason::Newest], 4);
    assert_eq!(done.examined, 12);
    assert_eq!(done.errors, [""; 0]);
    assert_eq!(done.sweep.condemned, 2, "the blobs of texts 2 and 3");
    let report = store.verify().await;
    assert!(report.is_clean(), "{:?}", report.problems);
    let again = cleanup(catalog, &store.blobs, &policy, now, HOUR_MS, false).await.expect("done");
    assert_eq!(again.dropped, [], "there is nothing more to do");
}

async fn planned_raw(store: &crate::support::Store) -> u64 {
    let all = store.catalog.scan(None, 1000).await.expect("read");
    all.iter().map(|version| version.content_location.size_bytes).sum()
}

#[tokio::test]
async fn r1_what_a_kept_version_was_made_from_stays() {
    let (store, _folder) = fresh();
    let (text, corpus) = (key("literature", "t"), key("corpus", "c"));
    for number in 1..=6 {
        store.save(store.inline(&text, format!("text {number}"))).await;
    }
    let mut built = store.inline(&corpus, "corpus");
    built.dependencies = vec![part(&text, 2)];
    store.save(built).await;
    let policy = RetentionPolicy::default();
    let done = cleanup(&*store.catalog, &store.blobs, &policy, NOW, HOUR_MS, false).await.expect("done");
    assert_eq!(done.dropped, [1, 3].map(|seq| reference(&text, seq)));
    assert_eq!(done.kept[0].version, reference(&text, 2));
    assert_eq!(done.kept[0].reason, KeepReason::Referenced);
    assert!(store.verify().await.is_clean());
}

#[tokio::test]
async fn v9_cleanup_drops_what_has_expired() {
    let (store, _folder) = fresh();
    let (brief, pinned) = (key("dictionary", "brief"), key("dictionary", "pinned"));
    let mut draft = store.stored(&brief, "for an hour ".repeat(900)).await;
    draft.ttl_ms = Some(HOUR_MS);
    store.save(draft.clone()).await;
    let mut tagged = store.inline(&pinned, "for an hour, and tagged");
    tagged.ttl_ms = Some(HOUR_MS);
    tagged.tags = BTreeSet::from(["keep".to_owned()]);
    store.save(tagged).await;
    let policy = RetentionPolicy::default();
    let clean = async |now| {
        let done = cleanup(&*store.catalog, &store.blobs, &policy, now, 0, false).await;
        done.expect("done").dropped
    };
    assert_eq!(clean(NOW.plus_ms(HOUR_MS - 1)).await, []);
    assert_eq!(clean(NOW.plus_ms(HOUR_MS)).await, [reference(&brief, 1)]);
    let gone = store.publish(vec![draft]).await;
    assert!(gone.is_err(), "its blob went with it: {gone:?}");
    assert!(store.verify().await.is_clean());
}

#[tokio::test]
async fn r2_a_sweep_frees_real_bytes_after_the_grace_period() {
    let (store, folder) = fresh();
    let objects_folder = folder.path().join("objects");
    let stored = || files(&objects_folder).iter().map(|(_, length)| length).sum::<u64>();
    let corpus = key("corpus", "c");
    for number in 1..=5 {
        let noise: Vec<u8> = (0..2000_u32)
            .flat_map(|at| Digest::of(&(at + number).to_le_bytes()).as_bytes().to_vec())
            .collect();
        store.save(store.stored(&corpus, noise).await).await;
    }
    let unused = Bytes::from("never published".repeat(100));
    store.blobs.put(unused.clone(), Digest::of(&unused), zstd()).await.expect("stored");
    std::fs::write(objects_folder.join("cas/sha256/stranger"), "left alone").expect("written");
    let memo = Memo {
        recipe: Digest::of(b"recipe"),
        output: Digest::of(&unused),
        output_bytes: 1,
        statistics: serde_json::Value::Null,
        build_time_ms: 1.0,
        created_at: NOW,
    };
    store.catalog.put_memo(&memo).await.expect("remembered");
    let policy = RetentionPolicy::default();
    let pass = async |now, dry_run| {
        let report = cleanup(&*store.catalog, &store.blobs, &policy, now, HOUR_MS, dry_run).await;
        let report = report.expect("done");
        assert_eq!((&report.errors, &report.sweep.errors), (&vec![], &vec![]));
        report.sweep
    };
    let before = stored();
    let held = pass(NOW, false).await;
    assert_eq!((held.condemned, held.deleted), (0, 0), "leases hold everything");
    let condemned = pass(LATER, false).await;
    assert_eq!((condemned.condemned, condemned.deleted, condemned.freed_bytes), (3, 0, 0));
    assert_eq!(stored(), before, "nothing goes before the grace period is over");
    let late = LATER.plus_ms(HOUR_MS);
    let planned = pass(late, true).await;
    assert_eq!(stored(), before, "nor in a dry run");
    let done = pass(late, false).await;
    assert_eq!(done, planned, "which tells what happens");
    assert_eq!((done.deleted, done.unknown), (3, 1));
    assert_eq!(done.freed_bytes, before - stored(), "real bytes");
    assert!(done.freed_bytes > 2 * 64_000);
    let report = store.verify().await;
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!(report.blobs, 3);
}

#[tokio::test]
async fn r2_orphans_go_and_what_is_being_written_stays() {
    let (store, folder) = fresh();
    let objects = folder.path().join("objects");
    let bytes = Bytes::from("known");
    let digest = Digest::of(&bytes);
    let location = store.blobs.put(bytes, digest, zstd()).await.expect("stored");
    store
        .publish(vec![{
            let mut draft = store.inline(&key("corpus", "c"), "x");
            (draft.content_location, draft.content_inline) = (location.clone(), None);
            draft.data_hash = digest;
            draft
        }])
        .await
        .expect("published");
    let known = objects.join(location.path.expect("a path"));
    let writing = Digest::of(b"being written");
    let claim = store.catalog.claim_blob(&writing, LATER.plus_ms(1)).await.expect("claimed");
    let floret_store::Claim::Put { generation } = claim else { panic!("nobody stored it") };
    let plant = |digest: &Digest, generation: u64| {
        let path = objects.join(floret_store::blob_path(digest, generation));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(&path, "planted").expect("written");
        path
    };
    let orphans = [plant(&digest, 9_999), plant(&Digest::of(b"nobody's"), 3)];
    let in_flight = plant(&writing, generation);
    let run = async |now| {
        let swept = sweep(&*store.catalog, &**store.blobs.objects(), now, HOUR_MS, false).await;
        swept.expect("swept").orphans
    };
    assert_eq!(run(NOW).await, 0, "they may be younger than the grace period");
    assert!(orphans.iter().all(|path| path.exists()));
    assert_eq!(run(LATER).await, 2);
    assert!(orphans.iter().all(|path| !path.exists()));
    assert!(known.exists() && in_flight.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_sweeping_all_the_time_loses_nothing_that_is_published() {
    let (store, _folder) = fresh();
    let store = Arc::new(store);
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let sweeper = {
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        tokio::spawn(async move {
            let mut deleted = 0;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                // Leases end at once for this sweeper: only the order of claims and condemnations protects. A
                // publish may then find its blob gone, and must say so.
                let report = sweep(&*store.catalog, &**store.blobs.objects(), LATER, 0, false).await;
                let report = report.expect("swept");
                assert_eq!(report.errors, [""; 0]);
                deleted += report.deleted;
                tokio::task::yield_now().await;
            }
            deleted
        })
    };
    let writers = (0..4_u64).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let (mut published, mut lost) = (0, 0);
            for number in 0..100_u64 {
                // Few contents, so that they are found stored, condemned and gone.
                let text = format!("content {}", (number * 7 + writer) % 5).repeat(10);
                let key = key("corpus", &format!("{writer}-{number}"));
                let digest = Digest::of(text.as_bytes());
                let Ok(location) = store.blobs.put(text.into(), digest, zstd()).await else {
                    lost += 1;
                    continue;
                };
                let mut draft = store.inline(&key, "x");
                (draft.content_location, draft.content_inline) = (location, None);
                draft.data_hash = digest;
                match store.publish(vec![draft]).await {
                    Ok(_) => published += 1,
                    Err(floret_store::Error::MissingBlob { .. }) => lost += 1,
                    Err(error) => panic!("{error}"),
                }
                // Some are dropped again, so that contents become free.
                if number % 3 == 0 {
                    let mut empty = store.inline(&key, "empty");
                    empty.tags = BTreeSet::from(["x".to_owned()]);
                    store.save(empty).await;
                    let first = [reference(&key, 1)];
                    store.catalog.drop_versions(&first, NOW).await.expect("dropped");
                }
            }
            (published, lost)
        })
    });
    let mut published = 0;
    for writer in writers.collect::<Vec<_>>() {
        published += writer.await.expect("no writer panics").0;
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    sweeper.await.expect("the sweeper does not panic");
    assert!(published > 0, "some got through");
    let report = store.verify().await;
    assert!(report.is_clean(), "{:?}", report.problems);
}
