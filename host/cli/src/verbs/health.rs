use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use anyhow::{Result, anyhow};
use floret_store::Error;
use serde_json::json;

use crate::config::Span;
use crate::run::Context;

/// A status line takes no more.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Ask a running `floret serve` whether it is ready: for containers, which have nothing else to ask with.
///
/// Ends with exit code 8 unless it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where it listens.
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:8080")]
    address: String,
    /// What to ask: `/readyz`, whether it can work; `/healthz`, whether it runs.
    #[arg(long, value_name = "PATH", default_value = "/readyz")]
    path: String,
    /// How long it may take to answer.
    #[arg(long, value_name = "SPAN", default_value = "3s")]
    timeout: Span,
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let unavailable = |problem: String| {
        anyhow!(Error::Unavailable {
            service: format!("floret at {}", args.address),
            problem,
            remedy: "start `floret serve` there, or see its log".to_owned(),
        })
    };
    let status = ask(args).map_err(|error| unavailable(error.to_string()))?;
    // `HTTP/1.1 200 OK`
    if status.split(' ').nth(1) != Some("200") {
        return Err(unavailable(format!("it answers {status:?} to {}", args.path)));
    }
    context.out.show(&json!({"address": args.address, "path": args.path, "ready": true}), |out| {
        out.fact(&format!("{} answers {}: ready", args.address, args.path), &["ready"])
    })
}

/// The status line of the answer, from the first address of the name at which somebody listens: `localhost` is both ::1
/// and 127.0.0.1.
fn ask(args: &Args) -> std::io::Result<String> {
    let other = |text: String| std::io::Error::other(text);
    let mut connected = Err(other(format!("{} has no address", args.address)));
    for address in args.address.to_socket_addrs()? {
        connected = TcpStream::connect_timeout(&address, args.timeout.0);
        if connected.is_ok() {
            break;
        }
    }
    let mut stream = connected?;
    stream.set_read_timeout(Some(args.timeout.0))?;
    stream.set_write_timeout(Some(args.timeout.0))?;
    let (path, host) = (&args.path, &args.address);
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().filter(|line| line.starts_with("HTTP/"));
    status.map(str::to_owned).ok_or_else(|| other("what answers there speaks no HTTP".to_owned()))
}
