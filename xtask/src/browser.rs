//! What the tests of the console look at its pages with: Chromium, its driver, and axe, which finds barriers.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{apt, plugins};

/// MPL-2.0; only the tests load it.
const AXE: &str = "axe-core@4.14.1";

/// Install what is missing: Debian's Chromium, and axe into `target/axe`.
///
/// # Errors
/// As [`apt::require_programs`]; npm that fails.
pub fn run() -> Result<()> {
    apt::require_programs(&[
        ("chromium", "chromium"),
        ("chromedriver", "chromium-driver"),
        ("node", "nodejs"),
        ("npm", "npm"),
    ])?;
    let folder = plugins::repository()?.join("target/axe");
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == AXE) {
        println!("{AXE} is in {}", folder.display());
        return Ok(());
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    println!("installing {AXE} into {}", folder.display());
    let status = Command::new("npm")
        .current_dir(&folder)
        .args(["install", "--prefix", ".", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", AXE])
        .status()
        .context("npm cannot be run")?;
    if !status.success() {
        bail!("npm cannot install {AXE}: see above; it needs a registry");
    }
    std::fs::write(&stamp, AXE).with_context(|| format!("cannot write {}", stamp.display()))
}
