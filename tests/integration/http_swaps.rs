//! Components and policies swapped over HTTP in a host that is at work: nobody notices but by what is answered.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use floret_tests::cli::Cli;
use floret_tests::http::{Answer, Server};
use floret_tests::{component, guest};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

fn send(server: &Server, method: &str, target: &str, document: &Value) -> Answer {
    server.ask(method, target, &[JSON], document.to_string().as_bytes())
}

/// A text, its corpus and its indexes.
fn world() -> (Cli, Server) {
    let cli = Cli::with_trie();
    cli.run(&["build", "semantic/a", "--from", "corpus/a"]).ok();
    let server = Server::start(&cli, &[]);
    (cli, server)
}

/// The same component under another digest: with a section that nobody reads.
fn another(name: &str) -> Vec<u8> {
    let mut bytes = component(name).unwrap().to_vec();
    bytes.extend_from_slice(b"\x00\x08\x07another");
    bytes
}

fn bound_digest(server: &Server) -> String {
    let document = server.get("/v1/default/trie/a/document").is(200).json();
    document["build"]["component"]["digest"].as_str().unwrap_or_else(|| panic!("{document}")).to_owned()
}

#[test]
fn indexes_are_asked_and_resources_listed() {
    let (_cli, server) = world();
    let answer = server.get("/v1/search?index=trie/a&text=uni&mode=prefix").is(200).json();
    let words: Vec<&str> =
        answer["hits"].as_array().unwrap().iter().map(|hit| hit["word"].as_str().unwrap()).collect();
    assert_eq!(words, ["union", "unions", "united"]);
    let page = server.get("/v1/resources?namespace=default&limit=2").is(200).json();
    assert_eq!(page["resources"].as_array().unwrap().len(), 2);
    let next = page["next_after"].as_str().unwrap();
    let rest = server.get(&format!("/v1/resources?namespace=default&after={next}")).is(200).json();
    assert_eq!((rest["resources"].as_array().unwrap().len(), &rest["next_after"]), (2, &Value::Null));
    let why = server.get("/v1/default/trie/a/why").is(200).json();
    assert_eq!(why["build"]["inputs"][0]["version"]["resource_type"], "corpus", "{why}");
    for (target, code) in [
        ("/v1/search?index=trie/a", "invalid_request"),
        ("/v1/search?index=trie&text=a", "invalid_name"),
        ("/v1/search?index=trie/a&text=a&mode=guess", "invalid_request"),
        ("/v1/search?index=trie/a&text=a&mode=exact&distance=1", "invalid_request"),
        ("/v1/search?index=trie/a&text=a&limit=0", "invalid_request"),
        ("/v1/resources?limit=1001", "invalid_request"),
        ("/v1/resources?prefix=a", "invalid_request"),
        ("/v1/resources?colour=red", "invalid_request"),
        ("/v1/plugins/%FF", "invalid_request"),
    ] {
        server.get(target).fails(400, code);
    }
    server.get("/v1/search?index=trie/b&text=a").fails(404, "not_found");
}

#[test]
fn bad_swaps_are_refused_and_change_nothing() {
    let (_cli, server) = world();
    let before = server.get("/v1/bindings").is(200).json();
    server.put("/v1/plugins/trie-fst", b"no component").fails(422, "plugin_not_a_component");
    server.ask("PUT", "/v1/bindings/trie", &[], b"{}").fails(415, "unsupported_media_type");
    send(&server, "PUT", "/v1/bindings/trie", &json!({"component": "nobody"}))
        .fails(404, "unknown_component");
    for bad in [
        json!({"component": "corpus-text"}),
        json!({"component": "trie-fst", "colour": 1}),
        json!({"component": "trie-fst", "config": {"colour": 1}}),
        json!({"component": "trie-fst", "limits": {"memory_bytes_max": 0}}),
        json!(["trie-fst"]),
    ] {
        let answer = send(&server, "PUT", "/v1/bindings/trie", &bad);
        assert_eq!(answer.status, 400, "{bad}: {}", String::from_utf8_lossy(&answer.body));
    }
    server.ask("PUT", "/v1/bindings/trie", &[JSON], b"{\"component\":").fails(400, "invalid_request");
    send(&server, "POST", "/v1/cascades", &json!({"keys": []})).fails(400, "invalid_request");
    send(&server, "POST", "/v1/plans", &json!({"keys": ["trie"]})).fails(400, "invalid_name");
    server.ask("DELETE", "/v1/breakers/nothing", &[], b"").fails(404, "not_found");
    assert_eq!(server.get("/v1/bindings").is(200).json(), before);
}

