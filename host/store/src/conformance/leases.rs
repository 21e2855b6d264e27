use std::sync::Arc;

use floret_model::TimestampMs;
use futures::future::join_all;

use super::{NOW, read};
use crate::catalog::{Catalog, Lease, Leased};

fn lease(name: &str, holder: &str, end_ms: u64) -> Lease {
    let until = NOW.plus_ms(end_ms);
    Lease { name: format!("suite/{name}"), holder: holder.to_owned(), until }
}

/// A lease is one holder's until it ends, is extended only by that holder, and is taken over when it is over.
pub async fn a_lease_has_one_holder_at_a_time(catalog: Arc<dyn Catalog>) {
    let acquire = async |lease: Lease, at: TimestampMs| read(catalog.acquire_lease(&lease, at).await);
    let first = lease("one", "ada", 100);
    assert_eq!(acquire(first.clone(), NOW).await, Leased::Granted);
    assert_eq!(acquire(lease("one", "bede", 200), NOW).await, Leased::Held(first), "by whom, until when");
    assert_eq!(acquire(lease("two", "bede", 200), NOW).await, Leased::Granted, "another name");
    let longer = lease("one", "ada", 150);
    assert_eq!(acquire(longer.clone(), NOW.plus_ms(90)).await, Leased::Granted, "extended");
    let held = acquire(lease("one", "bede", 200), NOW.plus_ms(149)).await;
    assert_eq!(held, Leased::Held(longer), "the old end counts no more");
    let taken = lease("one", "bede", 250);
    assert_eq!(acquire(taken.clone(), NOW.plus_ms(150)).await, Leased::Granted, "it was over");
    let late = acquire(lease("one", "ada", 300), NOW.plus_ms(160)).await;
    assert_eq!(late, Leased::Held(taken), "who comes too late to extend learns of it");
}

/// A lease that is given back is free; another's cannot be given back.
pub async fn a_lease_is_given_back_by_its_holder_alone(catalog: Arc<dyn Catalog>) {
    let [ada, bede] = ["ada", "bede"].map(|holder| lease("given", holder, 100));
    read(catalog.release_lease(&ada).await);
    assert_eq!(read(catalog.acquire_lease(&ada, NOW).await), Leased::Granted);
    read(catalog.release_lease(&bede).await);
    assert_eq!(read(catalog.acquire_lease(&bede, NOW).await), Leased::Held(ada.clone()), "it is not his");
    let earlier = Lease { until: NOW, ..ada.clone() };
    read(catalog.release_lease(&earlier).await);
    assert_eq!(read(catalog.acquire_lease(&bede, NOW).await), Leased::Granted, "whatever its end");
    read(catalog.release_lease(&ada).await);
    assert_eq!(read(catalog.acquire_lease(&ada, NOW).await), Leased::Held(bede));
}

/// Of many who want a free lease at once, and of many who want one that is over, one gets it.
pub async fn one_of_many_gets_a_lease(catalog: Arc<dyn Catalog>) {
    for (round, now) in [NOW, NOW.plus_ms(100)].into_iter().enumerate() {
        let holders = (0..16).map(|number| {
            let lease = lease("many", &format!("{round} {number}"), (round as u64 + 1) * 100);
            let catalog = Arc::clone(&catalog);
            tokio::spawn(async move { read(catalog.acquire_lease(&lease, now).await) })
        });
        let answers = join_all(holders).await.into_iter().map(|answer| answer.expect("it ends"));
        let granted = answers.filter(|answer| *answer == Leased::Granted).count();
        assert_eq!(granted, 1, "round {round}");
    }
}
