use std::path::PathBuf;

use anyhow::{Result, anyhow};
use floret_model::{Bump, ResourceKey, ResourceType};
use floret_pipeline::{DerivedSpec, Error, Selector};
use serde_json::Value;

use crate::failure::classify;
use crate::given::{self, usage};
use crate::remote::Home;
use crate::report;
use crate::run::Context;

/// Build an index from corpora, or put a composite search index together from its parts.
///
/// The inputs are remembered: from then on, the index is rebuilt whenever one of them changes. Without inputs, what exists
/// is brought up to date.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floret build trie/presidents --from corpus/presidents
  floret build semantic/presidents --from corpus/presidents --set quantization=int8
  floret build search/presidents --part corpus/presidents --part trie/presidents --part semantic/presidents
  floret build trie/presidents")]
pub(crate) struct Args {
    /// What to build.
    #[arg(value_name = "TYPE/ID")]
    key: ResourceKey,
    /// A corpus that it is built from.
    #[arg(long = "from", value_name = "corpus/ID", conflicts_with = "parts")]
    from: Vec<ResourceKey>,
    /// A part of a composite search index: the corpus, and indexes built from it.
    #[arg(long = "part", value_name = "TYPE/ID")]
    parts: Vec<ResourceKey>,
    /// A member of the builder's configuration.
    #[arg(long = "set", value_name = "NAME=JSON", value_parser = given::pair)]
    set: Vec<(String, Value)>,
    /// The builder's configuration, a file with a JSON object.
    #[arg(long, value_name = "FILE")]
    set_file: Option<PathBuf>,
    /// Which part of the version grows: patch, minor, major.
    #[arg(long, value_name = "PART", default_value = "patch", value_parser = given::bump)]
    bump: Bump,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    let config = given::config(args.set_file.as_deref(), &args.set)?;
    check(&args)?;
    context
        .with_home(async |home, out, bars| {
            let mut build = asked(&args, home).await?;
            build.spec.config.extend(config);
            build.bump = args.bump;
            let report = bars.cascade(async |work| home.build(build, work).await).await?;
            out.show(&report, |out| report::show(out, &report))
        })
        .await
}

/// The roles that a type's inputs have.
fn check(args: &Args) -> Result<()> {
    let is_search = args.key.resource_type == ResourceType::search();
    match args.key.resource_type.as_str() {
        "search" if !args.from.is_empty() => {
            Err(usage(format!("{} is put together from parts: use --part, not --from", args.key)))
        }
        "corpus" if !args.from.is_empty() => Err(usage("use `floret corpus create` for a corpus")),
        _ if !is_search && !args.parts.is_empty() => {
            Err(usage(format!("only a search index has parts; {} is built --from corpora", args.key)))
        }
        _ => Ok(()),
    }
}

/// The build with the inputs that were given, or else with those of the latest version.
async fn asked(args: &Args, home: Home<'_>) -> Result<DerivedSpec> {
    let (role, keys) = if args.parts.is_empty() { ("corpus", &args.from) } else { ("part", &args.parts) };
    let mut build = DerivedSpec::new(args.key.clone(), role, keys.clone());
    if !keys.is_empty() {
        return Ok(build);
    }
    let head = home.resolve(&args.key, &Selector::Latest).await.map_err(|error| {
        if classify(&error).0 != "not_found" {
            return error;
        }
        let hint = Some("to build it, say from what: --from corpus/ID, or --part TYPE/ID".to_owned());
        let what = match error.downcast_ref() {
            Some(Error::NotFound { what, .. }) => what.clone(),
            _ => args.key.to_string(),
        };
        Error::NotFound { what, hint }.into()
    })?;
    let saved = || anyhow!(Error::InvalidRequest(format!("{} is saved by people, not built", args.key)));
    build.spec = head.spec.clone().ok_or_else(saved)?;
    Ok(build)
}
