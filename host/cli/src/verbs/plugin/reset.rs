use anyhow::Result;
use serde_json::json;

use crate::out::Tone;
use crate::run::Context;

/// Ask a component again at once that broke so often on end that it is not asked for a while.
#[derive(Debug, clap::Args)]
pub(crate) struct Reset {
    /// What it is bound to: literature, corpus, trie, semantic, policy, or a type of your own.
    #[arg(value_name = "TYPE")]
    id: String,
}

pub(super) async fn run(args: Reset, context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, _| {
            let was_open = home.reset_breaker(&args.id).await?;
            let (word, tone) = if was_open { ("closed", Tone::Good) } else { ("unchanged", Tone::Faint) };
            let sentence = format!("{} the breaker of {}", out.paint(tone, word), args.id);
            out.fact(&sentence, &[word, &args.id])?;
            out.show(&json!({ "binding": args.id, "was_open": was_open }), |_| Ok(()))
        })
        .await
}
