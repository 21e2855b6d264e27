//! `[serve]`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};

use super::Span;
use crate::failure::Failure;

/// `[serve]`: how `floret serve` is reached, and by how many at once.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServeSection {
    /// Names by which a server on a loopback address may be asked, beside `localhost`, `127.0.0.1` and `[::1]`.
    pub hosts: Vec<String>,
    /// File with the tokens that are asked for; `DATA/tokens.json` unless set.
    pub tokens: Option<PathBuf>,
    /// Requests that one client may have at work at once.
    pub client_requests_max: usize,
    /// How long a request may take that is no job and moves no content.
    pub request_timeout: Span,
    /// The server's certificates in PEM, its own first; with them it speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// The key of the first, in PEM.
    pub tls_key: Option<PathBuf>,
    /// Where traces are sent, e.g. `http://collector:4318`; nowhere unless it or a variable of OpenTelemetry is set.
    pub otlp_endpoint: Option<String>,
}

impl Default for ServeSection {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            tokens: None,
            client_requests_max: 64,
            request_timeout: Span(Duration::from_secs(120)),
            tls_cert: None,
            tls_key: None,
            otlp_endpoint: None,
        }
    }
}

impl ServeSection {
    /// Whether a server can be begun with it.
    ///
    /// # Errors
    /// Limits under which nothing would be answered.
    pub(crate) fn check(&self) -> Result<()> {
        let refused = |message: &str| Err(anyhow!(Failure::Configuration(message.to_owned())));
        match (self.client_requests_max, self.request_timeout.0) {
            (0, _) => refused("serve.client_requests_max is 0: expected at least 1"),
            (_, Duration::ZERO) => refused("serve.request_timeout is 0s: expected e.g. 2m"),
            _ => Ok(()),
        }
    }
}
