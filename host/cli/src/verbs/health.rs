use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;

use anyhow::{Result, anyhow};
use floret_store::Error;
use serde_json::json;

use crate::config::Span;
use crate::failure::chain;
use crate::given::usage;
use crate::remote::certificates;
use crate::run::Context;

/// A status line takes no more.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Ask a running `floret serve` whether it is ready: for containers, which have nothing else to ask with.
///
/// Ends with exit code 8 unless it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floret health 127.0.0.1:8443 --tls-name floret.example --ca-file ca.pem")]
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
    /// Speak TLS, with a server whose certificate is for this name; `--ca-file` says who may have signed it beside those that
    /// the system trusts.
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &mut Context) -> Result<()> {
    let unavailable = |problem: String| {
        anyhow!(Error::Unavailable {
            service: format!("floret at {}", args.address),
            problem,
            remedy: "start `floret serve` there, or see its log".to_owned(),
        })
    };
    let status = match &args.tls_name {
        None => ask(args).map_err(|error| unavailable(error.to_string()))?,
        Some(name) => ask_by_tls(args, name, context.global.remote.ca_file.as_deref())
            .await?
            .map_err(|error| unavailable(chain(&error)))?,
    };
    // `HTTP/1.1 200 OK`
    if status.split(' ').nth(1) != Some("200") {
        return Err(unavailable(format!("it answers {status:?} to {}", args.path)));
    }
    context.out.show(&json!({"address": args.address, "path": args.path, "ready": true}), |out| {
        out.fact(&format!("{} answers {}: ready", args.address, args.path), &["ready"])
    })
}

/// The status line of the answer of a server that speaks TLS.
async fn ask_by_tls(
    args: &Args,
    name: &str,
    ca_file: Option<&Path>,
) -> Result<std::result::Result<String, reqwest::Error>> {
    let unusable =
        |problem: &str| usage(format!("{:?}, {name:?} and {:?}: {problem}", args.address, args.path));
    let addresses = args.address.to_socket_addrs().map_err(|error| unusable(&error.to_string()))?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    // Where the name is an address, that is asked and no other.
    let named = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    if named.is_ok_and(|named| addresses.iter().any(|address| address.ip() != named)) {
        return Err(unusable("the name is another address"));
    }
    let port = addresses.first().ok_or_else(|| unusable("there is no such address"))?.port();
    let url = reqwest::Url::parse(&format!("https://{name}:{port}{}", args.path));
    let url = url.map_err(|error| unusable(&error.to_string()))?;
    let mut http = reqwest::Client::builder()
        .resolve_to_addrs(name, &addresses)
        .timeout(args.timeout.0)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(file) = ca_file {
        http = http.tls_certs_merge(certificates(file)?);
    }
    let http = http.build().map_err(|error| unusable(&chain(&error)))?;
    let answer = http.get(url).send().await;
    Ok(answer.map(|answer| format!("HTTP/1.1 {}", answer.status())))
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
