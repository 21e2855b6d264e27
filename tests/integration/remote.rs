//! `--server`: the same verbs, asked of a running `floret serve`, say the same.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use floret_tests::blobs::noise;
use floret_tests::cli::{Cli, Ran, run};
use floret_tests::http::Server;
use floret_tests::{component, variant};
use serde_json::Value;

/// A home that is worked on by itself, and one that is worked on through a server.
struct Both {
    here: Cli,
    _there: Cli,
    server: Server,
    client: Cli,
}

impl Both {
    fn new() -> Self {
        let there = Cli::new();
        let server = Server::start(&there, &[]);
        Self { here: Cli::new(), _there: there, server, client: Cli::new() }
    }

    fn there(&self, args: &[&str]) -> Command {
        let url = format!("http://{}", self.server.address());
        self.client.command(&[&["--server", &url], args].concat())
    }

    /// Run it on both, and see that all is the same: exit code, output and errors.
    #[track_caller]
    fn run(&self, args: &[&str]) -> Ran {
        let here = self.here.run(args);
        let there = run(&mut self.there(args), b"");
        assert_eq!(here.status.code(), there.status.code(), "{args:?}: {} {}", here.err, there.err);
        let is_json = args.contains(&"--json");
        assert_eq!(masked(&here.out, is_json), masked(&there.out, is_json), "{args:?}");
        let is_json = is_json && !here.err.is_empty();
        let (err, other) = (here.err.as_bytes(), there.err.as_bytes());
        assert_eq!(masked(err, is_json), masked(other, is_json), "{args:?}");
        there
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        self.client.file(name, content).to_str().expect("UTF-8").to_owned()
    }
}

