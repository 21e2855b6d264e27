//! `[serve]`.

use serde::{Deserialize, Serialize};

/// `[serve]`: how `floret serve` is reached.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServeSection {
    /// Names by which a server on a loopback address may be asked, beside `localhost`, `127.0.0.1` and `[::1]`.
    pub hosts: Vec<String>,
}
