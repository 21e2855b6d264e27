//! What is seen of a host from outside: steps with their phases and log lines, publications, what a home holds.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use floret_model::{Fate, VersionRef};
use floret_pipeline::{Binding, Event, Floret, Progress};
use floret_store::{EmbeddedCatalog, local_objects};
use floret_tests::cli::Cli;
use floret_tests::http::{Server, send_head};
use floret_tests::shared::SharedCatalog;
use floret_tests::{Setup, corpus, derived, guest, key, open, save_text};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Who waits longer for a line of a server has waited in vain.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every event of building a trie by a component that misbehaves like that.
async fn events_of_a_build(host: &Floret, mode: &str) -> Vec<Event> {
    let config = json!({ "mode": mode }).as_object().unwrap().clone();
    host.plugin_bind("trie", Binding::configured("misbehave-index", config)).await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress = Progress::new({
        let told = Arc::clone(&told);
        move |event| told.lock().unwrap().push(event)
    });
    host.build_all(vec![derived("trie/a", "corpus", &["corpus/a"])], &progress).await.unwrap();
    std::mem::take(&mut *told.lock().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_tells_where_its_time_went_and_what_its_component_logged() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    save_text(&host, "a", "union liberty").await.unwrap();
    host.corpus_create(vec![corpus("a", &["a"], &[])], &Progress::default()).await.unwrap();
    host.plugin_install(None, guest("misbehave-index").unwrap()).await.unwrap();
    let events = events_of_a_build(&host, "log-flood").await;
    let place = |wanted: fn(&Event) -> bool| events.iter().position(wanted).unwrap();
    let started = place(|event| matches!(event, Event::StepStarted { .. }));
    let finished = place(|event| matches!(event, Event::StepFinished(_)));
    let lines: Vec<_> = events[started..finished]
        .iter()
        .filter_map(|event| match event {
            Event::Logged(line) => Some(line),
            _ => None,
        })
        .collect();
    assert_eq!(lines.len(), 200, "the rest is counted");
    assert!(events[finished..].iter().all(|event| !matches!(event, Event::Logged(_))));
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line.text, format!("line {number} of a flood"));
        assert_eq!((&line.key, line.component.as_str()), (&key("trie/a"), "misbehave-index@0.1.0"));
        assert_eq!(line.stage, "build");
    }
    let Event::StepFinished(step) = &events[finished] else { panic!("the end of a step") };
    assert_eq!(step.fate, Fate::Built { changed: true });
    assert!(step.log_lines > 200, "{step:?}");
    let phases = step.phases;
    assert!(phases.load_ms > 0.0 && phases.build_ms > 0.0 && phases.store_ms > 0.0, "{phases:?}");
    let long = events_of_a_build(&host, "log-long").await;
    let lengths: Vec<usize> = long
        .iter()
        .filter_map(|event| match event {
            Event::Logged(line) => Some(line.text.len()),
            _ => None,
        })
        .collect();
    assert_eq!(lengths, [512]);
    let kept = host.why(&key("trie/a")).await.unwrap();
    assert_eq!(kept.steps[1].1.phases, phases, "the report is stored with them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_tells_of_what_it_publishes_and_of_what_others_do() {
    let folder = TempDir::new().unwrap();
    let catalog = SharedCatalog::over(EmbeddedCatalog::open(folder.path().join("catalog")).unwrap());
    let setup = || Setup {
        catalog: Some(catalog.clone()),
        objects: Some(local_objects(&folder.path().join("blobs")).unwrap()),
        ..Setup::default()
    };
    let writer = open(&folder.path().join("writer"), setup()).await.unwrap();
    let reader = open(&folder.path().join("reader"), setup()).await.unwrap();
    let following = tokio::spawn({
        let reader = Arc::clone(&reader);
        async move { reader.follow().await }
    });
    catalog.streams(1).await;
    let mut told = reader.publications(None);
    assert!(told.before.is_empty() && !told.is_broken);
    let theirs = save_text(&writer, "a", "one").await.unwrap().version;
    let heard = told.live.recv().await.unwrap();
    assert_eq!((&heard.id, heard.is_own, heard.more), (&theirs.publish_id, false, 0));
    assert_eq!(heard.versions, [theirs.reference()]);
    let ours = save_text(&reader, "b", "two").await.unwrap().version;
    let own = told.live.recv().await.unwrap();
    assert_eq!((&own.id, own.is_own, own.at), (&ours.publish_id, true, ours.created_at));
    save_text(&reader, "b", "two").await.unwrap();
    let next = save_text(&writer, "a", "three").await.unwrap().version;
    let heard = told.live.recv().await.unwrap();
    assert_eq!(heard.versions, [next.reference()], "neither twice, nor what was not new");
    let again = reader.publications(Some(&own.id));
    let missed: Vec<&VersionRef> = again.before.iter().flat_map(|heard| &heard.versions).collect();
    assert_eq!(missed, [&next.reference()]);
    following.abort();
}

