//! Files that are not what was written: blobs, cache entries, compiled code.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use floret_model::{Codec, CompressionType};
use floret_pipeline::{Error, Floret, Freshness, Progress, Selector};
use floret_store::VerifyOptions;
use floret_tests::cli::Cli;
use floret_tests::journal::Random;
use floret_tests::{Setup, assert_sound, compiled_dir, key, open, save_text, small_world};
use tempfile::TempDir;

/// A text that is stored as a blob, and as a large file in the cache.
fn long_text(word: &str) -> String {
    (0..20_000).map(|n| format!("{word}{n} ")).collect()
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    // Some files of the cache are empty, and stay so.
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    fs::write(path, bytes).unwrap();
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn delete(path: &Path) {
    fs::remove_file(path).unwrap();
}

/// Files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

async fn blob_of(host: &Floret, folder: &Path, name: &str) -> PathBuf {
    let version = host.resolve(&key(name), &Selector::Latest).await.unwrap();
    folder.join("blobs").join(version.content_location.path.as_ref().unwrap())
}

async fn read(host: &Floret, name: &str, freshness: Freshness) -> Result<bytes::Bytes, Error> {
    Ok(host.get(&key(name), &Selector::Latest, freshness).await?.content.clone())
}

fn of_store(error: &Error) -> &floret_store::Error {
    match error {
        Error::Store(error) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m3_damaged_blobs_are_never_served_and_named_by_verify() {
    for (damage, words) in [
        (flip as fn(&Path), &["is damaged"][..]),
        (truncate, &["its object has", "bytes; expected"]),
        (delete, &["its object is not there"]),
    ] {
        let folder = TempDir::new().unwrap();
        let host = open(folder.path(), Setup::default()).await.unwrap();
        save_text(&host, "hurt", &long_text("hurt")).await.unwrap();
        save_text(&host, "whole", &long_text("whole")).await.unwrap();
        let blob = blob_of(&host, folder.path(), "literature/hurt").await;
        let before = fs::read(&blob).unwrap();
        damage(&blob);
        let error = read(&host, "literature/hurt", Freshness::Strong).await.unwrap_err();
        assert!(matches!(of_store(&error), floret_store::Error::Integrity { .. }), "{error}");
        let digest = blob.file_name().unwrap().to_str().unwrap();
        for word in words.iter().chain(&["blob cas/sha256/", digest]) {
            assert!(error.to_string().contains(word), "no {word:?} in {error}");
        }
        let report = host.verify(VerifyOptions { rehash: true }).await.unwrap();
        let [problem] = &report.problems[..] else { panic!("{:?}", report.problems) };
        assert_eq!(problem.invariant, "I5");
        assert!(digest.starts_with(problem.what.trim_start_matches("blob ")), "{problem:?}");
        assert_eq!(read(&host, "literature/whole", Freshness::Strong).await.unwrap(), long_text("whole"));
        fs::write(&blob, before).unwrap();
        assert_eq!(read(&host, "literature/hurt", Freshness::Strong).await.unwrap(), long_text("hurt"));
        assert_sound(&host).await;
    }
}

/// A good zstd frame of exactly this length that expands to a MiB and more.
fn bomb(length: usize) -> Vec<u8> {
    let codec = Codec::new(CompressionType::Zstd, 1).unwrap();
    let mut random = Random(1);
    let noise: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
    // Noise takes as many bytes as it has, and the zeros some dozens.
    let mut frames = (0..1_000).map(|tail| {
        let raw = [&noise[1_000..], &[0; 1 << 20], &noise[..tail]].concat();
        floret_store::codec::encode(&raw.into(), codec).unwrap()
    });
    let frame = frames.find(|frame| frame.len() == length);
    frame.expect("a frame of this length").to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_a_blob_that_expands_beyond_what_was_promised_is_not_read_further() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    save_text(&host, "t", &long_text("t")).await.unwrap();
    let blob = blob_of(&host, folder.path(), "literature/t").await;
    let length = fs::read(&blob).unwrap().len();
    fs::write(&blob, bomb(length)).unwrap();
    let error = read(&host, "literature/t", Freshness::Strong).await.unwrap_err();
    assert!(matches!(of_store(&error), floret_store::Error::TooLarge { .. }), "{error}");
    let promised = format!("expands beyond {} bytes", long_text("t").len());
    assert!(error.to_string().contains(&promised), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn o3_a_build_on_a_damaged_input_fails_and_goes_on_when_it_is_whole_again() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    save_text(&host, "a", &long_text("word")).await.unwrap();
    let blob = blob_of(&host, folder.path(), "literature/a").await;
    host.close().await.unwrap();
    drop(host);
    fs::remove_dir_all(folder.path().join("cache")).unwrap();
    let before = fs::read(&blob).unwrap();
    flip(&blob);
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let error = host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap_err();
    for word in ["corpus/a: ", "blob cas/sha256/", "is damaged", "nothing was published"] {
        assert!(error.to_string().contains(word), "no {word:?} in {error}");
    }
    fs::write(&blob, before).unwrap();
    let report = host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    assert_eq!(report.count("built"), 5);
    assert_sound(&host).await;
}

/// A host whose cache on disk holds a text, and nothing in memory; the folder of the cache.
async fn cached(folder: &TempDir) -> PathBuf {
    let host = open(folder.path(), Setup::default()).await.unwrap();
    save_text(&host, "t", &long_text("t")).await.unwrap();
    save_text(&host, "small", &long_text("small")[..20_000]).await.unwrap();
    close(host).await;
    // What was saved is in memory only; what was read from the store is on disk, too.
    let host = open(folder.path(), Setup::default()).await.unwrap();
    for name in ["literature/t", "literature/small"] {
        read(&host, name, Freshness::Cached).await.unwrap();
    }
    close(host).await;
    folder.path().join("cache")
}

/// The file of a large entry of the cache.
fn entry_of(cache: &Path, content: &str) -> PathBuf {
    let holds = |file: &PathBuf| {
        let bytes = fs::read(file).unwrap();
        bytes.windows(content.len()).any(|part| part == content.as_bytes())
    };
    files(&cache.join("large")).into_iter().find(holds).expect("a long content is a file, not compressed")
}

async fn close(host: Arc<Floret>) {
    host.close().await.unwrap();
    drop(host);
}

#[tokio::test(flavor = "multi_thread")]
async fn c12_a_damaged_entry_of_the_disk_cache_is_a_miss() {
    for damage in [flip as fn(&Path), truncate, delete] {
        let folder = TempDir::new().unwrap();
        let cache = cached(&folder).await;
        damage(&entry_of(&cache, &long_text("t")));
        let host = open(folder.path(), Setup::default()).await.unwrap();
        assert_eq!(read(&host, "literature/t", Freshness::Cached).await.unwrap(), long_text("t"));
        let stats = host.cache().stats().namespaces["default"].clone();
        assert_eq!((stats.loads, stats.disk_hits), (1, 0), "it was read from the store");
        assert_sound(&host).await;
        close(host).await;
        let host = open(folder.path(), Setup::default()).await.unwrap();
        assert_eq!(read(&host, "literature/t", Freshness::Cached).await.unwrap(), long_text("t"));
        assert_eq!(host.cache().stats().namespaces["default"].disk_hits, 1, "and is whole on disk again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c12_a_cache_whose_every_small_file_is_damaged_starts_empty_or_misses() {
    for damage in [flip as fn(&Path), truncate, |path| fs::write(path, "scribbled over").unwrap()] {
        let folder = TempDir::new().unwrap();
        let cache = cached(&folder).await;
        let small = files(&cache.join("small"));
        assert!(!small.is_empty());
        for file in small {
            damage(&file);
        }
        let host = open(folder.path(), Setup::default()).await.unwrap();
        for name in ["t", "small"] {
            let content = read(&host, &format!("literature/{name}"), Freshness::Cached).await.unwrap();
            assert!(long_text(name).as_bytes().starts_with(&content), "{name}");
        }
        assert_sound(&host).await;
        close(host).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_compiled_code_is_made_anew() {
    let folder = TempDir::new().unwrap();
    let own = folder.path().join("compiled");
    fs::create_dir(&own).unwrap();
    let setup = || Setup { compiled_dir: Some(own.clone()), ..Setup::default() };
    for file in files(&compiled_dir()) {
        fs::copy(&file, own.join(file.file_name().unwrap())).unwrap();
    }
    close(open(folder.path(), setup()).await.unwrap()).await;
    let damages = [flip as fn(&Path), truncate, |path| fs::write(path, "scribbled over").unwrap()];
    for (round, damage) in damages.into_iter().enumerate() {
        let whole: Vec<_> =
            files(&own).iter().map(|file| (file.clone(), fs::metadata(file).unwrap().len())).collect();
        for (file, _) in &whole {
            damage(file);
        }
        let host = open(folder.path(), setup()).await.unwrap();
        if round == 0 {
            small_world(&host).await.unwrap();
        }
        save_text(&host, "a", &format!("round {round}")).await.unwrap();
        host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
        assert_sound(&host).await;
        let anew = whole.iter().filter(|(file, length)| fs::metadata(file).unwrap().len() == *length);
        assert!(anew.count() >= 5, "what was used was compiled and kept again");
        close(host).await;
    }
}

#[test]
fn o3_the_program_tells_damage_by_its_exit_code() {
    for damage in [flip as fn(&Path), truncate, delete] {
        let cli = Cli::new();
        cli.save("literature/t", long_text("t").as_bytes());
        cli.verify();
        let info = cli.run(&["--json", "get", "literature/t"]).ok().json();
        let blob = cli.data().join("blobs").join(info["content_location"]["path"].as_str().unwrap());
        let before = fs::read(&blob).unwrap();
        damage(&blob);
        let digest = info["version_info"]["data_hash"].as_str().unwrap();
        cli.run(&["get", "literature/t", "--fresh"]).fails(6, &["blob cas/sha256/", digest]);
        let verified = cli.run(&["verify"]).fails(6, &["not sound: 1 problem"]);
        assert!(verified.text().contains(digest) && verified.text().contains("I5"), "{}", verified.text());
        fs::write(&blob, before).unwrap();
        cli.run(&["get", "literature/t", "--fresh"]).ok();
        cli.verify();
    }
}
