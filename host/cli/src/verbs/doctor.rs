//! `floret doctor`: every part of an installation by itself, so that one that is broken does not hide the others.

mod place;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use floret_model::StorageType;
use floret_pipeline::examine_components;
use floret_store::{
    Catalog, Clock, Finding, Objects, PROBE_ROOT, SystemClock, Verdict, examine_catalog, examine_objects,
};
use serde_json::json;

use crate::config::{Settings, Span};
use crate::failure::Failure;
use crate::open;
use crate::out::{Cell, Form, Out, Table, Tone, plural};
use crate::run::Context;

/// Look at every part of the installation: folders, configuration, catalog, blobs, clocks, components.
///
/// Changes nothing, but that an empty MongoDB database is given its collections. Each finding that is not ok says what to
/// do. Ends with exit code 6 if there is a problem; warnings do not count. An embedded store that another process has
/// open is not looked at, and that is a problem, too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long a server may take to answer.
    #[arg(long, value_name = "SPAN", default_value = "15s")]
    timeout: Span,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    // A server that is down is told at once, not after the patience that a save has.
    context.settings.config.blobs.retries_max = 0;
    let bar = context.bars.bar(None, "looking");
    let findings = examine(&context.settings, args.timeout.0).await;
    bar.finish_and_clear();
    show(&mut context.out, &findings)
}

/// A configuration that cannot be read leaves nothing else to look at: it says where everything is.
pub(crate) fn unconfigured(error: &anyhow::Error, out: &mut Out) -> Result<()> {
    let remedy = "mend it as the message says; `floret doctor` looks at the rest then";
    show(out, &[program(), Finding::problem(place::CONFIGURATION, error.to_string(), remedy)])
}

fn program() -> Finding {
    Finding::ok("program", concat!("floret ", env!("CARGO_PKG_VERSION")))
}

async fn examine(settings: &Settings, timeout: Duration) -> Vec<Finding> {
    let mut findings = vec![program()];
    findings.extend(place::configuration(settings));
    findings.extend(place::folders(settings, local_blobs(settings).as_deref()));
    let name = format!("doctor-{:016x}", open::session());
    let catalog = match catalog(settings, timeout).await {
        Ok(catalog) => {
            let examined = examine_catalog(&*catalog, &SystemClock, &name);
            findings.extend(within("catalog", timeout, examined).await);
            Some(catalog)
        }
        Err(finding) => {
            findings.push(finding);
            None
        }
    };
    let blobs_work = match objects(settings, catalog.is_some(), timeout).await {
        Ok(objects) => {
            let examined =
                within("blobs", timeout, examine_objects(&*objects.store, &objects.place, &name)).await;
            if let Some(folder) = local_blobs(settings) {
                // The probe's own, if it is empty; another probe's is left to that.
                let _ = std::fs::remove_dir(folder.join(PROBE_ROOT));
            }
            findings.extend(shared_by_one(settings, objects.storage_type));
            let work = examined.iter().all(|finding| finding.verdict < Verdict::Problem);
            findings.extend(examined);
            work
        }
        Err(finding) => {
            findings.push(finding);
            false
        }
    };
    match catalog {
        Some(catalog) if blobs_work => findings.extend(components(settings, catalog, timeout).await),
        _ if findings.iter().all(|finding| finding.verdict < Verdict::Problem) => {}
        _ => findings.push(Finding::warning(
            "components",
            "not looked at: catalog and blobs are both needed",
            "mend what is named above, and look again",
        )),
    }
    findings
}

/// The folder of blobs, where they are in one.
fn local_blobs(settings: &Settings) -> Option<PathBuf> {
    match settings.config.blobs.url.as_deref() {
        None => Some(settings.data.join(open::BLOBS_FOLDER)),
        Some(url) => url.strip_prefix("file://").map(PathBuf::from),
    }
}

/// The catalog, or why it is not looked at. Opening an embedded one makes it, so one that is not there is not opened.
async fn catalog(settings: &Settings, timeout: Duration) -> Result<Arc<dyn Catalog>, Finding> {
    let folder = settings.data.join(open::CATALOG_FOLDER);
    if settings.config.catalog.url.is_none() && !folder.exists() {
        let found =
            format!("{} is not there yet; the first save or other command makes it", folder.display());
        return Err(Finding::ok("catalog", found));
    }
    opened("catalog", timeout, open::catalog(settings)).await
}

async fn objects(settings: &Settings, is_in_use: bool, timeout: Duration) -> Result<Objects, Finding> {
    if settings.config.catalog.url.is_some() && settings.config.blobs.url.is_none() {
        let found = "catalog.url names a server that hosts share, and large contents would stay on this one";
        return Err(Finding::problem("blobs", found, "set blobs.url, or --blobs s3://BUCKET/PREFIX"));
    }
    if let Some(folder) = local_blobs(settings).filter(|folder| !folder.exists()) {
        let found = format!("{} is not there", folder.display());
        return Err(match is_in_use {
            false => Finding::ok("blobs", format!("{found} yet; the first save or other command makes it")),
            true => {
                let remedy =
                    "restore the folder: large contents are in it; `floret verify` names those missing";
                Finding::problem("blobs", format!("{found}, and the catalog is"), remedy)
            }
        });
    }
    opened("blobs", timeout, open::objects(settings)).await
}