#[test]
fn an_open_breaker_is_seen_and_closed_over_http() {
    let (_cli, server) = world();
    server.put("/v1/plugins/misbehave-index", &guest("misbehave-index").unwrap()).is(201);
    let trap = json!({"component": "misbehave-index", "config": {"mode": "trap"}});
    send(&server, "PUT", "/v1/bindings/trie", &trap).is(201);
    let cascade = || send(&server, "POST", "/v1/cascades", &json!({"keys": ["plugins:binding/trie"]}));
    for _ in 0..5 {
        let failed = cascade().fails(500, "cascade_failed").json();
        assert!(failed["detail"].as_str().unwrap().contains("trapped"), "{failed}");
    }
    let refused = cascade().fails(500, "cascade_failed").json();
    assert!(refused["detail"].as_str().unwrap().contains("is not asked until"), "{refused}");
    let bindings = server.get("/v1/bindings").is(200).json();
    assert_eq!(bindings["trie"]["breaker"]["failures"], 5, "{bindings}");
    assert_eq!(server.get("/v1/breakers").is(200).json()["trie"], bindings["trie"]["breaker"]);
    for was_open in [true, false] {
        let closed = server.ask("DELETE", "/v1/breakers/trie", &[], b"").is(200).json();
        assert_eq!(closed, json!({"binding": "trie", "was_open": was_open}));
    }
    let bindings = server.get("/v1/bindings").is(200).json();
    assert_eq!(bindings["trie"].get("breaker"), None, "{bindings}");
}

/// How long requests took while something went on.
#[derive(Default)]
struct Load {
    ended: AtomicBool,
    failed: Mutex<Vec<String>>,
    requests: AtomicU64,
    longest_us: AtomicU64,
}

struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Load {
    fn note(&self, what: &str, expected: &[u16], ask: impl FnOnce() -> Answer) {
        let started = Instant::now();
        let answer = ask();
        let us = u64::try_from(started.elapsed().as_micros()).unwrap();
        self.longest_us.fetch_max(us, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !expected.contains(&answer.status) {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            self.failed.lock().unwrap().push(format!("{what}: {} {text}", answer.status));
        }
    }

    /// Figures since the last look, for people: nothing is asserted of time.
    fn lap(&self, name: &str, since: Instant) {
        let requests = self.requests.swap(0, Ordering::Relaxed);
        let longest = Duration::from_micros(self.longest_us.swap(0, Ordering::Relaxed));
        let rate = requests as f64 / since.elapsed().as_secs_f64();
        println!("{name}: {requests} requests, {rate:.0}/s, the longest {longest:?}");
    }
}

#[test]
fn a_builder_and_a_policy_are_swapped_under_load_and_no_request_fails() {
    let (cli, server) = world();
    let load = Load::default();
    let old = bound_digest(&server);
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (server, load) = (&server, &load);
            scope.spawn(move || {
                for number in 0_u64.. {
                    if load.ended.load(Ordering::Relaxed) {
                        break;
                    }
                    let text = format!("text {number} of {writer} {}", "and more words ".repeat(200));
                    let at = format!("/v1/default/literature/load-{writer}");
                    load.note("save", &[201], || server.put(&at, text.as_bytes()));
                }
            });
        }
        for reader in 0..2 {
            let (server, load) = (&server, &load);
            scope.spawn(move || {
                let asked = ["trie/a&text=uni&mode=prefix", "semantic/a&text=union&mode=semantic"][reader];
                while !load.ended.load(Ordering::Relaxed) {
                    load.note("search", &[200], || server.get(&format!("/v1/search?index={asked}")));
                    load.note("read", &[200], || server.get("/v1/default/literature/a"));
                }
            });
        }
        // However this ends, so that a failure is told and not waited for.
        let _end = EndOnDrop(&load.ended);
        let steady = Duration::from_millis(700);
        let started = Instant::now();
        std::thread::sleep(steady);
        load.lap("before", started);
        let started = Instant::now();
        for round in 0..4 {
            let policy = ["policy-archive", "policy-default"][round % 2];
            send(&server, "PUT", "/v1/bindings/policy", &json!({ "component": policy })).is(201);
            let trie =
                if round % 2 == 0 { another("trie-fst") } else { component("trie-fst").unwrap().to_vec() };
            let installed = server.put("/v1/plugins/trie-fst", &trie).is(201).json();
            assert_eq!(installed["dependents"], json!(["trie/a"]), "{installed}");
            let keys = json!({ "keys": [installed["key"]] });
            let plan = send(&server, "POST", "/v1/plans", &keys).is(200).json();
            assert_eq!(plan["steps"].as_array().unwrap().len(), 1, "{plan}");
            send(&server, "POST", "/v1/cascades", &keys).is(200);
        }
        load.lap("while swapping", started);
        send(&server, "PUT", "/v1/bindings/policy", &json!({"component": "policy-archive"})).is(201);
        server.put("/v1/plugins/trie-fst", &another("trie-fst")).is(201);
        send(&server, "POST", "/v1/cascades", &json!({"keys": ["plugins:plugin/trie-fst"]})).is(200);
        let started = Instant::now();
        std::thread::sleep(steady);
        load.lap("after", started);
    });
    assert_eq!(*load.failed.lock().unwrap(), Vec::<String>::new());
    assert_ne!(bound_digest(&server), old, "it was built by the new one");
    server.put("/v1/default/literature/last", "by the new policy ".repeat(1000).as_bytes()).is(201);
    let last = server.get("/v1/default/literature/last/document").is(200).json();
    assert!(last["policy"]["policy"].as_str().unwrap().starts_with("policy-archive"), "{last}");
    server.stop();
    cli.verify();
}
