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
        .with_host(async |host, out, bars| {
            let key = host.plugin_named(&args.name).await?;
            if args.swap.plan {
                let target = host.plugin_rollback_target(&key, to).await?;
                let newest = host.log(&key, None, 1).await?;
                let is_new = newest.iter().any(|newest| newest.data_hash != target.data_hash);
                let what = format!("the content of {}", target.reference());
                return plan(host, &key, &what, is_new, out).await;
            }
            let bar = bars.bar(None, "compiling");
            let saved = host.plugin_rollback(&key, to).await;
            bar.finish_and_clear();
            tell(host, &saved?, args.swap, out, bars).await
        })
        .await
}
