use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use floret_server::{Access, Retention, ServeOptions, Tls};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Exit, Failure};
use crate::given::usage;
use crate::recorder::Recorder;
use crate::run::Context;
use crate::traces::Traces;

/// Save and read versions over HTTP, follow what other hosts publish, and clean up by the clock.
///
/// PUT and GET /v1/NAMESPACE/TYPE/ID, GET /v1/NAMESPACE/TYPE/ID/log; /healthz says that the process lives, /readyz that
/// catalog and blob store answer. SIGTERM or Ctrl-C ends it when the requests that run are done, after 20 s at the
/// latest; a second Ctrl-C at once. A PUT rebuilds nothing: `floret cascade` does.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address and port; port 0 is any that is free.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Let other machines in, although there are no tokens and nobody is asked who he is: whoever reaches the port reads
    /// and writes everything.
    #[arg(long)]
    insecure_no_tokens: bool,
    /// Certificates in PEM, the server's own first, to speak TLS with; read anew when they change [default: serve.tls_cert].
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The key of the first, in PEM [default: serve.tls_key].
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
}

/// How long requests may go on after the signal.
const DRAIN: Duration = Duration::from_secs(20);

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    let access = Access::open(super::token::path(&context.settings));
    let access = access.map_err(|problem| anyhow!(Failure::Configuration(problem)))?;
    if !args.listen.ip().is_loopback() && !access.asks() && !args.insecure_no_tokens {
        return Err(usage(format!(
            "{} can be reached by other machines, and nobody is asked who he is: listen on 127.0.0.1, make a token with `floret token create`, or give --insecure-no-tokens if the network keeps others away",
            args.listen
        )));
    }
    let config = &context.settings.config;
    config.serve.check()?;
    let tls_cert = args.tls_cert.as_ref().or(config.serve.tls_cert.as_ref());
    let tls_key = args.tls_key.as_ref().or(config.serve.tls_key.as_ref());
    let tls = match (tls_cert, tls_key) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some(
            Tls::open(cert.clone(), key.clone())
                .map_err(|problem| anyhow!(Failure::Configuration(problem)))?,
        ),
        _ => {
            return Err(usage(
                "--tls-cert and --tls-key (serve.tls_cert and serve.tls_key) belong together: give both, or none",
            ));
        }
    };
    let recorder = Recorder::install()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let (policy, grace_ms) = config.retention();
    let options = ServeOptions {
        schedule: config.schedule(),
        retention: Retention { policy, grace_ms },
        drain: DRAIN,
        hosts: config.serve.hosts.clone(),
        access,
        client_requests_max: config.serve.client_requests_max,
        request_timeout: config.serve.request_timeout.0,
        tls,
        metrics: Some(recorder.exposition()),
        parenting: context.traces.as_ref().map(|_| Traces::parenting()),
    };
    let stop = stop_signal()?;
    tokio::pin!(stop);
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        anyhow!(Failure::Configuration(format!("cannot listen on {}: {error}", args.listen)))
    })?;
    let address = listener.local_addr()?;
    // To open may take long where a server does not answer; nothing is lost by leaving it in the middle.
    let opened = tokio::select! {
        opened = crate::open::open(&context.settings) => opened?,
        () = &mut stop => return Ok(()),
    };
    let host = Arc::new(opened);
    let url = format!("{scheme}://{address}");
    context.out.show(&json!({"listening": url}), |out| {
        out.fact(&format!("listening on {url}"), &["listening", &url])
    })?;
    let served = tokio::select! {
        served = floret_server::serve(Arc::clone(&host), listener, options, stop) => served,
        () = recorder.tend() => Ok(()),
    };
    let closed = host.close().await;
    served?;
    Ok(closed?)
}

/// Done when the process is asked to end; asked once more by Ctrl-C, it ends at once.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            interrupt.recv().await;
            std::process::exit(i32::from(Exit::Interrupted as u8));
        });
    })
}
