use anyhow::Result;

use super::remove::removed;
use crate::run::Context;

/// Take a binding away, so that nothing builds the type any longer.
///
/// Refused while there are resources that it built, since they could not be rebuilt: bind another component instead. Its
/// history stays, and `floret plugin rollback TYPE` brings it back.
#[derive(Debug, clap::Args)]
pub(crate) struct Unbind {
    /// What is bound.
    #[arg(value_name = "TYPE")]
    id: String,
}

pub(super) async fn run(args: Unbind, context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, _| {
            let saved = home.plugin_unbind(&args.id).await?;
            removed(&saved, "unbound", out)
        })
        .await
}
