use anyhow::{Result, anyhow};
use floret_pipeline::{RebuildReport, Sample, Sampling};
use floret_store::VerifyReport;
use serde_json::json;

use crate::failure::Failure;
use crate::open::session;
use crate::out::{Cell, Out, Table, Tone, bytes, count, plural};
use crate::run::Context;

/// Check every invariant of the store, and hash every content again.
///
/// Ends with exit code 6 if anything is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not read and hash the contents: only see that they are there, with the right length.
    #[arg(long)]
    no_rehash: bool,
    /// Also build again every version that a component built, from its recorded inputs, and compare.
    ///
    /// A component whose output differs from what is stored is put into quarantine: nothing is built with it until `floret
    /// plugin release`.
    #[arg(long)]
    rebuild: bool,
    /// Build again only a part: a share such as 5%, or a count such as 100, drawn by chance.
    #[arg(long, value_name = "SHARE|COUNT", requires = "rebuild")]
    sample: Option<Sample>,
    /// Draw the same part as the run that showed this seed [default: another one each time].
    #[arg(long, requires = "sample")]
    seed: Option<u64>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    // 32 bits, so that every reader of JSON keeps all of its digits.
    let seed = args.seed.unwrap_or_else(|| session() & u64::from(u32::MAX));
    let sampling = args.sample.map_or_else(Sampling::default, |sample| Sampling { sample, seed });
    context
        .with_home(async |home, out, bars| {
            let bar = bars.bar(None, "verifying");
            let report = home.verify(!args.no_rehash).await;
            bar.finish_and_clear();
            let report = report?;
            let rebuilt = match args.rebuild {
                false => None,
                true => {
                    let bar = bars.bar(Some(0), "building again");
                    let drawn = bar.clone();
                    let progress = move |done, of| {
                        drawn.set_length(of);
                        drawn.set_position(done);
                    };
                    let rebuilt = home.verify_rebuild_of(sampling, &progress).await;
                    bar.finish_and_clear();
                    Some(rebuilt?)
                }
            };
            let sound = report.is_clean()
                && rebuilt.as_ref().is_none_or(|rebuilt| rebuilt.mismatches().next().is_none());
            out.show(&json!({"sound": sound, "verify": report, "rebuild": rebuilt}), |out| {
                checked(out, &report)?;
                rebuilt.as_ref().map_or(Ok(()), |rebuilt| again(out, rebuilt))
            })?;
            if sound { Ok(()) } else { Err(anyhow!(Failure::Unsound(verdict(&report, rebuilt.as_ref())))) }
        })
        .await
}

fn verdict(report: &VerifyReport, rebuilt: Option<&RebuildReport>) -> String {
    let count = rebuilt.map_or(0, |rebuilt| rebuilt.mismatches().count());
    let differ = match count {
        1 => "1 version differs when built again".to_owned(),
        _ => format!("{} differ when built again", plural(count as u64, "version")),
    };
    match (report.problem_count, count) {
        (problems, 0) => format!("the store is not sound: {}", plural(problems, "problem")),
        (0, _) => differ,
        (problems, _) => format!("the store is not sound: {}; {differ}", plural(problems, "problem")),
    }
}

/// What was found, as a table and a sentence.
pub(super) fn checked(out: &mut Out, report: &VerifyReport) -> Result<()> {
    let mut table = Table::new(&["", "what", "problem"]);
    for problem in &report.problems {
        table.row(vec![
            Cell::text(&problem.invariant).tone(Tone::Bad),
            Cell::text(&problem.what),
            Cell::text(&problem.problem),
        ]);
    }
    out.table(&table)?;
    if report.problem_count > report.problems.len() as u64 {
        out.aside(&format!("… {} in all", plural(report.problem_count, "problem")))?;
    }
    let verdict = match report.is_clean() {
        true => out.paint(Tone::Good, "sound"),
        false => out.paint(Tone::Bad, "not sound"),
    };
    let sentence = format!(
        "{verdict}: {}, {}, {} dependencies, {}, {}, {} hashed",
        plural(report.resources, "resource"),
        plural(report.versions, "version"),
        count(report.dependencies),
        plural(report.inline_contents, "inline content"),
        plural(report.blobs, "blob"),
        bytes(report.rehashed_bytes),
    );
    let state = if report.is_clean() { "sound" } else { "unsound" };
    let fields =
        [report.resources, report.versions, report.blobs, report.rehashed_bytes, report.problem_count];
    let fields: Vec<String> =
        [state.to_owned()].into_iter().chain(fields.iter().map(u64::to_string)).collect();
    out.fact(&sentence, &fields.iter().map(String::as_str).collect::<Vec<_>>())
}

fn again(out: &mut Out, report: &RebuildReport) -> Result<()> {
    let mut table = Table::new(&["", "version", "", ""]);
    for rebuilt in report.mismatches() {
        table.row(vec![
            Cell::text("differs").tone(Tone::Bad),
            Cell::text(&rebuilt.version),
            Cell::digest(&rebuilt.expected),
            Cell::digest(&rebuilt.got),
        ]);
    }
    for one in &report.quarantined {
        out.note(&format!("{one}; `floret plugin release {}` lifts it", one.digest.short()));
    }
    for (version, reason) in &report.skipped {
        table.row(vec![
            Cell::text("skipped").tone(Tone::Notable),
            Cell::text(version),
            Cell::text(reason),
            Cell::none(),
        ]);
    }
    out.table(&table)?;
    let differing = report.mismatches().count();
    let equal = report.rebuilt.len() - differing;
    let sentence = format!(
        "built again{}: {} equal byte for byte, {} differ, {} skipped",
        match report.sampling {
            Sampling { sample: Sample::All, .. } => String::new(),
            Sampling { sample, seed } =>
                format!(", a sample of {sample} out of {} with --seed {seed}", count(report.eligible)),
        },
        count(equal as u64),
        count(differing as u64),
        count(report.skipped.len() as u64),
    );
    let fields = [equal, differing, report.skipped.len()].map(|number| number.to_string());
    out.fact(&sentence, &["rebuilt", &fields[0], &fields[1], &fields[2]])
}
