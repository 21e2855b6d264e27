use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use floret_model::{ResourceType, TypedMetadata, Version};
use floret_pipeline::{Binding, Floret, Inspected, Saved};
use serde_json::{Value, json};

use crate::given;
use crate::open::built_in_digest;
use crate::out::{Cell, Out, Table, Tone, bytes, plural};
use crate::report;
use crate::run::Context;
use crate::verbs::release;
use crate::work::Bars;

/// Install components, bind them to what they build, look at them.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Install(Install),
    /// List the installed components, and what they are bound to.
    List,
    Inspect(Inspect),
    Bind(Bind),
    Release(release::Args),
}

/// Install a component, or a new version of one.
///
/// It is compiled and checked first: nothing is installed that does not load. What it builds is rebuilt when you say so,
/// with --cascade or later with `floret cascade`.
#[derive(Debug, clap::Args)]
pub(crate) struct Install {
    /// The component, a .wasm file; - is standard input.
    file: PathBuf,
    /// Install it under another name than it gives itself.
    #[arg(long)]
    name: Option<String>,
    /// Rebuild what the component builds.
    #[arg(long)]
    cascade: bool,
}

/// Show a component: an installed one by its name, or a file, without installing it.
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// Name of an installed component, or a .wasm file.
    #[arg(value_name = "NAME|FILE")]
    what: String,
}

/// Bind a component to what it does: to a resource type that it builds, to literature (text statistics), to policy
/// (compression), or to retention (what cleanup keeps).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floret plugin bind policy policy-archive
  floret plugin bind semantic semantic-ngram --set quantization=int8 --cascade")]
pub(crate) struct Bind {
    /// literature, corpus, trie, semantic, policy, retention, or a type of your own.
    #[arg(value_name = "TYPE")]
    id: String,
    /// Name of an installed component.
    component: String,
    /// A member of its configuration.
    #[arg(long = "set", value_name = "NAME=JSON", value_parser = given::pair)]
    set: Vec<(String, Value)>,
    /// Its configuration, a file with a JSON object.
    #[arg(long, value_name = "FILE")]
    set_file: Option<PathBuf>,
    /// Rebuild what is bound to it.
    #[arg(long)]
    cascade: bool,
}

pub(crate) async fn run(verb: Verb, context: &mut Context) -> Result<()> {
    match verb {
        Verb::Install(args) => install(args, context).await,
        Verb::List => list(context).await,
        Verb::Inspect(args) => inspect(args, context).await,
        Verb::Bind(args) => bind(args, context).await,
        Verb::Release(args) => release::run(args, context).await,
    }
}

async fn install(args: Install, context: &mut Context) -> Result<()> {
    let component = given::read(&args.file)?;
    context
        .with_host(async |host, out, bars| {
            let bar = bars.bar(None, "compiling");
            let saved = host.plugin_install(args.name.as_deref(), component).await;
            bar.finish_and_clear();
            let saved = saved?;
            tell(host, &saved, args.cascade, out, bars).await
        })
        .await
}

async fn bind(args: Bind, context: &mut Context) -> Result<()> {
    let config = given::config(args.set_file.as_deref(), &args.set)?;
    context
        .with_host(async |host, out, bars| {
            let binding = Binding { component: args.component.clone(), config };
            let saved = host.plugin_bind(&args.id, binding).await?;
            tell(host, &saved, args.cascade, out, bars).await
        })
        .await
}

/// What was installed or bound, and what is to be rebuilt for it: at once, or when somebody says so.
async fn tell(host: &Floret, saved: &Saved, cascade: bool, out: &mut Out, bars: Bars) -> Result<()> {
    let version = &saved.version;
    let reference = version.reference().to_string();
    let what = match &version.metadata.typed {
        TypedMetadata::Plugin(plugin) => {
            format!("{} {}, {}", plugin.component_name, plugin.component_version, plugin.contract)
        }
        TypedMetadata::Binding(binding) => {
            format!("{} is bound to {}", binding.component, version.key.resource_id)
        }
        _ => String::new(),
    };
    let done = if version.key.resource_type == ResourceType::binding() { "bound" } else { "installed" };
    let (word, tone) = if saved.is_new { (done, Tone::Good) } else { ("unchanged", Tone::Faint) };
    let sentence = format!("{} {reference}: {what}", out.paint(tone, word));
    let state = if saved.is_new { "new" } else { "unchanged" };
    out.fact(&sentence, &[state, &reference, &version.data_hash.to_string()])?;
    let key = std::slice::from_ref(&version.key);
    let plan = host.plan(key).await?;
    let report = match cascade {
        true => Some(bars.cascade(async |progress| host.cascade(key, progress).await).await?),
        false => None,
    };
    let document = json!({
        "resource": version.key.to_string(),
        "seq": version.seq,
        "version": version.version.to_string(),
        "data_hash": version.data_hash,
        "is_new": saved.is_new,
        "dependents": plan.steps.len(),
        "cascade": report,
    });
    out.show(&document, |out| match &report {
        Some(report) => report::show(out, report),
        None if plan.steps.is_empty() || !saved.is_new => Ok(()),
        None => out.aside(&format!(
            "what it built stays as it is ({}): `floret plan {key}` lists it, `floret cascade {key}` rebuilds it",
            plural(plan.steps.len() as u64, "resource"),
            key = version.key,
        )),
    })
}

