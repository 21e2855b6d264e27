//! One client does not take all places of a server, and no request all time.

use std::io::{Read, Write};
use std::net::TcpStream;

use floret_tests::cli::Cli;
use floret_tests::guest;
use floret_tests::http::{Answer, Server, read_answer, send_head};

const AT: &str = "/v1/default/literature/a";

/// An upload that is at work, and of which the last byte is not sent.
fn begun(server: &Server, headers: &[(&str, &str)]) -> TcpStream {
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut stream = server.connect();
    let own = [("content-length", "4"), ("expect", "100-continue")];
    send_head(&mut stream, "PUT", AT, &[headers, &own].concat());
    // Which is said when the body is asked for.
    let mut told = [0; CONTINUE.len()];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(told, CONTINUE);
    stream.write_all(b"tex").unwrap();
    stream
}

fn finished(mut stream: TcpStream) -> Answer {
    stream.write_all(b"t").unwrap();
    read_answer(stream)
}

#[test]
fn one_client_has_so_many_requests_at_work() {
    let cli = Cli::configured("[serve]\nclient_requests_max = 2\n");
    let server = Server::start(&cli, &[]);
    let (first, second) = (begun(&server, &[]), begun(&server, &[]));
    let refused = server.get(AT).fails(429, "too_many_requests");
    assert_eq!(refused.header("retry-after"), Some("1"));
    server.get("/healthz").is(200);
    finished(first).is(201);
    // Its place is free before its answer is there.
    server.get(AT).is(200);
    finished(second).is(200);
}

#[test]
fn tokens_are_counted_each_by_itself() {
    let cli = Cli::configured("[serve]\nclient_requests_max = 1\n");
    let bearer = |name: &str| {
        let made = cli.run(&["--json", "token", "create", name, "--scope", "write"]).ok().json();
        format!("Bearer {}", made["token"].as_str().unwrap())
    };
    let (ada, bede) = (bearer("ada"), bearer("bede"));
    let server = Server::start(&cli, &[]);
    let upload = begun(&server, &[("authorization", &ada)]);
    let ask = |bearer: &str| server.ask("GET", AT, &[("authorization", bearer)], b"");
    ask(&ada).fails(429, "too_many_requests");
    ask(&bede).fails(404, "not_found");
    // Who is not let in takes no place.
    server.get(AT).fails(401, "unauthenticated");
    finished(upload).is(201);
    ask(&ada).is(200);
}

#[test]
fn a_request_that_takes_too_long_is_given_up() {
    let cli = Cli::configured("[serve]\nrequest_timeout = \"500ms\"\n");
    let component = cli.file("loop.wasm", guest("misbehave-index").unwrap());
    cli.save("literature/a", b"union unions united liberty");
    cli.run(&["corpus", "create", "corpus/a", "--text", "literature/a"]).ok();
    cli.run(&["plugin", "install", component.to_str().unwrap()]).ok();
    cli.run(&["plugin", "bind", "misbehaving", "misbehave-index", "--set", "mode=search-loop"]).ok();
    cli.run(&["build", "misbehaving/a", "--from", "corpus/a"]).ok();
    let server = Server::start(&cli, &[]);
    let late = server.get("/v1/search?index=misbehaving/a&text=x").fails(503, "took_too_long");
    assert_eq!(late.header("retry-after"), Some("1"));
    server.get("/healthz").is(200);
    // An upload has a time of its own.
    let upload = begun(&server, &[]);
    server.get("/v1/search?index=misbehaving/a&text=x").fails(503, "took_too_long");
    finished(upload).is(201);
}

#[test]
fn limits_under_which_nothing_is_answered_are_refused() {
    for (line, word) in [
        ("client_requests_max = 0", "serve.client_requests_max"),
        ("client_requests_max = -1", "client_requests_max"),
        ("request_timeout = \"0s\"", "serve.request_timeout"),
        ("request_timeout = \"soon\"", "request_timeout"),
    ] {
        let cli = Cli::configured(&format!("[serve]\n{line}\n"));
        cli.run(&["serve", "--listen", "127.0.0.1:0"]).fails(2, &[word]);
    }
}
