//! Traces of `floret serve`: spans go to a collector of OpenTelemetry, over HTTP in protobuf.
//!
//! Spans are collected in a bounded queue, and sent by a thread of the SDK's own; when the queue is full, or the collector
//! does not answer, they are dropped and no request notices. The HTTP client needs a reactor, and that thread has none: so
//! whenever the thread looks at a request, it does so as one of the runtime that serves.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};
use floret_server::Parenting;
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use reqwest::{Url, redirect};
use tokio::runtime::Handle;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::config::ServeSection;
use crate::failure::Failure;
use crate::remote::is_local;

/// Target of the spans that are for traces, and for nobody who reads logs.
const TARGET: &str = "floret::span";
/// Where a collector takes spans, below the address that is configured.
const PATH: &str = "/v1/traces";
/// One batch is given up after this.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// At the end of the process, what is left may take so long.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// Variables by which OpenTelemetry is told of collectors everywhere.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Spans on their way to a collector.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Begin, where a collector is configured, or else named by a variable of OpenTelemetry.
    ///
    /// # Errors
    /// [`Failure::Configuration`] for an address that is none.
    pub(crate) fn start(serve: &ServeSection, runtime: &Handle) -> Result<Option<Self>> {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let off = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        if off || (serve.otlp_endpoint.is_none() && !ENDPOINTS.into_iter().any(is_set)) {
            return Ok(None);
        }
        let unusable = |error: String| {
            anyhow!(Failure::Configuration(format!("serve.otlp_endpoint: no traces can be sent: {error}")))
        };
        let endpoint = serve.otlp_endpoint.as_deref().map(endpoint).transpose().map_err(unusable)?;
        let mut client = reqwest::Client::builder().timeout(SEND_TIMEOUT).redirect(redirect::Policy::none());
        let named = |name: &str| Url::parse(&std::env::var(name).unwrap_or_default()).ok();
        let to = endpoint.clone().or_else(|| ENDPOINTS.into_iter().find_map(named));
        if to.as_ref().is_some_and(is_local) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| unusable(error.to_string()))?;
        let mut exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(SEND_TIMEOUT);
        if let Some(endpoint) = endpoint {
            exporter = exporter.with_endpoint(endpoint);
        }
        let exporter = exporter.build().map_err(|error| unusable(error.to_string()))?;
        let exporter = OnRuntime { exporter, runtime: runtime.clone(), is_failing: AtomicBool::new(false) };
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource());
        Ok(Some(Self(provider.build())))
    }

    /// What turns spans of `tracing` into spans of a trace.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("floret"))
            .with_context_activation(false)
            .with_tracked_inactivity(false)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE))
    }

    /// How the span of a request is put below that of its client.
    pub(crate) fn parenting() -> Parenting {
        Parenting::new(|span, traceparent, tracestate| {
            let mut carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
            carrier.extend(tracestate.map(|state| ("tracestate".to_owned(), state.to_owned())));
            let parent = TraceContextPropagator::new().extract(&carrier);
            // Only a span that has begun, or is not collected, refuses a parent.
            if parent.span().span_context().is_valid() {
                let _ = span.set_parent(parent);
            }
        })
    }

    /// Send what is left. Waits without a runtime, so this is no call for one of its threads.
    pub(crate) fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(END_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Where spans are sent: below an address without a path, else to it as it is.
fn endpoint(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| format!("{text:?} is no address: {error}"))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(format!("{text:?} is neither http nor https"));
    }
    if url.path() == "/" {
        url.set_path(PATH);
    }
    Ok(url)
}

/// What all spans have in common, unless the environment says it.
fn resource() -> Resource {
    let said = |name: &str| std::env::var(name).unwrap_or_default();
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    let is_named = !said("OTEL_SERVICE_NAME").is_empty();
    match is_named || said("OTEL_RESOURCE_ATTRIBUTES").contains("service.name=") {
        true => resource.build(),
        false => resource.with_service_name("floret").build(),
    }
}

/// Sends within a runtime, whichever thread asks it to.
#[derive(Debug)]
struct OnRuntime {
    exporter: opentelemetry_otlp::SpanExporter,
    runtime: Handle,
    is_failing: AtomicBool,
}

impl SpanExporter for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut sending = pin!(self.exporter.export(batch));
        let sent = poll_fn(|context| {
            let _entered = self.runtime.enter();
            sending.as_mut().poll(context)
        });
        let sent = sent.await;
        match &sent {
            Err(error) if !self.is_failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "traces cannot be sent; they are dropped until they can");
            }
            Ok(()) if self.is_failing.swap(false, Ordering::Relaxed) => {
                tracing::info!("traces are sent again");
            }
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_sent_below_an_address_that_has_no_path() {
        for (given, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://collector/", "https://collector/v1/traces"),
            ("https://collector/tenant/traces", "https://collector/tenant/traces"),
        ] {
            assert_eq!(endpoint(given).expect("an address").as_str(), expected);
        }
        for bad in ["", "collector:4318", "127.0.0.1:4318", "ftp://collector"] {
            assert!(endpoint(bad).is_err(), "{bad:?}");
        }
    }
}
