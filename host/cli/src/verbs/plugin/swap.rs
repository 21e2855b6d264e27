//! What installing, binding and going back have in common: what depends on the change is rebuilt.

use anyhow::Result;
use floret_model::{CascadeReport, ResourceKey, ResourceType, TypedMetadata};
use floret_pipeline::Saved;
use serde_json::json;

use crate::out::{Out, Tone, plural};
use crate::remote::{Foreseen, Home};
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
pub(super) fn plan(foreseen: &Foreseen, out: &mut Out) -> Result<()> {
    let Foreseen { key, what, would_change, plan } = foreseen;
    let document = json!({
        "resource": key,
        "would_change": would_change,
        "plan": plan,
    });
    out.show(&document, |out| {
        let would = if *would_change { "would be saved" } else { "is there already" };
        out.aside(&format!("{key} {would}: {what}"))?;
        if plan.steps.is_empty() {
            return out.aside("nothing depends on it");
        }
        out.table(&report::plan(plan))?;
        let steps = plural(plan.steps.len() as u64, "step");
        out.aside(&format!("{steps} would be looked at; nothing was changed"))
    })
}

/// What was saved, and what is rebuilt for it: at once, or when somebody says so.
pub(super) async fn tell(home: Home<'_>, saved: &Saved, swap: Swap, out: &mut Out, bars: Bars) -> Result<()> {
    let version = &saved.version;
    let reference = version.reference().to_string();
    let done = if version.key.resource_type == ResourceType::binding() { "bound" } else { "installed" };
    let (word, tone) = if saved.is_new { (done, Tone::Good) } else { ("unchanged", Tone::Faint) };
    let sentence = format!("{} {reference}: {}", out.paint(tone, word), what(saved));
    let state = if saved.is_new { "new" } else { "unchanged" };
    out.fact(&sentence, &[state, &reference, &version.data_hash.to_string()])?;
    warn(home, &version.key, out).await?;
    let key = std::slice::from_ref(&version.key);
    let plan = home.plan(key).await?;
    let report = match swap.hold || plan.steps.is_empty() {
        true => None,
        false => Some(rebuild(home, &version.key, bars).await?),
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
async fn warn(home: Home<'_>, key: &ResourceKey, out: &Out) -> Result<()> {
    for (id, bound) in home.bindings().await? {
        let Some(problem) = bound.problem else { continue };
        let name = key.resource_id.as_str();
        if id == name || bound.component.as_deref() == Some(name) {
            let instead = bound.in_use.map_or_else(
                || "nothing can be built for it".to_owned(),
                |used| format!("{used} goes on for it"),
            );
            out.note(&format!("{id}: {problem}; {instead}"));
        }
    }
    Ok(())
}

async fn rebuild(home: Home<'_>, key: &ResourceKey, bars: Bars) -> Result<CascadeReport> {
    let keys = std::slice::from_ref(key);
    let rebuilt = bars.cascade(async |work| home.cascade(keys, work).await).await;
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
