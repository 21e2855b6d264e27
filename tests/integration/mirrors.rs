//! Installations copied from a folder to servers and back, over a database that is killed meanwhile.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use floret_model::{CascadeReport, Memo, ResourceKey, StorageType, Version};
use floret_pipeline::Progress;
use floret_store::{
    Access, BlobOptions, BlobStore, Catalog, CopyEvent, CopyOptions, CopyReport, EmbeddedCatalog, Error,
    MongoCatalog, SystemClock, VerifyOptions, copy, verify,
};
use floret_tests::servers::{Database, Mongo, Place};
use floret_tests::{Setup, assert_sound, key, open, save_text, small_world};
use object_store::ObjectStore;
use tempfile::TempDir;

const CHECKED: CopyOptions = CopyOptions { dry_run: false, rehash: true };

fn home(catalog: Arc<dyn Catalog>, objects: Arc<dyn ObjectStore>, storage_type: StorageType) -> BlobStore {
    BlobStore::new(catalog, objects, storage_type, Arc::new(SystemClock), BlobOptions::default())
}

fn local(folder: &Path) -> BlobStore {
    let catalog = EmbeddedCatalog::open(folder.join("catalog")).unwrap();
    home(catalog, floret_store::local_objects(&folder.join("blobs")).unwrap(), StorageType::Disk)
}

async fn shared(database: &Database, place: &Place) -> BlobStore {
    let catalog = MongoCatalog::connect(&database.uri).await.unwrap();
    home(catalog, place.objects().await, StorageType::S3)
}

fn long_text(word: &str) -> String {
    (0..3_000).map(|number| format!("{word}{number} ")).collect()
}

/// The small world, and more texts that are stored as blobs of their own.
async fn world(texts: u32) -> TempDir {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    for number in 0..texts {
        save_text(&host, &format!("long {number}"), &long_text(&format!("x{number}x"))).await.unwrap();
    }
    for content in [long_text("changed"), "The engine computes.".to_owned()] {
        save_text(&host, "a", &content).await.unwrap();
        host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    }
    host.close().await.unwrap();
    folder
}

/// Everything that a home holds, but for where its contents are.
#[derive(PartialEq, Debug)]
struct Everything {
    versions: Vec<Version>,
    heads: Vec<(ResourceKey, u64)>,
    dependents: Vec<Vec<ResourceKey>>,
    memos: Vec<Memo>,
    reports: Vec<CascadeReport>,
    accesses: Vec<(ResourceKey, Access)>,
}

async fn everything(home: &BlobStore) -> Everything {
    let catalog = home.catalog();
    let versions = catalog.scan(None, 100_000).await.unwrap();
    let keys: BTreeSet<ResourceKey> = versions.iter().map(|version| version.key.clone()).collect();
    let keys: Vec<ResourceKey> = keys.into_iter().collect();
    let heads = catalog.heads(&keys).await.unwrap().into_iter().flatten();
    let versions = versions.into_iter().map(|version| {
        let mut version = Arc::unwrap_or_clone(version);
        if version.content_location.path.take().is_some() {
            version.content_location.storage_type = StorageType::Disk;
        }
        version
    });
    Everything {
        versions: versions.collect(),
        heads: heads.map(|head| (head.key.clone(), head.seq.0)).collect(),
        dependents: catalog.dependents(&keys).await.unwrap(),
        memos: catalog.scan_memos(None, 100_000).await.unwrap(),
        reports: catalog.scan_reports(None, 100_000).await.unwrap(),
        accesses: catalog.scan_accesses(None, 100_000).await.unwrap(),
    }
}

async fn copied(from: &BlobStore, to: &BlobStore) -> CopyReport {
    let report = copy(from, to, CHECKED, |_| {}).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(report.is_clean(), "{:?}", report.verify);
    assert_eq!((report.equal, report.left), (report.examined, 0));
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_to_servers_and_back_is_as_it_was() {
    let (first, last) = (world(6).await, TempDir::new().unwrap());
    let (database, place) = (Database::shared(), Place::shared());
    let (from, to) = (local(first.path()), shared(&database, &place).await);
    let before = everything(&from).await;
    assert!(before.versions.len() > 25 && before.memos.len() > 5 && before.reports.len() > 2);
    let report = copied(&from, &to).await;
    assert_eq!(report.versions, before.versions.len() as u64);
    assert!(report.blobs > 6, "{report:?}");
    assert_eq!(everything(&to).await, before);
    let again = copied(&from, &to).await;
    let written = (again.versions, again.blobs, again.memos, again.reports, again.accesses);
    assert_eq!(written, (0, 0, 0, 0, 0));
    drop(from);

    // Others may use the copy, and what they do goes back, too.
    let setup = Setup {
        catalog: Some(MongoCatalog::connect(&database.uri).await.unwrap()),
        objects: Some(place.objects().await),
        ..Setup::default()
    };
    let host = open(&last.path().join("host"), setup).await.unwrap();
    save_text(&host, "a", &long_text("changed")).await.unwrap();
    let cascade = host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    // A composite search index is put together anew each time.
    assert!(cascade.count("memo_hit") > 2 && cascade.count("built") == 1, "{cascade:?}");
    save_text(&host, "later", &long_text("later")).await.unwrap();
    assert_sound(&host).await;
    host.close().await.unwrap();
    let there = everything(&to).await;

    // The home that it came from lacks what was done since, an empty one everything.
    for (folder, lacks) in [(first.path(), false), (&*last.path().join("empty"), true)] {
        let back = local(folder);
        let report = copied(&to, &back).await;
        assert_eq!(report.versions == report.examined, lacks, "{report:?}");
        assert!(report.versions > 1);
        assert_eq!(everything(&back).await, there);
        drop(back);
        let host = open(folder, Setup::default()).await.unwrap();
        assert_sound(&host).await;
        let cascade = host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
        assert_eq!(cascade.count("cut_off"), cascade.steps.len(), "{cascade:?}");
        host.close().await.unwrap();
    }
}

/// The invariants hold, as far as the copy came.
async fn assert_sound_so_far(database: &Database, place: &Place) {
    let home = shared(database, place).await;
    let report = verify(&**home.catalog(), &home, VerifyOptions { rehash: true }).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_in_the_middle_of_a_copy_costs_only_time() {
    let folder = world(40).await;
    let from = local(folder.path());
    let before = everything(&from).await;
    let server = Mutex::new(Mongo::start());
    let (database, place) = (server.lock().unwrap().database(), Place::shared());
    // When it is killed: at so many events from the beginning; and whether it comes back at once.
    for (kill_at, comes_back) in [(5, false), (12, true), (30, false), (45, true)] {
        let to = shared(&database, &place).await;
        let events = AtomicUsize::new(0);
        let progress = |_: CopyEvent| {
            if events.fetch_add(1, Ordering::SeqCst) == kill_at {
                let mut server = server.lock().unwrap();
                server.kill();
                if comes_back {
                    server.start_again();
                }
            }
        };
        let done = copy(&from, &to, CHECKED, progress).await;
        let killed = events.load(Ordering::SeqCst) > kill_at;
        match done {
            Ok(report) => assert!(report.is_clean() && (comes_back || !killed), "{:?}", report.verify),
            Err(Error::Unavailable { .. }) => assert!(killed),
            Err(error) => panic!("killed at {kill_at}: {error:?}"),
        }
        if killed && !comes_back {
            server.lock().unwrap().start_again();
        }
        assert_sound_so_far(&database, &place).await;
    }
    let to = shared(&database, &place).await;
    copied(&from, &to).await;
    assert_eq!(everything(&to).await, before);
}
