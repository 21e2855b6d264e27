//! The database is killed in the middle of a save, a batch or a cascade, and comes back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use floret_model::{Digest, ResourceKey, Seq};
use floret_pipeline::{Content, Error, Floret, Progress, SaveRequest, Selector};
use floret_tests::journal::{Random, content};
use floret_tests::servers::Mongo;
use floret_tests::{assert_sound, key, literature, small_world, text};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{host, log};

const KILLS: u64 = 4;
/// After so many acknowledgements, and then so much later at most, the server is killed.
const ACKNOWLEDGED: u64 = 6;
const LATER_MAX_US: u64 = 15_000;

/// Kill and start the server while somebody works, who says when something was acknowledged.
async fn kill_again_and_again(mongo: &mut Mongo, acknowledged: &mut mpsc::UnboundedReceiver<()>, seed: u64) {
    let mut random = Random(seed);
    for _ in 0..KILLS {
        // What was acknowledged before the kill says nothing of the time after it.
        while acknowledged.try_recv().is_ok() {}
        for _ in 0..1 + random.below(ACKNOWLEDGED) {
            acknowledged.recv().await.expect("the writers go on");
        }
        tokio::time::sleep(Duration::from_micros(random.below(LATER_MAX_US))).await;
        tokio::task::block_in_place(|| {
            mongo.kill();
            mongo.start_again();
        });
    }
    while acknowledged.try_recv().is_ok() {}
    acknowledged.recv().await.expect("the writers go on after the last kill");
}

fn entry(key: ResourceKey, number: u64) -> SaveRequest {
    SaveRequest::new(key, Content::Bytes(Bytes::from(content(number))))
}

