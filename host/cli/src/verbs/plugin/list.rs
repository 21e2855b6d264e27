use std::collections::BTreeMap;

use anyhow::Result;
use floret_model::TypedMetadata;
use floret_pipeline::Breaker;
use serde_json::{Value, json};

use crate::open::built_in_digest;
use crate::out::{Cell, Table, Tone};
use crate::run::Context;

pub(super) async fn run(context: &mut Context) -> Result<()> {
    context
        .with_host(async |host, out, _| {
            let plugins = host.plugins().await?;
            let bindings = host.bindings().await?;
            let breakers: BTreeMap<String, Breaker> = host.open_breakers().await?.into_iter().collect();
            let document: Vec<Value> = plugins
                .iter()
                .map(|version| {
                    let name = version.key.resource_id.as_str();
                    let bound = bindings.iter().filter(|(_, binding, _)| binding.component == name);
                    let bound = bound.map(|(id, binding, _)| {
                        let mut shown = json!({"type": id, "config": binding.config});
                        if !binding.limits.is_empty() {
                            shown["limits"] = json!(binding.limits);
                        }
                        if let Some(breaker) = breakers.get(id) {
                            shown["breaker"] = json!(breaker);
                        }
                        shown
                    });
                    let bound: Vec<Value> = bound.collect();
                    json!({
                        "name": name,
                        "seq": version.seq,
                        "data_hash": version.data_hash,
                        "size_bytes": version.content_location.size_bytes,
                        "metadata": version.metadata.typed,
                        "bindings": bound,
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
                        Cell::text(name).tone(Tone::Name),
                        Cell::either(format!("@{}", version.seq), version.seq),
                        Cell::text(&plugin.component_version),
                        Cell::text(&plugin.contract),
                        Cell::bytes(version.content_location.size_bytes),
                        Cell::text(if shipped { "floret" } else { "a file" }).tone(Tone::Faint),
                        if bound.is_empty() { Cell::none() } else { Cell::text(bound.join(", ")) },
                    ]);
                }
                out.table(&table)?;
                for (id, breaker) in &breakers {
                    out.aside(&format!(
                        "the breaker of {id} is open after {} failures: {}; `floret plugin reset {id}` closes it",
                        breaker.failures, breaker.last_error,
                    ))?;
                }
                Ok(())
            })
        })
        .await
}
