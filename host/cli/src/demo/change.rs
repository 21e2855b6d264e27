//! One text changes.

use anyhow::{Context, Result};
use floret_model::{Fate, ResourceKey};
use floret_pipeline::SearchMode;
use floret_store::ListQuery;
use serde_json::json;

use super::build::{request, text_key, told};
use super::texts::Text;
use super::{MASTER, Story, key};
use crate::out::count;
use crate::report;

/// The text that the story changes.
const CHANGED: &str = "lincoln-1863";
/// A word that none of the texts has.
const NEW_WORD: &str = "floret";

pub(super) fn the_text(texts: &[Text]) -> Result<&Text> {
    texts.iter().find(|text| text.entry.id == CHANGED).context("the demo's text is not in the program")
}

/// The text with a paragraph more.
pub(super) fn with_sentence(text: &Text, sentence: &str) -> String {
    format!("{}\n\n{sentence}\n", text.text.trim_end())
}

/// A text gets a new word: only what depends on it is looked at.
pub(super) async fn new_word(story: &mut Story<'_>, texts: &[Text]) -> Result<()> {
    let text = the_text(texts)?;
    story.chapter(
        "One text changes",
        &format!("a sentence with a new word, {NEW_WORD:?}, is added to literature/{CHANGED}; what depends on it follows"),
    )?;
    let changed = with_sentence(text, "May every floret of the Union bloom.");
    let report = save_and_cascade(story, text, changed).await?;
    story.table(report::steps(&report, crate::out::Form::People))?;
    told(story, "new_word", &report)?;
    let derived = derived(story).await?;
    let untouched = derived.saturating_sub(report.steps.len() as u64);
    story.figures(&format!(
        "{} of {} derived resources do not depend on it and were not even looked at",
        count(untouched),
        count(derived),
    ))?;
    let found =
        story.host.search_any(&key(super::TRIE)?, &SearchMode::Exact.queries(NEW_WORD, None)?, 1).await?;
    let seen = if found.hits.is_empty() { "is not" } else { "is" };
    story.figures(&format!("{NEW_WORD:?} {seen} in {} now", found.index))?;
    why(story).await
}

/// A text changes its form and keeps its words: the corpus comes out equal, and nothing behind it is built.
pub(super) async fn same_words(story: &mut Story<'_>, texts: &[Text]) -> Result<()> {
    let text = the_text(texts)?;
    story.chapter(
        "The same words, set differently",
        "its first line in capitals, its line ends changed: the corpus is counted again, comes out equal, and cuts off the rest",
    )?;
    let changed = with_sentence(text, "May every floret of the Union bloom.");
    let (first, rest) = changed.split_once('\n').unwrap_or((&changed, ""));
    let changed = format!("{}\n{rest}", first.to_uppercase()).replace('\n', "\r\n");
    let report = save_and_cascade(story, text, changed).await?;
    story.table(report::steps(&report, crate::out::Form::People))?;
    told(story, "same_words", &report)
}

pub(super) async fn save_and_cascade(
    story: &mut Story<'_>,
    text: &Text,
    content: String,
) -> Result<floret_model::CascadeReport> {
    let saved = story.host.save(request(text, content)?).await?;
    let roots = [saved.version.key.clone()];
    let host = story.host;
    story.bars.cascade(async |progress| host.cascade(&roots, progress).await).await
}

/// How many resources are built rather than saved.
async fn derived(story: &Story<'_>) -> Result<u64> {
    let query = ListQuery { limit: 100_000, ..ListQuery::default() };
    let all = story.host.list(&query).await?;
    Ok(all.iter().filter(|version| version.spec.is_some()).count() as u64)
}

/// What `floret why` says of the master's last build.
async fn why(story: &mut Story<'_>) -> Result<()> {
    let why = story.host.why(&key(MASTER)?).await?;
    let (Some(build), Some((_, step))) = (&why.build, why.steps.first()) else { return Ok(()) };
    let by = build
        .component
        .as_ref()
        .map_or_else(|| "the host".to_owned(), |component| component.plugin.to_string());
    let verb = match step.fate {
        Fate::MemoHit { .. } => "was remembered from a build",
        Fate::CutOff => "was cut off",
        _ => "was built",
    };
    story.figures(&format!(
        "why {}? It {verb} by {by} because of {}, recipe {}",
        why.version,
        report::reason(&step.reason),
        build.recipe.short(),
    ))?;
    story.keep("why", json!(why));
    Ok(())
}

/// The resources that a change of the text ends in, with the text itself.
pub(super) fn touched(text: &Text) -> Result<Vec<ResourceKey>> {
    let corpus = key(&format!("corpus/{}", text.entry.president_id))?;
    Ok(vec![text_key(text)?, corpus, key(MASTER)?, key(super::TRIE)?, key(super::SEMANTIC)?])
}
