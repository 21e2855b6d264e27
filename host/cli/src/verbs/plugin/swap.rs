//! What installing, binding and going back have in common: what depends on the change is rebuilt.

use anyhow::Result;
use floret_model::{CascadeReport, ResourceKey, ResourceType, TypedMetadata};
use floret_pipeline::{Floret, Saved};
use serde_json::json;

use crate::out::{Out, Tone, plural};
use crate::report;
use crate::work::Bars;

/// When to rebuild what a change reaches; at once unless it is said otherwise.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Swap {
    /// Leave what it built as it is for now; `floret cascade` rebuilds it later.
    #[arg(long, conflicts_with = "plan")]
    hold: bool,
    /// Show what would be rebuilt, and change nothing.
    #[arg(long)]
    pub plan: bool,
}

/// What would be saved, and what would be rebuilt for it.
pub(super) async fn plan(
    host: &Floret,
    key: &ResourceKey,
    what: &str,
    is_new: bool,
    out: &mut Out,
) -> Result<()> {
    let plan = host.plan(std::slice::from_ref(key)).await?;
    let document = json!({
        "resource": key.to_string(),
        "would_change": is_new,
        "plan": plan,
    });
    out.show(&document, |out| {
        let would = if is_new { "would be saved" } else { "is there already" };
        out.aside(&format!("{key} {would}: {what}"))?;
        if plan.steps.is_empty() {
            return out.aside("nothing depends on it");
        }
        out.table(&report::plan(&plan))?;
        let steps = plural(plan.steps.len() as u64, "step");
        out.aside(&format!("{steps} would be looked at; nothing was changed"))
    })
}

/// What was saved, and what is rebuilt for it: at once, or when somebody says so.
pub(super) async fn tell(host: &Floret, saved: &Saved, swap: Swap, out: &mut Out, bars: Bars) -> Result<()> {
    let version = &saved.version;
    let reference = version.reference().to_string();
    let done = if version.key.resource_type == ResourceType::binding() { "bound" } else { "installed" };
    let (word, tone) = if saved.is_new { (done, Tone::Good) } else { ("unchanged", Tone::Faint) };
    let sentence = format!("{} {reference}: {}", out.paint(tone, word), what(saved));
    let state = if saved.is_new { "new" } else { "unchanged" };
    out.fact(&sentence, &[state, &reference, &version.data_hash.to_string()])?;
    warn(host, &version.key, out).await?;
    let key = std::slice::from_ref(&version.key);
    let plan = host.plan(key).await?;
    let report = match swap.hold || plan.steps.is_empty() {
        true => None,
        false => Some(rebuild(host, &version.key, bars).await?),
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
        None if plan.steps.is_empty() => Ok(()),
        None => out.aside(&format!(
            "what it built stays as it is ({}): `floret plan {key}` lists it, `floret cascade {key}` rebuilds it",
            plural(plan.steps.len() as u64, "resource"),
            key = version.key,
        )),
    })
}

/// Say it where a binding that has to do with this one is not taken into use.
async fn warn(host: &Floret, key: &ResourceKey, out: &Out) -> Result<()> {
    let bindings = host.bindings().await?;
    for state in host.binding_states().await? {
        let Some(problem) = state.problem else { continue };
        let component =
            bindings.iter().find(|(id, ..)| *id == state.id).map(|(_, it, _)| it.component.as_str());
        let name = key.resource_id.as_str();
        if state.id == name || component == Some(name) {
            let instead = state.component.map_or_else(
                || "nothing can be built for it".to_owned(),
                |used| format!("{used} goes on for it"),
            );
            out.note(&format!("{}: {problem}; {instead}", state.id));
        }
    }
    Ok(())
}

async fn rebuild(host: &Floret, key: &ResourceKey, bars: Bars) -> Result<CascadeReport> {
    let keys = std::slice::from_ref(key);
    let rebuilt = bars.cascade(async |progress| host.cascade(keys, progress).await).await;
    rebuilt.map_err(|error| {
        let told = format!(
            "{error}; {key} is in use: `floret plugin rollback {key}` goes back, `floret cascade {key}` tries again"
        );
        error.context(told)
    })
}

fn what(saved: &Saved) -> String {
    let version = &saved.version;
    match &version.metadata.typed {
        TypedMetadata::Plugin(plugin) => {
            let signed = plugin.signature.as_ref();
            let signed = signed.map(|it| format!(", signed by {}", it.key_id)).unwrap_or_default();
            format!("{} {}, {}{signed}", plugin.component_name, plugin.component_version, plugin.contract)
        }
        TypedMetadata::Binding(binding) => {
            format!("{} is bound to {}", binding.component, version.key.resource_id)
        }
        _ => String::new(),
    }
}
