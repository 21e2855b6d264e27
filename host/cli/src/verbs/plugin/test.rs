//! `floret plugin test`: does a component keep its contract?

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use bytes::Bytes;
use floret_model::canonical_json;
use floret_pipeline::{check_config, entropy_bits_per_byte};
use floret_runtime::conformance::{self, Given, Measure};
use floret_runtime::{Component, ContractKind, PolicyProfile};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::given;
use crate::open::{compiled_folder, runtime};
use crate::out::{Out, Tone, bytes, milliseconds, plural};
use crate::run::Context;

/// Bytes of a content that its entropy is taken of, as saving does.
const SAMPLE_BYTES: usize = 64 << 10;
/// Bytes of a fault that are shown.
const FAULT_BYTES_MAX: usize = 2_000;

/// Test a component against its contract, without installing it.
///
/// Every check of the contract's suite is told with what came instead, where it fails; then how long real work takes. With
/// --input it works on your files as well, and with --expect it must make exactly these bytes of them. Nothing but the file
/// is needed: no data folder is opened.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  floret plugin test my-index.wasm --input testdata/*.tsv --expect testdata/expected")]
pub(crate) struct Args {
    /// The component, a .wasm file; - is standard input.
    file: PathBuf,
    /// A member of its configuration.
    #[arg(long = "set", value_name = "NAME=JSON", value_parser = given::pair)]
    set: Vec<(String, Value)>,
    /// Its configuration, a file with a JSON object.
    #[arg(long, value_name = "FILE")]
    set_file: Option<PathBuf>,
    /// Texts for a corpus component, corpora for an index, contents for a policy; each of them an input of one job.
    #[arg(long = "input", value_name = "FILE", num_args = 1..)]
    inputs: Vec<PathBuf>,
    /// What must come of the data: the built bytes; for a policy a line `CODEC TAB REASON` for each file.
    #[arg(long, value_name = "FILE", requires = "inputs")]
    expect: Option<PathBuf>,
}

/// One check, from the suite or from here.
struct Check {
    name: String,
    fault: Option<String>,
    took: Duration,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    let config = given::config(args.set_file.as_deref(), &args.set)?;
    let component = given::read(&args.file)?;
    let file = given::name(&args.file);
    let compiled = context.settings.data.exists().then(|| compiled_folder(&context.settings));
    let runtime = runtime(&context.settings, compiled).await?;
    let bar = context.bars.bar(None, "compiling");
    let loaded = runtime.load(component).await;
    bar.finish_and_clear();
    let component = loaded?;
    let given = given_data(&args, &component)?;
    let bar = context.bars.bar(None, "testing");
    let (checks, measures) = check(&component, config, &given).await;
    bar.finish_and_clear();
    let failed = checks.iter().filter(|check| check.fault.is_some()).count();
    let document = json!({
        "component": component.label(),
        "contract": component.contract().to_string(),
        "digest": component.digest(),
        "passed": checks.len() - failed,
        "failed": failed,
        "checks": checks.iter().map(|check| json!({
            "check": check.name,
            "fault": check.fault,
            "took_ms": check.took.as_secs_f64() * 1e3,
        })).collect::<Vec<_>>(),
        "measures": measures.iter().map(|measure| json!({
            "what": measure.what,
            "took_ms": measure.took_ms,
            "memory_bytes": measure.memory_bytes,
        })).collect::<Vec<_>>(),
    });
    context.out.show(&document, |out| show(out, &component, &checks, &measures))?;
    if failed == 0 {
        return Ok(());
    }
    let message = format!(
        "{file} does not keep {}: {} of {} failed",
        component.contract(),
        failed,
        plural(checks.len() as u64, "check")
    );
    Err(anyhow!(Failure::Unfit(message)))
}

async fn check(
    component: &Component,
    config: Map<String, Value>,
    given: &Given,
) -> (Vec<Check>, Vec<Measure>) {
    let mut checks = check_schema(component, &config);
    // What its own schema refuses, a host never hands on.
    if checks.iter().any(|check| check.fault.is_some()) {
        return (checks, Vec::new());
    }
    let config = String::from_utf8_lossy(&canonical_json(&Value::Object(config))).into_owned();
    let mut findings = conformance::check(component, &config).await;
    let (more, measures) = conformance::author(component, &config, given).await;
    findings.extend(more);
    checks.extend(findings.into_iter().map(|finding| Check {
        name: finding.check.to_owned(),
        fault: finding.fault,
        took: finding.took,
    }));
    (checks, measures)
}

