//! The demo: one story over real texts. Every figure in it is measured in that run.

mod build;
mod change;
mod ends;
mod questions;
mod swap;
mod texts;
mod volume;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use floret_model::{CascadeReport, ResourceKey};
use floret_pipeline::Floret;
use serde_json::{Map, Value};

use crate::out::{Form, Out, Tone};
use crate::work::Bars;

/// Where the demo's data is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub data: PathBuf,
    pub temporary: bool,
}

/// The story while it is told.
struct Story<'a> {
    host: &'a Floret,
    out: &'a mut Out,
    bars: Bars,
    chapter: usize,
    /// Steps of all cascades so far: built, from memo, cut off.
    steps: [usize; 3],
    document: Map<String, Value>,
}

/// Tell it all.
///
/// # Errors
/// Whatever fails; nothing of the step that failed is visible then.
pub(crate) async fn tell(
    host: &Floret,
    out: &mut Out,
    bars: Bars,
    place: &Place,
    started: Instant,
) -> Result<()> {
    let texts = texts::all()?;
    let mut story = Story { host, out, bars, chapter: 0, steps: [0; 3], document: Map::new() };
    ends::open(&mut story, place, started).await?;
    build::texts(&mut story, &texts).await?;
    build::corpora(&mut story, &texts).await?;
    build::indexes(&mut story).await?;
    questions::ask(&mut story).await?;
    change::new_word(&mut story, &texts).await?;
    change::same_words(&mut story, &texts).await?;
    swap::policy(&mut story, &texts).await?;
    volume::batch(&mut story).await?;
    volume::reads(&mut story, &texts).await?;
    ends::ledger(&mut story).await?;
    ends::verify(&mut story).await?;
    ends::close(&mut story, place, started)?;
    let document = Value::Object(std::mem::take(&mut story.document));
    out.show(&document, |_| Ok(()))
}

impl Story<'_> {
    /// A heading, and what it is about.
    fn chapter(&mut self, title: &str, about: &str) -> Result<()> {
        self.chapter += 1;
        let heading = self.out.paint(Tone::Heading, &format!("{}. {title}", self.chapter));
        let about = self.out.paint(Tone::Faint, about);
        self.line(&format!("\n{heading}\n   {about}"))
    }

    /// A line, unless the story is told as JSON.
    fn line(&mut self, text: &str) -> Result<()> {
        match self.out.form() {
            Form::Json => Ok(()),
            _ => self.out.line(text),
        }
    }

    /// A line of figures below a heading.
    fn figures(&mut self, text: &str) -> Result<()> {
        self.line(&format!("   {text}"))
    }

    fn table(&mut self, table: crate::out::Table) -> Result<()> {
        match self.out.form() {
            Form::Json => Ok(()),
            _ => self.out.table(&table.indented(3)),
        }
    }

    /// Keep figures for the JSON document.
    fn keep(&mut self, name: &str, figures: Value) {
        self.document.insert(name.to_owned(), figures);
    }

    /// Count a cascade's steps.
    fn count(&mut self, report: &CascadeReport) {
        for (sum, fate) in self.steps.iter_mut().zip(["built", "memo_hit", "cut_off"]) {
            *sum += report.count(fate);
        }
    }
}

/// A key that is written in this program.
fn key(text: &str) -> Result<ResourceKey> {
    Ok(text.parse()?)
}

/// Milliseconds since a moment.
fn since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

const MASTER: &str = "corpus/presidents";
const TRIE: &str = "trie/presidents";
const SEMANTIC: &str = "semantic/presidents";
const SEARCH: &str = "search/presidents";
