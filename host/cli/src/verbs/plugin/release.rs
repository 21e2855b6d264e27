use anyhow::Result;

use crate::out::{Tone, plural};
use crate::run::Context;

/// Let a component in quarantine be used again.
///
/// `floret verify --rebuild` puts a component there whose output was not the same again. What it built stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name under which it is installed, or its digest: at least 8 digits.
    #[arg(value_name = "NAME|DIGEST")]
    what: String,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, _| {
            let released = home.plugin_release(&args.what).await?;
            out.show(&released, |out| {
                for one in &released {
                    let (plugin, digest) = (one.plugin.to_string(), one.digest.to_string());
                    let sentence = format!(
                        "{} {plugin} (sha256:{}): it may build again",
                        out.paint(Tone::Good, "released"),
                        one.digest.short()
                    );
                    out.fact(&sentence, &["released", &plugin, &digest])?;
                }
                out.aside(&plural(released.len() as u64, "component"))
            })
        })
        .await
}
