use std::sync::Arc;

use floret_model::{Digest, Seq};
use futures::future::join_all;

use super::{HOUR_MS, NOW, draft, head, key, publish, read, save, seqs, stored_blob, with_blob};
use crate::Error;
use crate::catalog::{BlobState, Catalog, Claim, Draft, Outcome, Precondition};

const WRITERS: u64 = 64;
const SAVES: u64 = 8;

/// V3, V5: any number of concurrent writers leave no gap, lose nothing, and one version is the latest.
pub async fn v3_sixty_four_writers_leave_no_gap(catalog: Arc<dyn Catalog>) {
    let key = key("v3-writers", "x");
    let writers = (0..WRITERS).map(|writer| {
        let (catalog, key) = (Arc::clone(&catalog), key.clone());
        tokio::spawn(async move {
            let mut seen = Vec::new();
            for number in 0..SAVES {
                let text = format!("writer {writer} save {number}");
                let saved = save(&*catalog, draft(&key, &text)).await;
                let version = saved.version();
                assert_eq!(version.data_hash, Digest::of(text.as_bytes()));
                seen.push(version.seq.0);
                let latest = head(&*catalog, &key).await.expect("something was saved");
                assert!(latest.seq >= version.seq, "a writer reads its own write");
            }
            assert!(seen.is_sorted(), "a writer's versions come in its order");
            seen
        })
    });
    let mut seqs_seen = Vec::new();
    for writer in join_all(writers).await {
        seqs_seen.extend(writer.expect("no writer panics"));
    }
    seqs_seen.sort_unstable();
    let expected: Vec<u64> = (1..=WRITERS * SAVES).collect();
    assert_eq!(seqs_seen, expected, "gapless, and none given twice");
    let mut log = seqs(&*catalog, &key).await;
    log.reverse();
    assert_eq!(log, expected, "the log has them all");
    let latest = head(&*catalog, &key).await.expect("something was saved");
    assert_eq!(latest.seq, Seq(WRITERS * SAVES));
    assert_eq!(latest.version.to_string(), format!("1.0.{}", WRITERS * SAVES - 1));
}

