use anyhow::Result;
use floret_pipeline::{Inspected, LimitInForce, LimitSource, Users};
use serde_json::{Value, json};

use crate::out::{Cell, Out, Table, Tone, bytes, plural};
use crate::run::Context;
use crate::source::{self, Source};

/// Show a component: an installed one by its name, or one from wherever it can be installed from, without installing it.
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// Name of an installed component, a .wasm file, oci://… or oci-layout:….
    #[arg(value_name = "NAME|SOURCE", value_parser = source::parse)]
    what: Source,
}

pub(super) async fn run(args: Inspect, context: &mut Context) -> Result<()> {
    let name = match &args.what {
        Source::File(path) if !path.is_file() && path.as_os_str() != "-" => path.to_str().map(str::to_owned),
        _ => None,
    };
    let fetched = match name {
        Some(_) => None,
        None => {
            let config = &context.settings.config;
            let bar = context.bars.bar(None, "fetching");
            let fetched = args.what.fetch(&config.plugins, config.limits.component_bytes_max.0).await;
            bar.finish_and_clear();
            Some(fetched?)
        }
    };
    context
        .with_home(async |home, out, bars| {
            let bar = bars.bar(None, "compiling");
            let inspected = match (fetched, &name) {
                (Some(fetched), _) => home.plugin_inspect(fetched.bytes).await.map(|it| (it, None)),
                (None, name) => {
                    let name = name.as_deref().unwrap_or_default();
                    home.plugin_inspect_installed(name).await.map(|(it, users)| (it, Some(users)))
                }
            };
            bar.finish_and_clear();
            let (inspected, users) = inspected?;
            let mut document = serde_json::to_value(&inspected)?;
            document["users"] = json!(users);
            out.show(&document, |out| show(out, &inspected, users.as_ref()))
        })
        .await
}

fn show(out: &mut Out, component: &Inspected, users: Option<&Users>) -> Result<()> {
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
    let written = &component.metadata;
    for (name, text) in [
        ("authors", &written.authors),
        ("licence", &written.licenses),
        ("source", &written.source),
        ("homepage", &written.homepage),
        ("revision", &written.revision),
        ("description", &written.description),
    ] {
        if let Some(text) = text {
            add(name, text.clone());
        }
    }
    for (name, values) in &written.producers {
        add(name, values.join(", "));
    }
    let limits: Vec<String> =
        component.limits.iter().map(|(name, limit)| format!("{name} {limit}")).collect();
    add("limits", limits.join(", "));
    if let Some(users) = users {
        add("bound to", users.bindings.join(", "));
        for (id, limits) in &users.limits {
            let limits: Vec<String> = limits.iter().map(|(name, limit)| in_force(name, limit)).collect();
            add(&format!("limits of {id}"), limits.join(", "));
        }
        let built = users.latest_versions.iter().map(|(name, built)| format!("{built} {name}"));
        let of_types = built.collect::<Vec<_>>().join(", ");
        let count = plural(users.latest_versions_count(), "latest version");
        add("built", if of_types.is_empty() { count } else { format!("{count}: {of_types}") });
    }
    out.table(&table)?;
    configuration(out, component)
}

/// A limit of a binding; one that is the host's is marked.
fn in_force(name: &str, limit: &LimitInForce) -> String {
    let mark = match limit.set_by {
        LimitSource::Binding => "",
        LimitSource::Host => " (host)",
    };
    format!("{name} {}{mark}", limit.value)
}

/// What can be configured.
fn configuration(out: &mut Out, component: &Inspected) -> Result<()> {
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
