use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use floret_model::{Codec, CompressionType, ContentLocation, Digest, StorageType, TimestampMs};
use floret_store::{
    BlobOptions, BlobState, BlobStore, Catalog, Clock, Error, local_objects, read_inline, sweep,
};
use futures::future::join_all;

use crate::support::{HOUR_MS, NOW, files, fresh, key, zstd};

fn text(size: usize) -> Bytes {
    b"some text that is long enough to be worth it\n".repeat(size / 45 + 1)[..size].to_vec().into()
}

#[tokio::test]
async fn m2_blobs_of_every_codec_are_byte_exact_and_recorded() {
    let (store, folder) = fresh();
    for (number, size) in [0, 1, 1000, 300_000].into_iter().enumerate() {
        for (name, level) in [("none", 0), ("zstd", 19), ("lz4", 0), ("gzip", 6)] {
            let compression: CompressionType = name.parse().expect("known");
            let codec = Codec::new(compression, level).expect("a level");
            let bytes = Bytes::from([&text(size)[..], name.as_bytes(), &[number as u8]].concat());
            let digest = Digest::of(&bytes);
            let location = store.blobs.put(bytes.clone(), digest, codec).await.expect("stored");
            assert_eq!((location.compression, location.compression_level), (compression, level));
            assert_eq!(location.size_bytes, bytes.len() as u64);
            assert_eq!(location.checksum, digest);
            let path = location.path.clone().expect("a path");
            let file = folder.path().join("objects").join(&path);
            let length = file.metadata().expect("the object's file").len();
            assert_eq!(length, location.size_compressed, "real bytes are recorded");
            assert!(path.starts_with(&format!("cas/sha256/{}/{digest}.", &digest.to_string()[..2])));
            assert_eq!(store.blobs.get(&location).await.expect("read"), bytes);
            let found = store.blobs.get_by_digest(&digest).await.expect("read");
            assert_eq!(found, Some(bytes));
        }
    }
    let unknown = store.blobs.get_by_digest(&Digest::of(b"never stored")).await;
    assert_eq!(unknown.expect("read"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v8_one_content_from_many_tasks_is_one_object() {
    let (store, folder) = fresh();
    let bytes = text(200_000);
    let digest = Digest::of(&bytes);
    let blobs = Arc::new(store.blobs);
    let puts = (0..32).map(|number| {
        let (blobs, bytes) = (Arc::clone(&blobs), bytes.clone());
        let codec = if number % 2 == 0 { zstd() } else { Codec::NONE };
        tokio::spawn(async move { blobs.put(bytes, digest, codec).await.expect("stored") })
    });
    let mut locations = Vec::new();
    for put in join_all(puts).await {
        locations.push(put.expect("no task panics"));
    }
    assert!(locations.iter().all(|location| *location == locations[0]));
    assert_eq!(files(&folder.path().join("objects")).len(), 1);
    assert_eq!(blobs.get(&locations[0]).await.expect("read"), bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v8_hosts_that_put_one_content_at_once_agree_on_one_object() {
    let (store, folder) = fresh();
    let bytes = text(100_000);
    let digest = Digest::of(&bytes);
    // Stores of their own do not know of each other, as on several hosts.
    let stores = (0..8).map(|_| {
        Arc::new(BlobStore::new(
            Arc::clone(&store.catalog) as Arc<dyn Catalog>,
            local_objects(&folder.path().join("objects")).expect("opens"),
            StorageType::Disk,
            Arc::clone(&store.clock) as _,
            BlobOptions::default(),
        ))
    });
    let puts = stores.enumerate().map(|(number, blobs)| {
        let bytes = bytes.clone();
        let codec = if number % 2 == 0 { zstd() } else { Codec::NONE };
        tokio::spawn(async move {
            let location = blobs.put(bytes.clone(), digest, codec).await.expect("stored");
            assert_eq!(blobs.get(&location).await.expect("read"), bytes);
            location
        })
    });
    let mut locations = Vec::new();
    for put in join_all(puts).await {
        locations.push(put.expect("no task panics"));
    }
    assert!(locations.iter().all(|location| *location == locations[0]));
    assert_eq!(files(&folder.path().join("objects")).len(), 1, "losers took theirs away");
}

#[tokio::test]
async fn v8_what_is_stored_is_not_written_again() {
    let (store, folder) = fresh();
    let bytes = text(5000);
    let digest = Digest::of(&bytes);
    let first = store.blobs.put(bytes.clone(), digest, zstd()).await.expect("stored");
    let object = folder.path().join("objects").join(first.path.as_deref().expect("a path"));
    std::fs::remove_file(&object).expect("it was there");
    store.clock.advance_ms(1000);
    let again = store.blobs.put(bytes, digest, Codec::NONE).await.expect("stored");
    assert_eq!(again, first, "in the codec of the first");
    assert!(!object.exists(), "nothing was written");
    let record = store.catalog.blob(&digest).await.expect("read").expect("a row");
    let lease_until = NOW.plus_ms(1000 + BlobOptions::default().lease_ms);
    assert_eq!(record.state, BlobState::Stored { lease_until }, "and held longer");
}

#[tokio::test]
async fn m3_checksum_is_verified_on_every_read() {
    let (store, folder) = fresh();
    let bytes = text(100_000);
    let digest = Digest::of(&bytes);
    for codec in [Codec::NONE, zstd()] {
        let bytes = Bytes::from([&bytes[..], codec.to_string().as_bytes()].concat());
        let digest = Digest::of(&bytes);
        let location = store.blobs.put(bytes, digest, codec).await.expect("stored");
        let object = folder.path().join("objects").join(location.path.as_deref().expect("a path"));
        let sound = std::fs::read(&object).expect("the object");
        let refused = async |stored: &[u8], why: &str| {
            std::fs::write(&object, stored).expect("written");
            let read = store.blobs.get(&location).await;
            assert!(matches!(read, Err(Error::Integrity { .. })), "{codec}, {why}: {read:?}");
        };
        let mut flipped = sound.clone();
        *flipped.last_mut().expect("not empty") ^= 1;
        refused(&flipped, "a bit flipped").await;
        refused(&sound[..sound.len() - 1], "truncated").await;
        refused(b"", "emptied").await;
        refused(&[&sound[..], b"x"].concat(), "longer").await;
        std::fs::write(&object, &sound).expect("written");
        store.blobs.get(&location).await.expect("restored");
        let other = ContentLocation { checksum: Digest::of(b"other"), ..location.clone() };
        let read = store.blobs.get(&other).await;
        assert!(matches!(read, Err(Error::Integrity { .. })), "another checksum: {read:?}");
        std::fs::remove_file(&object).expect("it was there");
        let message = store.blobs.get(&location).await.expect_err("gone").to_string();
        assert!(message.contains("its object is not there"), "{message}");
    }
    // Contents in the record, too.
    let key = key("dictionary", "a");
    let saved = store.publish(vec![store.inline(&key, bytes)]).await.expect("published");
    let mut version = (**saved[0].version()).clone();
    assert_eq!(Digest::of(&read_inline(&version).expect("whole")), digest);
    version.content_inline = Some(Bytes::from_static(b"something else"));
    assert!(matches!(read_inline(&version), Err(Error::Integrity { .. })));
}

#[tokio::test]
async fn m6_inline_contents_are_encoded_as_asked() {
    let (store, _folder) = fresh();
    let bytes = text(3000);
    let digest = Digest::of(&bytes);
    let (location, stored) = store.blobs.inline(&bytes, digest, zstd()).expect("encodes");
    assert_eq!(location.storage_type, StorageType::Database);
    assert_eq!(location.path, None);
    assert_eq!(location.size_compressed, stored.len() as u64);
    assert!(stored.len() < bytes.len() / 10);
    let key = key("dictionary", "a");
    let mut draft = store.inline(&key, bytes.clone());
    (draft.content_location, draft.content_inline) = (location, Some(stored));
    let saved = store.publish(vec![draft]).await.expect("published");
    let read = store.blobs.content(saved[0].version()).await.expect("read");
    assert_eq!(read, bytes);
}

/// Every look at it takes longer than a lease.
#[derive(Debug)]
struct Slow(AtomicI64);

impl Clock for Slow {
    fn now(&self) -> TimestampMs {
        let step = BlobOptions::default().lease_ms as i64 + 1;
        TimestampMs(self.0.fetch_add(step, Ordering::SeqCst))
    }
}

#[tokio::test]
async fn r2_a_writer_slower_than_its_lease_claims_again() {
    let (store, folder) = fresh();
    let objects = local_objects(&folder.path().join("objects")).expect("opens");
    let slow = BlobStore::new(
        Arc::clone(&store.catalog) as Arc<dyn Catalog>,
        Arc::clone(&objects),
        StorageType::Disk,
        Arc::new(Slow(AtomicI64::new(NOW.0))),
        BlobOptions::default(),
    );
    let bytes = text(1000);
    let put = slow.put(bytes.clone(), Digest::of(&bytes), zstd()).await;
    put.expect("stored");
    let record = store.catalog.blob(&Digest::of(&bytes)).await.expect("read").expect("a row");
    let lease_until = NOW.plus_ms(2 * BlobOptions::default().lease_ms + 1);
    assert_eq!(record.state, BlobState::Stored { lease_until }, "a fresh lease, for the publish");
    assert_eq!(files(&folder.path().join("objects")).len(), 1);
    // The object store's times are the machine's; all of it is long before this.
    let later = TimestampMs(i64::MAX / 2);
    let grace_ms = HOUR_MS;
    sweep(&*store.catalog, &*objects, later, grace_ms, false).await.expect("swept");
    let later = later.plus_ms(grace_ms);
    let report = sweep(&*store.catalog, &*objects, later, grace_ms, false).await.expect("swept");
    assert_eq!(report.deleted, 1, "the condemned row's object");
    assert_eq!(files(&folder.path().join("objects")), [], "no orphan is left");
    assert_eq!(store.catalog.blobs(None, 9).await.expect("read"), []);
}

#[tokio::test]
async fn an_object_store_that_fails_is_named() {
    let (store, folder) = fresh();
    // A file where the folder should be.
    std::fs::write(folder.path().join("objects/cas"), "in the way").expect("written");
    let bytes = text(1000);
    let put = store.blobs.put(bytes.clone(), Digest::of(&bytes), zstd()).await;
    let error = put.expect_err("it cannot be written");
    let message = error.to_string();
    assert!(matches!(error, Error::Object { .. }), "{message}");
    assert!(message.contains("cannot write cas/sha256/"), "{message}");
    let bytes = text(2000);
    std::fs::remove_file(folder.path().join("objects/cas")).expect("removed");
    store.blobs.put(bytes.clone(), Digest::of(&bytes), zstd()).await.expect("stored");
}

#[tokio::test]
async fn m2_stored_objects_are_read_by_the_stock_tools() {
    let (store, folder) = fresh();
    for (name, level) in [("gzip", 6), ("zstd", 3), ("lz4", 0)] {
        let installed = std::process::Command::new(name).arg("--version").output().is_ok();
        assert!(installed, "{name} is needed; `cargo xtask test` installs it");
        let bytes = Bytes::from([&text(300_000)[..], name.as_bytes()].concat());
        let codec = Codec::new(name.parse().expect("known"), level).expect("a level");
        let location = store.blobs.put(bytes.clone(), Digest::of(&bytes), codec).await.expect("stored");
        let object = folder.path().join("objects").join(location.path.expect("a path"));
        let input = std::fs::File::open(object).expect("the object");
        let read = std::process::Command::new(name).arg("-dc").stdin(input).output().expect("it runs");
        assert!(read.status.success(), "{name}: {}", String::from_utf8_lossy(&read.stderr));
        assert_eq!(read.stdout, bytes, "{name}");
    }
}
