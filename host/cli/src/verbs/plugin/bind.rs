use std::path::PathBuf;

use anyhow::Result;
use floret_pipeline::Binding;
use serde_json::Value;

use super::swap::tell;
use crate::given;
use crate::run::Context;

/// Bind a component to what it does: to a resource type that it builds, to literature (text statistics), or to policy.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floret plugin bind policy policy-archive
  floret plugin bind semantic semantic-ngram --set quantization=int8 --cascade")]
pub(crate) struct Bind {
    /// literature, corpus, trie, semantic, policy, or a type of your own.
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
    /// Rebuild what is bound to it.
    #[arg(long)]
    cascade: bool,
}

pub(super) async fn run(args: Bind, context: &mut Context) -> Result<()> {
    let config = given::config(args.set_file.as_deref(), &args.set)?;
    context
        .with_host(async |host, out, bars| {
            let binding = Binding { component: args.component.clone(), config };
            let saved = host.plugin_bind(&args.id, binding).await?;
            tell(host, &saved, args.cascade, out, bars).await
        })
        .await
}
