use anyhow::Result;
use floret_model::ResourceKey;

use crate::out::count;
use crate::report;
use crate::run::Context;

/// Show what would be looked at if these resources changed, in the order of building. Nothing is done.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which resources; a component or binding too, e.g. plugins:binding/trie.
    #[arg(value_name = "TYPE/ID", required = true)]
    keys: Vec<ResourceKey>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, _| {
            home.check_there(&args.keys).await?;
            let plan = home.plan(&args.keys).await?;
            out.show(&plan, |out| {
                out.table(&report::plan(&plan))?;
                match plan.steps.len() as u64 {
                    0 => out.aside("nothing depends on it"),
                    1 => out.aside("1 step at most; what did not really change is cut off"),
                    steps => out.aside(&format!(
                        "{} steps at most; what did not really change is cut off",
                        count(steps)
                    )),
                }
            })
        })
        .await
}
