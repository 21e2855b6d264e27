//! Floret over HTTP: a host that runs on, saves and reads versions for others, follows what other hosts publish and
//! cleans up by the clock.
//!
//! Entry point: [`serve`]. `routes` is the table of all that is answered, of which the router and `openapi` are made.
//! `versions` has the resources, `records` all that is kept of them, `search` the questions,
//! `cascades` what follows from a change, `builds` what is made from others, `batches` many saves at once, `options` what
//! is known of a content that is saved, `plugins` components and bindings, `swaps` their changes, `policies` comparisons,
//! `upkeep` cache and store, `jobs` the long work, `events` what is published, `console` the pages for people, `health`
//! the probes, `meters` and `process` what is counted, `traces` the spans. `problem` is the one place that makes statuses of
//! errors (RFC 9457), `content` moves bytes, `ranges` says which, `given` reads what a request says, `listen` has the
//! connections, `patience` ends those that take nothing, `tls` their certificate. `middleware` is done around every request:
//! `audit` keeps what was changed, `origin` refuses what pages of others send. `gate` lets
//! requests in to their handlers: `access` asks for tokens, `fairness` bounds what one client takes. `state` has what handlers are given,
//! `supervise` keeps the background work alive. The crate knows no configuration and opens no home: whoever starts it decides
//! who can reach it.

mod access;
mod audit;
mod batches;
mod builds;
mod cascades;
mod console;
mod content;
mod events;
mod fairness;
mod gate;
mod given;
mod health;
mod jobs;
mod listen;
mod meters;
mod middleware;
mod openapi;
mod options;
mod origin;
mod patience;
mod plugins;
mod policies;
mod problem;
mod process;
mod ranges;
mod records;
mod routes;
mod search;
mod state;
mod supervise;
mod swaps;
mod tls;
mod traces;
mod upkeep;
mod versions;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::handler::Handler;
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use floret_pipeline::{Floret, Schedule};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use crate::access::{Access, NewToken, Scope, Token, TokenFile};
use crate::console::Console;
use crate::gate::Gate;
use crate::jobs::Jobs;
pub use crate::meters::Exposition;
use crate::meters::Meters;
use crate::middleware::Around;
pub use crate::openapi::openapi;
use crate::origin::Names;
pub use crate::problem::HTTP_CODES;
use crate::problem::Problem;
use crate::state::Parts;
use crate::supervise::{PAUSE_MIN, supervised};
pub use crate::tls::Tls;
pub use crate::traces::Parenting;
pub use crate::upkeep::Retention;

/// How often access counts are written: so much of them is lost with a host that dies.
const COUNTS_EVERY: Duration = Duration::from_secs(60);

/// How a server works.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// When and how it cleans up by itself, if it does.
    pub schedule: Option<Schedule>,
    /// What it keeps when it is asked to clean up.
    pub retention: Retention,
    /// How long requests may go on after it is asked to stop.
    pub drain: Duration,
    /// Names by which it may be asked on a loopback address, beside `localhost`, `127.0.0.1` and `[::1]`.
    pub hosts: Vec<String>,
    /// Who may do what.
    pub access: Arc<Access>,
    /// Requests that one client may have at work at once: one token, or else one address. At least 1.
    pub client_requests_max: usize,
    /// How long a request may take that is no job and moves no content.
    pub request_timeout: Duration,
    /// What it speaks TLS with, if it does.
    pub tls: Option<Arc<Tls>>,
    /// What writes the metrics of the recorder that is installed, if one is.
    pub metrics: Option<Exposition>,
    /// How a client's span becomes the parent of its request's, if spans are collected.
    pub parenting: Option<Parenting>,
}

