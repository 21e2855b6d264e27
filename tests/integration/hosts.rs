//! Several `floret serve` over one MongoDB catalog and one folder of blobs: what one publishes the others read.

use std::path::Path;
use std::time::{Duration, Instant};

use floret_tests::cli::Cli;
use floret_tests::http::Server;
use floret_tests::proxy::{Network, Proxy};
use floret_tests::servers::{Database, Mongo};
use tempfile::TempDir;

/// In which a publish of one host is to be read from another.
const FRESH_WITHIN: Duration = Duration::from_secs(1);

/// A host with a data folder of its own.
struct Host {
    server: Server,
    _cli: Cli,
}

impl Host {
    fn start(database: &Database, blobs: &Path) -> Self {
        let cli = Cli::new();
        let blobs = format!("file://{}", blobs.display());
        let server = Server::start(&cli, &["--catalog", &database.uri, "--blobs", &blobs]);
        Self { server, _cli: cli }
    }

    fn save(&self, id: &str, text: &str) -> u64 {
        let saved = self.server.put(&format!("/v1/default/literature/{id}"), text.as_bytes());
        saved.is(201).json()["seq"].as_u64().unwrap()
    }

    /// Which version it says is the latest; none while it cannot say.
    fn latest(&self, id: &str) -> Option<u64> {
        let answer = self.server.get(&format!("/v1/default/literature/{id}"));
        match answer.status {
            200 => Some(answer.header("floret-seq").unwrap().parse().unwrap()),
            _ => None,
        }
    }

    /// How long it takes until it says that this version is the latest; it never goes back on the way.
    fn until(&self, id: &str, seq: u64, within: Duration) -> Duration {
        let started = Instant::now();
        let mut before = 0;
        loop {
            if let Some(latest) = self.latest(id) {
                assert!(latest >= before, "@{before} was read, and @{latest} after it");
                if latest == seq {
                    return started.elapsed();
                }
                before = latest;
            }
            assert!(started.elapsed() < within, "@{seq} is not read within {within:?}, but @{before}");
            std::thread::yield_now();
        }
    }
}

#[test]
fn v7_what_one_host_publishes_another_reads_within_a_second() {
    let (database, blobs) = (Database::shared(), TempDir::new().unwrap());
    let (one, other) = (Host::start(&database, blobs.path()), Host::start(&database, blobs.path()));
    let mut longest = Duration::ZERO;
    for n in 0..40 {
        let (writer, reader) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let seq = writer.save("a", &format!("text {n}"));
        longest = longest.max(reader.until("a", seq, FRESH_WITHIN));
        // Read again, so that it is in the cache when the next one comes.
        assert_eq!(reader.latest("a"), Some(seq));
    }
    println!("read from the other host at most {longest:?} after the save");
    let token = one.save("a", "by token");
    let by_token = other.server.get(&format!("/v1/default/literature/a?at_least={token}")).is(200);
    assert_eq!(by_token.body, b"by token");
    other.server.get(&format!("/v1/default/literature/a?at_least={}", token + 1)).fails(404, "not_found");
}

#[test]
fn v7_a_stream_that_is_cut_is_taken_up_again_and_loses_nothing() {
    let (mongo, blobs) = (Mongo::start(), TempDir::new().unwrap());
    let database = mongo.database();
    let proxy = Proxy::before(mongo.address());
    let writer = Host::start(&database, blobs.path());
    let reader = Host::start(&database.at(proxy.address()), blobs.path());
    for n in 0..20 {
        assert!(n == 0 || reader.latest("a").is_some());
        // Before the publish, in its middle, or after it.
        if n % 3 == 0 {
            proxy.cut();
        }
        let seq = writer.save("a", &format!("text {n}"));
        if n % 3 == 1 {
            proxy.cut();
        }
        reader.until("a", seq, Duration::from_secs(5));
    }
    // An outage: the reader may answer that it cannot say, and is right again when it is over.
    proxy.set(Network::Refuses);
    proxy.cut();
    reader.server.get("/readyz").fails(503, "unavailable");
    let seq = writer.save("a", "published meanwhile");
    proxy.set(Network::Works);
    reader.until("a", seq, Duration::from_secs(30));
    reader.server.get("/readyz").is(200);
    assert_eq!(writer.latest("a"), Some(seq));
}

#[test]
fn v7_hosts_go_on_when_the_catalog_was_killed_and_started_again() {
    let (mut mongo, blobs) = (Mongo::start(), TempDir::new().unwrap());
    let database = mongo.database();
    let (one, other) = (Host::start(&database, blobs.path()), Host::start(&database, blobs.path()));
    let before = one.save("a", "before");
    other.until("a", before, FRESH_WITHIN);
    mongo.kill();
    one.server.get("/readyz").fails(503, "unavailable");
    one.server.get("/healthz").is(200);
    mongo.start_again();
    let started = Instant::now();
    let after = loop {
        let saved = one.server.put("/v1/default/literature/a", b"after");
        match saved.status {
            200 | 201 => break saved.json()["seq"].as_u64().unwrap(),
            _ => assert!(started.elapsed() < Duration::from_secs(60), "{saved:?}"),
        }
    };
    assert_eq!(after, before + 1);
    other.until("a", after, Duration::from_secs(60));
}
