//! Many who want the same at once.

use floret_pipeline::{Freshness, Selector};
use floret_tests::gate::Gate;
use floret_tests::{Setup, key, open, save_text};
use futures::future::{join_all, poll_immediate};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn c3_fifty_waiters_on_one_missing_key_make_one_loader_call() {
    let folder = TempDir::new().unwrap();
    let content: String = (0..5_000).map(|n| format!("word{n} ")).collect();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    save_text(&host, "wanted", &content).await.unwrap();
    host.close().await.unwrap();
    drop(host);
    // No cache, so that the store is all there is.
    std::fs::remove_dir_all(folder.path().join("cache")).unwrap();
    let gate = Gate::before(floret_store::local_objects(&folder.path().join("blobs")).unwrap());
    let setup = Setup { objects: Some(gate.clone()), ..Setup::default() };
    let host = open(folder.path(), setup).await.unwrap();
    let wanted = key("literature/wanted");
    let mut waiters: Vec<_> =
        (0..50).map(|_| Box::pin(host.get(&wanted, &Selector::Latest, Freshness::Cached))).collect();
    for waiter in &mut waiters {
        assert!(poll_immediate(waiter).await.is_none(), "it waits at the gate, or for who does");
    }
    assert_eq!(gate.reads(), 1);
    gate.open();
    for snapshot in join_all(waiters).await {
        assert_eq!(snapshot.unwrap().content, content);
    }
    assert_eq!(gate.reads(), 1);
    let stats = &host.cache().stats().namespaces["default"];
    assert_eq!((stats.loads, stats.load_waits), (1, 49));
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_a_waiter_that_goes_away_takes_nobody_with_it() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    save_text(&host, "wanted", &"many words ".repeat(1_000)).await.unwrap();
    host.close().await.unwrap();
    drop(host);
    std::fs::remove_dir_all(folder.path().join("cache")).unwrap();
    let gate = Gate::before(floret_store::local_objects(&folder.path().join("blobs")).unwrap());
    let host = open(folder.path(), Setup { objects: Some(gate.clone()), ..Setup::default() }).await.unwrap();
    let wanted = key("literature/wanted");
    let get = || Box::pin(host.get(&wanted, &Selector::Latest, Freshness::Cached));
    let (mut first, mut second) = (get(), get());
    assert!(poll_immediate(&mut first).await.is_none());
    assert!(poll_immediate(&mut second).await.is_none());
    drop(first);
    gate.open();
    assert_eq!(second.await.unwrap().content, "many words ".repeat(1_000));
}
