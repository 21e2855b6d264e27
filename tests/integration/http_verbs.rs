//! What the command line does, done over HTTP: components taken back and away, cleanup, the cache, comparisons.

use floret_tests::cli::Cli;
use floret_tests::http::{Answer, Server};
use floret_tests::{component, variant};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

fn send(server: &Server, method: &str, target: &str, document: &Value) -> Answer {
    server.ask(method, target, &[JSON], document.to_string().as_bytes())
}

fn remove(server: &Server, target: &str) -> Answer {
    server.ask("DELETE", target, &[], b"")
}

/// A text, its corpus and its index.
fn world() -> (Cli, Server) {
    let cli = Cli::with_trie();
    let server = Server::start(&cli, &[]);
    (cli, server)
}

fn digest_of(server: &Server, name: &str) -> Value {
    server.get(&format!("/v1/plugins/{name}")).is(200).json()["digest"].clone()
}

#[test]
fn a_component_is_installed_by_its_own_name_and_gone_back_from() {
    let (cli, server) = world();
    let first = digest_of(&server, "trie-fst");
    let other = variant(&component("trie-fst").unwrap(), "somebody else");
    let planned = server.ask("POST", "/v1/plugins?dry_run=true", &[], &other).is(200).json();
    assert_eq!(
        (&planned["resource"], &planned["would_change"], &planned["component"]["component_name"]),
        (&json!("plugins:plugin/trie-fst"), &json!(true), &json!("trie-fst"))
    );
    assert_eq!(planned["plan"]["steps"].as_array().unwrap().len(), 1, "{planned}");
    assert_eq!(digest_of(&server, "trie-fst"), first, "nothing was done");
    let wrong = format!("/v1/plugins?digest={}", "0".repeat(64));
    server.ask("POST", &wrong, &[], &other).fails(422, "digest_mismatch");
    for bad in ["?digest=12", "?source=a%0Ab", "?dry_run=perhaps", "?colour=red"] {
        server.ask("POST", &format!("/v1/plugins{bad}"), &[], b"none").fails(400, "invalid_request");
    }
    server.ask("POST", "/v1/plugins", &[], b"none").fails(422, "plugin_not_a_component");
    server.ask("POST", "/v1/inspections", &[], b"none").fails(422, "plugin_not_a_component");
    let seen = server.ask("POST", "/v1/inspections", &[], &other).is(200).json();
    let installed = server.ask("POST", "/v1/plugins?source=a%20shelf", &[], &other).is(201).json();
    assert_eq!((&installed["is_new"], &installed["dependents"]), (&json!(true), &json!(["trie/a"])));
    assert_eq!((&installed["data_hash"], &installed["seq"]), (&seen["digest"], &json!(2)));
    assert_eq!(server.ask("POST", "/v1/plugins", &[], &other).is(200).json()["is_new"], false);
    let record = server.get("/v1/plugins/plugin/trie-fst/record").is(200).json();
    assert_eq!(record["metadata"]["typed"]["source"], "a shelf", "{record}");
    let inspected = server.get("/v1/plugins/trie-fst").is(200).json();
    assert_eq!(inspected["users"]["bindings"], json!(["trie"]), "{inspected}");

    let back = |more: Value| {
        let mut asked = json!({"name": "trie-fst"});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        send(&server, "POST", "/v1/rollbacks", &asked)
    };
    let planned = back(json!({"dry_run": true})).is(200).json();
    assert_eq!((&planned["target"]["seq"], &planned["would_change"]), (&json!(1), &json!(true)));
    back(json!({"to": 0})).fails(400, "invalid_request");
    back(json!({"to": 9})).fails(404, "not_found");
    back(json!({"colour": "red"})).fails(400, "invalid_request");
    send(&server, "POST", "/v1/rollbacks", &json!({"name": "nobody"})).fails(404, "not_found");
    let gone_back = back(json!({})).is(201).json();
    assert_eq!((&gone_back["seq"], &gone_back["data_hash"]), (&json!(3), &first));
    server.stop();
    cli.verify();
}

#[test]
fn components_and_bindings_are_taken_away_unless_they_are_needed() {
    let (cli, server) = world();
    let refused = remove(&server, "/v1/plugins/trie-fst").fails(409, "needed").json();
    assert!(refused["detail"].as_str().unwrap().contains("it is bound to trie"), "{refused}");
    for (target, status, code) in [
        ("/v1/plugins/nobody", 404, "unknown_component"),
        ("/v1/plugins/policy-archive?x=1", 400, "invalid_request"),
        ("/v1/bindings/retention", 404, "not_found"),
        ("/v1/bindings/policy", 409, "needed"),
        ("/v1/bindings/trie", 409, "needed"),
        ("/v1/quarantines/trie-fst", 404, "not_found"),
    ] {
        remove(&server, target).fails(status, code);
    }
    let removed = remove(&server, "/v1/plugins/policy-archive").is(200).json();
    assert_eq!((&removed["key"], &removed["seq"]), (&json!("plugins:plugin/policy-archive"), &json!(2)));
    server.get("/v1/plugins/policy-archive").fails(404, "unknown_component");
    send(&server, "POST", "/v1/rollbacks", &json!({"name": "policy-archive"})).is(201);
    server.get("/v1/plugins/policy-archive").is(200);

    let before = server.get("/v1/bindings").is(200).json();
    let retention = json!({"component": "retention-default"});
    let planned = send(&server, "PUT", "/v1/bindings/retention?dry_run=true", &retention).is(200).json();
    assert_eq!((&planned["would_change"], &planned["plan"]["steps"]), (&json!(true), &json!([])));
    let wrong = json!({"component": "trie-fst"});
    send(&server, "PUT", "/v1/bindings/retention?dry_run=true", &wrong).is(400);
    assert_eq!(server.get("/v1/bindings").is(200).json(), before);
    send(&server, "PUT", "/v1/bindings/retention", &retention).is(201);
    let same = send(&server, "PUT", "/v1/bindings/retention?dry_run=true", &retention).is(200).json();
    assert_eq!(same["would_change"], false);
    let bound = server.get("/v1/bindings").is(200).json();
    assert_eq!(bound["retention"]["in_use"]["resource_id"], "retention-default", "{bound}");
    remove(&server, "/v1/bindings/retention").is(200);
    assert_eq!(server.get("/v1/bindings").is(200).json(), before);
    server.get("/v1/breakers?x=1").fails(400, "invalid_request");
    assert_eq!(server.get("/v1/breakers").is(200).json(), json!({}));
    assert_eq!(server.get("/v1/quarantines?all=true").is(200).json(), json!([]));
    server.stop();
    cli.verify();
}