/// Without what differs from run to run: moments, durations, names of publishes and of blobs, counts of reads.
fn masked(bytes: &[u8], is_json: bool) -> String {
    const VARY: [&str; 13] = [
        "id",
        "started_at",
        "elapsed_ms",
        "phases",
        "created_at",
        "dropped_at",
        "publish_id",
        "build_time_ms",
        "encode_ms",
        "decode_ms",
        "last_accessed",
        "access_count",
        // Of a blob: numbered by each home.
        "path",
    ];
    fn mask(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    if VARY.contains(&name.as_str()) { *value = Value::Null } else { mask(value) }
                }
            }
            // A cascade and its step.
            Value::Array(values) if matches!(values.as_slice(), [Value::String(_), Value::Object(_)]) => {
                values[0] = Value::Null;
                mask(&mut values[1]);
            }
            Value::Array(values) => values.iter_mut().for_each(mask),
            _ => {}
        }
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    if is_json && !text.is_empty() {
        let mut value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        mask(&mut value);
        return value.to_string();
    }
    let is_moment = |field: &str| field.len() == 24 && field.ends_with('Z') && field.as_bytes()[10] == b'T';
    let masked = |field: &str| if is_moment(field) { "MOMENT".to_owned() } else { field.to_owned() };
    let line = |line: &str| line.split('\t').map(masked).collect::<Vec<_>>().join("\t");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn filled() -> Both {
    let both = Both::new();
    let a = both.file("a.txt", "the whale and the sea, the whale and the ship\n");
    let b = both.file("b.txt", "a ship on the sea\n");
    let entry = both.file("cat.json", r#"{"senses": ["an animal"], "n": 1.0}"#);
    let lines = both.file(
        "batch.jsonl",
        "{\"key\": \"literature/x\", \"text\": \"one\", \"title\": \"X\", \"tags\": [\"x\"]}\n{\"key\": \"trie/no\", \"text\": \"two\"}\n",
    );
    let described = ["--title", "A", "--author", "B", "--year", "1900", "--genre", "sea", "--source", "s"];
    let options = ["--tag", "kept", "--meta", "real_time=true", "--json"];
    let first = [&["save", "literature/a", a.as_str()], &described[..], &options[..]].concat();
    both.run(&first).ok();
    assert_eq!(both.run(&first).json()["saved"]["is_new"], false, "the same again is nothing new");
    both.run(&["save", "literature/a", &b, "--bump", "minor", "--media-type", "text/markdown", "--json"])
        .ok();
    both.run(&["save", "literature/b", &b, "--if-latest", "none"]).ok();
    let word = ["--word", "cat", "--provider", "p", "--ttl", "1h", "--json"];
    both.run(&[&["save", "dictionary/cat", entry.as_str(), "--as-json"], &word[..]].concat()).ok();
    both.run(&["save", "work:literature/ü b", &b, "--json"]);
    both.run(&["save", "--batch", &lines, "--each", "--json"]);
    assert!(!both.run(&["save", "--batch", &lines, "--json"]).status.success(), "an index is not saved");
    let lines = both.file(
        "good.jsonl",
        "{\"key\": \"literature/y\", \"text\": \"one\", \"title\": \"Y\", \"if_latest\": \"none\"}\n{\"key\": \"dictionary/y\", \"json\": {\"n\": 1}, \"bump\": \"major\"}\n",
    );
    both.run(&["save", "--batch", &lines, "--json"]).ok();
    both.run(&["corpus", "create", "corpus/c", "--text", "literature/a", "--json"]).ok();
    both.run(&["corpus", "add", "corpus/c", "--text", "literature/b", "--json"]).ok();
    both.run(&["corpus", "create", "corpus/m", "--child", "corpus/c", "--json"]).ok();
    both.run(&["build", "trie/c", "--from", "corpus/c", "--json"]).ok();
    both.run(&["build", "trie/c", "--json"]).ok();
    both.run(&["save", "literature/p", &b, "--parent", "corpus/c", "--title", "P", "--json"]).ok();
    both.run(&["build", "search/c", "--part", "corpus/c", "--part", "trie/c", "--json"]).ok();
    both.run(&["save", "literature/b", &a, "--json"]).ok();
    both.run(&["cascade", "literature/a", "--json"]).ok();
    both
}

#[test]
fn every_verb_says_the_same_over_a_server() {
    let both = filled();
    for args in [
        &["get", "literature/a"][..],
        &["get", "literature/a", "--version", "1.0.0"],
        &["get", "literature/a", "--version", "1", "--fresh"],
        &["get", "dictionary/cat", "--at-least", "1"],
        &["list"],
        &["list", "literature/", "-n", "1"],
        &["list", "--all-namespaces", "--after", "literature/a"],
        &["log", "literature/a"],
        &["log", "literature/a", "-n", "1"],
        &["log", "literature/a", "--before", "2"],
        &["plan", "literature/a", "literature/b"],
        &["search", "trie/c", "whale"],
        &["search", "trie/c", "whal", "--distance", "1"],
        &["search", "search/c", "shi", "-n", "3"],
        &["corpus", "tree", "corpus/m", "--texts"],
        &["corpus", "tree", "corpus/c", "--version", "1"],
    ] {
        both.run(args).ok();
        both.run(&[args, &["--json"]].concat()).ok();
    }
    both.run(&["verify", "--json"]).ok();
    both.run(&["verify", "--no-rehash"]).ok();
    both.run(&["verify", "--rebuild", "--sample", "50%", "--seed", "7", "--json"]).ok();
    // What a process has in its memory is its own: a server has more of it.
    let stats = run(&mut both.there(&["cache", "stats", "--json"]), b"").ok().json();
    assert!(stats["total"]["memory_hits"].is_u64() && stats["namespaces"]["default"].is_object(), "{stats}");
    let warmed = run(&mut both.there(&["cache", "warm", "-n", "10", "--json"]), b"").ok().json();
    assert_eq!(warmed["failed"], 0);
    for key in ["literature/a", "dictionary/cat", "corpus/c", "trie/c", "search/c"] {
        both.run(&["why", key, "--json"]).ok();
        both.run(&["get", key, "--info", "--json"]).ok();
    }
}

#[test]
fn what_fails_fails_the_same_over_a_server() {
    let both = filled();
    let file = both.file("c.txt", "other");
    for (args, code) in [
        (&["get", "literature/none"][..], 3),
        (&["get", "literature/a", "--version", "99"], 3),
        (&["get", "literature/a", "--at-least", "99"], 3),
        (&["log", "literature/none"], 3),
        (&["plan", "literature/none"], 3),
        (&["cascade", "literature/none"], 3),
        (&["why", "trie/none"], 3),
        (&["build", "trie/none"], 3),
        (&["build", "literature/a"], 2),
        (&["corpus", "create", "corpus/d", "--text", "literature/none"], 3),
        (&["corpus", "tree", "corpus/none"], 3),
        (&["save", "literature/q", &file, "--parent", "corpus/none"], 3),
        (&["search", "trie/none", "x"], 3),
        (&["search", "trie/c", "x", "-n", "0"], 2),
        (&["save", "literature/b", &file, "--if-latest", "none"], 4),
        (&["save", "literature/b", &file, "--if-latest", "1"], 4),
        (&["save", "trie/c", &file], 2),
        (&["save", "literature/b", &file, "--word", "w"], 2),
        (&["save", "nowhere:literature/b", &file], 2),
    ] {
        assert_eq!(both.run(&[args, &["--json"]].concat()).status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn components_are_worked_on_the_same_over_a_server() {
    let both = filled();
    let other = both.file("other.wasm", variant(&component("trie-fst").unwrap(), "somebody else"));
    let other = other.as_str();
    for args in [
        &["plugin", "list"][..],
        &["plugin", "inspect", "trie-fst", "--json"],
        &["plugin", "inspect", "trie-fst"],
        &["plugin", "inspect", other, "--json"],
        &["plugin", "install", other, "--plan", "--json"],
        &["plugin", "install", other, "--plan"],
        &["plugin", "install", other, "--hold"],
        &["plugin", "install", other, "--json"],
        &["plugin", "rollback", "trie-fst", "--plan"],
        &["plugin", "rollback", "trie-fst", "--plan", "--json"],
        &["plugin", "rollback", "trie-fst", "--json"],
        &["plugin", "rollback", "trie-fst", "--to", "2", "--hold"],
        &["plugin", "install", other, "--name", "mine", "--json"],
        &["plugin", "bind", "trie", "mine", "--plan", "--json"],
        &["plugin", "bind", "trie", "mine", "--limit", "memory_bytes_max=64MiB", "--json"],
        &["plugin", "list", "--json"],
        &["plugin", "rollback", "plugins:binding/trie", "--json"],
        &["plugin", "bind", "retention", "retention-default", "--json"],
        &["plugin", "unbind", "retention"],
        &["plugin", "remove", "policy-archive", "--json"],
        &["plugin", "list"],
        &["plugin", "list", "--all", "--json"],
        &["plugin", "reset", "trie", "--json"],
        &["plugin", "reset", "trie"],
    ] {
        both.run(args).ok();
    }
    for (args, code) in [
        (&["plugin", "inspect", "nobody"][..], 3),
        (&["plugin", "inspect", "policy-archive"], 3),
        (&["plugin", "install", "no-such-file.wasm"], 2),
        (&["plugin", "install", other, "--digest", &format!("sha256:{}", "0".repeat(64))], 6),
        (&["plugin", "bind", "trie", "nobody"], 3),
        (&["plugin", "bind", "trie", "corpus-text"], 2),
        (&["plugin", "bind", "trie", "trie-fst", "--set", "colour=1"], 2),
        (&["plugin", "unbind", "policy"], 4),
        (&["plugin", "unbind", "nothing"], 3),
        (&["plugin", "remove", "trie-fst"], 4),
        (&["plugin", "rollback", "nobody"], 3),
        (&["plugin", "rollback", "semantic-ngram"], 2),
        (&["plugin", "release", "trie-fst"], 3),
        (&["plugin", "reset", "nothing"], 3),
    ] {
        assert_eq!(both.run(&[args, &["--json"]].concat()).status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn policies_the_cache_and_cleanup_are_worked_on_the_same_over_a_server() {
    let both = filled();
    let text = both.file("round.txt", "");
    for round in 0..4 {
        std::fs::write(&text, format!("round {round}")).unwrap();
        both.run(&["save", "literature/round", &text, "--json"]).ok();
    }
    for args in [
        &["policy", "compare", "policy-default", "policy-archive", "--json"][..],
        &[
            "policy",
            "compare",
            "policy-default",
            "policy-default",
            "--set-b",
            "level=1",
            "--last",
            "3",
            "--json",
        ],
        &["policy", "compare", "policy-default", "policy-archive", "--type", "literature", "--json"],
        &["cleanup", "--dry-run", "--json"],
        &["cleanup", "--dry-run"],
        &["cleanup", "--json"],
        &["log", "literature/round", "--json"],
    ] {
        both.run(args).ok();
    }
    for (args, code) in [
        (&["policy", "compare", "policy-default", "nobody"][..], 3),
        (&["policy", "compare", "policy-default", "trie-fst"], 2),
        (&["policy", "compare", "policy-default", "policy-archive", "--set-b", "level=20"], 2),
        (&["cache", "invalidate", "nothing/*"], 2),
        (&["cache", "invalidate", "[x"], 2),
        (&["cache", "invalidate", "--namespace", "nowhere"], 2),
    ] {
        assert_eq!(both.run(&[args, &["--json"]].concat()).status.code(), Some(code), "{args:?}");
    }
    // A server has in memory what a process of its own has not.
    for args in [&["literature/*"][..], &["--namespace", "default"], &["--all"]] {
        run(&mut both.there(&["get", "literature/a"]), b"").ok();
        let asked = [&["cache", "invalidate"], args, &["--json"]].concat();
        let gone = run(&mut both.there(&asked), b"").ok().json();
        assert!(gone["memory"].as_u64().unwrap() > 0 && gone["disk"].is_u64(), "{gone}");
    }
    let file = both.file("policy.wasm", component("policy-archive").unwrap());
    run(&mut both.there(&["policy", "compare", "policy-default", &file]), b"")
        .fails(2, &["a server compares components that it has", "[usage]"]);
    let svg = both.client.file("drawn.svg", "");
    let drawn = svg.to_str().unwrap();
    let compare = ["policy", "compare", "policy-default", "policy-archive", "--svg", drawn];
    run(&mut both.there(&compare), b"").ok();
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg "));
}

#[test]
fn large_contents_go_both_ways() {
    let both = Both::new();
    let content = noise(9 << 20, 3);
    let file = both.file("large", &content);
    both.run(&["save", "dictionary/large", &file, "--json"]).ok();
    let mut piped = both.there(&["save", "dictionary/piped", "-"]);
    run(&mut piped, &content).ok();
    for key in ["dictionary/large", "dictionary/piped"] {
        let to = both.client.data().join("out");
        run(&mut both.there(&["get", key, "--output", to.to_str().expect("UTF-8")]), b"").ok();
        assert!(std::fs::read(&to).expect("written") == content, "{key}");
        assert!(run(&mut both.there(&["get", key]), b"").ok().out == content, "{key}");
    }
}

#[test]
fn verbs_of_a_data_folder_are_refused() {
    let both = Both::new();
    for args in [
        &["doctor"][..],
        &["demo"],
        &["serve"],
        &["config", "show"],
        &["token", "list"],
        &["plugin", "new", "mine", "--contract", "index", "--lang", "rust"],
    ] {
        run(&mut both.there(args), b"").fails(2, &["data folder", "[usage]"]);
    }
    // What needs neither is not bothered.
    run(&mut both.there(&["explain", "not_found"]), b"").ok();
}

#[test]
fn a_server_that_is_not_there_or_is_none_is_told() {
    let cli = Cli::new();
    let ask = |url: &str| cli.run(&["--server", url, "list"]);
    for url in ["nonsense", "ftp://127.0.0.1", "http://user:word@127.0.0.1", "http://127.0.0.1/?x=1"] {
        ask(url).fails(2, &["no server's URL", "[usage]"]);
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answers: [&'static [u8]; 4] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi",
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        b"220 mail ready\r\n",
    ];
    let count = answers.len();
    let other = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).expect("a request");
            stream.write_all(answer).expect("sent");
        }
        // Nobody listens from here on.
    });
    for _ in 0..count {
        ask(&url).fails(8, &["the server http://127.0.0.1:", "[unavailable]"]);
    }
    other.join().expect("all were answered");
    ask(&url).fails(8, &["the server http://127.0.0.1:", "[unavailable]"]);
    assert!(!Path::new(&cli.data()).join("catalog").exists(), "no data folder is opened");
}

#[test]
fn the_server_may_be_named_by_a_variable() {
    let there = Cli::new();
    let server = Server::start(&there, &[]);
    let client = Cli::new();
    let url = format!("http://{}/", server.address());
    let mut named = client.command(&["save", "literature/a", "-"]);
    run(named.env("FLORET_SERVER", &url).env("FLORET_TOKEN", "secret-word"), b"text").ok();
    let token = client.file("token", "two words");
    let token = token.to_str().expect("UTF-8");
    let mut bad = client.command(&["--server", &url, "--token-file", token, "list"]);
    run(&mut bad, b"").fails(2, &["holds no token", "[usage]"]);
    let mut bad = client.command(&["--server", &url, "--ca-file", "no such file", "list"]);
    run(&mut bad, b"").fails(2, &["no such file", "[unreadable_file]"]);
    server.stop();
    assert_eq!(there.run(&["get", "literature/a"]).ok().text(), "text");
}

#[test]
fn what_a_server_does_not_know_is_refused() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let at = "/v1/default/literature/a";
    for options in ["{", "%7", "%7B%22colour%22%3A1%7D", "%7B%22word%22%3A%22w%22%7D"] {
        server.ask("PUT", at, &[("floret-options", options)], b"x").fails(400, "invalid_request");
    }
    server.get(at).fails(404, "not_found");
    server.ask("PUT", at, &[("floret-options", "%7B%22tags%22%3A%5B%22t%22%5D%7D")], b"x").is(201);
    let record = server.get(&format!("{at}/record?version=1")).is(200).json();
    assert_eq!((&record["tags"][0], &record["seq"]), (&Value::from("t"), &Value::from(1)));
    assert!(record.get("content_inline").is_none(), "bytes are asked for by themselves");
    for target in [
        &format!("{at}/record?version=0"),
        &format!("{at}/record?at_least=1&consistency=strong"),
        &format!("{at}/records?limit=0"),
        &format!("{at}/records?limit=101"),
        &format!("{at}/records"),
        "/v1/records?limit=1&colour=red",
        &format!("{at}/tree?seq=1&version=1.0.0"),
    ] {
        server.get(target).fails(400, "invalid_request");
    }
    server.get("/v1/records?limit=1&after=nothing").is(400);
    let json = [("content-type", "application/json")];
    for (target, body) in [
        ("/v1/builds", r#"{"key": "trie/x", "inputs": ["corpus/c"], "parts": ["corpus/c"]}"#),
        ("/v1/builds", r#"{"key": "trie/x", "inputs": ["corpus/c"], "colour": 1}"#),
        ("/v1/builds", r#"{"key": "literature/a"}"#),
        ("/v1/corpora", r#"{"key": "corpus/x", "corpus_type": "map"}"#),
        ("/v1/corpora/add", r#"{"key": "x"}"#),
        ("/v1/cache/warmings", r#"{"limit": 1000001}"#),
        ("/v1/verifications", r#"{"rehash": 1}"#),
        ("/v1/batches", ""),
        ("/v1/batches", r#"{"key": "literature/b", "text": "x", "file": "/etc/passwd"}"#),
    ] {
        let answer = server.ask("POST", target, &json, body.as_bytes());
        assert_eq!(answer.status, 400, "{target} {body}: {}", String::from_utf8_lossy(&answer.body));
    }
    let lines = "{\"key\": \"literature/b\", \"text\": \"x\"}\n{\"key\": \"trie/b\", \"text\": \"x\"}\n";
    assert!(server.ask("POST", "/v1/batches", &[], lines.as_bytes()).status >= 400);
    server.get("/v1/default/literature/b").fails(404, "not_found");
}
