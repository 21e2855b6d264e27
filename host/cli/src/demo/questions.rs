//! Asking the indexes.

use std::time::Instant;

use anyhow::Result;
use floret_pipeline::SearchMode;
use serde_json::json;

use super::{SEARCH, SEMANTIC, Story, TRIE, key, since};
use crate::out::{Cell, Table, Tone};

/// Answers that are asked for.
const LIMIT: u32 = 10;
/// Answers that are shown.
const SHOWN: usize = 5;

/// Every way to ask, once to open the index and once to measure.
pub(super) async fn ask(story: &mut Story<'_>) -> Result<()> {
    story.chapter(
        "Questions",
        "each asked twice: the first opens the index in its sandbox, the second is timed",
    )?;
    let asked = [
        (TRIE, SearchMode::Exact, "liberty", None),
        (TRIE, SearchMode::Prefix, "democra", None),
        (TRIE, SearchMode::Fuzzy, "goverment", Some(2)),
        (SEMANTIC, SearchMode::Semantic, "freedom", None),
        (SEARCH, SearchMode::Any, "prosperty", Some(1)),
    ];
    let mut table = Table::new(&["index", "how", "what", "answers", "first", "again"]);
    let mut kept = Vec::new();
    for (index, mode, text, distance) in asked {
        let index = key(index)?;
        let queries = mode.queries(text, distance)?;
        let started = Instant::now();
        story.host.search_any(&index, &queries, LIMIT).await?;
        let first_ms = since(started);
        let started = Instant::now();
        let answer = story.host.search_any(&index, &queries, LIMIT).await?;
        let again_ms = since(started);
        let words: Vec<&str> = answer.hits.iter().map(|hit| hit.word.as_str()).collect();
        let how = match (mode, distance) {
            (SearchMode::Fuzzy, Some(distance)) => format!("fuzzy {distance}"),
            (SearchMode::Any, _) => "fuzzy + semantic".to_owned(),
            (mode, _) => mode.to_string(),
        };
        table.row(vec![
            Cell::text(&index).tone(Tone::Name),
            Cell::text(&how),
            Cell::text(text),
            Cell::text(words.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ")).tone(Tone::Good),
            Cell::milliseconds(first_ms),
            Cell::milliseconds(again_ms),
        ]);
        kept.push(json!({
            "index": index.to_string(), "mode": how, "text": text, "words": words,
            "first_ms": first_ms, "again_ms": again_ms,
        }));
    }
    story.table(table)?;
    story.figures("the composite asks both of its parts, and merges their answers by rank")?;
    story.keep("questions", json!(kept));
    Ok(())
}