/// Hosts that share a catalog must find each other's blobs.
fn shared_by_one(settings: &Settings, storage_type: StorageType) -> Option<Finding> {
    let is_split = storage_type == StorageType::Disk && settings.config.catalog.url.is_some();
    is_split.then(|| {
        let remedy =
            "set blobs.url to s3://BUCKET/PREFIX, unless this is the only host or the folder is shared";
        Finding::warning("blobs", "hosts share the catalog, and blobs are in a folder of this host", remedy)
    })
}

async fn components(settings: &Settings, catalog: Arc<dyn Catalog>, timeout: Duration) -> Vec<Finding> {
    let mut findings = Vec::new();
    let folder = open::compiled_folder(settings);
    let mut runtime = None;
    if folder.exists() {
        match open::runtime(settings, Some(folder.clone())).await {
            Ok(opened) => {
                let found = format!("{}, closed to others", folder.display());
                findings.push(Finding::ok(place::COMPILED, found));
                runtime = Some(opened);
            }
            Err(error) => findings.push(finding(place::COMPILED, &error)),
        }
    }
    let runtime = match runtime {
        Some(runtime) => Ok(runtime),
        None => opened("components", timeout, open::runtime(settings, None)).await,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let blobs = opened("blobs", timeout, open::blobs(settings, catalog, clock)).await;
    match (runtime, blobs) {
        // As long as it takes: compiling has a limit of its own.
        (Ok(runtime), Ok(blobs)) => {
            findings.extend(examine_components(&blobs, &runtime, &open::built_ins()).await);
        }
        (Err(finding), _) | (_, Err(finding)) => findings.push(finding),
    }
    findings
}

async fn opened<T>(
    check: &str,
    timeout: Duration,
    opening: impl Future<Output = Result<T>>,
) -> Result<T, Finding> {
    match tokio::time::timeout(timeout, opening).await {
        Ok(opened) => opened.map_err(|error| finding(check, &error)),
        Err(_) => Err(no_answer(check, timeout)),
    }
}

async fn within(
    check: &str,
    timeout: Duration,
    examining: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    let examined = tokio::time::timeout(timeout, examining).await;
    examined.unwrap_or_else(|_| vec![no_answer(check, timeout)])
}

fn no_answer(check: &str, timeout: Duration) -> Finding {
    let found = format!("no answer within {}", Span(timeout));
    Finding::problem(
        check,
        found,
        "see that the server runs and can be reached, or wait longer with --timeout",
    )
}

fn finding(check: &str, error: &anyhow::Error) -> Finding {
    if let Some(error) = error.downcast_ref::<floret_store::Error>() {
        return Finding::error(check, error);
    }
    let remedy = match error.downcast_ref::<floret_runtime::Error>() {
        Some(floret_runtime::Error::CompiledDir { path, .. }) => {
            format!("chmod 700 {0}, or remove it: what is in it is compiled anew", path.display())
        }
        _ => {
            "mend what the message names; `floret config show` tells where each setting comes from".to_owned()
        }
    };
    Finding::problem(check, error.to_string(), remedy)
}

fn show(out: &mut Out, findings: &[Finding]) -> Result<()> {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count() as u64;
    let (problems, warnings) = (count(Verdict::Problem), count(Verdict::Warning));
    out.show(&json!({"healthy": problems == 0, "findings": findings}), |out| {
        let table = table(findings, out.form());
        out.table(&table)?;
        if problems > 0 {
            return Ok(());
        }
        let healthy = out.paint(Tone::Good, "healthy");
        out.fact(
            &format!("{healthy}: {}, {}", plural(count(Verdict::Ok), "check"), plural(warnings, "warning")),
            &["healthy", &count(Verdict::Ok).to_string(), &warnings.to_string()],
        )
    })?;
    if problems == 0 {
        return Ok(());
    }
    let verdict = format!("{}, {}", plural(problems, "problem"), plural(warnings, "warning"));
    Err(anyhow!(Failure::Unhealthy(verdict)))
}

/// For people a remedy has a line of its own, for programs a field.
fn table(findings: &[Finding], form: Form) -> Table {
    let mut table = Table::new(&["", "check", "found"]);
    for finding in findings {
        let (word, tone) = match finding.verdict {
            Verdict::Ok => ("ok", Tone::Good),
            Verdict::Warning => ("warning", Tone::Notable),
            Verdict::Problem => ("problem", Tone::Bad),
        };
        let mut row = vec![
            Cell::text(word).tone(tone),
            Cell::text(&finding.check).tone(Tone::Name),
            Cell::text(&finding.found),
        ];
        match (&finding.remedy, form) {
            (remedy, Form::Plain) => {
                row.push(remedy.as_ref().map_or_else(Cell::none, Cell::text));
                table.row(row);
            }
            (remedy, _) => {
                table.row(row);
                if let Some(remedy) = remedy {
                    let remedy = Cell::text(format!("→ {remedy}")).tone(Tone::Faint);
                    table.row(vec![Cell::none(), Cell::none(), remedy]);
                }
            }
        }
    }
    table
}
