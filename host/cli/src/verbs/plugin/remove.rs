use anyhow::Result;
use floret_pipeline::Saved;
use serde_json::json;

use crate::out::{Out, Tone};
use crate::run::Context;

/// Remove a component.
///
/// Refused while it is bound, and while a version is kept that it built and that is rebuilt or searched by it. Its
/// history stays, `floret plugin list --all` shows it, and it can be installed again.
#[derive(Debug, clap::Args)]
pub(crate) struct Remove {
    /// Name of an installed component.
    name: String,
}

pub(super) async fn run(args: Remove, context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, _| {
            let saved = home.plugin_remove(&args.name).await?;
            removed(&saved, "removed", out)
        })
        .await
}

/// What was taken away, and by which version.
pub(super) fn removed(saved: &Saved, word: &str, out: &mut Out) -> Result<()> {
    let key = &saved.version.key;
    let reference = saved.version.reference().to_string();
    let sentence = format!(
        "{} {key}: {reference} says so, and `floret plugin rollback {key}` brings it back",
        out.paint(Tone::Good, word)
    );
    out.fact(&sentence, &[word, &reference])?;
    out.show(&json!({"resource": key.to_string(), "seq": saved.version.seq}), |_| Ok(()))
}
