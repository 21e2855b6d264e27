//! What comes over the wire that is no good request, and connections that say nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use floret_tests::cli::Cli;
use floret_tests::http::{Server, read_answer, send_head};

/// Send these bytes, and read until the server closes the connection.
fn told(server: &Server, bytes: &[u8]) -> String {
    let mut stream = server.connect();
    // Who refuses a long head may close before it is read.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Connections that say nothing, and as many that say half of something.
const IDLE: usize = 1_000;
/// Files that this process has open beside the connections: other tests share it.
const OTHER_FILES_MAX: usize = 2_000;

/// Let this process, and those that it starts from here on, open as many files as the test needs.
fn allow_files() {
    let files = 2 * IDLE + OTHER_FILES_MAX;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let allowed = |field: usize| limit.split_whitespace().nth(field).unwrap().parse().unwrap_or(usize::MAX);
    if allowed(0) < files {
        assert!(allowed(1) >= files, "`ulimit -Hn` is {}: this test needs {files}", allowed(1));
        let process = std::process::id().to_string();
        let soft = format!("--nofile={files}:");
        let raised = Command::new("prlimit").args(["--pid", &process, &soft]).status().unwrap();
        assert!(raised.success());
    }
}

#[test]
fn idle_connections_hurt_nobody() {
    allow_files();
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    server.put("/v1/default/literature/a", b"text").is(201);
    let before = server.memory_peak_bytes();
    let idle: Vec<TcpStream> = (0..IDLE).map(|_| server.connect()).collect();
    let asked: Vec<TcpStream> = (0..IDLE)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET /v1/default/literature/a HTTP/1.1\r\nhost: ").expect("sent");
            stream
        })
        .collect();
    assert_eq!(server.get("/v1/default/literature/a").is(200).body, b"text");
    let extra = server.memory_peak_bytes() - before;
    assert!(extra < 160 << 20, "{extra} bytes for {} connections", idle.len() + asked.len());
}

#[test]
fn garbage_is_refused_and_nobody_else_notices() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    for garbage in
        ["\u{16}\u{3}\u{1}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\r\n \r\n: x\r\n\r\n"]
    {
        let answer = told(&server, garbage.as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{garbage:?}: {answer}");
    }
    // A good request before the garbage is answered.
    let answer = told(&server, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nnonsense\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.get("/healthz").is(200);
}

#[test]
fn long_heads_are_refused() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let long = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(1000));
    for head in [long, many] {
        let answer = told(&server, head.as_bytes());
        let status = answer.split(' ').nth(1).unwrap_or_default();
        // One that is closed before all was sent may lose the answer on its way.
        assert!(["", "400", "431"].contains(&status), "{answer}");
    }
    server.get("/healthz").is(200);
}

#[test]
fn a_client_that_vanishes_in_an_upload_leaves_nothing() {
    let cli = Cli::configured("[serve]\nclient_requests_max = 1000\n");
    let server = Server::start(&cli, &[]);
    let at = "/v1/default/literature/a";
    for _ in 0..100 {
        let mut stream = server.connect();
        send_head(&mut stream, "PUT", at, &[("content-length", "1000")]);
        stream.write_all(b"not all of it").expect("sent");
    }
    server.get(at).fails(404, "not_found");
    let mut stream = server.connect();
    send_head(&mut stream, "PUT", at, &[("content-length", "4")]);
    stream.write_all(b"text").expect("sent");
    read_answer(stream).is(201);
    server.stop();
    cli.verify();
}

#[test]
fn pages_of_others_get_nothing_from_this_machine() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let rebound = told(&server, b"GET /healthz HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    assert!(rebound.starts_with("HTTP/1.1 421") && rebound.contains("misdirected"), "{rebound}");
    let at = "/v1/default/literature/a";
    for header in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        server.ask("PUT", at, &[header], b"text").fails(403, "cross_site");
    }
    server.get(at).fails(404, "not_found");
    let own = format!("http://{}", server.address());
    server.ask("PUT", at, &[("origin", &own)], b"text").is(201);
    let read = server.ask("GET", at, &[("origin", "https://evil.example")], b"").is(200);
    assert!(read.headers.iter().all(|(name, _)| !name.starts_with("access-control")), "{read:?}");
    server.ask("OPTIONS", at, &[("origin", "https://evil.example")], b"").fails(405, "method_not_allowed");
}

