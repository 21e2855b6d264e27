use anyhow::Result;
use floret_model::{Fate, ResourceKey, StepReport};
use floret_pipeline::Why;

use crate::out::{Cell, Out, Table, Tone, bytes, milliseconds, plural};
use crate::report;
use crate::run::Context;

/// Tell why a resource was rebuilt the last times, or was not, and whether it would be now.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which resource.
    #[arg(value_name = "TYPE/ID")]
    key: ResourceKey,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, _| {
            let why = home.why(&args.key).await?;
            out.show(&why, |out| {
                built(out, &why)?;
                stored(out, &why)?;
                steps(out, &why)?;
                newer(out, &why)
            })
        })
        .await
}

fn built(out: &mut Out, why: &Why) -> Result<()> {
    let name = out.paint(Tone::Heading, &why.version.to_string());
    let Some(build) = &why.build else {
        let sentence = format!("{name} was saved; it is not built from anything");
        return out.fact(&sentence, &["saved", &why.version.to_string()]);
    };
    let by = build
        .component
        .as_ref()
        .map_or_else(|| "the host".to_owned(), |component| component.plugin.to_string());
    let took = milliseconds(build.build_time_ms);
    let sentence = match build.from_memo {
        true => format!("{name} was taken from memo: an earlier build by {by}, which took {took}"),
        false => format!("{name} was built by {by} in {took}"),
    };
    let fields = ["built", &why.version.to_string(), &by, &build.recipe.to_string()].map(str::to_owned);
    out.fact(&sentence, &fields.each_ref().map(String::as_str))?;
    let mut table = Table::new(&["from", "as", "sha256"]).indented(2);
    for input in &build.inputs {
        table.row(vec![Cell::text(&input.version), Cell::text(&input.role), Cell::digest(&input.digest)]);
    }
    if out.form() == crate::out::Form::People {
        out.table(&table)?;
    }
    out.aside(&format!("  config {}, recipe {}", build.config, build.recipe.short()))
}

/// How its bytes are stored, and what the policy that said so was asked.
fn stored(out: &mut Out, why: &Why) -> Result<()> {
    let Some(policy) = &why.policy else { return Ok(()) };
    let entropy = format!("{:.2} bits a byte", policy.entropy_bits_per_byte);
    let Some(asked) = &policy.asked else {
        return out.aside(&format!(
            "  stored as {}: {} of {}, at {entropy}",
            why.stored_as, policy.reason, policy.policy
        ));
    };
    let mut told = vec![bytes(asked.size_bytes), entropy];
    told.extend(asked.items.map(|items| plural(items, "item")));
    told.extend(asked.flags.iter().cloned());
    out.aside(&format!(
        "  stored as {}: {} chose {}{} for {}: {}",
        why.stored_as,
        asked.component,
        asked.codec,
        if asked.delta { " or a difference" } else { "" },
        told.join(", "),
        policy.reason,
    ))
}

fn steps(out: &mut Out, why: &Why) -> Result<()> {
    if why.steps.is_empty() {
        return out.aside("\nno cascade has looked at it yet");
    }
    out.aside("\nlast cascades, newest first:")?;
    let mut table = Table::new(&["", "cascade", "because of", "which means"]).indented(2);
    for (cascade, step) in &why.steps {
        table.row(vec![
            report::fate(&step.fate),
            Cell::text(cascade).tone(Tone::Faint),
            Cell::text(report::reason(&step.reason)),
            Cell::text(meaning(step)),
        ]);
    }
    out.table(&table)
}

/// A step's fate in a sentence.
fn meaning(step: &StepReport) -> String {
    match &step.fate {
        Fate::Built { changed: true } => "its recipe was new, and so is its output".to_owned(),
        Fate::Built { changed: false } => "its recipe was new, but its output is as before".to_owned(),
        Fate::MemoHit { changed: true } => {
            "the same recipe was built before; that output was taken".to_owned()
        }
        Fate::MemoHit { changed: false } => {
            "the same recipe was built before, and its output is as before".to_owned()
        }
        Fate::CutOff => "nothing that it is made from really changed".to_owned(),
        Fate::Failed { error } => error.clone(),
        Fate::Skipped { reason } => format!("not tried: {reason}"),
    }
}

fn newer(out: &mut Out, why: &Why) -> Result<()> {
    if why.newer_inputs.is_empty() {
        return match why.build {
            Some(_) => out.aside("\nup to date: every input is the latest"),
            None => Ok(()),
        };
    }
    out.aside("\ninputs that have moved on:")?;
    let mut table = Table::new(&["as", "built from", "latest", "content"]).indented(2);
    for input in &why.newer_inputs {
        let content = match input.content_differs {
            true => Cell::either("differs: a cascade would rebuild it", "differs").tone(Tone::Notable),
            false => Cell::either("is equal: a cascade would cut it off", "equal").tone(Tone::Faint),
        };
        table.row(vec![
            Cell::text(&input.role),
            Cell::text(&input.built_from),
            Cell::text(&input.latest),
            content,
        ]);
    }
    out.table(&table)
}
