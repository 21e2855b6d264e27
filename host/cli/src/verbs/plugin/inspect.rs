use std::path::PathBuf;

use anyhow::Result;
use floret_pipeline::Inspected;
use serde_json::Value;

use crate::given;
use crate::out::{Cell, Out, Table, Tone, bytes};
use crate::run::Context;

/// Show a component: an installed one by its name, or a file, without installing it.
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// Name of an installed component, or a .wasm file.
    #[arg(value_name = "NAME|FILE")]
    what: String,
}

pub(super) async fn run(args: Inspect, context: &mut Context) -> Result<()> {
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
