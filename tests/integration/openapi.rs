//! The OpenAPI document as others use it: a validator reads it, a client is generated from it, and a server is asked all
//! that it describes.

use std::path::PathBuf;
use std::process::Command;

use floret_tests::cli::{Cli, Ran, run};
use floret_tests::http::Server;
use floret_tests::repository;
use serde_json::Value;

/// A program of `target/venv`, which finds the others there.
fn tool(name: &str) -> Command {
    let bin = repository().join("target/venv/bin");
    let program = bin.join(name);
    assert!(program.exists(), "{} is missing; run `cargo xtask servers`", program.display());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = [bin].into_iter().chain(std::env::split_paths(&path));
    let mut command = Command::new(program);
    command.env("PATH", std::env::join_paths(paths).unwrap()).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// It went well; else everything that it said is shown.
#[track_caller]
fn succeeds(mut command: Command) -> Ran {
    let ran = run(&mut command, b"");
    assert!(ran.status.success(), "{}\n{}", String::from_utf8_lossy(&ran.out), ran.err);
    ran
}

fn client(name: &str) -> PathBuf {
    repository().join("tests/clients").join(name)
}

#[test]
fn the_document_is_answered_to_everybody_as_it_is_kept_and_valid() {
    let cli = Cli::new();
    cli.run(&["token", "create", "ada", "--scope", "read"]).ok();
    let server = Server::start(&cli, &[]);
    server.get("/v1/resources").fails(401, "unauthenticated");
    let answer = server.get("/openapi.json").is(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let kept = std::fs::read(repository().join("docs/openapi.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    assert!(answer.json() == kept, "docs/openapi.json is of another program");
    let mut validator = tool("openapi-spec-validator");
    validator.args(["--schema", "3.1"]).arg(cli.file("openapi.json", &answer.body));
    succeeds(validator);
    server.get("/openapi.json?pretty").fails(400, "invalid_request");
}

#[test]
fn the_page_runs_nothing_and_is_told_to_load_nothing_of_others() {
    let cli = Cli::new();
    cli.run(&["token", "create", "ada", "--scope", "read"]).ok();
    let server = Server::start(&cli, &[]);
    let page = server.get("/docs").is(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
    let text = String::from_utf8(page.body).unwrap();
    assert!(
        text.contains("<section id=\"save_content\">") && text.contains("href=\"/docs/style.css\""),
        "{text}"
    );
    let style = server.get("/docs/style.css").is(200);
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
}

#[test]
fn a_client_generated_from_the_document_saves_builds_searches_and_follows() {
    let cli = Cli::new();
    let made = cli.run(&["--json", "token", "create", "ada", "--scope", "write"]).ok().json();
    let token = made["token"].as_str().unwrap();
    let server = Server::start(&cli, &[]);
    let url = format!("http://{}", server.address());
    let folder = tempfile::tempdir().unwrap();
    let mut generator = tool("openapi-python-client");
    generator.args(["generate", "--meta", "none", "--url", &format!("{url}/openapi.json"), "--output-path"]);
    generator.arg(folder.path().join("floret_api")).current_dir(folder.path());
    succeeds(generator);
    let mut python = tool("python");
    python.arg(client("generated.py")).args([&url, token]).env("PYTHONPATH", folder.path());
    assert_eq!(succeeds(python).text(), "all is as described\n");
}

#[test]
fn a_server_answers_as_described_whatever_it_is_asked() {
    let cli = Cli::with_trie();
    cli.run(&["build", "search/a", "--part", "corpus/a", "--part", "trie/a"]).ok();
    let server = Server::start(&cli, &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut fuzzer = tool("schemathesis");
    fuzzer.arg("--config-file").arg(client("schemathesis.toml"));
    fuzzer.args(["run", "--no-color", "--warnings", "off", "--continue-on-failure"]);
    // It ends when its client goes away.
    fuzzer.args(["--exclude-operation-id", "follow_publications"]);
    fuzzer.arg(format!("http://{}/openapi.json", server.address())).current_dir(folder.path());
    succeeds(fuzzer);
    server.get("/readyz").is(200);
    server.stop();
    cli.verify();
}
