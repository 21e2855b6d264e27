use anyhow::Result;
use floret_model::Seq;

use super::swap::{Swap, plan, tell};
use crate::run::Context;

/// Go back to an older version of a component or of a binding, and rebuild what it builds.
///
/// The older version is saved again as the newest: history is never rewritten. Builds that are remembered are not made
/// again.
#[derive(Debug, clap::Args)]
pub(crate) struct Rollback {
    /// Name of a component, or a type that is bound; plugins:plugin/NAME or plugins:binding/TYPE where it is both.
    #[arg(value_name = "NAME|TYPE")]
    name: String,
    /// Which version; the newest older one that is another, unless named. `floret log` lists them.
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    to: Option<u64>,
    #[command(flatten)]
    swap: Swap,
}

pub(super) async fn run(args: Rollback, context: &mut Context) -> Result<()> {
    let to = args.to.map(Seq);
    context
        .with_home(async |home, out, bars| {
            if args.swap.plan {
                return plan(&home.foresee_rollback(&args.name, to).await?, out);
            }
            let bar = bars.bar(None, "compiling");
            let saved = home.plugin_rollback(&args.name, to).await;
            bar.finish_and_clear();
            tell(home, &saved?, args.swap, out, bars).await
        })
        .await
}