async fn list(context: &mut Context) -> Result<()> {
    context
        .with_host(async |host, out, _| {
            let plugins = host.plugins().await?;
            let bindings = host.bindings().await?;
            let quarantines = host.quarantines(false).await?;
            let quarantined =
                |version: &Version| quarantines.iter().find(|one| one.digest == version.data_hash);
            let document: Vec<Value> = plugins
                .iter()
                .map(|version| {
                    let name = version.key.resource_id.as_str();
                    let bound = bindings.iter().filter(|(_, binding, _)| binding.component == name);
                    let bound: Vec<Value> =
                        bound.map(|(id, binding, _)| json!({"type": id, "config": binding.config})).collect();
                    json!({
                        "name": name,
                        "seq": version.seq,
                        "data_hash": version.data_hash,
                        "size_bytes": version.content_location.size_bytes,
                        "metadata": version.metadata.typed,
                        "bindings": bound,
                        "quarantine": quarantined(version),
                    })
                })
                .collect();
            out.show(&document, |out| {
                let mut table =
                    Table::new(&["name", "seq", "version", "contract", "size", "from", "bound to"]);
                for version in &plugins {
                    let TypedMetadata::Plugin(plugin) = &version.metadata.typed else { continue };
                    let name = version.key.resource_id.as_str();
                    let bound = bindings.iter().filter(|(_, binding, _)| binding.component == name);
                    let bound: Vec<&str> = bound.map(|(id, ..)| id.as_str()).collect();
                    let shipped = built_in_digest(name) == Some(version.data_hash);
                    table.row(vec![
                        Cell::text(name).tone(if quarantined(version).is_some() {
                            Tone::Bad
                        } else {
                            Tone::Name
                        }),
                        Cell::either(format!("@{}", version.seq), version.seq),
                        Cell::text(&plugin.component_version),
                        Cell::text(&plugin.contract),
                        Cell::bytes(version.content_location.size_bytes),
                        Cell::text(if shipped { "floret" } else { "a file" }).tone(Tone::Faint),
                        match (quarantined(version), &bound[..]) {
                            (Some(_), _) => Cell::text("quarantined").tone(Tone::Bad),
                            (None, []) => Cell::none(),
                            (None, bound) => Cell::text(bound.join(", ")),
                        },
                    ]);
                }
                out.table(&table)?;
                for one in &quarantines {
                    out.note(&format!("{one}; `floret plugin release {}` lifts it", one.digest.short()));
                }
                Ok(())
            })
        })
        .await
}

async fn inspect(args: Inspect, context: &mut Context) -> Result<()> {
    let file = PathBuf::from(&args.what);
    let from_file = if file.is_file() { Some(given::read(&file)?) } else { None };
    context
        .with_host(async |host, out, bars| {
            let component = match from_file {
                Some(component) => component,
                None => host.plugin_bytes(&args.what).await?,
            };
            let bar = bars.bar(None, "compiling");
            let inspected = host.plugin_inspect(component).await;
            bar.finish_and_clear();
            let inspected = inspected?;
            out.show(&inspected, |out| show(out, &inspected))
        })
        .await
}

fn show(out: &mut Out, component: &Inspected) -> Result<()> {
    let mut table = Table::new(&["", ""]);
    let mut add =
        |name: &str, text: String| table.row(vec![Cell::text(name).tone(Tone::Name), Cell::text(text)]);
    add("name", component.name.clone());
    add("version", component.version.to_string());
    add("contract", component.contract.clone());
    add("summary", component.summary.clone());
    add("size", bytes(component.size_bytes));
    add("sha256", component.digest.to_string());
    add("makes", component.output_media_type.clone());
    add("imports", component.imports.join(", "));
    add("exports", component.exports.join(", "));
    out.table(&table)?;
    let properties = component.config_schema.get("properties").and_then(Value::as_object);
    let mut table = Table::new(&["configuration", "type", "default", "meaning"]);
    for (name, property) in properties.into_iter().flatten() {
        let text = |member: &str| match property.get(member) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        };
        let kind = if property.get("enum").is_some() { text("enum") } else { text("type") };
        table.row(vec![
            Cell::text(name).tone(Tone::Name),
            Cell::text(kind),
            Cell::text(text("default")),
            Cell::text(text("description")),
        ]);
    }
    if table.is_empty() {
        return Ok(());
    }
    out.aside("")?;
    out.table(&table)
}
