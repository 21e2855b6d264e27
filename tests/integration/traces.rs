//! Traces as a collector of OpenTelemetry gets them: spans of one trace, each below the one that caused it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use floret_tests::cli::Cli;
use floret_tests::http::Server;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;

/// A span, with its parent's name in the same trace where it has one.
type Below = (String, Option<String>);

/// Takes whatever is sent to `/v1/traces`.
#[derive(Clone, Default)]
struct Collector {
    taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    async fn start() -> (Self, SocketAddr) {
        let collector = Self::default();
        let taken = Arc::clone(&collector.taken);
        let take = move |headers: HeaderMap, body: Bytes| async move {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            taken.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(
            async move { axum::serve(listener, Router::new().route("/v1/traces", post(take))).await },
        );
        (collector, address)
    }

    fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().unwrap();
        let resources = taken.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|of| &of.scope_spans).flat_map(|of| &of.spans).cloned().collect()
    }

    /// What the process says of itself.
    fn service(&self) -> Option<String> {
        let taken = self.taken.lock().unwrap();
        let resource = taken.first()?.resource_spans.first()?.resource.as_ref()?;
        let name = resource.attributes.iter().find(|attribute| attribute.key == "service.name")?;
        match &name.value.as_ref()?.value {
            Some(Value::StringValue(name)) => Some(name.clone()),
            _ => None,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute<'a>(span: &'a Span, name: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()?.value.as_ref()
}

/// The spans of a trace, each with what it is below.
fn tree(spans: &[Span], trace: &str) -> BTreeSet<Below> {
    let of: Vec<&Span> = spans.iter().filter(|span| hex(&span.trace_id) == trace).collect();
    let names: BTreeMap<&[u8], &str> =
        of.iter().map(|span| (span.span_id.as_slice(), span.name.as_str())).collect();
    of.iter()
        .map(|span| {
            let parent = names.get(span.parent_span_id.as_slice()).map(|name| (*name).to_owned());
            (span.name.clone(), parent)
        })
        .collect()
}

fn below(spans: &[(&str, Option<&str>)]) -> BTreeSet<Below> {
    spans.iter().map(|(name, parent)| ((*name).to_owned(), parent.map(str::to_owned))).collect()
}

const SAVING: &str = "0af7651916cd43dd8448eb211c80319c";
const BUILDING: &str = "1af7651916cd43dd8448eb211c80319c";
const UNSAMPLED: &str = "2af7651916cd43dd8448eb211c80319c";
const CLIENT: &str = "b7ad6b7169203331";

#[tokio::test(flavor = "multi_thread")]
async fn the_spans_of_a_request_are_below_its_clients_down_to_the_store() {
    let (collector, address) = Collector::start().await;
    let cli = Cli::new();
    let mut command = cli.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("FLORET_SERVE__OTLP_ENDPOINT", format!("http://{address}"));
    let server = Server::spawn(command);
    let text = b"union unions united liberty ".repeat(1_000);
    let parent = |trace: &str, flags: &str| format!("00-{trace}-{CLIENT}-{flags}");
    let put = |id: &str, parent: &str| {
        server.ask("PUT", &format!("/v1/default/literature/{id}"), &[("traceparent", parent)], &text)
    };
    put("a", &parent(SAVING, "01")).is(201);
    put("b", &parent(UNSAMPLED, "00")).is(201);
    put("c", "no parent").is(201);
    let parent = parent(BUILDING, "01");
    let headers = [("content-type", "application/json"), ("traceparent", parent.as_str())];
    let body = br#"{"key": "corpus/a", "documents": ["literature/a"]}"#;
    server.ask("POST", "/v1/corpora", &headers, body).is(200);
    // What is still in the queue is sent before it ends.
    server.stop();
    let spans = collector.spans();
    let request = "PUT /v1/{namespace}/{type}/{id}";
    let saved = tree(&spans, SAVING);
    let expected = below(&[
        (request, None),
        ("save", Some(request)),
        ("component call", Some("save")),
        ("blob put", Some("save")),
        ("store commit", Some("save")),
    ]);
    assert_eq!(saved, expected);
    let built = tree(&spans, BUILDING);
    let request = "POST /v1/corpora";
    let expected = below(&[
        (request, None),
        ("cascade", Some(request)),
        ("step", Some("cascade")),
        ("component call", Some("step")),
        ("blob put", Some("step")),
        ("store commit", Some("cascade")),
    ]);
    assert_eq!(built, expected);
    for (trace, status) in [(SAVING, 201), (BUILDING, 200)] {
        let root =
            spans.iter().find(|span| hex(&span.trace_id) == trace && hex(&span.parent_span_id) == CLIENT);
        let root = root.unwrap_or_else(|| panic!("no span of {trace} is below the client's"));
        assert_eq!(attribute(root, "http.response.status_code"), Some(&Value::IntValue(status)));
        assert!(root.end_time_unix_nano >= root.start_time_unix_nano);
    }
    assert!(tree(&spans, UNSAMPLED).is_empty(), "its client does not have it collected");
    let puts = spans.iter().filter(|span| span.name == "PUT /v1/{namespace}/{type}/{id}").count();
    assert_eq!(puts, 2, "one whose parent cannot be read begins a trace");
    assert_eq!(collector.service().as_deref(), Some("floret"));
}

#[test]
fn a_collector_that_is_not_there_harms_no_request() {
    let cli = Cli::new();
    let mut command = cli.command(&["serve", "--listen", "127.0.0.1:0"]);
    // Nobody listens on port 1.
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1").env("OTEL_BSP_SCHEDULE_DELAY", "10");
    let server = Server::spawn(command);
    for id in ["a", "b", "c"] {
        server.put(&format!("/v1/default/literature/{id}"), id.as_bytes()).is(201);
        server.get(&format!("/v1/default/literature/{id}")).is(200);
    }
    server.stop();
    cli.verify();
}

#[test]
fn a_collector_that_says_nothing_harms_no_request() {
    let cli = Cli::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let mut command = cli.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", address).env("OTEL_BSP_SCHEDULE_DELAY", "10");
    let server = Server::spawn(command);
    server.put("/v1/default/literature/a", b"a").is(201);
    server.stop();
    silent.set_nonblocking(true).unwrap();
    silent.accept().expect("it was told of the request");
    cli.verify();
}

#[test]
fn an_address_that_is_none_is_refused() {
    let cli = Cli::configured("[serve]\notlp_endpoint = \"collector:4318\"\n");
    let refused = cli.run(&["serve", "--listen", "127.0.0.1:0"]);
    refused.fails(2, &["serve.otlp_endpoint", "collector:4318"]);
}
