//! Texts, corpora, indexes.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;
use floret_model::{
    CascadeReport, CorpusType, LiteratureMetadata, Metadata, ResourceKey, TypedMetadata, Version,
};
use floret_pipeline::{Change, Content, CorpusRequest, DerivedSpec, SaveRequest, Saved, Selector};
use serde_json::json;

use super::texts::Text;
use super::{MASTER, SEARCH, SEMANTIC, Story, TRIE, key, since};
use crate::out::{Cell, Table, Tone, bytes, count, milliseconds};
use crate::report;

/// How the demo saves a text.
pub(super) fn request(text: &Text, content: impl Into<Bytes>) -> Result<SaveRequest> {
    let entry = &text.entry;
    let metadata = LiteratureMetadata {
        title: format!("State of the Union {}", entry.year),
        authors: vec![entry.president.clone()],
        publication_year: Some(entry.year),
        genres: ["speech".to_owned()].into(),
        source: Some(entry.source.clone()),
        text_hash: Some(entry.sha256),
        text_size_bytes: 0,
        statistics: None,
    };
    let custom = [("party", &entry.party), ("date", &entry.date), ("form", &entry.form)];
    let custom = custom.map(|(name, value)| (name.to_owned(), json!(value)));
    Ok(SaveRequest {
        metadata: Metadata { typed: TypedMetadata::Literature(metadata), custom: custom.into() },
        ..SaveRequest::new(text_key(text)?, Content::Bytes(content.into()))
    })
}

/// The resource of a text.
pub(super) fn text_key(text: &Text) -> Result<ResourceKey> {
    key(&format!("literature/{}", text.entry.id))
}

/// Save all texts in one atomic batch.
pub(super) async fn texts(story: &mut Story<'_>, texts: &[Text]) -> Result<()> {
    story.chapter(
        "Texts",
        "52 annual messages of twelve presidents, 1790 to 2016, saved in one atomic batch: all of them, or none",
    )?;
    let requests = texts.iter().map(|text| request(text, text.text)).collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    let saved = story.host.save_batch(requests).await?;
    let elapsed_ms = since(started);
    let new = saved.iter().filter(|saved| saved.is_new).count() as u64;
    let sum = |of: fn(&Version) -> u64| saved.iter().map(|saved| of(&saved.version)).sum::<u64>();
    let raw = sum(|version| version.content_location.size_bytes);
    let stored = sum(|version| version.content_location.size_compressed);
    let words = sum(|version| statistics(version).map_or(0, |(words, _)| words));
    story.figures(&format!(
        "{} new, {} unchanged, in {}",
        count(new),
        count(saved.len() as u64 - new),
        milliseconds(elapsed_ms),
    ))?;
    story.figures(&format!(
        "{} words, {} raw, {} stored ({:.1} ×; codecs chosen by policy-default)",
        count(words),
        bytes(raw),
        bytes(stored),
        raw as f64 / stored.max(1) as f64,
    ))?;
    if let Some((hard, easy)) = extremes(&saved) {
        story.figures(&format!("reading ease as the component measured it: from {hard} to {easy}"))?;
    }
    story.keep("texts", json!({
        "texts": saved.len(), "new": new, "words": words, "bytes_raw": raw, "bytes_stored": stored, "elapsed_ms": elapsed_ms,
    }));
    Ok(())
}

/// Words, and ease of reading, as a component counted them.
fn statistics(version: &Version) -> Option<(u64, Option<f64>)> {
    match &version.metadata.typed {
        TypedMetadata::Literature(text) => {
            text.statistics.as_ref().map(|found| (found.word_count, found.readability_score))
        }
        _ => None,
    }
}

/// The hardest and the easiest text.
fn extremes(saved: &[Saved]) -> Option<(String, String)> {
    let score = |saved: &Saved| statistics(&saved.version).and_then(|(_, score)| score);
    let mut scored: Vec<(f64, &str)> = saved
        .iter()
        .filter_map(|saved| Some((score(saved)?, saved.version.key.resource_id.as_str())))
        .collect();
    scored.sort_by(|one, two| one.0.total_cmp(&two.0));
    let told = |(score, id): &(f64, &str)| format!("{score:.0} ({id})");
    Some((told(scored.first()?), told(scored.last()?)))
}

