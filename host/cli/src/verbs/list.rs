use anyhow::Result;
use floret_model::{Namespace, ResourceKey, ResourceType, Version};
use floret_pipeline::VersionEntry;
use floret_store::ListQuery;
use serde_json::json;

use crate::given::usage;
use crate::out::{Cell, Table, Tone};
use crate::run::Context;

/// List resources with their latest versions, by name.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floret list
  floret list corpus
  floret list literature/lincoln-
  floret list --namespace plugins plugin")]
pub(crate) struct Args {
    /// Only this type, or only ids that begin so.
    #[arg(value_name = "TYPE[/PREFIX]")]
    what: Option<String>,
    /// Of this namespace.
    #[arg(long, default_value = "default")]
    namespace: Namespace,
    /// Of all namespaces.
    #[arg(long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 1_000)]
    limit: usize,
    /// Only after this resource: the last one of the page before.
    #[arg(long, value_name = "TYPE/ID")]
    after: Option<ResourceKey>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    let query = query(&args)?;
    context
        .with_home(async |home, out, _| {
            let found = home.list(&query).await?;
            let entries: Vec<VersionEntry> = found.iter().map(|version| VersionEntry::of(version)).collect();
            let next = found.last().filter(|_| found.len() == args.limit).map(|last| last.key.to_string());
            out.show(&json!({"resources": entries, "next_after": next}), |out| {
                let mut table = Table::new(&["resource", "seq", "version", "items", "raw", "created"]);
                for version in &found {
                    table.row(row(version));
                }
                out.table(&table)?;
                match &next {
                    Some(next) => out.aside(&format!("more: floret list … --after '{next}'")),
                    None if found.is_empty() => {
                        out.aside("nothing is there yet; `floret demo` shows what could be")
                    }
                    None => Ok(()),
                }
            })
        })
        .await
}

fn query(args: &Args) -> Result<ListQuery> {
    let (resource_type, id_prefix) =
        match args.what.as_deref().map(|what| what.split_once('/').unwrap_or((what, ""))) {
            None => (None, None),
            Some((resource_type, prefix)) => {
                let hint = "expected TYPE or TYPE/PREFIX; a namespace is given by --namespace";
                let resource_type =
                    ResourceType::new(resource_type).map_err(|error| usage(format!("{error}; {hint}")))?;
                (Some(resource_type), Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty()))
            }
        };
    if args.limit == 0 {
        return Err(usage("--limit 0 lists nothing: expected at least 1"));
    }
    let namespace = Some(args.namespace.clone()).filter(|_| !args.all_namespaces);
    Ok(ListQuery { namespace, resource_type, id_prefix, after: args.after.clone(), limit: args.limit })
}

fn row(version: &Version) -> Vec<Cell> {
    let items = version.metadata.items().map_or_else(|| Cell::none().right(), Cell::count);
    vec![
        Cell::text(&version.key).tone(Tone::Name),
        Cell::either(format!("@{}", version.seq), version.seq),
        Cell::text(&version.version),
        items,
        Cell::bytes(version.content_location.size_bytes),
        Cell::text(version.created_at),
    ]
}
