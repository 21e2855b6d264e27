//! `floret serve` and a client for it that does nothing by itself: what is asked goes over the wire as it is given.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use serde_json::Value;

use crate::cli::Cli;

/// A running `floret serve`. Killed when it is dropped.
pub struct Server {
    child: Child,
    address: String,
    // Kept, so that the pipe stays open.
    _stdout: BufReader<ChildStdout>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// E.g. 200.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Server {
    /// Start it in a data folder, on a port that is free.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(cli: &Cli, args: &[&str]) -> Self {
        let all = [&["serve", "--listen", "127.0.0.1:0"], args].concat();
        Self::spawn(cli.command(&all))
    }

    /// Start it by a command that is ready but for its pipes.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening\t").and_then(|url| Some(url.split_once("://")?.1));
        let address = address.unwrap_or_else(|| panic!("it did not come up, and said {line:?}")).to_owned();
        Self { child, address, _stdout: stdout }
    }

    /// `ADDRESS:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A connection.
    ///
    /// # Panics
    /// If there is none.
    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).expect("the server listens")
    }

    /// Ask, and read the answer.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let length = body.len().to_string();
        let headers = [headers, &[("content-length", length.as_str())]].concat();
        send_head(&mut stream, method, target, &headers);
        stream.write_all(body).expect("sent");
        read_answer(stream)
    }

    /// `GET` without anything else.
    pub fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], b"")
    }

    /// `PUT` without anything else.
    pub fn put(&self, target: &str, body: &[u8]) -> Answer {
        self.ask("PUT", target, &[], body)
    }

    /// The most memory that it ever took, as the kernel counts it.
    ///
    /// # Panics
    /// If the kernel does not tell.
    pub fn memory_peak_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// The memory that it takes now, as the kernel counts it.
    ///
    /// # Panics
    /// If the kernel does not tell.
    pub fn memory_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    fn status_bytes(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field is there");
        line.trim().strip_suffix(" kB").and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
    }

    /// Send it a signal, by name.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(kill.expect("kill starts").success());
    }

    /// Wait for its end.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    /// Ask it to end, and see that it ends well.
    ///
    /// # Panics
    /// If it does not.
    pub fn stop(mut self) {
        self.signal("TERM");
        let status = self.wait();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and need not.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    /// It has this status.
    ///
    /// # Panics
    /// If it has another.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// It is a problem with this status and code.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn fails(self, status: u16, code: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let document = answer.json();
        assert_eq!(
            (document["code"].as_str(), document["status"].as_u64()),
            (Some(code), Some(status.into()))
        );
        answer
    }

    /// A header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Its body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// Send a request up to its body. The connection is closed after its answer.
///
/// # Panics
/// If it cannot be sent.
pub fn send_head(stream: &mut TcpStream, method: &str, target: &str, headers: &[(&str, &str)]) {
    let host = stream.peer_addr().expect("it is connected");
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
}

/// Read an answer to the end of the connection.
///
/// # Panics
/// If there is none.
pub fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        // Who refuses a long body may close before it is read.
        assert!(!bytes.is_empty(), "no answer: {error}");
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&bytes[..end]).expect("a head of text");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let body = bytes[end + 4..].to_vec();
    Answer { status: status.expect("a status"), headers, body }
}
