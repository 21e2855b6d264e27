//! `cargo xtask bench`: the benchmarks, one after the other, each with its table.

use anyhow::{Context, Result, bail};

use crate::cargo;

/// Which benchmarks.
#[derive(clap::Args)]
pub struct Options {
    /// One of them: cache, mongo, pipeline, runtime, serve or store [default: all].
    name: Option<String>,
    /// Arguments for it, e.g. the parts of it that are to run.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Run them as the tests are built: the release profile over the whole workspace, so that the features of every crate
/// are the same and wasmtime is not compiled again.
pub fn run(options: &Options) -> Result<()> {
    let name = options.name.as_deref().unwrap_or("*");
    let status =
        cargo::command(&["bench", "--workspace", "--profile", "release", "--locked", "--bench", name, "--"])
            .args(&options.arguments)
            .status()
            .context("cargo does not start")?;
    if !status.success() {
        bail!("the benchmarks failed");
    }
    Ok(())
}
