//! Connections: how many there may be, how long they may say nothing, and how they end.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use metrics::{Gauge, gauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::audit::Peer;
use crate::meters::CONNECTIONS;
use crate::patience::Patient;

/// Connections at once; those beyond wait until one ends. An idle one takes a task and what came of its head.
const CONNECTIONS_MAX: usize = 4096;
/// A connection on which no request waits for its answer and nothing was written for so long is closed: one that is idle,
/// sends a head that does not end, or gets a body that does not come on. It is looked at so often, so that it takes up to a
/// half more.
const QUIET_TIMEOUT: Duration = Duration::from_secs(60);
const LOOKS: u32 = 2;
/// A handshake of TLS takes no longer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes nothing of its answer for so long is given up, also one that follows events and never reads them.
const TAKE_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest head of a request, and what is read ahead of a body.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// How long nothing is accepted after the system refused, e.g. for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Serve connections until `stop` is done; then close the port and idle connections, and wait for requests at work.
/// Dropped, it cuts off whatever is left.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    app: Router,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, place) = tokio::select! {
            accepted = next(&listener, &places) => accepted,
            () = &mut stop => break,
        };
        connections.spawn(connection(stream, tls.clone(), app.clone(), graceful.watcher(), place));
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The next connection, as soon as there is a place for it.
async fn next(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    if places.available_permits() == 0 {
        tracing::warn!("{CONNECTIONS_MAX} connections are open, the most at once; others wait");
    }
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A connection among those that are open.
struct Counted(Gauge);

impl Counted {
    fn one() -> Self {
        let open = gauge!(CONNECTIONS);
        open.increment(1.0);
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A client that went away before it was accepted is nothing to wait for.
fn is_of_the_client(error: &io::Error) -> bool {
    let gone = [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::ConnectionRefused];
    gone.contains(&error.kind())
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    app: Router,
    watcher: Watcher,
    place: OwnedSemaphorePermit,
) {
    let peer = stream.peer_addr().ok().map(Peer);
    let _counted = Counted::one();
    // It is only slower without.
    let _ = stream.set_nodelay(true);
    let writes = Arc::new(AtomicU64::new(0));
    let at_work = AtomicU64::new(0);
    let stream = Patient::new(stream, TAKE_TIMEOUT, Arc::clone(&writes));
    let service = service_fn(|mut request: Request<Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let (app, at_work) = (app.clone(), &at_work);
        async move {
            at_work.fetch_add(1, Relaxed);
            let answer = app.oneshot(request).await.unwrap_or_else(|never| match never {});
            at_work.fetch_sub(1, Relaxed);
            Ok::<Response, Infallible>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(BUFFER_BYTES_MAX);
    let served = async {
        match tls {
            None => watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await,
            Some(tls) => {
                let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await else {
                    tracing::debug!("a handshake of TLS did not come about");
                    return Ok(());
                };
                watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await
            }
        }
    };
    tokio::select! {
        served = served => {
            if let Err(error) = served {
                // What clients do wrong or leave undone.
                tracing::debug!(%error, "a connection broke off");
            }
        }
        () = quiet(QUIET_TIMEOUT, &writes, &at_work) => tracing::debug!("a connection was quiet for too long"),
    }
    drop(place);
}

/// Done when no request is at work and nothing was written for so long, and up to a half more. The connection has one timer
/// for all its requests.
async fn quiet(timeout: Duration, writes: &AtomicU64, at_work: &AtomicU64) {
    let (mut quiet, mut seen) = (0, writes.load(Relaxed));
    while quiet < LOOKS {
        tokio::time::sleep(timeout / LOOKS).await;
        let now = writes.load(Relaxed);
        let is_quiet = now == seen && at_work.load(Relaxed) == 0;
        quiet = if is_quiet { quiet + 1 } else { 0 };
        seen = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_connection_is_quiet_when_nothing_is_written_nor_at_work() {
        const TIMEOUT: Duration = Duration::from_millis(20);
        let (writes, at_work) = (AtomicU64::new(0), AtomicU64::new(1));
        let is_quiet = async |within: u32| {
            tokio::time::timeout(TIMEOUT * within, quiet(TIMEOUT, &writes, &at_work)).await.is_ok()
        };
        assert!(!is_quiet(5).await, "a request is at work");
        at_work.store(0, Relaxed);
        let writing = async {
            loop {
                writes.fetch_add(1, Relaxed);
                tokio::task::yield_now().await;
            }
        };
        let writes_all_the_time = tokio::select! {
            is_quiet = is_quiet(5) => !is_quiet,
            () = writing => false,
        };
        assert!(writes_all_the_time, "it is written");
        let began = Instant::now();
        assert!(is_quiet(500).await);
        assert!(began.elapsed() >= TIMEOUT);
    }
}
