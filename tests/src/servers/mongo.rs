//! SecantusDB processes, and databases in them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Process;

/// Where another server is that tests are to share.
const URI: &str = "FLORET_TEST_MONGODB_URI";

/// How a server is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct MongoOptions {
    /// It syncs every commit, so that nothing is lost when it is killed.
    pub durable: bool,
    /// It asks for a user and a password.
    pub authenticates: bool,
    /// It is no member of a replica set.
    pub standalone: bool,
}

impl MongoOptions {
    fn arguments(self) -> Vec<String> {
        let given = [
            (self.durable, "--sync-on-commit"),
            (self.authenticates, "--auth"),
            (self.standalone, "--standalone"),
        ];
        given.iter().filter(|(given, _)| *given).map(|(_, name)| (*name).to_owned()).collect()
    }
}

/// A SecantusDB process.
#[derive(Debug)]
pub struct Mongo {
    process: Process,
    options: MongoOptions,
}

impl Mongo {
    /// One that syncs every commit, so that it can be killed.
    pub fn start() -> Self {
        Self::start_with(MongoOptions { durable: true, ..MongoOptions::default() })
    }

    /// One of its own kind.
    ///
    /// # Panics
    /// If it is not installed or does not start.
    pub fn start_with(options: MongoOptions) -> Self {
        let process = Process::start("secantusd-py", arguments, options.arguments());
        Self { process, options }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// A database of its own for a test.
    pub fn database(&self) -> Database {
        Database::fresh(&uri(self.address(), self.options))
    }

    /// SIGKILL, at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Start it again with the data that it has.
    pub fn start_again(&mut self) {
        self.process.start_again();
    }

    /// Start it again, so that it asks for a user and a password; those that it knows were made before.
    pub fn start_again_with(&mut self, options: MongoOptions) {
        self.options = options;
        self.process.start_again_with(options.arguments());
    }

    /// The end of what it logged.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// A database that no other test uses.
#[derive(Clone, Debug)]
pub struct Database {
    /// How to reach it.
    pub uri: String,
}

impl Database {
    /// In the server that all tests of this process share, or in the one that `FLORET_TEST_MONGODB_URI` names.
    pub fn shared() -> Self {
        static SHARED: OnceLock<Mongo> = OnceLock::new();
        match std::env::var(URI) {
            Ok(uri) => Self::fresh(&uri),
            Err(_) => SHARED.get_or_init(|| Mongo::start_with(MongoOptions::default())).database(),
        }
    }

    /// The same database, reached at another address, e.g. through a proxy, and not at the one that the server tells.
    pub fn at(&self, address: SocketAddr) -> Self {
        let (scheme, rest) = self.uri.split_once("://").expect("a URI has a scheme");
        let (_, path) = rest.split_once('/').expect("our URIs have a path");
        Self { uri: format!("{scheme}://{address}/{path}") }.with_option("directConnection=true")
    }

    /// The same database with another user and password.
    pub fn with_user(&self, user: &str, password: &str) -> Self {
        Self { uri: self.uri.replacen("://", &format!("://{user}:{password}@"), 1) }
    }

    /// The same database with one more option.
    pub fn with_option(&self, option: &str) -> Self {
        let separator = if self.uri.contains('?') { '&' } else { '?' };
        Self { uri: format!("{}{separator}{option}", self.uri) }
    }

    fn fresh(server: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("floret_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // By hand: a MongoDB URI may name several hosts, which no URL can.
        let (server, options) = match server.split_once('?') {
            Some((server, options)) => (server, format!("?{options}")),
            None => (server, String::new()),
        };
        let (scheme, rest) = server.split_once("://").expect("a URI has a scheme");
        let hosts = rest.split('/').next().unwrap_or(rest);
        Self { uri: format!("{scheme}://{hosts}/{name}{options}") }
    }
}

fn uri(address: SocketAddr, options: MongoOptions) -> String {
    let set = if options.standalone { "" } else { "?replicaSet=secantus" };
    format!("mongodb://{address}/{set}")
}

fn arguments(port: u16, folder: &Path) -> Vec<String> {
    let storage = folder.join("data").display().to_string();
    let port = port.to_string();
    let given = [
        ["--host", "127.0.0.1"],
        ["--port", &port],
        ["--storage-path", &storage],
        ["--log-level", "WARNING"],
        ["--cache-size", "256M"],
    ];
    given.concat().into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::Database;

    #[test]
    fn a_database_is_put_into_any_uri() {
        for (given, before, after) in [
            ("mongodb://h", "mongodb://h/floret_test_", ""),
            ("mongodb://h:1,i:2/?replicaSet=x", "mongodb://h:1,i:2/floret_test_", "?replicaSet=x"),
            ("mongodb+srv://u:p@h/old?tls=true", "mongodb+srv://u:p@h/floret_test_", "?tls=true"),
        ] {
            let uri = Database::fresh(given).uri;
            assert!(uri.starts_with(before) && uri.ends_with(after), "{given} became {uri}");
        }
    }

    #[test]
    fn an_address_is_replaced() {
        let database = Database { uri: "mongodb://127.0.0.1:1/x?replicaSet=y".to_owned() };
        let at = database.at(([127, 0, 0, 1], 2).into()).with_user("u", "p").with_option("tls=true");
        assert_eq!(at.uri, "mongodb://u:p@127.0.0.1:2/x?replicaSet=y&directConnection=true&tls=true");
    }
}
