//! The examples run, and do what they say.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use floret_tests::cli::{Cli, Ran, command, run};
use floret_tests::http::Server;
use floret_tests::{example, repository};

fn python(arguments: &[&str]) -> Ran {
    let mut python = Command::new("python3");
    python.args(arguments).current_dir(repository().join("examples/http-client"));
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    run(&mut python, b"")
}

#[test]
fn a_program_that_embeds_floret_builds_once_and_leaves_a_home_that_the_binary_reads() {
    let cli = Cli::new();
    let embed = || run(command(&example("embed")).arg(cli.data()), b"").ok();
    let first = embed();
    for part in [
        "saved literature/walden@1",
        "built 3, 0 as before",
        "deliberately",
        "literature/walden@2 is stored as",
    ] {
        assert!(first.text().contains(part), "no {part:?} in {}", first.text());
    }
    let second = embed();
    assert!(second.text().contains("kept literature/moby-dick@1"), "{}", second.text());
    assert!(cli.run(&["log", "search/novels"]).ok().text().lines().count() >= 2);
    cli.verify();
}

#[test]
fn a_contract_of_ones_own_runs_in_the_sandbox() {
    let cli = Cli::new();
    let ran = run(command(&example("custom-contract")).arg(cli.data()), b"").ok();
    assert_eq!(ran.text(), "unknown: smal, flowr\nasked the dictionary 6 times\n");
}

#[test]
fn the_tour_of_the_command_line_runs_through() {
    let cli = Cli::new();
    let mut tour = command("sh".as_ref());
    tour.arg(repository().join("examples/cli/tour.sh")).arg(cli.data()).env("FLORET", floret_tests::binary());
    let ran = run(&mut tour, b"").ok();
    for part in [
        "nearest to 'libertty':\n  liberty, ",
        "it is still @1",
        "exit code 3: error: literature/nobody is not there",
        "[not_found]",
        "Exit 3, HTTP 404.",
    ] {
        assert!(ran.text().contains(part), "no {part:?} in {}", ran.text());
    }
}

#[test]
fn the_http_client_loses_no_line_of_eight_writers() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let url = format!("http://{}", server.address());
    let ran = python(&["floret_client.py", &url]).ok();
    for part in [
        "literature/guest-book@8 has 8 lines of 8 guests",
        "@1 says 'guest ",
        "refused: literature/guest-book has moved on: expected @1, found @8",
        "[conflict]",
    ] {
        assert!(ran.text().contains(part), "no {part:?} in {}", ran.text());
    }
}

#[test]
fn the_http_client_tells_errors_apart_and_encodes_names() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let code = r#"
import sys
from floret_client import Client, Conflict, NotFound, Problem
client = Client(sys.argv[1])
assert client.is_ready()
assert not Client("http://127.0.0.1:1", tries=1).is_ready()
def refused(kind, status, code, work):
    try:
        work()
    except kind as problem:
        assert (problem.status, problem.code) == (status, code), problem
        assert problem.detail
    else:
        raise AssertionError(code)
refused(NotFound, 404, "not_found", lambda: client.get("literature/a"))
refused(Problem, 400, "unknown_namespace", lambda: client.get("nowhere:literature/a"))
refused(Problem, 400, "invalid_request", lambda: client.put("corpus/a", b"x"))
saved = client.put("literature/a/b c?#ü", b"text", "text/markdown", if_absent=True)
assert saved["is_new"] and saved["resource_id"] == "a/b c?#ü", saved
refused(Conflict, 412, "conflict", lambda: client.put("literature/a/b c?#ü", b"x", if_absent=True))
found = client.get("default:literature/a/b c?#ü", at_least=1)
assert (found.content, found.media_type, found.seq, found.version) == (b"text", "text/markdown", 1, "1.0.0")
assert not client.put("literature/a/b c?#ü", b"text", "text/markdown", if_match=found.etag)["is_new"]
assert [entry["seq"] for entry in client.log("literature/a/b c?#ü", page=1)] == [1]
"#;
    python(&["-c", code, &format!("http://{}", server.address())]).ok();
}

/// Answers each connection with one of these, in order, and tells what was asked.
fn scripted(answers: &'static [&'static str]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut piece = [0; 4096];
            let len = stream.read(&mut piece).unwrap();
            asked.push(String::from_utf8_lossy(&piece[..len]).into_owned());
            stream.write_all(answer.as_bytes()).unwrap();
        }
        asked
    };
    (url, std::thread::spawn(answering))
}

#[test]
fn the_http_client_tries_503_again_and_gives_up_on_anything_else() {
    const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncontent-length: 39\r\nconnection: close\r\n\r\n{\"code\":\"unavailable\",\"detail\":\"busy\"}\n";
    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nfloret-seq: 3\r\nfloret-version: 1.0.2\r\netag: \"x\"\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";
    const PROXY: &str = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops";
    let (url, server) = scripted(&[BUSY, BUSY, GOOD]);
    let code = "import sys; from floret_client import Client; print(Client(sys.argv[1]).get('literature/a').content)";
    assert_eq!(python(&["-c", code, &url]).ok().text(), "b'hi'\n");
    let asked = server.join().unwrap();
    assert!(
        asked.iter().all(|asked| asked.starts_with("GET /v1/default/literature/a HTTP/1.1")),
        "{asked:?}"
    );
    let (url, server) = scripted(&[BUSY, BUSY]);
    let code =
        "import sys; from floret_client import Client; Client(sys.argv[1], tries=2).get('literature/a')";
    assert!(python(&["-c", code, &url]).err.contains("Problem: busy [unavailable]"));
    server.join().unwrap();
    let (url, server) = scripted(&[PROXY]);
    assert!(python(&["-c", code, &url]).err.contains("Problem: oops [other]"));
    server.join().unwrap();
}

#[test]
fn errors_are_explained_on_the_command_line_and_over_http() {
    let cli = Cli::configured("no such thing = at all");
    let entry = cli.run(&["explain", "[plugin-limit]"]).ok();
    assert!(entry.text().starts_with("plugin_limit\n\nExit 5, HTTP 500."), "{}", entry.text());
    assert_eq!(cli.run(&["--json", "explain", "dropped"]).ok().json()["status"], 410);
    assert!(cli.run(&["explain"]).ok().text().lines().any(|line| line == "cascade_failed"));
    cli.run(&["explain", "nothing"]).fails(3, &["an error with the code", "[not_found]"]);
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let problem = server.get("/v1/default/literature/a").fails(404, "not_found").json();
    let place = problem["type"].as_str().unwrap();
    assert_eq!(place, "/errors/not_found");
    let text = String::from_utf8(server.get(place).is(200).body).unwrap();
    assert!(text.starts_with("# `not_found`") && text.contains("**What to do.**"), "{text}");
    server.get("/errors/nothing").fails(404, "not_found");
}