/// What the host asks of a configuration before a component sees it.
fn check_schema(component: &Component, config: &Map<String, Value>) -> Vec<Check> {
    let takes = |config: &Value| check_config(component, config).map_err(|error| error.to_string());
    let unknown = json!({"no-component-has-this": 1});
    let refuses = || match takes(&unknown) {
        Ok(()) => Err(format!("{unknown} is taken; set \"additionalProperties\": false in the schema")),
        Err(_) => Ok(()),
    };
    vec![
        timed("the configuration is taken by the schema", || takes(&Value::Object(config.clone()))),
        timed("an unknown property is refused by the schema", refuses),
        timed("every property has a default that it takes, and a description", || documented(component)),
    ]
}

fn timed(name: &str, work: impl FnOnce() -> Result<(), String>) -> Check {
    let started = Instant::now();
    let fault = work().err();
    Check { name: name.to_owned(), fault, took: started.elapsed() }
}

fn documented(component: &Component) -> Result<(), String> {
    let schema = &component.description().config_schema;
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: Vec<_> = required.filter_map(Value::as_str).collect();
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if property.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(format!("{name} has no description"));
        }
        match property.get("default") {
            None if required.contains(&name.as_str()) => {}
            None => return Err(format!("{name} has no default")),
            Some(default) => {
                let config = json!({ name.as_str(): default });
                let problem = |error| format!("{name}: its default {default} is refused: {error}");
                if required.is_empty() {
                    check_config(component, &config).map_err(problem)?;
                }
            }
        }
    }
    Ok(())
}

fn given_data(args: &Args, component: &Component) -> Result<Given> {
    let files = args.inputs.iter().map(|file| given::read(file)).collect::<Result<Vec<Bytes>>>()?;
    let expected = args.expect.as_deref().map(given::read).transpose()?;
    Ok(match component.contract().kind {
        ContractKind::Policy => {
            let profiles = files.iter().zip(&args.inputs).map(|(bytes, file)| profile(bytes, file)).collect();
            Given { profiles, expected, ..Given::default() }
        }
        _ => Given { inputs: files, expected, ..Given::default() },
    })
}

/// A file as saving it as a text would describe it.
fn profile(bytes: &Bytes, file: &Path) -> PolicyProfile {
    let is_json = file.extension().is_some_and(|ending| ending == "json");
    PolicyProfile {
        size_bytes: bytes.len() as u64,
        namespace: "default".to_owned(),
        resource_type: "literature".to_owned(),
        media_type: if is_json { "application/json" } else { "text/plain" }.to_owned(),
        items: None,
        flags: Vec::new(),
        entropy_bits_per_byte: entropy_bits_per_byte(&bytes[..bytes.len().min(SAMPLE_BYTES)]),
    }
}

fn show(out: &mut Out, component: &Component, checks: &[Check], measures: &[Measure]) -> Result<()> {
    let (label, contract) = (component.label(), component.contract().to_string());
    out.aside(&format!("{label}, {contract}, {}", bytes(component.size_bytes())))?;
    for check in checks {
        let took_ms = check.took.as_secs_f64() * 1e3;
        let (mark, tone) = if check.fault.is_none() { ("✓", Tone::Good) } else { ("✗", Tone::Bad) };
        let fault = check.fault.as_deref().map(cut).unwrap_or_default();
        let came = if fault.is_empty() { String::new() } else { format!("\n    came: {fault}") };
        let sentence = format!(
            "{} {} {}{came}",
            out.paint(tone, mark),
            check.name,
            out.paint(Tone::Faint, &milliseconds(took_ms))
        );
        out.fact(&sentence, &[mark, &check.name, &format!("{took_ms:.1}"), &fault])?;
    }
    for measure in measures {
        let memory =
            measure.memory_bytes.map_or_else(String::new, |taken| format!(", {} of memory", bytes(taken)));
        out.aside(&format!("  {}: {}{memory}", measure.what, milliseconds(measure.took_ms)))?;
    }
    let failed = checks.iter().filter(|check| check.fault.is_some()).count();
    let total = plural(checks.len() as u64, "check");
    out.aside(&format!("{total}, {failed} failed"))
}

/// A fault on one line, not too long to read.
fn cut(fault: &str) -> String {
    let line = fault.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = line.char_indices().map(|(at, _)| at).find(|at| *at >= FAULT_BYTES_MAX);
    match end {
        Some(end) => format!("{}…", &line[..end]),
        None => line,
    }
}