/// A stream of server-sent events, read line by line.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(server: &Server, headers: &[(&str, &str)]) -> Self {
        let mut stream = server.connect();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        send_head(&mut stream, "GET", "/v1/events", headers);
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        Self(reader)
    }

    /// The next event: its id, its name and what it says.
    fn next(&mut self) -> (String, String, Value) {
        let (mut id, mut name) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream ended");
            match line.trim_end().split_once(": ") {
                Some(("id", value)) => id = value.to_owned(),
                Some(("event", value)) => name = value.to_owned(),
                Some(("data", value)) => return (id, name, serde_json::from_str(value).unwrap()),
                _ => {}
            }
        }
    }

    /// What comes until the server ends it.
    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

#[test]
fn publications_are_followed_over_http_and_taken_up_again() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let mut events = Events::open(&server, &[]);
    let put = |id: &str| server.put(&format!("/v1/default/literature/{id}"), id.as_bytes()).is(201);
    put("a");
    let (first, name, data) = events.next();
    assert_eq!((name.as_str(), &data["id"], &data["is_own"]), ("published", &json!(first), &json!(true)));
    let reference =
        json!([{"namespace": "default", "resource_type": "literature", "resource_id": "a", "seq": 1}]);
    assert_eq!((&data["versions"], &data["more"]), (&reference, &json!(0)));
    put("b");
    let (second, ..) = events.next();
    let mut again = Events::open(&server, &[("last-event-id", &first)]);
    assert_eq!(again.next().0, second);
    let mut lost = Events::open(&server, &[("last-event-id", "of-another-life")]);
    let (_, name, data) = lost.next();
    assert_eq!((name.as_str(), data), ("missed", json!({ "count": null })));
    let long = "x".repeat(129);
    server.ask("GET", "/v1/events", &[("last-event-id", &long)], b"").fails(400, "invalid_request");
    server.get("/v1/events?after=1").fails(400, "invalid_request");
    server.stop();
    assert!(events.rest().ends_with("0\r\n\r\n"), "it is ended, not cut off");
}

#[test]
fn an_overview_counts_what_is_stored_once_and_what_is_saved_by_it() {
    let cli = Cli::new();
    let long = "union liberty justice ".repeat(1_000);
    for id in ["literature/a", "literature/b"] {
        cli.save(id, long.as_bytes());
    }
    cli.save("dictionary/a", br#"{"word": "union"}"#);
    let server = Server::start(&cli, &[]);
    let overview = server.get("/v1/overview").is(200).json();
    let stock = &overview["stock"];
    let of = |name: &str| {
        let types = stock["types"].as_array().unwrap();
        types.iter().find(|it| it["resource_type"] == name).unwrap_or_else(|| panic!("no {name}: {stock}"))
    };
    assert_eq!((&of("literature")["resources"], &of("literature")["versions"]), (&json!(2), &json!(2)));
    assert_eq!(of("literature")["raw_bytes"], 2 * long.len());
    assert_eq!(of("dictionary")["resources"], 1);
    assert_eq!((&stock["is_partial"], &of("plugin")["namespace"]), (&json!(false), &json!("plugins")));
    let bytes = |name: &str| stock[name].as_i64().unwrap_or_else(|| panic!("no {name}: {stock}"));
    assert!(bytes("deduplicated_bytes") >= long.len() as i64, "{stock}");
    assert_eq!(
        bytes("raw_bytes"),
        bytes("stored_bytes") + bytes("deduplicated_bytes") + bytes("compressed_away_bytes")
    );
    assert!(overview["cache"]["namespaces"]["default"].is_object(), "{overview}");
    server.get("/v1/overview?x=1").fails(400, "invalid_request");
    server.stop();
}
