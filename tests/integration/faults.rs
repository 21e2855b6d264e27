//! What can go wrong between hosts and the servers that they share: each time a clear error or a retry that succeeds,
//! within a bounded time, and never a lost acknowledged version, a dangling reference or two latest versions.

mod killed;
mod network;
mod processes;
mod races;
mod reach;
mod stream;

use std::sync::Arc;

use floret_model::ResourceKey;
use floret_pipeline::Floret;
use floret_store::{Catalog, Draft, Error, MongoCatalog, Outcome, Publish, SystemClock};
use floret_tests::servers::Database;
use floret_tests::{Setup, open};
use tempfile::TempDir;

/// A host's own connection.
async fn connect(database: &Database) -> Arc<dyn Catalog> {
    MongoCatalog::connect(&database.uri).await.unwrap()
}

/// A host over a database; its blobs, which hosts would share, are in the folder.
async fn host(folder: &TempDir, database: &Database) -> Arc<Floret> {
    let setup = Setup { catalog: Some(connect(database).await), ..Setup::default() };
    open(folder.path(), setup).await.unwrap()
}

async fn publish(catalog: &dyn Catalog, drafts: Vec<Draft>) -> Result<Vec<Outcome>, Error> {
    let id = drafts.first().map(|draft| format!("{} {}", draft.key, draft.data_hash)).unwrap_or_default();
    let at = floret_store::Clock::now(&SystemClock);
    catalog.publish(Publish { id, at, drafts, report: None }).await
}

/// The log's seqs, which must be gapless, and the digests of its contents.
async fn log(catalog: &dyn Catalog, key: &ResourceKey) -> Vec<floret_model::Digest> {
    let mut log = catalog.log(key, None, usize::MAX).await.unwrap();
    log.reverse();
    let seqs: Vec<u64> = log.iter().map(|version| version.seq.0).collect();
    assert_eq!(seqs, (1..=log.len() as u64).collect::<Vec<_>>(), "{key} has a gap");
    let head = catalog.heads(std::slice::from_ref(key)).await.unwrap().remove(0);
    assert_eq!(head.map(|head| head.seq), log.last().map(|version| version.seq), "{key}");
    log.iter().map(|version| version.data_hash).collect()
}
