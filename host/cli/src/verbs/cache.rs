use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;
use floret_cache::{CacheStats, DiskState};
use floret_model::Namespace;
use floret_pipeline::{Uncached, Uncaching};
use serde_json::json;

use crate::given::usage;
use crate::out::{Cell, Table, Tone, bytes, count, percent};
use crate::run::Context;

/// Look at the cache, empty it, fill it.
///
/// The cache may always be deleted: everything in it is in the store. Its memory tier lives as long as a process, so from
/// the command line it is the disk tier that matters.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show what the tiers hold and how often they hit, in this process.
    Stats,
    Invalidate(Invalidate),
    Warm(Warm),
}

/// Drop cached copies.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Patterns: * is any run of characters, ? one, [a-z] one of these, [!a-z] none of these; \\ takes the next
character as it is. They are matched against the whole name, e.g. corpus/lincoln or work:corpus/lincoln.

Examples:
  floret cache invalidate 'literature/lincoln-*'
  floret cache invalidate --namespace default
  floret cache invalidate --all"
)]
pub(crate) struct Invalidate {
    /// Of the resources whose names match.
    #[arg(value_name = "PATTERN", required_unless_present_any = ["namespace", "all"], conflicts_with_all = ["namespace", "all"])]
    patterns: Vec<String>,
    /// Of a whole namespace.
    #[arg(long, conflicts_with = "all")]
    namespace: Option<Namespace>,
    /// Everything.
    #[arg(long)]
    all: bool,
}

/// Fill the cache with what was asked for most.
#[derive(Debug, clap::Args)]
pub(crate) struct Warm {
    /// At most so many entries.
    #[arg(long, short = 'n', default_value_t = 1_000)]
    limit: usize,
}

pub(crate) async fn run(verb: Verb, context: &mut Context) -> Result<()> {
    match verb {
        Verb::Stats => stats(context).await,
        Verb::Invalidate(args) => invalidate(args, context).await,
        Verb::Warm(args) => warm(args, context).await,
    }
}

async fn stats(context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, _| {
            let stats = home.cache_stats().await?;
            out.show(&stats, |out| {
                out.table(&table(&stats))?;
                match &stats.disk {
                    DiskState::Ready => Ok(()),
                    DiskState::Off => out.aside("the disk tier is off"),
                    DiskState::Unavailable(why) => out.aside(&format!("the disk tier cannot be used: {why}")),
                }
            })
        })
        .await
}

/// Both tiers of every namespace.
pub(crate) fn table(stats: &CacheStats) -> Table {
    let mut table = Table::new(&[
        "namespace",
        "memory hits",
        "disk hits",
        "misses",
        "hit rate",
        "in memory",
        "bytes",
        "on disk",
        "bytes",
    ]);
    let rows = stats.namespaces.iter().map(|(name, stats)| (name.as_str(), stats));
    for (name, stats) in rows.chain([("total", &stats.total)]) {
        table.row(vec![
            Cell::text(name).tone(Tone::Name),
            Cell::count(stats.memory_hits),
            Cell::count(stats.disk_hits),
            Cell::count(stats.misses),
            stats.hit_rate().map_or_else(|| Cell::none().right(), |rate| Cell::number(percent(rate))),
            Cell::count(stats.memory_entries),
            Cell::bytes(stats.memory_bytes),
            Cell::count(stats.disk_entries),
            Cell::bytes(stats.disk_bytes),
        ]);
    }
    table
}

async fn invalidate(args: Invalidate, context: &mut Context) -> Result<()> {
    let what = match args.namespace {
        _ if args.all => Uncaching::All,
        Some(namespace) => Uncaching::Namespace(namespace),
        None => Uncaching::Matching(args.patterns),
    };
    context
        .with_home(async |home, out, _| {
            let gone = home.uncache(&what).await?;
            if gone.resources == Some(0) {
                return Err(usage(
                    "no resource has a name that matches; `floret list --all-namespaces` shows the names",
                ));
            }
            let Uncached { memory, disk, .. } = gone;
            out.show(&json!({"memory": memory, "disk": disk}), |out| {
                let sentence =
                    format!("{} entries dropped from memory, {} from disk", count(memory), count(disk));
                out.fact(&sentence, &[&memory.to_string(), &disk.to_string()])
            })
        })
        .await
}

async fn warm(args: Warm, context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, bars| {
            let started = std::time::Instant::now();
            let bar = bars.bar(None, "warming");
            let warmed = home.warm(args.limit).await;
            bar.finish_and_clear();
            let warmed = warmed?;
            let held = home.cache_stats().await?.total.memory_bytes;
            out.show(&warmed, |out| {
                let sentence = format!(
                    "{} entries from disk, {} from the store, {} gone ({} in {})",
                    count(warmed.from_disk),
                    count(warmed.loaded),
                    count(warmed.failed),
                    bytes(held),
                    rounded(started.elapsed()),
                );
                let fields =
                    [warmed.from_disk, warmed.loaded, warmed.failed].map(|number| number.to_string());
                out.fact(&sentence, &fields.each_ref().map(String::as_str))
            })
        })
        .await
}

fn rounded(took: Duration) -> String {
    crate::out::milliseconds(took.as_secs_f64() * 1e3)
}
