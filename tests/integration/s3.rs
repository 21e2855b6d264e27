//! Blobs in S3: what is promised, and what goes wrong on the way.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use floret_model::{Codec, ContentLocation, Digest, StorageType};
use floret_store::{Error, Objects, ObjectsOptions, local_objects, open_objects};
use floret_tests::blobs::{Blobs, blobs, conformance, noise};
use floret_tests::cli::Cli;
use floret_tests::faulty::{Fault, Faulty};
use floret_tests::s3::{self, BUCKET, S3Server};
use floret_tests::servers::Place;
use object_store::memory::InMemory;
use tempfile::TempDir;

/// Longer than two parts.
const LARGE_BYTES: usize = 17 << 20;

/// Little patience, so that a test need not have much.
fn impatient(address: SocketAddr) -> ObjectsOptions {
    ObjectsOptions {
        timeout: Duration::from_millis(500),
        connect_timeout: Duration::from_millis(500),
        retries_max: 2,
        retry_timeout: Duration::from_secs(5),
        ..s3::options(address)
    }
}

fn url(prefix: &str) -> String {
    format!("s3://{BUCKET}/{prefix}")
}

#[tokio::test(flavor = "multi_thread")]
async fn m1_blobs_in_memory_keep_the_promises() {
    let objects = Objects {
        store: Arc::new(InMemory::new()),
        storage_type: StorageType::S3,
        place: "memory".to_owned(),
        folder: None,
    };
    conformance(objects).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m1_blobs_in_a_folder_keep_the_promises() {
    let folder = TempDir::new().unwrap();
    let url = format!("file://{}", folder.path().join("below/it").display());
    conformance(open_objects(&url, &ObjectsOptions::default()).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m1_blobs_in_s3_keep_the_promises_below_their_prefix() {
    let server = S3Server::start();
    let neighbour = server.bucket().join("neighbour");
    std::fs::write(&neighbour, "not ours").unwrap();
    conformance(open_objects(&url("one/installation"), &server.options()).await.unwrap()).await;
    assert_eq!(std::fs::read(&neighbour).unwrap(), b"not ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn m1_blobs_in_another_s3_server_keep_the_promises() {
    let place = Place::shared();
    let options = ObjectsOptions {
        endpoint: Some(place.endpoint.clone()),
        region: Some(place.region.clone()),
        access_key_id: Some(place.access_key_id.clone()),
        secret_access_key: Some(place.secret_access_key.clone()),
        ..ObjectsOptions::default()
    };
    let url = format!("s3://{}/{}", place.bucket, place.prefix);
    conformance(open_objects(&url, &options).await.unwrap()).await;
    let error = open_objects("s3://floret-nowhere/x", &options).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("there is no such bucket"), "{error}");
}

/// A bucket behind a proxy.
struct Way {
    server: S3Server,
    proxy: Faulty,
    blobs: Blobs,
}

impl Way {
    async fn open() -> Self {
        let server = S3Server::start();
        let proxy = Faulty::before(server.address());
        let objects = open_objects(&url("x"), &impatient(proxy.address())).await.unwrap();
        proxy.clear();
        Self { server, proxy, blobs: blobs(objects) }
    }

    async fn put(&self, bytes: &Bytes) -> Result<ContentLocation, Error> {
        self.blobs.store.put(bytes.clone(), Digest::of(bytes), Codec::NONE).await
    }

    async fn put_large(&self, seed: u64) -> Result<ContentLocation, Error> {
        let bytes = noise(LARGE_BYTES, seed);
        let spooled = self.blobs.store.spool(Path::new("noise"), std::io::Cursor::new(bytes)).await.unwrap();
        self.blobs.store.put_file(&spooled, Codec::NONE).await
    }

    async fn read_both(&self, location: &ContentLocation) {
        self.blobs.store.get(location).await.unwrap();
        self.blobs.store.get_file(location).await.unwrap();
    }
}

fn content(seed: u64) -> Bytes {
    noise(100_000, seed).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_for_a_while_is_asked_again() {
    let way = Way::open().await;
    for (number, fault) in [Fault::Status(500), Fault::Status(503)].into_iter().enumerate() {
        for method in ["PUT", "GET", "HEAD", "POST"] {
            way.proxy.plan(method, fault, 2);
        }
        let location = way.put(&content(number as u64 + 1)).await.unwrap();
        way.read_both(&location).await;
        let location = way.put_large(number as u64 + 50).await.unwrap();
        way.read_both(&location).await;
        assert_eq!(way.proxy.faults(), 8, "all of them met a request");
        way.proxy.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_on_failing_is_told_in_bounded_time_and_nothing_is_stored() {
    let way = Way::open().await;
    let location = way.put(&content(1)).await.unwrap();
    for fault in [Fault::Status(500), Fault::Stall, Fault::Cut] {
        for method in ["PUT", "GET", "HEAD", "POST"] {
            way.proxy.plan(method, fault, usize::MAX);
        }
        let began = Instant::now();
        let mut errors = vec![way.blobs.store.get(&location).await.unwrap_err()];
        if fault != Fault::Cut {
            // The answers to these have no body that could be cut.
            errors.push(way.put(&content(2)).await.unwrap_err());
            errors.push(way.put_large(3).await.unwrap_err());
            errors.push(way.blobs.store.get_file(&location).await.unwrap_err());
        }
        for error in errors {
            let text = error.to_string();
            assert!(matches!(error, Error::Unavailable { .. }), "{fault:?}: {text}");
            assert!(text.contains(&url("x")) && text.contains("cas/sha256/"), "{text}");
            assert!(text.contains("then try again"), "{text}");
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{fault:?}");
        way.proxy.clear();
    }
    way.read_both(&location).await;
    let location = way.put(&content(2)).await.unwrap();
    way.read_both(&location).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_whose_answer_was_lost_is_ours() {
    let way = Way::open().await;
    way.proxy.plan("PUT", Fault::LoseAnswer, 1);
    let location = way.put(&content(1)).await.unwrap();
    assert_eq!(way.proxy.faults(), 1);
    way.read_both(&location).await;
    // Somebody else's object in our place is not.
    let bytes = content(2);
    let (_, generation) = location.path.as_deref().unwrap().rsplit_once('.').unwrap();
    let next = generation.parse::<u64>().unwrap() + 1;
    let path = floret_store::blob_path(&Digest::of(&bytes), next);
    let file = way.server.bucket().join("x").join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, "another").unwrap();
    let error = way.put(&bytes).await.unwrap_err();
    assert!(error.to_string().contains("cannot write cas/sha256/"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn m3_what_comes_cut_or_changed_is_read_once_more_and_then_called_damaged() {
    let way = Way::open().await;
    let small = way.put(&content(1)).await.unwrap();
    let large = way.put_large(2).await.unwrap();
    for location in [&small, &large] {
        for fault in [Fault::Shorten, Fault::Flip] {
            way.proxy.plan("GET", fault, 1);
            way.blobs.store.get(location).await.unwrap();
            way.proxy.plan("GET", fault, 1);
            way.blobs.store.get_file(location).await.unwrap();
            assert_eq!(way.proxy.faults(), 2, "{fault:?}");
            way.proxy.plan("GET", fault, usize::MAX);
            for error in [
                way.blobs.store.get(location).await.unwrap_err(),
                way.blobs.store.get_file(location).await.unwrap_err(),
            ] {
                assert!(matches!(error, Error::Integrity { .. }), "{fault:?}: {error}");
            }
            way.proxy.clear();
        }
        // A connection that breaks is taken up where it broke.
        way.proxy.plan("GET", Fault::Cut, 1);
        way.read_both(location).await;
        way.proxy.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_within_the_limits_is_waited_for() {
    let way = Way::open().await;
    let location = way.put(&content(1)).await.unwrap();
    // 20 pieces, 10 ms apart: 200 ms of the 500 that a request may take.
    way.proxy.plan("GET", Fault::Trickle(10), 2);
    way.read_both(&location).await;
    assert_eq!(way.proxy.faults(), 2);
    assert_eq!(way.proxy.seen().iter().filter(|line| line.starts_with("GET")).count(), 2, "asked once each");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_listed_to_store_and_read() {
    let way = Way::open().await;
    let location = way.put(&content(1)).await.unwrap();
    way.read_both(&location).await;
    let location = way.put_large(2).await.unwrap();
    way.read_both(&location).await;
    let listed: Vec<_> = way.proxy.seen().into_iter().filter(|line| line.contains("list-type")).collect();
    assert_eq!(listed, [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_bucket_from_being_opened_is_told_with_its_remedy() {
    let server = S3Server::start();
    let good = server.options();
    let address = server.address();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let with = |change: &dyn Fn(&mut ObjectsOptions)| {
        let mut options = good.clone();
        change(&mut options);
        options
    };
    let set = |text: String| Some(text);
    let wrong_key = with(&|options| options.secret_access_key = set("guessed".to_owned()));
    let wrong_user = with(&|options| options.access_key_id = set("nobody".to_owned()));
    let tls = with(&|options| options.endpoint = set(format!("https://{address}")));
    let down = with(&|options| options.endpoint = set(format!("http://{closed}")));
    let no_url = with(&|options| options.endpoint = set("localhost:9000".to_owned()));
    for (url, options, words) in [
        (format!("s3://{BUCKET}/x"), &wrong_key, &["credentials are not accepted", "secret_access_key"][..]),
        (format!("s3://{BUCKET}"), &wrong_user, &["credentials are not accepted", "access_key_id"]),
        ("s3://nowhere/x".to_owned(), &good, &["s3://nowhere/x", "no such bucket", "make the bucket"]),
        (format!("s3://{BUCKET}/x"), &tls, &["https://127.0.0.1", "one side speaks TLS", "http://"]),
        (format!("s3://{BUCKET}/x"), &no_url, &["localhost:9000", "https://HOST:PORT"]),
        ("s3://user@host/x?region=y".to_owned(), &good, &["more than a bucket and a prefix"]),
        ("ftp://host/x".to_owned(), &good, &["ftp://", "s3://BUCKET/PREFIX"]),
        ("gs://bucket/x".to_owned(), &good, &["without Google Cloud Storage", "--features gcp"]),
        ("azure://container/x".to_owned(), &good, &["without Azure Blob Storage", "--features azure"]),
    ] {
        let began = Instant::now();
        let error = open_objects(&url, options).await.map(drop).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{url}: {error}");
        for word in words {
            assert!(error.to_string().contains(word), "no {word:?} in {error}");
        }
        assert!(began.elapsed() < Duration::from_secs(11), "{url}");
    }
    let error = open_objects(&url("x"), &down).await.map(drop).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains(&closed.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_at_the_opening_is_given_up() {
    let server = S3Server::start();
    let proxy = Faulty::before(server.address());
    proxy.plan("GET", Fault::Stall, usize::MAX);
    let began = Instant::now();
    let error = open_objects(&url("x"), &s3::options(proxy.address())).await.map(drop).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("did not answer within 10 s"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn the_binary_keeps_contents_in_s3_and_says_what_is_wrong() {
    let server = S3Server::start();
    let cli = Cli::configured(&server.config("host"));
    let text = "A text that is long enough to be a blob of its own. ".repeat(500);
    cli.save("literature/a", text.as_bytes());
    let info = cli.run(&["--json", "get", "literature/a"]).ok().json();
    assert_eq!(info["content_location"]["storage_type"], "s3", "{info}");
    assert!(server.bucket().join("host/cas/sha256").is_dir());
    assert_eq!(cli.run(&["get", "literature/a", "--fresh"]).ok().text(), text);
    cli.verify();
    // Credentials from the environment, as the stock tools read them.
    cli.configure("");
    let mut command = cli.command(&["get", "literature/a", "--fresh", "--blobs", &url("host")]);
    command
        .env("AWS_ENDPOINT_URL", format!("http://{}", server.address()))
        .env("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", s3::SECRET_ACCESS_KEY);
    assert_eq!(floret_tests::cli::run(&mut command, b"").ok().text(), text);
    command.env("AWS_SECRET_ACCESS_KEY", "guessed");
    let ran = floret_tests::cli::run(&mut command, b"").fails(8, &[&url("host"), "AWS_SECRET_ACCESS_KEY"]);
    assert!(!ran.err.contains("guessed"), "{}", ran.err);
    let config = server.config("host");
    drop(server);
    cli.configure(&config);
    cli.run(&["get", "literature/a"]).fails(8, &["is unavailable", "see that it runs"]);
}

#[test]
fn local_folders_are_opened_by_path() {
    let folder = TempDir::new().unwrap();
    local_objects(&folder.path().join("a/b")).unwrap();
    assert!(folder.path().join("a/b").is_dir());
    let cli = Cli::new();
    let place = cli.data().join("elsewhere");
    cli.run_with(&["--blobs", place.to_str().unwrap(), "save", "literature/a", "-"], &[b'x'; 9000]).ok();
    assert!(place.join("cas").is_dir());
}
