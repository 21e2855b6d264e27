use std::path::PathBuf;

use anyhow::Result;

use super::swap::tell;
use crate::given;
use crate::run::Context;

/// Install a component, or a new version of one.
///
/// It is compiled and checked first: nothing is installed that does not load. What it builds is rebuilt when you say so,
/// with --cascade or later with `floret cascade`.
#[derive(Debug, clap::Args)]
pub(crate) struct Install {
    /// The component, a .wasm file; - is standard input.
    file: PathBuf,
    /// Install it under another name than it gives itself.
    #[arg(long)]
    name: Option<String>,
    /// Rebuild what the component builds.
    #[arg(long)]
    cascade: bool,
}

pub(super) async fn run(args: Install, context: &mut Context) -> Result<()> {
    let component = given::read(&args.file)?;
    context
        .with_host(async |host, out, bars| {
            let bar = bars.bar(None, "compiling");
            let saved = host.plugin_install(args.name.as_deref(), component).await;
            bar.finish_and_clear();
            let saved = saved?;
            tell(host, &saved, args.cascade, out, bars).await
        })
        .await
}
