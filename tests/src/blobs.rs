//! What a blob store promises, whatever object store is below it.

use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use floret_model::{Codec, CompressionType, ContentLocation, Digest, TimestampMs};
use floret_store::{BlobOptions, BlobStore, Clock, EmbeddedCatalog, Error, ManualClock, Objects, sweep};
use object_store::{ObjectStoreExt, PutMode};
use tempfile::TempDir;

/// Longer than a part that is sent at once, and no multiple of one.
const LARGE_BYTES: usize = (20 << 20) + 12_345;
/// The machine's clock, by which an object store dates its objects, is long before this.
const NOW: TimestampMs = TimestampMs(i64::MAX / 4);
const HOUR_MS: u64 = 60 * 60 * 1000;

/// A blob store with a catalog of its own.
pub struct Blobs {
    /// The store.
    pub store: BlobStore,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    _folder: TempDir,
}

/// A blob store over some objects, with a new catalog.
///
/// # Panics
/// If the catalog cannot be made.
pub fn blobs(objects: Objects) -> Blobs {
    let folder = TempDir::new().expect("a temporary folder");
    let catalog = EmbeddedCatalog::open(folder.path().join("catalog")).expect("a catalog");
    let clock = Arc::new(ManualClock::new(NOW));
    let options = BlobOptions { temporary_dir: Some(folder.path().join("tmp")), ..BlobOptions::default() };
    let store = BlobStore::over(catalog, objects, Arc::clone(&clock) as Arc<dyn Clock>, options);
    Blobs { store, clock, _folder: folder }
}

/// Bytes that look random, and compress by half: the upper four bits of each are zero.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    // Never zero, which stays zero.
    let mut state = 2 * seed + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8 & 15
    };
    (0..length).map(|_| next()).collect()
}

/// Everything that a blob store promises of an object store, over an empty one.
///
/// # Panics
/// If a promise is broken.
pub async fn conformance(objects: Objects) {
    let place = objects.place.clone();
    let raw = Arc::clone(&objects.store);
    let blobs = blobs(objects);
    small(&blobs, &place).await;
    large(&blobs, &place).await;
    damage(&blobs, &place).await;
    conditional(&*raw, &place).await;
    swept(&blobs, &place).await;
}

fn codecs() -> [Codec; 4] {
    [("none", 0), ("zstd", 3), ("lz4", 0), ("gzip", 1)].map(|(name, level)| {
        let compression: CompressionType = name.parse().expect("a codec");
        Codec::new(compression, level).expect("a level")
    })
}

async fn small(blobs: &Blobs, place: &str) {
    for (number, length) in [0, 1, 100_000].into_iter().enumerate() {
        for codec in codecs() {
            let mut bytes = noise(length, number as u64 + 1);
            bytes.extend_from_slice(codec.to_string().as_bytes());
            let bytes = Bytes::from(bytes);
            let digest = Digest::of(&bytes);
            let location = blobs.store.put(bytes.clone(), digest, codec).await.expect("put");
            let again = blobs.store.put(bytes.clone(), digest, Codec::NONE).await.expect("put again");
            assert_eq!(location, again, "{place}: stored once");
            let read = blobs.store.get(&location).await.expect("read");
            assert_eq!(read, bytes, "{place}: {codec}, {length} bytes");
            let file = blobs.store.get_file(&location).await.expect("read to a file");
            assert_eq!(all_of(file.reader()), bytes, "{place}: {codec}, {length} bytes in a file");
        }
    }
}

async fn large(blobs: &Blobs, place: &str) {
    for (number, codec) in codecs().into_iter().enumerate() {
        let bytes = Bytes::from(noise(LARGE_BYTES, 77 + number as u64));
        let spooled = blobs.store.spool(Path::new("noise"), Cursor::new(bytes.clone())).await;
        let spooled = spooled.expect("spooled");
        assert_eq!(spooled.digest(), Digest::of(&bytes));
        let location = blobs.store.put_file(&spooled, codec).await.expect("put");
        assert_eq!(location.size_bytes, LARGE_BYTES as u64);
        let path = location.path.as_deref().expect("a path").into();
        let object = blobs.store.objects().head(&path).await.expect("it is there");
        assert_eq!(object.size, location.size_compressed, "{place}: real bytes are recorded");
        let again = blobs.store.put_file(&spooled, Codec::NONE).await.expect("put again");
        assert_eq!(location, again, "{place}: stored once");
        let file = blobs.store.get_file(&location).await.expect("read to a file");
        assert_eq!((file.digest(), file.size_bytes()), (location.checksum, location.size_bytes));
        assert!(all_of(file.reader()) == bytes, "{place}: {codec} in a file");
        assert!(blobs.store.get(&location).await.expect("read") == bytes, "{place}: {codec} in memory");
        let record = blobs.store.catalog().blob(&spooled.digest()).await.expect("read").expect("a row");
        blobs.store.verify_blob(&record).await.expect("it is whole");
    }
}

