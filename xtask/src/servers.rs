//! `cargo xtask servers`: the servers that the tests start, which speak the protocols of MongoDB and S3, and a registry; and
//! the programs that ask ours.

use anyhow::Result;

use crate::{apt, venv};

/// SecantusDB speaks MongoDB's wire protocol, Moto that of S3. `tests/src/servers.rs` starts them. The others read the
/// OpenAPI document: one checks it, one generates a client, one asks a server all that it describes.
const PACKAGES: [&str; 5] = [
    "secantusdb==0.7.0b3",
    "moto[server]==5.2.5",
    "openapi-spec-validator==0.9.0",
    "openapi-python-client==0.29.1",
    "schemathesis==4.32.5",
];

/// Install what is missing of them.
///
/// # Errors
/// As [`venv::require`] and [`apt::require`].
pub fn run() -> Result<()> {
    apt::require(&["docker-registry"])?;
    let folder = venv::require(&PACKAGES)?;
    println!("{} are in {}", PACKAGES.join(" and "), folder.display());
    Ok(())
}