/// V3: read, decide, append if nobody came between: no update is lost.
pub async fn v3_compare_and_append_loses_nothing(catalog: Arc<dyn Catalog>) {
    let key = key("v3-compare", "x");
    let writers = (0..16).map(|_| {
        let (catalog, key) = (Arc::clone(&catalog), key.clone());
        tokio::spawn(async move {
            loop {
                let latest = head(&*catalog, &key).await;
                let draft = Draft {
                    precondition: latest
                        .as_ref()
                        .map_or(Precondition::Absent, |latest| Precondition::Latest(latest.seq)),
                    ..draft(&key, &format!("after {:?}", latest.map(|latest| latest.seq)))
                };
                match publish(&*catalog, vec![draft]).await {
                    Ok(outcomes) => {
                        assert!(matches!(outcomes[0], Outcome::Appended(_)));
                        return;
                    }
                    Err(error) => assert!(error.is_retryable(), "only conflicts: {error}"),
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.expect("no writer panics");
    }
    assert_eq!(seqs(&*catalog, &key).await.len(), 16);
}

/// V5, I7: readers see all of a publish or nothing, and always exactly one latest version.
pub async fn v5_a_publish_is_seen_whole(catalog: Arc<dyn Catalog>) {
    let keys = ["a", "b", "c"].map(|id| key("v5-whole", id));
    let round = |number: u64| keys.iter().map(|key| draft(key, &number.to_string())).collect();
    read(publish(&*catalog, round(0)).await);
    let reader = |keys: Vec<_>| {
        let catalog = Arc::clone(&catalog);
        tokio::spawn(async move {
            let mut last = 0;
            while last < 200 {
                let heads = read(catalog.heads(&keys).await);
                let seqs: Vec<u64> = heads
                    .iter()
                    .map(|head| head.as_ref().expect("never without a latest version").seq.0)
                    .collect();
                assert!(seqs.iter().all(|seq| *seq == seqs[0]), "half of a publish: {seqs:?}");
                assert!(seqs[0] >= last, "the latest version never goes back");
                last = seqs[0];
                let log = read(catalog.log(&keys[0], None, 1).await);
                assert!(log[0].seq.0 >= last, "the log has what is latest");
            }
        })
    };
    let readers = [reader(keys.to_vec()), reader(keys.iter().rev().cloned().collect())];
    for number in 1..200 {
        read(publish(&*catalog, round(number)).await);
    }
    for reader in readers {
        reader.await.expect("no reader sees less");
    }
}

/// B2: whoever waits beside a publish that fails is not affected.
pub async fn b2_a_failed_publish_does_not_touch_its_neighbours(catalog: Arc<dyn Catalog>) {
    let tasks = (0..64_u64).map(|number| {
        let catalog = Arc::clone(&catalog);
        tokio::spawn(async move {
            let (good, shared) = (key("b2-neighbours", &number.to_string()), key("b2-neighbours", "shared"));
            let mut drafts = vec![draft(&good, "A"), draft(&shared, &number.to_string())];
            let fails = number % 2 == 1;
            if fails {
                drafts.push(Draft {
                    precondition: Precondition::Latest(Seq(u64::MAX / 2)),
                    ..draft(&good, "B")
                });
            }
            let result = publish(&*catalog, drafts).await;
            assert_eq!(result.is_err(), fails, "publish {number}: {result:?}");
        })
    });
    for task in join_all(tasks).await {
        task.expect("each publish has its own fate");
    }
    let log = seqs(&*catalog, &key("b2-neighbours", "shared")).await;
    assert_eq!(log, (1..=32).rev().collect::<Vec<u64>>(), "32 succeeded, without gaps");
    let absent = head(&*catalog, &key("b2-neighbours", "1")).await;
    assert_eq!(absent, None);
}

/// R2: of a writer that finds a blob stored and a sweep that condemns it, one comes first, and both know it.
pub async fn r2_a_claim_and_a_condemnation_never_both_win(catalog: Arc<dyn Catalog>) {
    for round in 0..50 {
        let text = format!("r2 race {round}");
        let record = stored_blob(&*catalog, &text, NOW).await;
        let writer = {
            let (catalog, text) = (Arc::clone(&catalog), text.clone());
            tokio::spawn(async move {
                let digest = Digest::of(text.as_bytes());
                let lease_until = NOW.plus_ms(HOUR_MS);
                match read(catalog.claim_blob(&digest, lease_until).await) {
                    Claim::Present(found) => {
                        let key = key("r2-race", &text);
                        save(&*catalog, with_blob(&key, &found)).await;
                        None
                    }
                    Claim::Put { generation } => Some(generation),
                }
            })
        };
        let sweeper = {
            let (catalog, digest) = (Arc::clone(&catalog), record.digest);
            tokio::spawn(async move { read(catalog.condemn_blob(&digest, NOW).await) })
        };
        let put = writer.await.expect("the writer does not panic");
        let condemned = sweeper.await.expect("the sweeper does not panic");
        match put {
            None => assert!(!condemned, "round {round}: published and condemned"),
            Some(generation) => {
                assert!(condemned, "round {round}: a writer puts anew what was not condemned");
                assert!(generation > record.generation, "round {round}: a new generation");
            }
        }
        let row = read(catalog.blob(&record.digest).await).expect("it has a row");
        let fits = match row.state {
            BlobState::Stored { .. } => !condemned,
            BlobState::Pending { .. } => condemned,
            BlobState::Condemned { .. } => false,
        };
        assert!(fits, "round {round}: {row:?}");
        let stale = publish(&*catalog, vec![with_blob(&key("r2-stale", &text), &record)]).await;
        let fate = matches!(stale, Err(Error::MissingBlob { .. }));
        assert_eq!(fate, condemned, "round {round}: a condemned generation is not published");
    }
}