/// A corpus for each president and a master above them, in one commit.
pub(super) async fn corpora(story: &mut Story<'_>, texts: &[Text]) -> Result<()> {
    story.chapter(
        "Corpora",
        "one corpus for each president, and a master above them: built in a sandbox, published in one commit",
    )?;
    let mut presidents: Vec<(&str, &str, Vec<ResourceKey>)> = Vec::new();
    for text in texts {
        let (id, name) = (text.entry.president_id.as_str(), text.entry.president.as_str());
        match presidents.iter_mut().find(|(known, ..)| *known == id) {
            Some((.., documents)) => documents.push(text_key(text)?),
            None => presidents.push((id, name, vec![text_key(text)?])),
        }
    }
    let mut requests = Vec::new();
    for (id, _, documents) in &presidents {
        let request = CorpusRequest {
            documents: documents.clone(),
            corpus_type: CorpusType::Literature,
            ..CorpusRequest::default()
        };
        requests.push((key(&format!("corpus/{id}"))?, request));
    }
    let children = requests.iter().map(|(child, _)| child.clone()).collect();
    let dialect = Some("en-US".to_owned());
    let master =
        CorpusRequest { children, corpus_type: CorpusType::Literature, dialect, ..CorpusRequest::default() };
    requests.push((key(MASTER)?, master));
    let host = story.host;
    let report = story.bars.cascade(async |progress| host.corpus_create(requests, progress).await).await?;
    let names: BTreeMap<&str, &str> = presidents.iter().map(|(id, name, _)| (*id, *name)).collect();
    let mut table = Table::new(&["corpus", "of", "texts", "words", "distinct", "", "time"]);
    for step in report.steps.iter().filter(|step| step.key.resource_type.as_str() == "corpus") {
        let version = host.resolve(&step.key, &Selector::Latest).await?;
        let TypedMetadata::Corpus(corpus) = &version.metadata.typed else { continue };
        let id = step.key.resource_id.as_str();
        table.row(vec![
            Cell::text(&step.key).tone(Tone::Name),
            Cell::text(names.get(id).copied().unwrap_or("all of them")),
            Cell::count(corpus.literature_data_ids.len() as u64),
            Cell::count(corpus.total_tokens),
            Cell::count(corpus.vocabulary_size),
            report::fate(&step.fate),
            Cell::milliseconds(step.elapsed_ms),
        ]);
    }
    story.table(table)?;
    told(story, "corpora", &report)
}

/// A trie, a semantic index and the composite of both, in one commit.
pub(super) async fn indexes(story: &mut Story<'_>) -> Result<()> {
    story.chapter(
        "Indexes",
        "a trie and a semantic index of the master, and a composite search index that pins one of each",
    )?;
    let spec = |of: &str, role: &str, inputs: &[&str]| -> Result<DerivedSpec> {
        let inputs = inputs.iter().map(|name| key(name)).collect::<Result<Vec<_>>>()?;
        Ok(DerivedSpec::new(key(of)?, role, inputs))
    };
    let builds = vec![
        spec(TRIE, "corpus", &[MASTER])?,
        spec(SEMANTIC, "corpus", &[MASTER])?,
        spec(SEARCH, "part", &[MASTER, TRIE, SEMANTIC])?,
    ];
    let change = Change { builds, ..Change::default() };
    let host = story.host;
    let report = story.bars.cascade(async |progress| host.apply(change, progress).await).await?;
    story.table(report::steps(&report, crate::out::Form::People))?;
    told(story, "indexes", &report)
}

/// The sum of a cascade.
pub(super) fn told(story: &mut Story<'_>, name: &str, report: &CascadeReport) -> Result<()> {
    story.count(report);
    story.figures(&format!("{} in {}", report::counts(report), milliseconds(report.elapsed_ms)))?;
    story.keep(name, serde_json::to_value(report)?);
    Ok(())
}
