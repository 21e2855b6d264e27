//! What `floret serve` answers in a second, beside a bare axum that answers as many bytes, both as processes of their own on
//! this machine, asked by turns over kept connections; and whether its memory stays flat.
//!
//! Data: one text of 1 KB that is read again and again; entries and texts of 1 KB made from a counter, each saved once by one
//! of 64 connections. Goals: reads at 60 % of the bare server's a second, 99 of 100 within 3 times its time; 5,000 durable saves a
//! second. `FLORET_BENCH_SECONDS` is how long memory is watched (20 unless it is set).

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use floret_tests::cli::Cli;
use floret_tests::http::Server;
use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const READERS: usize = 16;
const WRITERS: usize = 64;
/// Of one measurement, of which each server has this many by turns: medians are reported.
const SPAN: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
const TEXT_BYTES: usize = 1024;
/// What the second process is told to be.
const BARE: &str = "--bare";

/// A server that does nothing but answer.
struct Bare(Child, SocketAddr);

impl Bare {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program).arg(BARE).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let told = BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line);
        told.expect("it says where it listens");
        Self(child, line.trim().parse().expect("an address"))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn be_bare() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    println!("{}", listener.local_addr().expect("it listens"));
    let app = Router::new().route("/", get(async || "x".repeat(TEXT_BYTES)));
    axum::serve(listener, app).await.expect("it serves");
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    answers: u64,
    took: Vec<Duration>,
}

/// Ask over one connection for a time; `request` makes each request from its number.
async fn ask(address: SocketAddr, span: Duration, request: impl Fn(u64) -> Vec<u8>) -> Seen {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let (mut seen, mut held) = (Seen::default(), Vec::new());
    let end = Instant::now() + span;
    while Instant::now() < end {
        let began = Instant::now();
        stream.write_all(&request(seen.answers)).await.expect("sent");
        answer(&mut stream, &mut held).await;
        seen.took.push(began.elapsed());
        seen.answers += 1;
    }
    seen
}

/// Read one answer; what follows it stays in `held`.
async fn answer(stream: &mut TcpStream, held: &mut Vec<u8>) {
    let head = loop {
        if let Some(end) = held.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        assert!(stream.read_buf(held).await.expect("read") > 0, "the connection ended");
    };
    let text = std::str::from_utf8(&held[..head]).expect("a head is text").to_ascii_lowercase();
    assert!(text.starts_with("http/1.1 20"), "{text}");
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|length| length.trim().parse().ok()).expect("a length");
    while held.len() < head + length {
        assert!(stream.read_buf(held).await.expect("read") > 0, "the connection ended");
    }
    held.drain(..head + length);
}

/// Answers a second, and the time within which 99 of 100 came.
fn figures(seen: Vec<Seen>, span: Duration) -> (f64, Duration) {
    let answers: u64 = seen.iter().map(|seen| seen.answers).sum();
    let mut took: Vec<Duration> = seen.into_iter().flat_map(|seen| seen.took).collect();
    took.sort_unstable();
    let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
    (answers as f64 / span.as_secs_f64(), p99)
}

async fn reads(address: SocketAddr, path: &str) -> (f64, Duration) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes();
    let seen = join_all((0..READERS).map(|_| {
        let request = request.clone();
        tokio::spawn(ask(address, SPAN, move |_| request.clone()))
    }));
    let seen = seen.await.into_iter().map(|seen| seen.expect("no connection fails")).collect();
    figures(seen, SPAN)
}

/// What is saved: a text, of which a component counts the words, or an entry of a dictionary.
#[derive(Clone, Copy)]
enum Saved {
    Text,
    Entry,
}

async fn saves(address: SocketAddr, what: Saved, round: usize) -> (f64, Duration) {
    let seen = join_all((0..WRITERS).map(|writer| {
        let request = move |number: u64| {
            let line = format!("round {round} writer {writer} number {number} of the saves\n");
            let text = &line.repeat(TEXT_BYTES / line.len() + 1)[..TEXT_BYTES];
            let kind = match what {
                Saved::Text => "literature",
                Saved::Entry => "dictionary",
            };
            let path = format!("/v1/default/{kind}/{round}-{writer}-{number}");
            format!("PUT {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: text/plain\r\ncontent-length: {TEXT_BYTES}\r\n\r\n{text}").into_bytes()
        };
        tokio::spawn(ask(address, SPAN, request))
    }));
    let seen = seen.await.into_iter().map(|seen| seen.expect("no connection fails")).collect();
    figures(seen, SPAN)
}

fn median(mut figures: Vec<(f64, Duration)>) -> (f64, Duration) {
    figures.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rate = figures[figures.len() / 2].0;
    figures.sort_by_key(|figure| figure.1);
    (rate, figures[figures.len() / 2].1)
}

fn row(name: &str, (rate, p99): (f64, Duration), beside: &str) {
    println!("{name:<52} {rate:>10.0}/s   p99 {:>9.3} ms   {beside}", p99.as_secs_f64() * 1e3);
}

/// Medians of the ratios of rounds that followed one another, so that a machine that is faster for a while is it for both.
fn ratios(ours: &[(f64, Duration)], theirs: &[(f64, Duration)]) -> String {
    let middle = |mut ratios: Vec<f64>| {
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    };
    let pairs = || ours.iter().zip(theirs);
    let rate = middle(pairs().map(|(ours, theirs)| ours.0 / theirs.0).collect());
    let p99 = middle(pairs().map(|(ours, theirs)| ours.1.as_secs_f64() / theirs.1.as_secs_f64()).collect());
    format!("{rate:.2} of it, p99 {p99:.2} times its")
}

async fn measure() {
    let cli = Cli::new();
    let text = "x".repeat(TEXT_BYTES);
    let server = Server::start(&cli, &[]);
    server.put("/v1/default/literature/hot", text.as_bytes()).is(201);
    let address: SocketAddr = server.address().parse().expect("an address");
    let bare = Bare::start();
    let (mut of_bare, mut of_floret, mut of_texts, mut of_entries) = (vec![], vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        of_bare.push(reads(bare.1, "/").await);
        of_floret.push(reads(address, "/v1/default/literature/hot").await);
        of_texts.push(saves(address, Saved::Text, round).await);
        of_entries.push(saves(address, Saved::Entry, round).await);
    }
    let ratios = ratios(&of_floret, &of_bare);
    row(&format!("bare axum, 1 KB, {READERS} connections"), median(of_bare), "");
    row(&format!("read of a hot version of 1 KB, {READERS} connections"), median(of_floret), &ratios);
    row(&format!("durable save of an entry of 1 KB, {WRITERS} connections"), median(of_entries), "");
    row(&format!("the same of a text, analysed, {WRITERS} connections"), median(of_texts), "");
    let watched =
        std::env::var("FLORET_BENCH_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(20);
    let (began, first) = (Instant::now(), server.memory_bytes());
    println!("memory at the beginning {:>8.1} MB", first as f64 / 1e6);
    while began.elapsed() < Duration::from_secs(watched) {
        reads(address, "/v1/default/literature/hot").await;
        println!(
            "memory after {:>4} s of reads {:>7.1} MB",
            began.elapsed().as_secs(),
            server.memory_bytes() as f64 / 1e6
        );
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match std::env::args().any(|argument| argument == BARE) {
        true => runtime.block_on(be_bare()),
        false => runtime.block_on(measure()),
    }
}