#[test]
fn old_versions_are_cleaned_up() {
    let (cli, server) = world();
    for round in 0..5 {
        server.put("/v1/default/literature/old", format!("round {round}").as_bytes()).is(201);
    }
    for bad in [json!({"dry_run": 1}), json!({"colour": "red"})] {
        send(&server, "POST", "/v1/cleanups", &bad).fails(400, "invalid_request");
    }
    let planned = send(&server, "POST", "/v1/cleanups", &json!({"dry_run": true})).is(200).json();
    assert_eq!((&planned["dry_run"], planned["dropped"].as_array().unwrap().len()), (&json!(true), 2));
    let prefer = [JSON, ("prefer", "respond-async")];
    let begun = server.ask("POST", "/v1/cleanups", &prefer, b"{}").is(202);
    assert_eq!(begun.json()["kind"], "cleanup");
    let job = begun.header("location").unwrap();
    // Until it has ended.
    server.get(&format!("{job}/events")).is(200);
    let ended = server.get(job).is(200).json();
    assert_eq!((&ended["state"], &ended["result"]["dropped"]), (&json!("done"), &planned["dropped"]));
    server.get("/v1/default/literature/old?seq=1").fails(410, "dropped");
    server.get("/v1/default/literature/old?seq=3").is(200);
    server.stop();
    cli.verify();
}

#[test]
fn cached_copies_are_dropped_by_pattern_by_namespace_or_all() {
    let (_cli, server) = world();
    let drop = |asked: Value| send(&server, "POST", "/v1/cache/invalidations", &asked);
    for bad in [
        json!({}),
        json!({"all": false}),
        json!({"patterns": []}),
        json!({"patterns": ["a"], "all": true}),
        json!({"namespace": "default", "all": true}),
        json!({"patterns": "a"}),
        json!({"colour": "red"}),
    ] {
        drop(bad).fails(400, "invalid_request");
    }
    drop(json!({"patterns": ["[a"]})).fails(400, "invalid_pattern");
    drop(json!({"namespace": "nowhere"})).fails(400, "unknown_namespace");
    server.get("/v1/default/literature/a").is(200);
    let gone = drop(json!({"patterns": ["literature/*", "trie/?"]})).is(200).json();
    assert_eq!(gone["resources"], 2);
    assert!(gone["memory"].as_u64().unwrap() > 0, "{gone}");
    assert_eq!(drop(json!({"patterns": ["literature/none"]})).is(200).json()["resources"], 0);
    server.get("/v1/default/literature/a").is(200);
    let gone = drop(json!({"namespace": "default"})).is(200).json();
    assert!(gone["memory"].as_u64().unwrap() > 0 && gone.get("resources").is_none(), "{gone}");
    server.get("/v1/default/literature/a").is(200);
    assert!(drop(json!({"all": true})).is(200).json()["memory"].as_u64().unwrap() > 0);
    server.get("/v1/default/literature/a").is(200);
}

#[test]
fn policies_are_compared() {
    let (_cli, server) = world();
    let asked = |a: &str, b: &str, more: Value| {
        let mut asked = json!({"a": {"component": a}, "b": {"component": b}});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        send(&server, "POST", "/v1/policies/comparisons", &asked)
    };
    asked("policy-default", "nobody", json!({})).fails(404, "unknown_component");
    asked("policy-default", "trie-fst", json!({})).fails(400, "plugin_wrong_contract");
    for bad in [json!({"last": 0}), json!({"last": 1_000_001}), json!({"colour": "red"}), json!({"b": {}})] {
        asked("policy-default", "policy-archive", bad).fails(400, "invalid_request");
    }
    let compared = asked("policy-default", "policy-archive", json!({"type": "literature"})).is(200).json();
    assert_eq!((&compared["total"]["count"], &compared["total"]["raw_bytes"]), (&json!(1), &json!(27)));
    assert_eq!(compared["by_type"].as_object().unwrap().keys().collect::<Vec<_>>(), ["literature"]);
    let jobs = server.get("/v1/jobs").is(200).json();
    assert_eq!((&jobs[0]["kind"], &jobs[0]["state"]), (&json!("comparison"), &json!("done")));
}
