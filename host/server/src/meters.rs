//! Counting and timing requests, and `GET /metrics`: `docs/metrics.md` has every metric.
//!
//! A request costs two looks into maps, both under a lock that only the first request of a route and status takes alone, an
//! add and a push: some 200 ns. Names and labels are looked up once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use floret_pipeline::Floret;
use foldhash::fast::RandomState;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::given::Parameters;
use crate::jobs::Jobs;
use crate::problem::Problem;
use crate::process;
use crate::versions::Nothing;

const REQUESTS: &str = "floret_http_requests_total";
const REQUEST_SECONDS: &str = "floret_http_request_duration_seconds";
const IN_FLIGHT: &str = "floret_http_in_flight";
pub(crate) const CONNECTIONS: &str = "floret_connections";
const CACHE_HITS: &str = "floret_cache_hits_total";
const CACHE_MISSES: &str = "floret_cache_misses_total";
const CACHE_ENTRIES: &str = "floret_cache_entries";
const CACHE_BYTES: &str = "floret_cache_bytes";
const BREAKERS_OPEN: &str = "floret_breakers_open";
const JOBS_RUNNING: &str = "floret_jobs_running";
const BUILD_INFO: &str = "floret_build_info";

/// The text format of Prometheus.
const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// The route of requests for which there is none.
const NO_ROUTE: &str = "none";
/// The status of requests whose client went away before they were answered; no answer has it.
const GONE: u16 = 499;
/// Whoever looks at breakers asks the store; without its answer they are not told.
const BREAKERS_TIMEOUT: Duration = Duration::from_secs(2);

/// Writes what was counted as text: the recorder that whoever starts the server has installed.
#[derive(Clone)]
pub struct Exposition(Arc<dyn Fn() -> String + Send + Sync>);

impl Exposition {
    /// Written by `render`, in the text format of Prometheus.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(render))
    }
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").finish_non_exhaustive()
    }
}

/// Tell the recorder what the metrics of a server mean.
pub(crate) fn describe() {
    floret_pipeline::describe_metrics();
    describe_counter!(REQUESTS, Unit::Count, "Requests by route, method and status");
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "Time from the head of a request to that of its answer"
    );
    describe_gauge!(IN_FLIGHT, Unit::Count, "Requests whose answers have not begun");
    describe_gauge!(CONNECTIONS, Unit::Count, "Open connections");
    describe_counter!(CACHE_HITS, Unit::Count, "Reads that a tier of the cache answered");
    describe_counter!(CACHE_MISSES, Unit::Count, "Reads that no tier of the cache answered");
    describe_gauge!(CACHE_ENTRIES, Unit::Count, "Entries in a tier of the cache");
    describe_gauge!(CACHE_BYTES, Unit::Bytes, "Bytes in a tier of the cache");
    describe_gauge!(BREAKERS_OPEN, Unit::Count, "Bindings whose component is not asked for a while");
    describe_gauge!(JOBS_RUNNING, Unit::Count, "Jobs at work");
    describe_gauge!(BUILD_INFO, Unit::Count, "1, with the version of the program");
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Handles of what is counted of requests, by route, then by method and status.
pub(crate) struct Meters {
    by_route: RwLock<HashMap<String, OfRoute, RandomState>>,
    in_flight: Gauge,
}

/// By method and status.
type OfRoute = HashMap<(&'static str, u16), Meter, RandomState>;

struct Meter {
    requests: Counter,
    seconds: Histogram,
}

impl Meters {
    pub fn new() -> Self {
        Self { by_route: RwLock::default(), in_flight: gauge!(IN_FLIGHT) }
    }

    /// A request that begins.
    pub fn begun(&self, request: &Request) -> AtWork<'_> {
        self.in_flight.increment(1.0);
        AtWork {
            meters: self,
            route: request.extensions().get().cloned(),
            method: name_of(request.method()),
            began: Instant::now(),
            status: GONE,
        }
    }

    fn count(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        let known = {
            let routes = self.by_route.read().unwrap_or_else(PoisonError::into_inner);
            routes.get(route).and_then(|of| of.get(&(method, status))).map(|meter| meter.record(took))
        };
        if known.is_none() {
            let meter = Meter::of(route, method, status);
            meter.record(took);
            let mut routes = self.by_route.write().unwrap_or_else(PoisonError::into_inner);
            routes.entry(route.to_owned()).or_default().insert((method, status), meter);
        }
    }
}

impl Meter {
    fn of(route: &str, method: &'static str, status: u16) -> Self {
        let (route, status) = (route.to_owned(), status.to_string());
        let seconds = histogram!(REQUEST_SECONDS, "route" => route.clone(), "method" => method);
        let requests = counter!(REQUESTS, "route" => route, "method" => method, "status" => status);
        Self { requests, seconds }
    }

    fn record(&self, took: Duration) {
        self.requests.increment(1);
        self.seconds.record(took);
    }
}

/// A request at work. Counted when it is dropped, also when its client went away.
pub(crate) struct AtWork<'a> {
    meters: &'a Meters,
    route: Option<MatchedPath>,
    method: &'static str,
    began: Instant,
    status: u16,
}

impl AtWork<'_> {
    pub fn ended(mut self, response: &Response) {
        self.status = response.status().as_u16();
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.meters.in_flight.decrement(1.0);
        let route = self.route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
        self.meters.count(route, self.method, self.status, self.began.elapsed());
    }
}

/// Methods that nobody knows are one, so that labels are bounded.
fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Everything that is counted, in the text format of Prometheus.
pub(crate) async fn all(
    State(host): State<Arc<Floret>>,
    State(jobs): State<Arc<Jobs>>,
    State(exposition): State<Option<Exposition>>,
    _: Parameters<Nothing>,
) -> Result<Response, Problem> {
    let Some(Exposition(render)) = exposition else {
        return Err(Problem::not_found("this server keeps no metrics".to_owned()));
    };
    sample(&host, &jobs).await;
    // It reads files of the kernel, and sorts what came since the last time.
    let text = tokio::task::spawn_blocking(move || render() + &process::exposition()).await;
    let text = text.map_err(|_| Problem::unexpected())?;
    Ok((StatusCode::OK, [(CONTENT_TYPE, EXPOSITION)], text).into_response())
}

/// Bring up to date what is looked at only when it is asked for.
async fn sample(host: &Floret, jobs: &Jobs) {
    let total = host.cache().stats().total;
    counter!(CACHE_HITS, "tier" => "memory").absolute(total.memory_hits);
    counter!(CACHE_HITS, "tier" => "disk").absolute(total.disk_hits);
    counter!(CACHE_MISSES).absolute(total.misses);
    gauge!(CACHE_ENTRIES, "tier" => "memory").set(total.memory_entries as f64);
    gauge!(CACHE_ENTRIES, "tier" => "disk").set(total.disk_entries as f64);
    gauge!(CACHE_BYTES, "tier" => "memory").set(total.memory_bytes as f64);
    gauge!(CACHE_BYTES, "tier" => "disk").set(total.disk_bytes as f64);
    gauge!(JOBS_RUNNING).set(jobs.running() as f64);
    match tokio::time::timeout(BREAKERS_TIMEOUT, host.open_breakers()).await {
        Ok(Ok(open)) => gauge!(BREAKERS_OPEN).set(open.len() as f64),
        _ => tracing::debug!("the store did not say which breakers are open"),
    }
}
