use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use floret_model::{Digest, ResourceKey, TimestampMs};
use tempfile::TempDir;

use super::committer::Durability;
use super::reads::Reader;
use super::tables::{FORMAT, Table};
use super::{EmbeddedCatalog, keys};
use crate::catalog::{Claim, Draft, Precondition};
use crate::conformance::{draft, publish_at, save};
use crate::{Catalog, Error};

async fn fresh() -> (Arc<dyn Catalog>, TempDir) {
    let (catalog, folder) = open();
    (catalog, folder)
}

fn open() -> (Arc<EmbeddedCatalog>, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let catalog = EmbeddedCatalog::open(folder.path()).expect("a fresh catalog opens");
    (catalog, folder)
}

fn key(id: &str) -> ResourceKey {
    ResourceKey::parse("default", "corpus", id).expect("a valid key")
}

mod suite {
    use super::fresh;
    crate::catalog_conformance!(fresh());
}

#[tokio::test]
async fn a_second_opening_is_told_who_has_the_store() {
    let (catalog, folder) = open();
    let refused = EmbeddedCatalog::open(folder.path()).expect_err("it is open");
    let message = refused.to_string();
    let holder = format!("pid {} since 2", std::process::id());
    assert!(matches!(refused, Error::InUse { .. }), "{message}");
    assert!(message.contains(&holder), "{message}");
    drop(catalog);
    EmbeddedCatalog::open(folder.path()).expect("it was closed");
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let (catalog, folder) = open();
    save(&*catalog, draft(&key("a"), "A")).await;
    let newer = (FORMAT + 1).to_le_bytes();
    let meta = catalog.tables.keyspace(Table::Meta).clone();
    meta.insert(keys::FORMAT, newer).expect("written");
    drop((meta, catalog));
    match EmbeddedCatalog::open(folder.path()) {
        Err(Error::NewerFormat { found, supported, .. }) => {
            assert_eq!((found, supported), (FORMAT + 1, FORMAT))
        }
        other => panic!("expected a newer format, got {other:?}"),
    }
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").expect("written");
    for path in [file.clone(), file.join("below")] {
        let error = EmbeddedCatalog::open(&path).expect_err("not a folder");
        let message = error.to_string();
        assert!(matches!(error, Error::Io { .. }), "{message}");
        assert!(message.contains(&*path.to_string_lossy()), "{message}");
    }
}

#[tokio::test]
async fn v3_what_was_saved_is_there_when_the_store_is_opened_again() {
    let (catalog, folder) = open();
    let lease = TimestampMs(i64::MAX);
    let claim = async |catalog: &EmbeddedCatalog, text: &[u8]| match catalog
        .claim_blob(&Digest::of(text), lease)
        .await
    {
        Ok(Claim::Put { generation }) => generation,
        other => panic!("expected to put, got {other:?}"),
    };
    save(&*catalog, draft(&key("a"), "A")).await;
    let saved = save(&*catalog, draft(&key("a"), "B")).await;
    let before = claim(&catalog, b"one").await;
    drop(catalog);
    let catalog = EmbeddedCatalog::open(folder.path()).expect("it opens again");
    let log = catalog.log(&key("a"), None, 9).await.expect("read");
    assert_eq!(log.len(), 2);
    assert_eq!(&log[0], saved.version());
    let after = claim(&catalog, b"two").await;
    assert!(after > before, "no generation is used twice: {before}, {after}");
    assert_eq!(catalog.verify_indexes().await.expect("read"), [""; 0]);
}

fn rows(catalog: &EmbeddedCatalog) -> BTreeMap<(&'static str, Vec<u8>), Vec<u8>> {
    let reader = Reader::new(&catalog.tables);
    let mut all = BTreeMap::new();
    for (table, name) in Table::ALL {
        for row in reader.rows(table, Bound::Unbounded, Bound::Unbounded) {
            let (row, value) = row.expect("read");
            all.insert((name, row.to_vec()), value.to_vec());
        }
    }
    all
}

fn files(folder: &Path) -> BTreeMap<String, Digest> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            all.insert(path.display().to_string(), Digest::of(&bytes));
        }
    }
    all
}

