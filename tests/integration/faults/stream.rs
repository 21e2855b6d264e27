//! The stream of changes is cut while others publish: whoever follows sees every publish all the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use floret_store::{Catalog, ChangeStream, ChangeToken, Error, Outcome};
use floret_tests::proxy::{Network, Proxy};
use floret_tests::servers::{Mongo, MongoOptions};
use floret_tests::{draft, key};
use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{connect, publish};

const ROUNDS: u64 = 6;
/// In each round; in its middle something happens to the connections.
const PUBLISHES: u64 = 16;
/// A follower that sees nothing for so long has lost something.
const PATIENCE: Duration = Duration::from_secs(30);
const QUICK: &str = "heartbeatFrequencyMS=500&connectTimeoutMS=1000&serverSelectionTimeoutMS=5000";

async fn save(catalog: &dyn Catalog, number: u64) -> u64 {
    let draft = draft(&key("dictionary/x"), &format!("{number}"), Vec::new());
    let outcome = publish(catalog, vec![draft]).await.unwrap().remove(0);
    assert!(matches!(outcome, Outcome::Appended(_)));
    outcome.version().seq.0
}

/// Follows from a token on, as often as the stream ends, until the last publish was seen; tells which were seen.
async fn follow(
    catalog: Arc<dyn Catalog>,
    mut stream: ChangeStream,
    seen: watch::Sender<BTreeSet<u64>>,
    last: u64,
) -> u64 {
    let (mut token, mut opened): (Option<ChangeToken>, u64) = (None, 1);
    while !seen.borrow().contains(&last) {
        match timeout(PATIENCE, stream.next()).await.expect("something comes").expect("it has no end") {
            Ok(change) => {
                seen.send_modify(|seen| seen.extend(change.heads.iter().map(|head| head.seq.0)));
                token = Some(change.token);
            }
            Err(Error::Unavailable { .. }) => loop {
                opened += 1;
                match catalog.changes(token.clone()).await {
                    Ok(again) => {
                        stream = again.expect("it is shared");
                        break;
                    }
                    Err(error) => assert!(matches!(error, Error::Unavailable { .. }), "{error:?}"),
                }
            },
            Err(error) => panic!("{error:?}"),
        }
    }
    opened
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_whose_stream_is_cut_sees_every_publish() {
    let mongo = Mongo::start_with(MongoOptions::default());
    let proxy = Proxy::before(mongo.address());
    let database = mongo.database();
    let publisher = connect(&database).await;
    let follower = connect(&database.at(proxy.address()).with_option(QUICK)).await;
    let stream = follower.changes(None).await.unwrap().expect("it is shared");
    let (tell, mut seen) = watch::channel(BTreeSet::new());
    let last = 1 + ROUNDS * PUBLISHES;
    let following = tokio::spawn(follow(Arc::clone(&follower), stream, tell, last));
    // The first is seen before the first cut, so that the follower has a token.
    let mut latest = save(&*publisher, 0).await;
    for round in 0..ROUNDS {
        timeout(PATIENCE, seen.wait_for(|seen| seen.contains(&latest))).await.unwrap().unwrap();
        let before = proxy.accepted();
        for number in 0..PUBLISHES {
            latest = save(&*publisher, 1 + round * PUBLISHES + number).await;
            if number == PUBLISHES / 2 {
                proxy.set(if round % 2 == 0 { Network::Works } else { Network::Refuses });
                proxy.cut();
            }
        }
        proxy.set(Network::Works);
        timeout(PATIENCE, seen.wait_for(|seen| seen.contains(&latest))).await.unwrap().unwrap();
        assert!(proxy.accepted() > before, "round {round}: the cut cut nothing");
    }
    let opened = following.await.unwrap();
    let missed: Vec<u64> = (1..=last).filter(|seq| !seen.borrow().contains(seq)).collect();
    assert!(missed.is_empty(), "missed {missed:?}; the stream was opened {opened} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_says_nothing_to_the_server_is_told_as_lost() {
    let mongo = Mongo::start_with(MongoOptions::default());
    let catalog = connect(&mongo.database()).await;
    let token = ChangeToken(Bytes::from_static(b"no token of this server"));
    let error = catalog.changes(Some(token)).await.err().expect("it cannot follow");
    assert!(matches!(error, Error::ChangesLost { .. }), "{error:?}");
}
