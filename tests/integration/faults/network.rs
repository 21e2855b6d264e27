//! The network between a host and the database fails: silence, lost answers, connections that are cut.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floret_model::{Digest, ResourceKey};
use floret_store::{Catalog, Error, Outcome};
use floret_tests::proxy::{Network, Proxy};
use floret_tests::servers::{Database, Mongo, MongoOptions};
use floret_tests::{draft, key};

use super::{connect, log, publish};

/// The driver looks for the server so often, and gives up on silence so soon: as short as they may be.
const QUICK: &str = "heartbeatFrequencyMS=500&connectTimeoutMS=1000&serverSelectionTimeoutMS=2000";
/// A save is tried for 45 s; the last attempt may have to wait for silence once more.
const TOLD_WITHIN: Duration = Duration::from_secs(75);
/// Saves are long done after so long on a network that works.
const DONE_WITHIN: Duration = Duration::from_secs(30);

/// A server with a proxy in front, and a catalog that knows the proxy alone.
async fn behind_a_proxy() -> (Mongo, Proxy, Database, Arc<dyn Catalog>) {
    let mongo = Mongo::start_with(MongoOptions::default());
    let proxy = Proxy::before(mongo.address());
    let database = mongo.database();
    let catalog = connect(&database.at(proxy.address()).with_option(QUICK)).await;
    (mongo, proxy, database, catalog)
}

async fn save(catalog: &dyn Catalog, key: &ResourceKey, content: &str) -> Result<u64, Error> {
    let outcome = publish(catalog, vec![draft(key, content, Vec::new())]).await?.remove(0);
    assert!(matches!(outcome, Outcome::Appended(_)), "{content} was there before: {outcome:?}");
    Ok(outcome.version().seq.0)
}

/// Every acknowledged content is in its place, and none is there twice.
async fn check(database: &Database, key: &ResourceKey, acknowledged: &[(u64, String)]) {
    let catalog = connect(database).await;
    let log = log(&*catalog, key).await;
    let different: HashSet<&Digest> = log.iter().collect();
    assert_eq!(different.len(), log.len(), "{key} has a save twice");
    for (seq, content) in acknowledged {
        assert_eq!(log[usize::try_from(*seq - 1).unwrap()], Digest::of(content.as_bytes()), "{key}@{seq}");
    }
    assert_eq!(catalog.verify_indexes().await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_into_silence_is_told_in_bounded_time_and_the_next_goes_through() {
    let (_mongo, proxy, database, catalog) = behind_a_proxy().await;
    let key = key("dictionary/x");
    let mut acknowledged = vec![(save(&*catalog, &key, "before").await.unwrap(), "before".to_owned())];
    proxy.set(Network::Silent);
    let started = Instant::now();
    let told = save(&*catalog, &key, "into silence").await;
    assert!(started.elapsed() < TOLD_WITHIN, "{:?}", started.elapsed());
    assert!(matches!(told, Err(Error::Unavailable { .. })), "{told:?}");
    let started = Instant::now();
    let read = catalog.heads(std::slice::from_ref(&key)).await;
    assert!(started.elapsed() < TOLD_WITHIN, "{:?}", started.elapsed());
    assert!(matches!(read, Err(Error::Unavailable { .. })), "{read:?}");
    proxy.set(Network::Works);
    acknowledged.push((save(&*catalog, &key, "after").await.unwrap(), "after".to_owned()));
    check(&database, &key, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_go_through_silence_that_ends() {
    let (_mongo, proxy, database, catalog) = behind_a_proxy().await;
    let key = key("dictionary/x");
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        proxy.set(Network::Silent);
        let saving = tokio::spawn({
            let (catalog, key) = (Arc::clone(&catalog), key.clone());
            async move { save(&*catalog, &key, &format!("round {round}")).await }
        });
        // Long enough that the driver has given up on its connections in some rounds.
        tokio::time::sleep(Duration::from_millis(1_500 * round)).await;
        proxy.set(Network::Works);
        let seq = tokio::time::timeout(DONE_WITHIN, saving).await.unwrap().unwrap().unwrap();
        acknowledged.push((seq, format!("round {round}")));
    }
    check(&database, &key, &acknowledged).await;
}

/// Saves from several tasks on two resources while something happens to the network; what was acknowledged.
async fn save_while(
    catalog: &Arc<dyn Catalog>,
    keys: &[ResourceKey; 2],
    mut happens: impl AsyncFnMut(),
) -> [Vec<(u64, String)>; 2] {
    const TASKS: usize = 6;
    const SAVES: usize = 25;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (catalog, key) = (Arc::clone(catalog), keys[task % 2].clone());
            tokio::spawn(async move {
                let mut done = Vec::new();
                for number in 0..SAVES {
                    let content = format!("task {task} save {number}");
                    match save(&*catalog, &key, &content).await {
                        Ok(seq) => done.push((seq, content)),
                        Err(error) => assert!(matches!(error, Error::Unavailable { .. }), "{error:?}"),
                    }
                }
                done
            })
        })
        .collect();
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        happens().await;
    }
    let mut done = [Vec::new(), Vec::new()];
    for (task, handle) in tasks.into_iter().enumerate() {
        done[task % 2].extend(handle.await.unwrap());
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_a_save_whose_answer_is_lost_is_there_once() {
    let (_mongo, proxy, database, catalog) = behind_a_proxy().await;
    let keys = ["dictionary/x", "dictionary/y"].map(key);
    let mut round = 0;
    let acknowledged = save_while(&catalog, &keys, async || {
        round += 1;
        tokio::time::sleep(Duration::from_millis(10 + 7 * (round % 9))).await;
        proxy.set(Network::LosesAnswers);
        tokio::time::sleep(Duration::from_millis(5)).await;
        proxy.set(Network::Works);
        tokio::time::sleep(Duration::from_millis(100)).await;
    })
    .await;
    for (key, acknowledged) in keys.iter().zip(&acknowledged) {
        check(&database, key, acknowledged).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_saves_go_through_connections_that_are_cut() {
    let (_mongo, proxy, database, catalog) = behind_a_proxy().await;
    let keys = ["dictionary/x", "dictionary/y"].map(key);
    let mut round = 0;
    let acknowledged = save_while(&catalog, &keys, async || {
        round += 1;
        tokio::time::sleep(Duration::from_millis(60 + 7 * (round % 9))).await;
        proxy.cut();
    })
    .await;
    for (key, acknowledged) in keys.iter().zip(&acknowledged) {
        check(&database, key, acknowledged).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_makes_saves_slow_and_nothing_else() {
    let (_mongo, proxy, database, catalog) = behind_a_proxy().await;
    let key = key("dictionary/x");
    proxy.set(Network::Slow(Duration::from_millis(40)));
    let mut acknowledged = Vec::new();
    for number in 0..3 {
        let content = format!("slow {number}");
        acknowledged.push((save(&*catalog, &key, &content).await.unwrap(), content));
    }
    check(&database, &key, &acknowledged).await;
}
