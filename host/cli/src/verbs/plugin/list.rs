use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use floret_model::{PluginMetadata, TypedMetadata, Version};
use floret_pipeline::{Binding, BindingState, Breaker, Floret, UnreadableBinding};
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
        .with_host(async |host, out, _| {
            let plugins = match args.all {
                true => host.plugins_with_removed().await?,
                false => host.plugins().await?,
            };
            let bound = Bound::of(host).await?;
            let quarantines = host.quarantines(false).await?;
            let quarantined =
                |version: &Version| quarantines.iter().find(|one| one.digest == version.data_hash);
            let document: Vec<Value> = plugins
                .iter()
                .map(|version| {
                    let name = version.key.resource_id.as_str();
                    json!({
                        "name": name,
                        "seq": version.seq,
                        "data_hash": version.data_hash,
                        "size_bytes": version.content_location.size_bytes,
                        "metadata": version.metadata.typed,
                        "bindings": bound.documents(name),
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
                        match (quarantined(version), &bound.ids(name)[..]) {
                            (Some(_), _) => Cell::text("quarantined").tone(Tone::Bad),
                            (None, []) => Cell::none(),
                            (None, ids) => Cell::text(ids.join(", ")),
                        },
                    ]);
                }
                out.table(&table)
            })?;
            bound.note(out);
            for one in &quarantines {
                out.note(&format!("{one}; `floret plugin release {}` lifts it", one.digest.short()));
            }
            Ok(())
        })
        .await
}

/// What is bound, and how it stands.
struct Bound {
    bindings: Vec<(String, Binding, Arc<Version>)>,
    unreadable: Vec<UnreadableBinding>,
    states: Vec<BindingState>,
    breakers: BTreeMap<String, Breaker>,
}

impl Bound {
    async fn of(host: &Floret) -> Result<Self> {
        Ok(Self {
            bindings: host.bindings().await?,
            unreadable: host.unreadable_bindings().await?,
            states: host.binding_states().await?,
            breakers: host.open_breakers().await?.into_iter().collect(),
        })
    }

    fn readable(&self, name: &str) -> impl Iterator<Item = (&str, &Binding)> {
        let of_it = move |(_, binding, _): &&(String, Binding, Arc<Version>)| binding.component == name;
        self.bindings.iter().filter(of_it).map(|(id, binding, _)| (id.as_str(), binding))
    }

    fn unreadable(&self, name: &str) -> impl Iterator<Item = &UnreadableBinding> {
        self.unreadable.iter().filter(move |it| it.component.as_deref() == Some(name))
    }

    /// What a component is bound to.
    fn ids(&self, name: &str) -> Vec<&str> {
        self.readable(name).map(|(id, _)| id).chain(self.unreadable(name).map(|it| it.id.as_str())).collect()
    }

    fn documents(&self, name: &str) -> Vec<Value> {
        let readable = self.readable(name).map(|(id, binding)| {
            let mut document = self.document(id, json!(binding.config));
            if !binding.limits.is_empty() {
                document["limits"] = json!(binding.limits);
            }
            document
        });
        readable.chain(self.unreadable(name).map(|it| self.document(&it.id, Value::Null))).collect()
    }

    fn document(&self, id: &str, config: Value) -> Value {
        let state = self.states.iter().find(|state| state.id == id);
        let in_use = state.and_then(|state| state.component.as_ref());
        let problem = state.and_then(|state| state.problem.as_ref());
        let mut document = json!({"type": id, "config": config, "in_use": in_use, "problem": problem});
        if let Some(breaker) = self.breakers.get(id) {
            document["breaker"] = json!(breaker);
        }
        document
    }

    /// Say what is not as it should be.
    fn note(&self, out: &Out) {
        for BindingState { id, component, problem, .. } in &self.states {
            let Some(problem) = problem else { continue };
            let instead = match component {
                Some(used) => {
                    format!("{used} is used instead; `floret plugin rollback` makes that the newest")
                }
                None => "nothing can be built for it".to_owned(),
            };
            out.note(&format!("{id}: {problem}; {instead}"));
        }
        for (id, breaker) in &self.breakers {
            out.note(&format!(
                "the breaker of {id} is open after {} failures: {}; `floret plugin reset {id}` closes it",
                breaker.failures, breaker.last_error,
            ));
        }
    }
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
