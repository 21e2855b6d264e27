//! Long work over HTTP: jobs that are begun, followed, looked at and cancelled.

use floret_tests::cli::Cli;
use floret_tests::http::{Answer, Server};
use serde_json::Value;

/// A text and what is built from it, and a server with a newer text.
fn world() -> (Cli, Server) {
    let cli = Cli::with_trie();
    let server = Server::start(&cli, &[]);
    server.put("/v1/default/literature/a", b"union unions united liberty justice").is(201);
    (cli, server)
}

fn post(server: &Server, target: &str, body: &str, prefer: &str) -> Answer {
    server.ask("POST", target, &[("content-type", "application/json"), ("prefer", prefer)], body.as_bytes())
}

/// Ids and names of the events that are sent until the job has ended.
fn events(server: &Server, job: &str, headers: &[(&str, &str)]) -> Vec<(u64, String)> {
    let answer = server.ask("GET", &format!("{job}/events"), headers, b"").is(200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let text = String::from_utf8(answer.body).unwrap();
    let field = |name: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned()).collect()
    };
    let ids = field("id:").iter().map(|id| id.parse().unwrap()).collect::<Vec<u64>>();
    ids.into_iter().zip(field("event:")).collect()
}

#[test]
fn a_cascade_is_followed_from_any_event_on() {
    let (_cli, server) = world();
    let begun =
        post(&server, "/v1/cascades", r#"{"keys": ["literature/a"]}"#, "wait=1, Respond-Async").is(202);
    let job = begun.header("location").unwrap().to_owned();
    let (kind, subject) = (begun.json()["kind"].clone(), begun.json()["subject"].clone());
    assert_eq!((kind.as_str(), subject.as_str()), (Some("cascade"), Some("literature/a")));
    let all = events(&server, &job, &[]);
    let (ids, names): (Vec<u64>, Vec<&str>) = all.iter().map(|(id, name)| (*id, name.as_str())).unzip();
    assert_eq!(ids, (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!((names.first(), names.last()), (Some(&"planned"), Some(&"ended")), "{names:?}");
    for (name, times) in [("step_started", 2), ("step_finished", 2), ("published", 1)] {
        assert_eq!(names.iter().filter(|it| **it == name).count(), times, "{names:?}");
    }
    assert_eq!(events(&server, &job, &[("last-event-id", "2")]), all[2..]);
    let last = all.len().to_string();
    assert!(events(&server, &job, &[("last-event-id", &last)]).is_empty());
    server.ask("GET", &format!("{job}/events"), &[("last-event-id", "x")], b"").fails(400, "invalid_request");
    let ended = server.get(&job).is(200).json();
    assert_eq!((ended["state"].as_str(), &ended["steps_done"]), (Some("done"), &ended["steps_planned"]));
    assert_eq!(ended["result"]["published"], true, "{ended}");
    // What has ended stays as it is.
    let cancelled = server.ask("DELETE", &job, &[], b"").is(202).json();
    assert_eq!((cancelled["state"].as_str(), &cancelled["result"]), (Some("done"), &Value::Null));
    let listed = server.get("/v1/jobs").is(200).json();
    assert_eq!(listed[0]["id"], ended["id"]);
    let found = server.get("/v1/search?index=trie/a&text=justice").is(200).json();
    assert_eq!(found["hits"][0]["word"], "justice");
}

#[test]
fn who_waits_gets_the_result_and_failures_are_told_either_way() {
    let (_cli, server) = world();
    let report = post(&server, "/v1/cascades", r#"{"keys": ["literature/a"]}"#, "wait=10").is(200).json();
    assert_eq!(report["published"], true, "{report}");
    assert_eq!(server.get("/v1/jobs").is(200).json().as_array().unwrap().len(), 1);
    let wrong = r#"{"key": "trie/b", "inputs": ["corpus/nowhere"]}"#;
    let waited = post(&server, "/v1/builds", wrong, "").json();
    let begun = post(&server, "/v1/builds", wrong, "respond-async").is(202);
    let job = begun.header("location").unwrap();
    assert_eq!(events(&server, job, &[]).last().unwrap().1, "ended");
    let failed = server.get(job).is(200).json();
    assert_eq!((failed["state"].as_str(), &failed["problem"]), (Some("failed"), &waited));
    let verified = post(&server, "/v1/verifications", "{}", "").is(200).json();
    assert_eq!(verified["sound"], true);
    // What cannot be begun is no job.
    post(&server, "/v1/cascades", r#"{"keys": []}"#, "respond-async").fails(400, "invalid_request");
    assert_eq!(server.get("/v1/jobs").is(200).json().as_array().unwrap().len(), 4);
    for (method, target) in [("GET", ""), ("GET", "/events"), ("DELETE", "")] {
        server.ask(method, &format!("/v1/jobs/0badcafe{target}"), &[], b"").fails(404, "not_found");
    }
    server.get(&format!("{job}?x=1")).fails(400, "invalid_request");
    server.stop();
}
