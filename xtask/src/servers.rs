//! `cargo xtask servers`: the servers that the tests start, which speak the protocols of MongoDB and S3, a registry, and a
//! browser.

use anyhow::Result;

use crate::{apt, browser, venv};

/// SecantusDB speaks MongoDB's wire protocol, Moto that of S3. `tests/src/servers.rs` starts them.
const PACKAGES: [&str; 2] = ["secantusdb==0.7.0b3", "moto[server]==5.2.5"];

/// Install what is missing of them.
///
/// # Errors
/// As [`venv::require`] and [`apt::require`].
pub fn run() -> Result<()> {
    apt::require(&["docker-registry"])?;
    browser::run()?;
    let folder = venv::require(&PACKAGES)?;
    println!("{} are in {}", PACKAGES.join(" and "), folder.display());
    Ok(())
}
