use std::collections::BTreeMap;

use anyhow::Result;
use floret_model::{PluginMetadata, TypedMetadata, Version};
use floret_pipeline::BindingDocument;
use serde_json::{Value, json};

use crate::open::built_in_digest;
use crate::out::{Cell, Out, Table, Tone};
use crate::run::Context;

/// Of the digest of a manifest, as people see it.
const DIGITS_SHOWN: usize = 12;

/// List the installed components, and what they are bound to.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Those that were removed, too.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(args: List, context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, _| {
            let plugins = home.plugins(args.all).await?;
            let bindings = home.bindings().await?;
            let quarantines = home.quarantines().await?;
            let quarantined =
                |version: &Version| quarantines.iter().find(|one| one.digest == version.data_hash);
            let document: Vec<Value> = plugins
                .iter()
                .map(|version| {
                    let name = version.key.resource_id.as_str();
                    let bound = bindings_of(&bindings, name);
                    json!({
                        "name": name,
                        "seq": version.seq,
                        "data_hash": version.data_hash,
                        "size_bytes": version.content_location.size_bytes,
                        "metadata": version.metadata.typed,
                        "bindings": bound.map(document_of).collect::<Vec<_>>(),
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
                    let bound: Vec<&str> = bindings_of(&bindings, name).map(|(id, _)| id.as_str()).collect();
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
                        from(version, plugin),
                        match (quarantined(version), &bound[..]) {
                            (Some(_), _) => Cell::text("quarantined").tone(Tone::Bad),
                            (None, []) => Cell::none(),
                            (None, ids) => Cell::text(ids.join(", ")),
                        },
                    ]);
                }
                out.table(&table)
            })?;
            note(out, &bindings);
            for one in &quarantines {
                out.note(&format!("{one}; `floret plugin release {}` lifts it", one.digest.short()));
            }
            Ok(())
        })
        .await
}

fn bindings_of<'a>(
    bindings: &'a BTreeMap<String, BindingDocument>,
    component: &'a str,
) -> impl Iterator<Item = (&'a String, &'a BindingDocument)> {
    bindings.iter().filter(move |(_, bound)| bound.component.as_deref() == Some(component))
}

/// Say what is not as it should be.
fn note(out: &Out, bindings: &BTreeMap<String, BindingDocument>) {
    for (id, bound) in bindings {
        if let Some(problem) = &bound.problem {
            let instead = match &bound.in_use {
                Some(used) => {
                    format!("{used} is used instead; `floret plugin rollback` makes that the newest")
                }
                None => "nothing can be built for it".to_owned(),
            };
            out.note(&format!("{id}: {problem}; {instead}"));
        }
        if let Some(breaker) = &bound.breaker {
            out.note(&format!(
                "the breaker of {id} is open after {} failures: {}; `floret plugin reset {id}` closes it",
                breaker.failures, breaker.last_error,
            ));
        }
    }
}

fn document_of((id, bound): (&String, &BindingDocument)) -> Value {
    let mut shown =
        json!({"type": id, "config": bound.config, "in_use": bound.in_use, "problem": bound.problem});
    if !bound.limits.is_empty() {
        shown["limits"] = json!(bound.limits);
    }
    if let Some(breaker) = &bound.breaker {
        shown["breaker"] = json!(breaker);
    }
    shown
}

/// Where a component is from.
fn from(version: &Version, plugin: &PluginMetadata) -> Cell {
    if plugin.removed {
        return Cell::text("removed").tone(Tone::Bad);
    }
    let shipped = built_in_digest(version.key.resource_id.as_str()) == Some(version.data_hash);
    let from = if shipped { "floret" } else { plugin.source.as_deref().unwrap_or("a file") };
    let signed = plugin.signature.as_ref().map(|it| format!(", signed by {}", it.key_id)).unwrap_or_default();
    let short = match from.split_once("@sha256:") {
        Some((place, digest)) => format!("{place}@{}", digest.chars().take(DIGITS_SHOWN).collect::<String>()),
        None => from.to_owned(),
    };
    Cell::either(format!("{short}{signed}"), format!("{from}{signed}")).tone(Tone::Faint)
}
