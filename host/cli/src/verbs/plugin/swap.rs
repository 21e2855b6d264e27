use anyhow::Result;
use floret_model::{ResourceType, TypedMetadata};
use floret_pipeline::{Floret, Saved};
use serde_json::json;

use crate::out::{Out, Tone, plural};
use crate::report;
use crate::work::Bars;

/// What was installed or bound, and what is to be rebuilt for it: at once, or when somebody says so.
pub(super) async fn tell(
    host: &Floret,
    saved: &Saved,
    cascade: bool,
    out: &mut Out,
    bars: Bars,
) -> Result<()> {
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