async fn damage(blobs: &Blobs, place: &str) {
    let codec = codecs()[1];
    let bytes = Bytes::from(noise(LARGE_BYTES, 99));
    let spooled = blobs.store.spool(Path::new("noise"), Cursor::new(bytes)).await.expect("spooled");
    let location = blobs.store.put_file(&spooled, codec).await.expect("put");
    let path = location.path.as_deref().expect("a path").into();
    let stored = blobs.store.objects().get(&path).await.expect("read").bytes().await.expect("read");
    let mut flipped = stored.to_vec();
    flipped[LARGE_BYTES / 3] ^= 1;
    for (what, damaged) in [
        ("a bit flipped", flipped),
        ("cut", stored[..stored.len() - 1].to_vec()),
        ("emptied", Vec::new()),
        ("longer", [&stored[..], b"x"].concat()),
    ] {
        blobs.store.objects().put(&path, damaged.into()).await.expect("written over");
        refused(blobs, &location, what, place).await;
    }
    blobs.store.objects().put(&path, stored.clone().into()).await.expect("restored");
    blobs.store.get_file(&location).await.expect("whole again");
    let other = ContentLocation { checksum: Digest::of(b"other"), ..location.clone() };
    refused(blobs, &other, "another checksum", place).await;
    let shorter = ContentLocation { size_bytes: 7, ..location.clone() };
    refused(blobs, &shorter, "a length that was not promised", place).await;
    blobs.store.objects().delete(&path).await.expect("deleted");
    refused(blobs, &location, "deleted", place).await;
}

async fn refused(blobs: &Blobs, location: &ContentLocation, what: &str, place: &str) {
    let errors = [
        blobs.store.get(location).await.expect_err(what),
        blobs.store.get_file(location).await.expect_err(what),
    ];
    for error in errors {
        let told = matches!(error, Error::Integrity { .. } | Error::TooLarge { .. });
        assert!(told, "{place}, {what}: {error}");
    }
}

/// An object that is there is not created again, and so many writers make one.
async fn conditional(objects: &dyn object_store::ObjectStore, place: &str) {
    let path = "cas/conformance".into();
    let puts = (0..16_u8)
        .map(|number| objects.put_opts(&path, Bytes::from(vec![number; 100]).into(), PutMode::Create.into()));
    let done = futures::future::join_all(puts).await;
    let won: Vec<u8> = (0..16).filter(|number| done[usize::from(*number)].is_ok()).collect();
    assert_eq!(won.len(), 1, "{place}: {done:?}");
    let losers = done.iter().filter_map(|done| done.as_ref().err());
    for error in losers {
        assert!(matches!(error, object_store::Error::AlreadyExists { .. }), "{place}: {error}");
    }
    let stored = objects.get(&path).await.expect("there").bytes().await.expect("read");
    assert_eq!(stored, vec![won[0]; 100], "{place}: the winner's");
    objects.delete(&path).await.expect("deleted");
}

/// What nobody refers to goes, in two steps.
async fn swept(blobs: &Blobs, place: &str) {
    let (catalog, objects) = (blobs.store.catalog(), blobs.store.objects());
    let sweep = async |later_ms: u64| {
        blobs.clock.advance_ms(later_ms);
        let report = sweep(&**catalog, &**objects, blobs.clock.now(), HOUR_MS, false).await;
        let report = report.expect("it can be listed");
        assert!(report.errors.is_empty(), "{place}: {:?}", report.errors);
        report
    };
    let condemned = sweep(HOUR_MS).await.condemned;
    assert!(condemned > 0, "{place}: nobody published anything");
    let gone = sweep(HOUR_MS).await;
    assert_eq!((gone.deleted, gone.orphans), (condemned, 0), "{place}: {gone:?}");
    let left = catalog.blobs(None, 10).await.expect("read");
    assert!(left.is_empty(), "{place}: {left:?}");
}

fn all_of(mut reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("a temporary file can be read");
    bytes
}