#[test]
fn a_request_is_known_by_its_id() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let named = server.ask("GET", "/healthz", &[("x-request-id", "mine-1")], b"").is(200);
    assert_eq!(named.header("x-request-id"), Some("mine-1"));
    let other = server.ask("GET", "/healthz", &[("x-request-id", "<b>")], b"").is(200);
    assert_eq!(other.header("x-request-id").map(str::len), Some(16));
    for (method, path, status) in
        [("GET", "/nothing/here", 404), ("PUT", "/healthz", 405), ("GET", "/v1/jobs/x", 404)]
    {
        let answer = server.ask(method, path, &[("x-request-id", "mine-2")], b"").is(status);
        assert_eq!(answer.header("x-request-id"), Some("mine-2"), "{method} {path}");
    }
}

#[test]
fn certificates_that_cannot_be_used_are_refused() {
    let cli = Cli::new();
    let pair = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let cert = cli.file(&format!("{name}.crt"), made.cert.pem());
        let key = cli.file(&format!("{name}.key"), made.signing_key.serialize_pem());
        (cert, key)
    };
    let ((cert, _), (_, other)) = (pair("a"), pair("b"));
    for (cert, key, word) in
        [(&cert, &other, "cannot be used"), (&other, &other, "PEM"), (&cert, &cert, "PEM")]
    {
        let mut serve = cli.command(&["serve", "--listen", "127.0.0.1:0"]);
        serve.env("FLORET_SERVE__TLS_CERT", cert).env("FLORET_SERVE__TLS_KEY", key);
        floret_tests::cli::run(&mut serve, b"").fails(2, &[word]);
        let [cert, key] = [cert, key].map(|path| path.to_str().unwrap());
        let flags = ["serve", "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key];
        cli.run(&flags).fails(2, &[word]);
    }
    let mut half = cli.command(&["serve", "--listen", "127.0.0.1:0"]);
    half.env("FLORET_SERVE__TLS_CERT", &cert);
    floret_tests::cli::run(&mut half, b"").fails(2, &["serve.tls_key"]);
}

/// A certificate for this machine and its key, in the two files that a server reads.
fn renew(cli: &Cli) -> (PathBuf, PathBuf, String) {
    let made =
        rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let text = made.cert.pem();
    let key = cli.file("served.key", made.signing_key.serialize_pem());
    (cli.file("served.crt", &text), key, text)
}

#[test]
fn tls_is_spoken_with_the_certificate_that_is_there_now() {
    let cli = Cli::new();
    let (cert, key, first) = renew(&cli);
    let [cert, key] = [&cert, &key].map(|path| path.to_str().unwrap());
    let server = Server::start(&cli, &["--tls-cert", cert, "--tls-key", key]);
    let client = Cli::new();
    let url = format!("https://{}", server.address());
    let asked = |authority: &str| {
        let authority = client.file("authority.pem", authority);
        client.run(&["--server", &url, "--ca-file", authority.to_str().unwrap(), "list"])
    };
    asked(&first).ok();
    client.run(&["--server", &url, "list"]).fails(8, &["certificate"]);
    let health = ["health", server.address(), "--tls-name", "localhost"];
    client.run(&health).fails(8, &["certificate"]);
    let vouched = client.file("vouched.pem", &first);
    client.run(&[&health[..], &["--ca-file", vouched.to_str().unwrap()]].concat()).ok();
    client.run(&["health", server.address()]).fails(8, &["start `floret serve`"]);
    assert!(!told(&server, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").contains("200 OK"));
    let (_, _, second) = renew(&cli);
    let until = Instant::now() + Duration::from_secs(30);
    while !asked(&second).status.success() {
        assert!(Instant::now() < until, "the new certificate is not in use");
    }
    asked(&first).fails(8, &["certificate"]);
    server.stop();
}