/// Serve until `stop` is done; then take no more connections, and let requests that run end within
/// [`ServeOptions::drain`]. What is not done by then is cut off: a save is there or not, as after a crash.
///
/// # Errors
/// Those of the listener.
pub async fn serve(
    host: Arc<Floret>,
    listener: TcpListener,
    options: ServeOptions,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    meters::describe();
    let following = supervised("following", PAUSE_MIN, {
        let host = Arc::clone(&host);
        move || follow(Arc::clone(&host))
    });
    let tending = supervised("tending", PAUSE_MIN, {
        let (host, schedule) = (Arc::clone(&host), options.schedule);
        move || tend(Arc::clone(&host), schedule.clone())
    });
    let counting = supervised("writing access counts", PAUSE_MIN, {
        let host = Arc::clone(&host);
        move || count(Arc::clone(&host))
    });
    let jobs = Arc::new(Jobs::default());
    let ending = Arc::clone(&jobs);
    let (stopping, stopped) = oneshot::channel::<()>();
    let drained = async {
        stop.await;
        ending.stop();
        drop(stopping);
        tokio::time::sleep(options.drain).await;
    };
    let acceptor = options.tls.as_ref().map(Tls::acceptor).transpose()?;
    let certified = supervised("following the certificate", PAUSE_MIN, {
        let tls = options.tls;
        move || certify(tls.clone())
    });
    let names = match listener.local_addr()?.ip().is_loopback() {
        true => Names::Loopback(options.hosts.into()),
        false => Names::Any,
    };
    let console = Console::new(Arc::clone(&options.access), acceptor.is_some());
    let watching = supervised("watching the cache", PAUSE_MIN, {
        let (host, console) = (Arc::clone(&host), Arc::clone(&console));
        move || watch(Arc::clone(&host), Arc::clone(&console))
    });
    let around = Arc::new(Around {
        parenting: options.parenting,
        meters: Meters::new(),
        names,
        request_timeout: options.request_timeout,
    });
    let gate = Gate::new(Arc::clone(&around), options.access, options.client_requests_max);
    let parts = Parts {
        host,
        jobs: Arc::clone(&jobs),
        console,
        retention: Arc::new(options.retention),
        metrics: options.metrics,
    };
    let app = app(&gate, around, parts);
    let serving = listen::serve(listener, acceptor, app, async move {
        // Dropped is what it is told by.
        let _ = stopped.await;
    });
    let served = tokio::select! {
        () = serving => Ok(()),
        () = drained => {
            tracing::warn!("requests that did not end in {} s are cut off", options.drain.as_secs());
            Ok(())
        }
        () = async { tokio::join!(following, tending, counting, watching, certified); std::future::pending().await } => Ok(()),
    };
    jobs.end().await;
    served
}

async fn certify(tls: Option<Arc<Tls>>) {
    if let Some(tls) = tls {
        tls.follow().await;
    }
}

async fn follow(host: Arc<Floret>) {
    host.follow().await;
}

async fn tend(host: Arc<Floret>, schedule: Option<Schedule>) {
    if let Some(schedule) = schedule {
        host.tend(&schedule).await;
    }
}

async fn count(host: Arc<Floret>) {
    loop {
        tokio::time::sleep(COUNTS_EVERY).await;
        if let Err(error) = host.flush_accesses().await {
            tracing::warn!(%error, "access counts of the last minute could not be written");
        }
    }
}

async fn watch(host: Arc<Floret>, console: Arc<Console>) {
    console.watch(&host).await;
}

fn app(gate: &Arc<Gate>, around: Arc<Around>, parts: Parts) -> Router {
    let pages = console::routes(Arc::clone(&parts.console), gate, parts.host.component_bytes_max());
    routes::router(gate)
        .merge(pages)
        .fallback(no_such_path.layer(from_fn_with_state(Arc::clone(&around), middleware::unrouted)))
        .method_not_allowed_fallback(no_such_method.layer(from_fn_with_state(around, middleware::unrouted)))
        .with_state(parts.into())
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::not_found(format!(
        "there is nothing at {}: /docs and /openapi.json have all that there is; a / in an id is written %2F",
        uri.path()
    ))
}

async fn no_such_method() -> Problem {
    Problem::method_not_allowed()
}