/// It may be said that the server does not answer, and nothing else.
fn check(error: &Error) {
    let unavailable =
        matches!(error, Error::Store(error) if matches!(**error, floret_store::Error::Unavailable { .. }));
    assert!(unavailable, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn v5_a_server_killed_in_the_middle_of_saves_loses_none_and_doubles_none() {
    let (mut mongo, folder) = (Mongo::start(), TempDir::new().unwrap());
    let database = mongo.database();
    let host = host(&folder, &database).await;
    let over = Arc::new(AtomicBool::new(false));
    let (tell, mut acknowledged) = mpsc::unbounded_channel();
    let writers: Vec<_> = (0..8_u64)
        .map(|writer| {
            let (host, over, tell) = (Arc::clone(&host), Arc::clone(&over), tell.clone());
            tokio::spawn(async move {
                let mut done = Vec::new();
                for number in 0.. {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    let number = writer * 1_000_000 + number;
                    match host.save(entry(key(&format!("literature/{}", number % 3)), number)).await {
                        Ok(saved) => {
                            assert!(saved.is_new, "{number}");
                            done.push((saved.version.key.clone(), saved.version.seq, number));
                            let _ = tell.send(());
                        }
                        Err(error) => check(&error),
                    }
                }
                done
            })
        })
        .collect();
    kill_again_and_again(&mut mongo, &mut acknowledged, 1).await;
    over.store(true, Ordering::SeqCst);
    let mut done: Vec<(ResourceKey, Seq, u64)> = Vec::new();
    for writer in writers {
        done.extend(writer.await.unwrap());
    }
    assert_sound(&host).await;
    let mut logs = HashMap::new();
    for name in ["literature/0", "literature/1", "literature/2"] {
        let log = log(&**host.catalog(), &key(name)).await;
        let different: HashSet<&Digest> = log.iter().collect();
        assert_eq!(different.len(), log.len(), "{name} has a save twice");
        logs.insert(key(name), log);
    }
    for (key, seq, number) in &done {
        let there = logs[key][usize::try_from(seq.0).unwrap() - 1];
        assert_eq!(there, Digest::of(content(*number).as_bytes()), "{key}@{seq} was acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_a_server_killed_in_the_middle_of_batches_leaves_each_whole_or_absent() {
    const BATCH: usize = 50;
    let (mut mongo, folder) = (Mongo::start(), TempDir::new().unwrap());
    let database = mongo.database();
    let host = host(&folder, &database).await;
    let keys: Vec<ResourceKey> = (0..BATCH).map(|n| key(&format!("dictionary/{n}"))).collect();
    let over = Arc::new(AtomicBool::new(false));
    let (tell, mut acknowledged) = mpsc::unbounded_channel();
    let writer = tokio::spawn({
        let (host, over, keys) = (Arc::clone(&host), Arc::clone(&over), keys.clone());
        async move {
            let mut done = Vec::new();
            for number in 0_u64.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let bytes = Bytes::from(format!("{number} ").repeat(512).into_bytes()[..1024].to_vec());
                let requests =
                    keys.iter().map(|key| SaveRequest::new(key.clone(), Content::Bytes(bytes.clone())));
                match host.save_batch(requests.collect()).await {
                    Ok(saved) => {
                        let seq = saved[0].version.seq;
                        assert!(saved.iter().all(|saved| saved.is_new && saved.version.seq == seq));
                        done.push((seq, Digest::of(&bytes)));
                        let _ = tell.send(());
                    }
                    Err(error) => check(&error),
                }
            }
            done
        }
    });
    kill_again_and_again(&mut mongo, &mut acknowledged, 2).await;
    over.store(true, Ordering::SeqCst);
    let done = writer.await.unwrap();
    assert_sound(&host).await;
    let first = log(&**host.catalog(), &keys[0]).await;
    let different: HashSet<&Digest> = first.iter().collect();
    assert_eq!(different.len(), first.len(), "a batch is there twice");
    for key in &keys {
        assert_eq!(log(&**host.catalog(), key).await, first, "{key} has other batches");
    }
    for (seq, digest) in done {
        assert_eq!(first[usize::try_from(seq.0).unwrap() - 1], digest, "batch @{seq} was acknowledged");
    }
}

/// What a cascade published is the latest of one moment: every index stands on the latest corpus, and that on the
/// latest text that was cascaded, or on one before.
async fn check_pins(host: &Floret) -> Result<(), Error> {
    let corpus = host.resolve(&key("corpus/all"), &Selector::Latest).await?;
    for name in ["trie/all", "semantic/all", "search/all"] {
        let index = host.resolve(&key(name), &Selector::Latest).await?;
        let on = index.dependencies.iter().find(|dependency| dependency.on.key == corpus.key).unwrap();
        assert_eq!(on.on.seq, corpus.seq, "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn k6_a_server_killed_in_the_middle_of_cascades_shows_none_by_half() {
    let (mut mongo, folder) = (Mongo::start(), TempDir::new().unwrap());
    let database = mongo.database();
    let host = host(&folder, &database).await;
    small_world(&host).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let (tell, mut acknowledged) = mpsc::unbounded_channel();
    let writer = tokio::spawn({
        let (host, over) = (Arc::clone(&host), Arc::clone(&over));
        async move {
            let mut cascades = 0;
            for number in 0.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let request = literature("a", "Ada", 1843, &format!("The engine weaves pattern {number}."));
                match host.save(request).await {
                    Ok(saved) => assert!(saved.is_new, "{number}"),
                    Err(error) => {
                        check(&error);
                        continue;
                    }
                }
                let _ = tell.send(());
                match host.cascade(&[key("literature/a")], &Progress::default()).await {
                    Ok(report) => {
                        assert!(report.published);
                        cascades += 1;
                        if let Err(error) = check_pins(&host).await {
                            check(&error);
                        }
                    }
                    Err(Error::Cascade(failed)) => check(&failed.first),
                    Err(error) => check(&error),
                }
            }
            cascades
        }
    });
    kill_again_and_again(&mut mongo, &mut acknowledged, 3).await;
    over.store(true, Ordering::SeqCst);
    let cascades = writer.await.unwrap();
    assert!(cascades > 0);
    assert_sound(&host).await;
    check_pins(&host).await.unwrap();
    // Whatever was left undone is done by the next one.
    host.save(text("b", "A sparrow, at last.")).await.unwrap();
    host.cascade(&[key("literature/a"), key("literature/b")], &Progress::default()).await.unwrap();
    check_pins(&host).await.unwrap();
    assert_sound(&host).await;
    let rebuilt = host.verify_rebuild().await.unwrap();
    assert_eq!((rebuilt.mismatches().count(), rebuilt.skipped.len()), (0, 0));
}
