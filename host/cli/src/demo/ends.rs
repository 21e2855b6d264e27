//! How the story begins and ends.

use std::time::Instant;

use anyhow::{Result, anyhow};
use floret_model::TypedMetadata;
use floret_store::VerifyOptions;
use serde_json::json;

use super::{Place, SEARCH, Story, since};
use crate::failure::Failure;
use crate::out::{Cell, Form, Table, Tone, bytes, count, milliseconds};

/// Where the data is, and which components are there.
pub(super) async fn open(story: &mut Story<'_>, place: &Place, started: Instant) -> Result<()> {
    let elapsed_ms = since(started);
    let title =
        story.out.paint(Tone::Heading, "Floret: versioned language data, built by WebAssembly components");
    let kept = if place.temporary { "a temporary folder" } else { "kept for next time" };
    story.line(&format!("{title}\ndata in {} ({kept})", place.data.display()))?;
    story.chapter(
        "Components",
        "what comes with the program; each runs in a sandbox without files, network, clock or chance",
    )?;
    let mut table = Table::new(&["component", "contract", "size", "what it does"]);
    for version in story.host.plugins().await? {
        let TypedMetadata::Plugin(plugin) = &version.metadata.typed else { continue };
        table.row(vec![
            Cell::text(format!("{} {}", version.key.resource_id, plugin.component_version)).tone(Tone::Name),
            Cell::text(&plugin.contract),
            Cell::bytes(version.content_location.size_bytes),
            Cell::text(&plugin.summary),
        ]);
    }
    story.table(table)?;
    story.figures(&format!(
        "opened in {} (the first time, components are compiled and installed)",
        milliseconds(elapsed_ms)
    ))?;
    story.keep("open", json!({"data": place.data, "elapsed_ms": elapsed_ms}));
    Ok(())
}

/// What the store holds now, and what was done.
pub(super) async fn ledger(story: &mut Story<'_>) -> Result<()> {
    story.chapter("What is stored", "every version of everything, told by the catalog")?;
    let held = story.host.catalog().statistics().await?;
    let stored = held.blob_stored_bytes + held.inline_bytes;
    let mut table = Table::new(&["", ""]);
    let mut add = |name: &str, cell: Cell| table.row(vec![Cell::text(name), cell]);
    add("resources", Cell::count(held.resources));
    add("versions", Cell::count(held.versions));
    add("blobs", Cell::count(held.blobs));
    add("builds remembered", Cell::count(held.memos));
    add("bytes of all versions", Cell::bytes(held.raw_bytes));
    add("stored, with all that is remembered", Cell::bytes(stored));
    story.table(table)?;
    story.figures(&format!(
        "{:.1} × less than every version by itself",
        held.raw_bytes as f64 / stored.max(1) as f64
    ))?;
    let [built, memo, cut_off] = story.steps.map(|steps| count(steps as u64));
    story.figures(&format!("steps of this run: {built} built, {memo} from memo, {cut_off} cut off"))?;
    let steps = story.steps;
    story.keep("stored", json!(held));
    story.keep("steps", json!({"built": steps[0], "memo_hit": steps[1], "cut_off": steps[2]}));
    Ok(())
}

/// Check every invariant and hash everything.
pub(super) async fn verify(story: &mut Story<'_>) -> Result<()> {
    story.chapter("Verify", "every invariant of the store, and every content hashed again")?;
    let started = Instant::now();
    let report = story.host.verify(VerifyOptions { rehash: true }).await?;
    let elapsed_ms = since(started);
    let verdict = match report.is_clean() {
        true => story.out.paint(Tone::Good, "sound"),
        false => story.out.paint(Tone::Bad, "not sound"),
    };
    story.figures(&format!(
        "{verdict}: {} versions, {} dependencies, {} blobs, {} hashed, in {}",
        count(report.versions),
        count(report.dependencies),
        count(report.blobs),
        bytes(report.rehashed_bytes),
        milliseconds(elapsed_ms),
    ))?;
    story.keep("verify", json!(report));
    match report.problems.first() {
        None => Ok(()),
        Some(problem) => {
            let message = format!(
                "{} problems; the first: {}: {}",
                report.problem_count, problem.what, problem.problem
            );
            Err(anyhow!(Failure::Unsound(message)))
        }
    }
}

/// What to try next.
pub(super) fn close(story: &mut Story<'_>, place: &Place, started: Instant) -> Result<()> {
    let elapsed_ms = since(started);
    story.keep("elapsed_ms", json!(elapsed_ms));
    if story.out.form() == Form::Json {
        return Ok(());
    }
    let done = story.out.paint(Tone::Heading, &format!("Done in {}.", milliseconds(elapsed_ms)));
    story.line(&format!("\n{done}"))?;
    let data = if place.temporary { "floret-demo".to_owned() } else { place.data.display().to_string() };
    if place.temporary {
        story.line("The temporary folder is removed now. To keep one, and to see how much is remembered the second time:")?;
        story.line(&format!("   floret demo --data {data}"))?;
        story.line("and then:")?;
    } else {
        story.line("Run it again to see how much is remembered, or try:")?;
    }
    for hint in [
        format!("search {SEARCH} libertty"),
        "corpus tree corpus/presidents".to_owned(),
        "log literature/lincoln-1863".to_owned(),
        "why corpus/lincoln".to_owned(),
        "plugin list".to_owned(),
        "verify --rebuild".to_owned(),
    ] {
        story.line(&format!("   floret --data {data} {hint}"))?;
    }
    Ok(())
}
