use anyhow::Result;
use floret_model::ResourceKey;

use crate::report;
use crate::run::Context;

/// Rebuild what depends on these resources and really changed.
///
/// Everything becomes visible in one commit, or nothing does. Ctrl-C stops it between two steps; finished builds are
/// remembered, so that running it again goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floret cascade literature/lincoln-1863
  floret cascade plugins:plugin/trie-fst plugins:binding/semantic")]
pub(crate) struct Args {
    /// Which resources changed; a component or binding too, e.g. plugins:binding/trie.
    #[arg(value_name = "TYPE/ID", required = true)]
    keys: Vec<ResourceKey>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, bars| {
            home.check_there(&args.keys).await?;
            let report = bars.cascade(async |progress| home.cascade(&args.keys, progress).await).await?;
            out.show(&report, |out| report::show(out, &report))
        })
        .await
}
