//! A server that cannot be reached, or does not take us: told at once, with what to do.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use floret_store::{Catalog, Error, MongoCatalog};
use floret_tests::servers::{Database, Mongo, MongoOptions};
use mongodb::Client;
use mongodb::bson::doc;

/// A wrong configuration is told within so long.
const TOLD_WITHIN: Duration = Duration::from_secs(15);
const IMPATIENT: &str = "serverSelectionTimeoutMS=700";

/// What connecting fails with, and how that reads.
async fn refused(uri: &str) -> (Error, String) {
    let started = Instant::now();
    let error = MongoCatalog::connect(uri).await.expect_err(uri);
    assert!(started.elapsed() < TOLD_WITHIN, "{uri} took {:?}", started.elapsed());
    let text = error.to_string();
    assert!(!text.contains("secret"), "a password is told: {text}");
    (error, text)
}

fn closed_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uri_that_is_none_is_told_as_such() {
    for uri in [
        "",
        "nonsense",
        "http://127.0.0.1:27017",
        "mongodb://",
        "mongodb://127.0.0.1:port/",
        "mongodb://u:secret@/x",
        "mongodb://127.0.0.1/x?replicaSet",
        "mongodb://127.0.0.1/x?serverSelectionTimeoutMS=soon",
    ] {
        let (error, text) = refused(uri).await;
        assert!(matches!(error, Error::Invalid { .. }), "{uri}: {error:?}");
        assert!(text.contains("URI"), "{uri}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unavailable() {
    let mongo = Mongo::start_with(MongoOptions::default());
    let there = mongo.address();
    for uri in [
        format!("mongodb://no-such-host.invalid/?{IMPATIENT}"),
        format!("mongodb://127.0.0.1:{}/?{IMPATIENT}", closed_port()),
        format!("mongodb://{there}/?replicaSet=another&{IMPATIENT}"),
        format!("mongodb://{there}/?tls=true&{IMPATIENT}"),
    ] {
        let (error, text) = refused(&uri).await;
        assert!(matches!(error, Error::Unavailable { .. }), "{uri}: {error:?}");
        for word in ["unavailable", "see that it runs", "TLS"] {
            assert!(text.contains(word), "{uri}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_let_in_learns_what_to_check() {
    let mut mongo = Mongo::start();
    let database = mongo.database();
    let client = Client::with_uri_str(&database.uri).await.unwrap();
    let user = doc! { "createUser": "floret", "pwd": "right", "roles": [{ "role": "root", "db": "admin" }] };
    client.database("admin").run_command(user).await.unwrap();
    mongo.kill();
    mongo.start_again_with(MongoOptions { durable: true, authenticates: true, ..MongoOptions::default() });
    let wrong = database.with_user("floret", "secret").with_option("authSource=admin").with_option(IMPATIENT);
    let stranger =
        database.with_user("nobody", "secret").with_option("authSource=admin").with_option(IMPATIENT);
    for (database, remedy) in [
        (database.clone(), "give a user"),
        (wrong, "check user, password and authSource"),
        (stranger, "check user, password and authSource"),
    ] {
        let (error, text) = refused(&database.uri).await;
        assert!(matches!(error, Error::Refused { .. }), "{}: {error:?}", database.uri);
        assert!(text.contains(remedy), "{}: {text}", database.uri);
    }
    let right = database.with_user("floret", "right").with_option("authSource=admin");
    let catalog = MongoCatalog::connect(&right.uri).await.unwrap();
    assert!(catalog.verify_indexes().await.unwrap().is_empty());
    assert!(!catalog.to_string().contains("right"), "a password is told: {catalog}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standalone_server_is_refused_with_a_remedy() {
    let mongo = Mongo::start_with(MongoOptions { standalone: true, ..MongoOptions::default() });
    let (error, text) = refused(&mongo.database().uri).await;
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(text.contains("no member of a replica set") && text.contains("rs.initiate()"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_at_first_is_reached_when_it_is_up() {
    let mut mongo = Mongo::start();
    let database: Database = mongo.database();
    mongo.kill();
    let (error, _) = refused(&database.with_option(IMPATIENT).uri).await;
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    // A client waits for a server that is about to come, for the time that its URI says.
    let waiting = tokio::spawn({
        let uri = database.uri.clone();
        async move { MongoCatalog::connect(&uri).await }
    });
    mongo.start_again();
    waiting.await.unwrap().unwrap();
}
