use std::path::PathBuf;

use anyhow::Result;
use floret_pipeline::Binding;
use serde_json::Value;

use super::limit::{Limit, limits};
use super::swap::{Swap, plan, tell};
use crate::given;
use crate::run::Context;

/// Bind a component to what it does: to a resource type that it builds, to literature (text statistics), to policy
/// (compression), or to retention (what cleanup keeps).
/// What was built by the one before is rebuilt.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floret plugin bind policy policy-archive
  floret plugin bind semantic semantic-ngram --set quantization=int8
  floret plugin bind corpus my-builder --limit memory_bytes_max=64MiB --limit call_timeout=30s")]
pub(crate) struct Bind {
    /// literature, corpus, trie, semantic, policy, retention, or a type of your own.
    #[arg(value_name = "TYPE")]
    id: String,
    /// Name of an installed component.
    component: String,
    /// A member of its configuration.
    #[arg(long = "set", value_name = "NAME=JSON", value_parser = given::pair)]
    set: Vec<(String, Value)>,
    /// Its configuration, a file with a JSON object.
    #[arg(long, value_name = "FILE")]
    set_file: Option<PathBuf>,
    /// What it may use, where that is less than the host allows: `call_timeout`, `query_timeout`, `memory_bytes_max`,
    /// `output_bytes_max`, `log_bytes_max`, `instances_max`.
    #[arg(long = "limit", value_name = "NAME=AMOUNT")]
    limits: Vec<Limit>,
    #[command(flatten)]
    swap: Swap,
}

pub(super) async fn run(args: Bind, context: &mut Context) -> Result<()> {
    let config = given::config(args.set_file.as_deref(), &args.set)?;
    context
        .with_home(async |home, out, bars| {
            let limits = limits(&args.limits);
            let binding = Binding { limits, ..Binding::configured(args.component.clone(), config) };
            if args.swap.plan {
                return plan(&home.foresee_bind(&args.id, &binding).await?, out);
            }
            let saved = home.plugin_bind(&args.id, binding).await?;
            tell(home, &saved, args.swap, out, bars).await
        })
        .await
}
