//! Looking at policies.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::Subcommand;
use floret_model::ResourceType;
use floret_pipeline::{Contender, ContenderSource, Cost, Costs, PolicyComparison, PolicyReplay};
use serde_json::Value;

use crate::failure::Failure;
use crate::given;
use crate::out::{Cell, Out, Table, Tone, count, milliseconds, percent, plural};
use crate::run::Context;

/// Compare compression policies on what is stored.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Compare(Compare),
}

/// Let two compression policies decide anew about the latest decisions, and measure what contents would take under each.
///
/// Every content is read, encoded as each policy says and decoded again. Nothing is changed, and nothing is installed.
/// Times are those of one thread, while other contents are measured on the other processors. With --server both are components
/// that are installed there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floret policy compare policy-default policy-archive
  floret policy compare policy-default ./mine.wasm --type corpus --svg compare.svg
  floret policy compare policy-default policy-default --set-b level=9")]
pub(crate) struct Compare {
    /// The one policy: the name of an installed component, or a .wasm file.
    #[arg(value_name = "A")]
    a: String,
    /// The other.
    #[arg(value_name = "B")]
    b: String,
    /// So many decisions, the latest ones.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    last: usize,
    /// Only contents of this type.
    #[arg(long = "type", value_name = "TYPE")]
    resource_type: Option<ResourceType>,
    /// Draw the comparison into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// A member of A's configuration; what is not set has its default.
    #[arg(long = "set-a", value_name = "NAME=JSON", value_parser = given::pair)]
    set_a: Vec<(String, Value)>,
    /// A member of B's configuration.
    #[arg(long = "set-b", value_name = "NAME=JSON", value_parser = given::pair)]
    set_b: Vec<(String, Value)>,
}

pub(crate) async fn run(verb: Verb, context: &mut Context) -> Result<()> {
    match verb {
        Verb::Compare(args) => compare(args, context).await,
    }
}

async fn compare(args: Compare, context: &mut Context) -> Result<()> {
    let replay = PolicyReplay {
        a: contender(&args.a, args.set_a)?,
        b: contender(&args.b, args.set_b)?,
        last: args.last,
        resource_type: args.resource_type,
    };
    context
        .with_home(async |home, out, bars| {
            let bar = bars.bar(Some(0), "measuring");
            let drawn = bar.clone();
            let progress = move |done, of| {
                drawn.set_length(of);
                drawn.set_position(done);
            };
            let comparison = home.policy_compare(&replay, &progress).await;
            bar.finish_and_clear();
            let comparison = comparison?;
            if let Some(file) = &args.svg {
                draw(&comparison, file)?;
            }
            out.show(&comparison, |out| tell(out, &comparison, args.svg.as_deref()))
        })
        .await
}

fn contender(what: &str, set: Vec<(String, Value)>) -> Result<Contender> {
    let file = Path::new(what);
    let source = match file.is_file() {
        true => ContenderSource::Component(given::read(file)?),
        false => ContenderSource::Installed(what.to_owned()),
    };
    Ok(Contender { source, config: set.into_iter().collect() })
}

fn draw(comparison: &PolicyComparison, file: &Path) -> Result<()> {
    let failed = |source| anyhow!(Failure::File { action: "write", name: given::name(file), source });
    std::fs::write(file, floret_show::svg(comparison)).map_err(failed)
}

fn tell(out: &mut Out, comparison: &PolicyComparison, svg: Option<&Path>) -> Result<()> {
    let name = |side: &floret_pipeline::Compared| match side.config.is_empty() {
        true => side.component.clone(),
        false => format!("{} {}", side.component, Value::Object(side.config.clone())),
    };
    out.aside(&format!("A is {}, B is {}", name(&comparison.a), name(&comparison.b)))?;
    let mut table = Table::new(&[
        "type", "count", "raw", "under A", "of raw", "under B", "of raw", "time A", "time B", "differ",
    ]);
    for (resource_type, costs) in &comparison.by_type {
        table.row(row(Cell::text(resource_type).tone(Tone::Name), costs));
    }
    table.row(row(Cell::text("all").tone(Tone::Heading), &comparison.total));
    out.table(&table)?;
    let mut told = vec![format!("{} replayed", plural(comparison.total.count, "decision"))];
    if comparison.gone > 0 {
        told.push(format!("{} not, since cleanup dropped the content", count(comparison.gone)));
    }
    if comparison.incomplete > 0 {
        told.push(format!("{} logged without the whole question", count(comparison.incomplete)));
    }
    told.push("time is encoding + decoding".to_owned());
    out.aside(&told.join("; "))?;
    match svg {
        Some(file) => out.aside(&format!("drawn into {}", given::name(file))),
        None => Ok(()),
    }
}

fn row(name: Cell, costs: &Costs) -> Vec<Cell> {
    let time = |cost: &Cost| {
        let both = format!("{} + {}", milliseconds(cost.encode_ms), milliseconds(cost.decode_ms));
        Cell::either(both, format!("{:.3}", cost.encode_ms + cost.decode_ms)).right()
    };
    vec![
        name,
        Cell::count(costs.count),
        Cell::bytes(costs.raw_bytes),
        Cell::bytes(costs.a.bytes),
        share(costs.a.bytes, costs.raw_bytes),
        Cell::bytes(costs.b.bytes),
        share(costs.b.bytes, costs.raw_bytes),
        time(&costs.a),
        time(&costs.b),
        Cell::count(costs.differing),
    ]
}

fn share(bytes: u64, of: u64) -> Cell {
    match of {
        0 => Cell::none().right(),
        of => Cell::number(percent(bytes as f64 / of as f64)),
    }
}
