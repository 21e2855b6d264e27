//! How cascades are told.

use anyhow::Result;
use floret_model::{CascadeReport, Fate, Plan, ResourceKey, StepReason};

use crate::out::{Cell, Form, Out, Table, Tone, count, milliseconds};

/// Steps shown of a long cascade, unless somebody reads it as lines.
const SHOWN_MAX: usize = 40;

/// The steps of a cascade as a table.
pub(crate) fn steps(report: &CascadeReport, form: Form) -> Table {
    let shown = if form == Form::Plain { usize::MAX } else { SHOWN_MAX };
    let mut table = Table::new(&["", "step", "version", "time", "output"]).indented(2);
    for step in report.steps.iter().take(shown) {
        let version =
            step.version.as_ref().map_or_else(Cell::none, |version| Cell::text(format!("@{}", version.seq)));
        let output =
            if step.output_bytes > 0 { Cell::bytes(step.output_bytes) } else { Cell::none().right() };
        let time = match step.fate {
            Fate::CutOff | Fate::Skipped { .. } if step.elapsed_ms == 0.0 => Cell::none().right(),
            _ => Cell::milliseconds(step.elapsed_ms),
        };
        table.row(vec![fate(&step.fate), Cell::text(&step.key), version, time, output]);
    }
    table
}

/// What became of a step, in its colour.
pub(crate) fn fate(fate: &Fate) -> Cell {
    let (text, tone) = match fate {
        Fate::Built { changed: true } => ("built", Tone::Good),
        Fate::Built { changed: false } => ("built, equal", Tone::Notable),
        Fate::MemoHit { changed: true } => ("memo hit", Tone::Name),
        Fate::MemoHit { changed: false } => ("memo hit, equal", Tone::Name),
        Fate::CutOff => ("cut off", Tone::Faint),
        Fate::Failed { .. } => ("failed", Tone::Bad),
        Fate::Skipped { .. } => ("skipped", Tone::Faint),
    };
    Cell::either(text, fate.name()).tone(tone)
}

/// `3 built, 1 memo hit, 12 cut off`.
pub(crate) fn counts(report: &CascadeReport) -> String {
    let named = [
        ("built", "built"),
        ("memo_hit", "from memo"),
        ("cut_off", "cut off"),
        ("failed", "failed"),
        ("skipped", "skipped"),
    ];
    let counted = named.iter().map(|(fate, name)| (report.count(fate), name));
    let told: Vec<String> = counted
        .filter(|(steps, _)| *steps > 0)
        .map(|(steps, name)| format!("{} {name}", count(steps as u64)))
        .collect();
    if told.is_empty() { "nothing depends on it".to_owned() } else { told.join(", ") }
}

/// A whole cascade: its steps, and a line that sums them up.
pub(crate) fn show(out: &mut Out, report: &CascadeReport) -> Result<()> {
    let form = out.form();
    out.table(&steps(report, form))?;
    if form == Form::People && report.steps.len() > SHOWN_MAX {
        out.aside(&format!("  … and {} more", count((report.steps.len() - SHOWN_MAX) as u64)))?;
    }
    out.aside(&format!("{} in {}", counts(report), milliseconds(report.elapsed_ms)))
}

/// A plan: what would be looked at, and why.
pub(crate) fn plan(plan: &Plan) -> Table {
    let mut table = Table::new(&["", "step", "because of"]).indented(2);
    for (number, step) in (1u64..).zip(&plan.steps) {
        table.row(vec![
            Cell::count(number).tone(Tone::Faint),
            Cell::text(&step.key),
            Cell::text(reason(&step.reason)),
        ]);
    }
    table
}

/// Why a step is there.
pub(crate) fn reason(reason: &StepReason) -> String {
    match reason {
        StepReason::Requested => "asked for by name".to_owned(),
        StepReason::InputChanged { inputs } => listed(inputs),
    }
}

fn listed(keys: &[ResourceKey]) -> String {
    let named: Vec<String> = keys.iter().take(4).map(ToString::to_string).collect();
    match keys.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
