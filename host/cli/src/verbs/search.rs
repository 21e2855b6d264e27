use anyhow::Result;
use clap::ValueEnum;
use floret_model::ResourceKey;
use floret_pipeline::{SearchAnswer, SearchMode};

use crate::out::{Cell, Out, Table, Tone};
use crate::run::Context;

/// Ask an index.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floret search search/presidents liberty
  floret search trie/presidents libert --mode prefix
  floret search trie/presidents govermnent --mode fuzzy --distance 2
  floret search semantic/presidents freedom --mode semantic -n 5")]
pub(crate) struct Args {
    /// A trie, a semantic index, a composite search index, or what another index component built.
    #[arg(value_name = "TYPE/ID")]
    key: ResourceKey,
    /// What is looked for.
    text: String,
    /// How [default: any for a composite index, semantic for a semantic one, else exact].
    #[arg(long, short)]
    mode: Option<Mode>,
    /// Greatest edit distance of a fuzzy search: 1 or 2.
    #[arg(long, short, value_parser = clap::value_parser!(u8).range(1..=2))]
    distance: Option<u8>,
    /// At most so many answers.
    #[arg(long, short = 'n', default_value_t = 10)]
    limit: u32,
}

/// How to search.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Mode {
    /// The word itself.
    Exact,
    /// Words that begin so.
    Prefix,
    /// Words within an edit distance.
    Fuzzy,
    /// Words nearest in meaning or shape.
    Semantic,
    /// Fuzzy and semantic, the answers merged by rank.
    Any,
}

impl From<Mode> for SearchMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Exact => Self::Exact,
            Mode::Prefix => Self::Prefix,
            Mode::Fuzzy => Self::Fuzzy,
            Mode::Semantic => Self::Semantic,
            Mode::Any => Self::Any,
        }
    }
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    let mode = args.mode.map_or_else(|| SearchMode::usual(&args.key, args.distance), SearchMode::from);
    // Before anything is opened.
    mode.queries(&args.text, args.distance)?;
    context
        .with_home(async |home, out, _| {
            let answer = home.search(&args.key, &args.text, mode, args.distance, args.limit).await?;
            out.show(&answer, |out| tell(out, &answer))
        })
        .await
}

fn tell(out: &mut Out, answer: &SearchAnswer) -> Result<()> {
    let merged = answer.hits.iter().any(|hit| hit.ranks.len() > 1) || answer.parts.len() > 1;
    out.table(&hits(answer, merged))?;
    if answer.hits.is_empty() {
        out.aside("no answers")?;
    }
    let asked = format!("asked {}", answer.parts.join(", "));
    out.aside(&out.paint(Tone::Faint, &asked))
}

/// The answers, with their rank in each part where several are merged.
pub(crate) fn hits(answer: &SearchAnswer, merged: bool) -> Table {
    let mut table = Table::new(&["word", "count", "distance", "score", if merged { "rank in" } else { "" }]);
    for hit in &answer.hits {
        let ranks: Vec<String> = hit.ranks.iter().map(|(part, rank)| format!("{part} {rank}")).collect();
        table.row(vec![
            Cell::text(&hit.word).tone(Tone::Name),
            Cell::count(hit.frequency),
            hit.distance.map_or_else(Cell::none, |distance| Cell::count(u64::from(distance))),
            Cell::number(format!("{:.4}", hit.score)),
            if merged { Cell::text(ranks.join(", ")).tone(Tone::Faint) } else { Cell::none() },
        ]);
    }
    table
}
