use anyhow::Result;
use clap::Subcommand;
use serde_json::json;

use crate::config::{CONFIG_FILE, DOCUMENTED_ENV};
use crate::out::{Cell, Table, Tone};
use crate::run::Context;

/// Look at the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Print every value that is in force, and where it comes from.
    #[command(after_long_help = env_help())]
    Show,
}

fn env_help() -> String {
    let special = DOCUMENTED_ENV.map(|(name, what)| format!("  {name}: {what}")).join("\n");
    format!(
        "Every key can be set by a variable: FLORET_ and the key in capitals, with __ for each dot, e.g.\n  \
         FLORET_CACHE__MEMORY_BYTES_MAX=\"64 MiB\". Unknown keys and variables are refused. No keys, but read:\n{special}"
    )
}

pub(crate) fn run(verb: &Verb, context: &mut Context) -> Result<()> {
    let Verb::Show = verb;
    let settings = context.settings.all();
    let file = context.settings.file.clone();
    let document = json!({
        "data": context.settings.data,
        "file": file,
        "settings": settings,
    });
    context.out.show(&document, |out| {
        let mut table = Table::new(&["key", "value", "source"]);
        for setting in &settings {
            let value = match &setting.value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Null => "(not set)".to_owned(),
                value => value.to_string(),
            };
            let source = Cell::text(&setting.source);
            let source = source.tone(if setting.source == "default" { Tone::Faint } else { Tone::Good });
            table.row(vec![Cell::text(&setting.key).tone(Tone::Name), Cell::text(value), source]);
        }
        out.table(&table)?;
        match &file {
            Some(file) => out.aside(&format!("\nread: {}", file.display())),
            None => out.aside(&format!("\nno configuration file; one may be put at DATA/{CONFIG_FILE}")),
        }
    })
}
