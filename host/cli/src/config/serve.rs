//! `[serve]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[serve]`: how `floret serve` is reached.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServeSection {
    /// Names by which a server on a loopback address may be asked, beside `localhost`, `127.0.0.1` and `[::1]`.
    pub hosts: Vec<String>,
    /// File with the tokens that are asked for; `DATA/tokens.json` unless set.
    pub tokens: Option<PathBuf>,
    /// The server's certificates in PEM, its own first; with them it speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// The key of the first, in PEM.
    pub tls_key: Option<PathBuf>,
    /// Where traces are sent, e.g. `http://collector:4318`; nowhere unless it or a variable of OpenTelemetry is set.
    pub otlp_endpoint: Option<String>,
}
