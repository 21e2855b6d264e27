//! Two hosts want what cannot both be: one comes first, and both know it.

use std::sync::Arc;

use bytes::Bytes;
use floret_model::{
    Codec, ContentLocation, Dependency, Digest, ResourceKey, Seq, StorageType, TimestampMs, VersionRef,
};
use floret_store::{
    BlobOptions, BlobRecord, BlobState, BlobStore, Catalog, Claim, Clock, Draft, Error, ManualClock, Outcome,
    SystemClock, VerifyOptions,
};
use floret_tests::servers::Database;
use floret_tests::{draft, key};
use futures::future::{join, join_all};
use tempfile::TempDir;

use super::{connect, log, publish};

const HOUR_MS: u64 = 60 * 60 * 1000;

fn on(key: &ResourceKey, seq: u64) -> Dependency {
    Dependency { role: "part".to_owned(), on: VersionRef { key: key.clone(), seq: Seq(seq) } }
}

async fn two_hosts() -> [Arc<dyn Catalog>; 2] {
    let database = Database::shared();
    [connect(&database).await, connect(&database).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_hosts_publish_dependents_of_one_resource_at_once() {
    const ROUNDS: u64 = 15;
    let hosts = two_hosts().await;
    let base = key("literature/base");
    publish(&*hosts[0], vec![draft(&base, "base", Vec::new())]).await.unwrap();
    let append = async {
        for round in 0..ROUNDS {
            publish(&*hosts[0], vec![draft(&base, &format!("base {round}"), Vec::new())]).await.unwrap();
        }
    };
    let tasks = (0..6_u64).map(|task| {
        let (catalog, base) = (Arc::clone(&hosts[usize::try_from(task % 2).unwrap()]), base.clone());
        tokio::spawn(async move {
            let dependent = key(&format!("corpus/{}", task % 3));
            for round in 0..ROUNDS {
                let head = catalog.heads(std::slice::from_ref(&base)).await.unwrap().remove(0).unwrap();
                let draft = draft(&dependent, &format!("{task} {round}"), vec![on(&base, head.seq.0)]);
                let outcome = publish(&*catalog, vec![draft]).await.unwrap().remove(0);
                assert!(matches!(outcome, Outcome::Appended(_)));
            }
        })
    });
    let (done, ()) = join(join_all(tasks.collect::<Vec<_>>()), append).await;
    done.into_iter().for_each(|task| task.unwrap());
    assert_eq!(log(&*hosts[1], &base).await.len() as u64, 1 + ROUNDS);
    for dependent in 0..3 {
        let log = log(&*hosts[1], &key(&format!("corpus/{dependent}"))).await;
        assert_eq!(log.len() as u64, 2 * ROUNDS);
    }
    assert_eq!(hosts[0].verify_indexes().await.unwrap(), [""; 0]);
    assert_eq!(hosts[0].dependents(std::slice::from_ref(&base)).await.unwrap()[0].len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn k3_of_two_edges_that_close_a_cycle_one_is_refused() {
    let hosts = two_hosts().await;
    for round in 0..25 {
        let [one, other] = ["one", "other"].map(|name| key(&format!("corpus/{name}-{round}")));
        let first = [&one, &other].map(|key| draft(key, "first", Vec::new()));
        publish(&*hosts[0], first.to_vec()).await.unwrap();
        let edge = |from: &ResourceKey, to: &ResourceKey| draft(from, "second", vec![on(to, 1)]);
        let (a, b) = join(
            publish(&*hosts[0], vec![edge(&one, &other)]),
            publish(&*hosts[1], vec![edge(&other, &one)]),
        )
        .await;
        let refused = |result: &Result<Vec<Outcome>, Error>| matches!(result, Err(Error::Cycle { .. }));
        let fits = (a.is_ok() && refused(&b)) || (b.is_ok() && refused(&a));
        assert!(fits, "round {round}: {a:?} and {b:?}");
    }
    assert_eq!(hosts[0].verify_indexes().await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_of_a_drop_and_a_dependent_one_comes_first() {
    const ROUNDS: usize = 60;
    let hosts = two_hosts().await;
    let now = SystemClock.now();
    let mut drops = 0;
    for round in 0..ROUNDS {
        let (part, whole) = (key(&format!("literature/part-{round}")), key(&format!("corpus/whole-{round}")));
        for content in ["old", "new"] {
            publish(&*hosts[0], vec![draft(&part, content, Vec::new())]).await.unwrap();
        }
        let old = [VersionRef { key: part.clone(), seq: Seq(1) }];
        let drop = async {
            // Either is sometimes a little later, so that either comes first sometimes.
            for _ in 0..round % 8 {
                hosts[0].access(&part).await.unwrap();
            }
            hosts[0].drop_versions(&old, now).await.unwrap()
        };
        let insert = async {
            for _ in 0..round / 8 {
                hosts[1].access(&part).await.unwrap();
            }
            publish(&*hosts[1], vec![draft(&whole, "whole", vec![on(&part, 1)])]).await
        };
        let (dropped, inserted) = join(drop, insert).await;
        let version = hosts[1].version(&old[0]).await.unwrap().unwrap();
        assert_eq!(version.dropped_at.is_some(), !dropped.is_empty(), "round {round}");
        match inserted {
            Ok(_) => assert!(dropped.is_empty(), "round {round}: the whole depends on what was dropped"),
            Err(Error::MissingDependency { reason: "dropped by cleanup", .. }) => {
                assert_eq!(dropped, old, "round {round}: refused for what was not dropped");
                drops += 1;
            }
            Err(error) => panic!("round {round}: {error:?}"),
        }
    }
    assert!(drops > 0 && drops < ROUNDS, "one of the two always came first: {drops} drops");
    assert_eq!(hosts[0].verify_indexes().await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_hosts_that_store_one_content_at_once_both_learn_where_it_is() {
    const ROUNDS: usize = 12;
    let hosts = two_hosts().await;
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let until = clock.now().plus_ms(HOUR_MS);
    for round in 0..ROUNDS {
        // Each host is the first to claim sometimes, and the first to settle sometimes.
        let (claims_first, settles_first) = (round % 2, round / 2 % 2);
        let digest = Digest::of(format!("round {round}").as_bytes());
        let mut records = Vec::new();
        for host in [claims_first, 1 - claims_first] {
            match hosts[host].claim_blob(&digest, until).await.unwrap() {
                Claim::Put { generation } => records.push((host, record(digest, generation, until))),
                Claim::Present(record) => panic!("round {round}: nobody has put it: {record:?}"),
            }
        }
        assert!(records[0].1.generation < records[1].1.generation, "round {round}: {records:?}");
        let mut settled = Vec::new();
        for which in [settles_first, 1 - settles_first] {
            let (host, record) = &records[which];
            let row = hosts[*host].settle_blob(record).await;
            settled.push(row.unwrap_or_else(|error| panic!("round {round}: {error}")));
        }
        assert_eq!(settled[0], records[settles_first].1, "round {round}: the first one's stays");
        assert_eq!(settled[1], settled[0], "round {round}");
    }
}

fn record(digest: Digest, generation: u64, lease_until: TimestampMs) -> BlobRecord {
    let location = draft(&key("note/x"), "", Vec::new()).content_location;
    BlobRecord {
        digest,
        generation,
        location: ContentLocation {
            storage_type: StorageType::S3,
            path: Some(floret_store::blob_path(&digest, generation)),
            checksum: digest,
            ..location
        },
        state: BlobState::Stored { lease_until },
    }
}

/// A text that is a blob, published by a host that found it stored or stored it.
async fn save_blob(blobs: &BlobStore, key: &ResourceKey, bytes: &Bytes) -> Result<(), Error> {
    let location = blobs.put(bytes.clone(), Digest::of(bytes), Codec::NONE).await?;
    let draft = Draft {
        data_hash: location.checksum,
        content_location: location,
        content_inline: None,
        ..draft(key, "", Vec::new())
    };
    publish(&**blobs.catalog(), vec![draft]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_a_save_of_a_blob_that_the_sweep_wants_is_never_without_it() {
    const ROUNDS: u64 = 40;
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let hosts = two_hosts().await.map(|catalog| {
        let objects = floret_store::local_objects(folder.path()).unwrap();
        let options = BlobOptions { lease_ms: HOUR_MS, ..BlobOptions::default() };
        BlobStore::new(catalog, objects, StorageType::Disk, clock.clone(), options)
    });
    let (mut condemned, mut kept, mut later) = (0, 0, 0_u64);
    for round in 0..ROUNDS {
        let bytes = Bytes::from(format!("round {round} ").repeat(1_000));
        // Stored by a host that died before it published.
        hosts[0].put(bytes.clone(), Digest::of(&bytes), Codec::NONE).await.unwrap();
        clock.advance_ms(2 * HOUR_MS);
        let key = key(&format!("note/{round}"));
        let save = async {
            for _ in 0..later {
                hosts[0].catalog().access(&key).await.unwrap();
            }
            save_blob(&hosts[0], &key, &bytes).await
        };
        let (catalog, objects) = (hosts[1].catalog(), hosts[1].objects());
        let sweep = floret_store::sweep(&**catalog, &**objects, clock.now(), 0, false);
        let (saved, swept) = join(save, sweep).await;
        saved.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        let swept = swept.unwrap();
        assert_eq!(swept.errors, [""; 0], "round {round}");
        // Whoever came first begins a little later the next time, so that they stay close together.
        if swept.condemned > 0 {
            condemned += 1;
            later = later.saturating_sub(2);
        } else {
            kept += 1;
            later += 1;
        }
        let head = hosts[1].catalog().heads(std::slice::from_ref(&key)).await.unwrap().remove(0).unwrap();
        let there = hosts[1].content(&head).await;
        assert_eq!(there.unwrap_or_else(|error| panic!("round {round}: {error}")), bytes);
    }
    assert!(
        condemned > 0 && kept > 0,
        "one of the two always came first: {condemned} condemned, {kept} kept"
    );
    let verified =
        floret_store::verify(&**hosts[0].catalog(), &hosts[0], VerifyOptions { rehash: true }).await;
    let verified = verified.unwrap();
    assert!(verified.is_clean(), "{:?}", verified.problems);
}
