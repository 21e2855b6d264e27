use anyhow::Result;
use clap::ValueEnum;
use floret_model::{ResourceKey, ResourceType};
use floret_pipeline::SearchAnswer;
use floret_runtime::Query;

use crate::given::usage;
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

/// The questions that a mode asks. Without a distance, words of up to five characters may differ by one, longer ones by two.
pub(crate) fn queries(mode: Mode, text: &str, distance: Option<u8>) -> Vec<Query> {
    let text = || text.to_owned();
    let distance = distance.unwrap_or(if text().chars().count() <= 5 { 1 } else { 2 });
    let fuzzy = || Query::Fuzzy { text: text(), distance };
    match mode {
        Mode::Exact => vec![Query::Exact(text())],
        Mode::Prefix => vec![Query::Prefix(text())],
        Mode::Fuzzy => vec![fuzzy()],
        Mode::Semantic => vec![Query::Semantic(text())],
        Mode::Any => vec![fuzzy(), Query::Semantic(text())],
    }
}

fn default_mode(key: &ResourceKey, distance: Option<u8>) -> Mode {
    match key.resource_type.as_str() {
        _ if key.resource_type == ResourceType::search() => Mode::Any,
        _ if distance.is_some() => Mode::Fuzzy,
        "semantic" => Mode::Semantic,
        _ => Mode::Exact,
    }
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    let mode = args.mode.unwrap_or_else(|| default_mode(&args.key, args.distance));
    if args.distance.is_some() && !matches!(mode, Mode::Fuzzy | Mode::Any) {
        return Err(usage("--distance is for --mode fuzzy and any"));
    }
    let queries = queries(mode, &args.text, args.distance);
    context
        .with_host(async |host, out, _| {
            let answer = host.search_any(&args.key, &queries, args.limit).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m17_the_mode_follows_the_index() {
        let mode = |key: &str, distance| default_mode(&key.parse().expect("a key"), distance);
        assert_eq!(mode("search/x", None), Mode::Any);
        assert_eq!(mode("trie/x", None), Mode::Exact);
        assert_eq!(mode("trie/x", Some(1)), Mode::Fuzzy);
        assert_eq!(mode("semantic/x", None), Mode::Semantic);
    }

    #[test]
    fn longer_words_may_differ_more() {
        let fuzzy = |text: &str, distance| match queries(Mode::Fuzzy, text, distance).as_slice() {
            [Query::Fuzzy { distance, .. }] => *distance,
            other => panic!("{other:?}"),
        };
        assert_eq!((fuzzy("union", None), fuzzy("liberty", None), fuzzy("union", Some(2))), (1, 2, 2));
    }
}
