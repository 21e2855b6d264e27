//! The real binary over servers that hosts share: what it says when it cannot, and that another host goes on where one
//! was killed.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use floret_tests::cli::{Cli, Ran};
use floret_tests::faulty::{Fault, Faulty};
use floret_tests::s3::{self, S3Server};
use floret_tests::servers::{Database, Mongo, MongoOptions};
use mongodb::Client;
use mongodb::bson::{Document, doc};

/// Something that will happen has happened by then.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a build's lease holds without a heartbeat here.
const LEASE: Duration = Duration::from_secs(2);
const UNAVAILABLE: i32 = 8;

fn configured(database: &Database, blobs: &str) -> Cli {
    Cli::configured(&format!(
        "[catalog]\nurl = \"{}\"\n[cluster]\nlease = \"{}s\"\n{blobs}",
        database.uri,
        LEASE.as_secs()
    ))
}

#[test]
fn what_keeps_the_binary_from_the_catalog_is_told_with_its_remedy() {
    let (mut mongo, standalone) =
        (Mongo::start(), Mongo::start_with(MongoOptions { standalone: true, ..MongoOptions::default() }));
    let database = mongo.database().with_option("serverSelectionTimeoutMS=700");
    let blobs = "[blobs]\nurl = \"file:///nowhere-that-is-reached\"\n";
    let list = |database: &Database| -> Ran { configured(database, blobs).run(&["list"]) };
    list(&standalone.database()).fails(UNAVAILABLE, &["no member of a replica set", "--replSet"]);
    list(&database.with_option("tls=true")).fails(UNAVAILABLE, &["is unavailable", "TLS"]);
    mongo.kill();
    let started = Instant::now();
    let told = list(&database.with_user("floret", "secret"))
        .fails(UNAVAILABLE, &["is unavailable", "see that it runs"]);
    assert!(!told.err.contains("secret"), "{}", told.err);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let no_uri = Database { uri: "mysql://127.0.0.1/x".to_owned() };
    list(&no_uri).fails(2, &["catalog.url", "expected mongodb://"]);
}

/// A process that is killed when a test ends early.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn until<T>(mut happened: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = happened().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "it does not happen");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_killed_in_a_build_is_followed_by_another_when_its_lease_is_over() {
    let (database, server) = (Database::shared(), S3Server::start());
    // Its objects go through the proxy, so that it can be held in a build, where the output is stored.
    let proxy = Faulty::before(server.address());
    let held = configured(&database, &s3::config(proxy.address(), "shared"));
    let other = configured(&database, &server.config("shared"));
    let text = |word: &str| (0..3_000).map(|n| format!("{word}{n} ")).collect::<String>();
    held.save("literature/a", text("first").as_bytes());
    held.run(&["corpus", "create", "corpus/a", "--text", "literature/a"]).ok();
    other.run_with(&["save", "literature/a", "-", "--no-cascade"], text("second").as_bytes()).ok();

    let client = Client::with_uri_str(&database.uri).await.unwrap();
    let leases = client.default_database().unwrap().collection::<Document>("leases");
    let build = async || leases.find_one(doc! { "_id": { "$regex": "^build/" } }).await.unwrap();
    assert_eq!(build().await, None, "no build is under way");
    proxy.plan("PUT", Fault::Stall, usize::MAX);
    let mut cascade = held.command(&["cascade", "literature/a"]);
    cascade.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(cascade.spawn().unwrap());
    let first = until(build).await;
    // Its heart beats, so the lease does not run out while it lives.
    let until_then = first.get_datetime("until").unwrap();
    until(async || build().await.filter(|lease| lease.get_datetime("until").unwrap() > until_then)).await;
    running.0.kill().unwrap();
    running.0.wait().unwrap();

    let started = Instant::now();
    let report = other.run(&["--json", "cascade", "literature/a"]).ok().json();
    assert!(report["steps"].to_string().contains("built"), "{report}");
    assert!(started.elapsed() < LEASE + Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!(build().await, None, "the lease was given back");
    let version = other.run(&["--json", "get", "corpus/a"]).ok().json();
    assert_eq!(version["version_info"]["seq"], 2);
    other.verify();
}
