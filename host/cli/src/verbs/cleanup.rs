use std::collections::BTreeMap;

use anyhow::Result;
use floret_model::VersionRef;
use floret_store::{CleanupReport, Judged, KeepReason};

use crate::out::{Cell, Out, Table, Tone, bytes, count};
use crate::run::Context;

/// Drop versions that retention does not keep or that have outlived their time, and free their storage.
///
/// The latest versions, tagged ones and those that a kept version was made from always stay. Dropped bytes are condemned
/// first, and freed by a cleanup after the grace period (`cleanup.grace`). How many versions stay is set by
/// `cleanup.keep.TYPE` in the configuration (with --server in the server's), unless a component is bound to `retention`: then
/// that says which.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    let (policy, grace_ms) = context.settings.config.retention();
    context
        .with_home(async |home, out, bars| {
            let bar = bars.bar(None, "cleaning up");
            let report = home.cleanup(&policy, grace_ms, args.dry_run).await;
            bar.finish_and_clear();
            let report = report?;
            out.show(&report, |out| tell(out, &report))
        })
        .await
}

fn tell(out: &mut Out, report: &CleanupReport) -> Result<()> {
    let mut table = Table::new(&["", "version", "why"]);
    let dropped = if report.dry_run { "would drop" } else { "dropped" };
    let said: BTreeMap<&VersionRef, &Judged> = report.judged.iter().map(|one| (&one.version, one)).collect();
    for version in &report.dropped {
        table.row(vec![
            Cell::either(dropped, "dropped").tone(Tone::Notable),
            Cell::text(version),
            said.get(version).map_or_else(Cell::none, |one| Cell::text(&one.reason)),
        ]);
    }
    // In a dry run all that was said is of interest.
    for one in report.judged.iter().filter(|one| report.dry_run || one.overruled.is_some()) {
        let why = match (one.keep, one.overruled) {
            (true, _) => one.reason.clone(),
            (false, Some(why)) => format!("{}, though the policy says: {}", reason(why), one.reason),
            (false, None) => continue,
        };
        table.row(vec![Cell::text("kept").tone(Tone::Good), Cell::text(&one.version), Cell::text(why)]);
    }
    for kept in report.kept.iter().filter(|kept| !said.contains_key(&kept.version)) {
        table.row(vec![
            Cell::text("kept").tone(Tone::Good),
            Cell::text(&kept.version),
            Cell::text(reason(kept.reason)),
        ]);
    }
    out.table(&table)?;
    let kept: Vec<String> = report
        .kept_by_reason
        .iter()
        .map(|(why, number)| format!("{} {}", count(*number), reason(*why)))
        .collect();
    let sweep = &report.sweep;
    out.aside(&format!(
        "{}{}{} versions dropped of {}; kept: {}",
        if report.dry_run { "dry run: " } else { "" },
        report.policy.as_ref().map_or_else(String::new, |policy| format!("as {policy} says, ")),
        count(report.dropped.len() as u64),
        count(report.examined),
        if kept.is_empty() { "none".to_owned() } else { kept.join(", ") },
    ))?;
    out.aside(&format!(
        "{} blobs condemned ({}), {} deleted and {} orphans removed ({} freed), {} builds forgotten",
        count(sweep.condemned),
        bytes(sweep.condemned_bytes),
        count(sweep.deleted),
        count(sweep.orphans),
        bytes(sweep.freed_bytes),
        count(report.memos_forgotten),
    ))?;
    for error in report.errors.iter().chain(&sweep.errors) {
        out.note(error);
    }
    Ok(())
}

fn reason(reason: KeepReason) -> &'static str {
    match reason {
        KeepReason::Latest => "latest",
        KeepReason::Newest => "among the newest",
        KeepReason::Tagged => "tagged",
        KeepReason::Referenced => "still referenced",
        KeepReason::Policy => "by the retention policy",
        KeepReason::Unjudged => "not judged",
    }
}
