//! A proxy before an HTTP server that fails on command: one request for each connection.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// What goes wrong with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is answered with this status and an S3 error, and the server never sees it.
    Status(u16),
    /// It is never answered, and the server never sees it.
    Stall,
    /// The server does it, but the connection is closed before the answer.
    LoseAnswer,
    /// The answer's body is cut to half, and the answer says that this is all.
    Shorten,
    /// The answer's body is cut to half, and the connection closed.
    Cut,
    /// One bit of the answer's body is another.
    Flip,
    /// The answer's body comes in 20 pieces, with so many milliseconds between them.
    Trickle(u64),
}

struct Planned {
    method: &'static str,
    fault: Fault,
    times: usize,
}

#[derive(Default)]
struct Shared {
    planned: Mutex<Vec<Planned>>,
    seen: Mutex<Vec<String>>,
    faults: AtomicUsize,
}

/// The proxy. Ends when it is dropped.
pub struct Faulty {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

impl Faulty {
    /// A proxy on a free port that passes everything on, until it is told otherwise.
    ///
    /// # Panics
    /// If there is no port.
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let inside = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = listen(listener, server, inside) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, shared, _stop: stop }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Let the next `times` requests of a method fail, after those that were planned before.
    pub fn plan(&self, method: &'static str, fault: Fault, times: usize) {
        self.shared.planned.lock().push(Planned { method, fault, times });
    }

    /// Forget what was planned and seen.
    pub fn clear(&self) {
        self.shared.planned.lock().clear();
        self.shared.seen.lock().clear();
        self.shared.faults.store(0, Ordering::SeqCst);
    }

    /// How many requests failed on command.
    pub fn faults(&self) -> usize {
        self.shared.faults.load(Ordering::SeqCst)
    }

    /// The first line of every request, in order.
    pub fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().clone()
    }
}

async fn listen(listener: TcpListener, server: SocketAddr, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // A client that goes away, or a server that does, ends the exchange and nothing else.
        tokio::spawn(async move { exchange(client, server, &shared).await });
    }
}

impl Shared {
    fn fault(&self, request: &str) -> Option<Fault> {
        self.seen.lock().push(request.to_owned());
        let method = request.split(' ').next().unwrap_or_default();
        let mut planned = self.planned.lock();
        let next = planned.iter_mut().find(|planned| planned.method == method && planned.times > 0)?;
        next.times -= 1;
        self.faults.fetch_add(1, Ordering::SeqCst);
        Some(next.fault)
    }
}

async fn exchange(client: TcpStream, server: SocketAddr, shared: &Shared) -> Result<()> {
    let mut client = BufReader::new(client);
    let head = head(&mut client).await?;
    let request = head.first().context("a request line")?;
    let length = content_length(&head).unwrap_or(0);
    let fault = shared.fault(request);
    match fault {
        Some(Fault::Status(status)) => {
            let mut body = vec![0; length];
            client.read_exact(&mut body).await?;
            let body =
                format!("<Error><Code>InternalError</Code><Message>planned {status}</Message></Error>");
            let answer = format!(
                "HTTP/1.1 {status} Planned\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            client.write_all(answer.as_bytes()).await?;
            return Ok(client.shutdown().await?);
        }
        Some(Fault::Stall) => return std::future::pending().await,
        _ => {}
    }
    let mut server = BufReader::new(TcpStream::connect(server).await?);
    server.write_all(&with_close(&head)).await?;
    tokio::io::copy(&mut (&mut client).take(length as u64), &mut server).await?;
    let answer_head = self::head(&mut server).await?;
    let mut body = Vec::new();
    server.read_to_end(&mut body).await?;
    if fault == Some(Fault::LoseAnswer) {
        return Ok(());
    }
    hand_over(&mut client, answer_head, body, fault).await
}

async fn hand_over(
    client: &mut BufReader<TcpStream>,
    mut head: Vec<String>,
    mut body: Vec<u8>,
    fault: Option<Fault>,
) -> Result<()> {
    let half = body.len() / 2;
    let mut pause = None;
    match fault {
        Some(Fault::Shorten) => {
            body.truncate(half);
            let is_length = |line: &String| line.to_ascii_lowercase().starts_with("content-length:");
            for line in head.iter_mut().filter(|line| is_length(line)) {
                *line = format!("content-length: {half}");
            }
        }
        Some(Fault::Cut) => body.truncate(half),
        Some(Fault::Flip) => body[half] ^= 1,
        Some(Fault::Trickle(pause_ms)) => pause = Some(Duration::from_millis(pause_ms)),
        _ => {}
    }
    client.write_all(&with_close(&head)).await?;
    for piece in body.chunks(body.len().div_ceil(20).max(1)) {
        client.write_all(piece).await?;
        if let Some(pause) = pause {
            client.flush().await?;
            tokio::time::sleep(pause).await;
        }
    }
    Ok(client.shutdown().await?)
}

/// The lines before a body.
async fn head(from: &mut BufReader<TcpStream>) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).await?;
        match line.trim_end() {
            "" => return Ok(lines),
            line => lines.push(line.to_owned()),
        }
    }
}

fn content_length(head: &[String]) -> Option<usize> {
    let value = |line: &String| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    head.iter().find_map(value)
}

/// The lines as they are sent, and that nothing follows on this connection.
fn with_close(head: &[String]) -> Vec<u8> {
    let kept = head.iter().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let lines: Vec<&str> = kept.map(String::as_str).chain(["Connection: close", "", ""]).collect();
    lines.join("\r\n").into_bytes()
}