#[tokio::test]
async fn b2_a_failed_batch_leaves_the_store_byte_for_byte() {
    let (catalog, folder) = open();
    save(&*catalog, draft(&key("a"), "A")).await;
    let (rows_before, files_before) = (rows(&catalog), files(folder.path()));
    let mut drafts: Vec<_> = (0..100).map(|number| draft(&key(&format!("new-{number}")), "X")).collect();
    drafts.push(draft(&key("a"), "B"));
    drafts.push(Draft { precondition: Precondition::Absent, ..draft(&key("a"), "C") });
    let failed = publish_at(&*catalog, TimestampMs(7), drafts).await;
    assert!(matches!(failed, Err(Error::Conflict { .. })), "{failed:?}");
    assert_eq!(rows(&catalog), rows_before);
    assert_eq!(files(folder.path()), files_before);
}

#[tokio::test]
async fn a_panic_of_the_committer_stops_writes_and_not_reads() {
    let (catalog, folder) = open();
    save(&*catalog, draft(&key("a"), "A")).await;
    let panicked = catalog
        .committer
        .submit(Durability::Synced, |staged| {
            staged.put(Table::Heads, key("b").encode(), Vec::new());
            if staged.get(Table::Heads, b"").is_ok() {
                panic!("a defect")
            }
            Ok(())
        })
        .await
        .expect_err("it panicked");
    assert!(panicked.to_string().contains("a defect"), "{panicked}");
    let later = publish_at(&*catalog, TimestampMs(7), vec![draft(&key("a"), "B")]).await;
    let message = later.expect_err("it takes no more writes").to_string();
    assert!(message.contains("a defect"), "{message}");
    let heads = catalog.heads(&[key("a"), key("b")]).await.expect("reads go on");
    assert_eq!(heads[0].as_ref().map(|head| head.seq.0), Some(1));
    assert_eq!(heads[1], None);
    drop(catalog);
    let catalog = EmbeddedCatalog::open(folder.path()).expect("it opens again");
    save(&*catalog, draft(&key("a"), "B")).await;
}

#[tokio::test]
async fn a_publish_whose_caller_went_away_is_carried_out_or_not_begun() {
    let (catalog, _folder) = open();
    for number in 0..100 {
        let publish = publish_at(
            &*catalog,
            TimestampMs(7),
            vec![draft(&key("a"), &number.to_string()), draft(&key("b"), &number.to_string())],
        );
        // Polled once, so that it is queued, and dropped.
        let first = futures::FutureExt::now_or_never(publish);
        assert!(first.is_none(), "it waits for the committer");
    }
    save(&*catalog, draft(&key("c"), "the committer is through")).await;
    let heads = catalog.heads(&[key("a"), key("b")]).await.expect("read");
    assert_eq!(heads[0].as_ref().map(|head| head.seq.0), Some(100));
    assert_eq!(heads[1].as_ref().map(|head| head.seq.0), Some(100));
}

#[tokio::test]
async fn o3_indexes_that_disagree_with_the_log_are_named() {
    let (catalog, _folder) = open();
    let (a, b) = (key("a"), key("b"));
    save(&*catalog, draft(&a, "A")).await;
    let mut dependent = draft(&b, "B");
    let on = catalog.heads(std::slice::from_ref(&a)).await.expect("read");
    dependent.dependencies = vec![floret_model::Dependency {
        role: "part".to_owned(),
        on: on[0].as_ref().expect("saved").reference(),
    }];
    save(&*catalog, dependent).await;
    let edge = keys::edge(&a.encode(), &b.encode());
    for (table, row, value, expected) in [
        (Table::Edges, edge.clone(), None, "edges"),
        (Table::Edges, keys::edge(&b.encode(), &a.encode()), Some(vec![]), "edges"),
        (Table::Heads, a.encode(), None, "heads"),
        (Table::Heads, a.encode(), Some(vec![1, 2]), "heads"),
        (Table::BlobRefs, vec![7; 40], Some(vec![]), "blob_refs"),
        (Table::Created, vec![7; 40], Some(vec![]), "created"),
    ] {
        let keyspace = catalog.tables.keyspace(table);
        let before = keyspace.get(&row).expect("read");
        match value {
            Some(value) => keyspace.insert(&row, value).expect("written"),
            None => keyspace.remove(&row).expect("written"),
        }
        let lines = catalog.verify_indexes().await.expect("read");
        assert!(lines.len() == 1 && lines[0].starts_with(expected), "{lines:?}");
        match before {
            Some(value) => keyspace.insert(&row, value).expect("written"),
            None => keyspace.remove(&row).expect("written"),
        }
    }
    assert_eq!(catalog.verify_indexes().await.expect("read"), [""; 0]);
}
