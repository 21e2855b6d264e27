//! Another policy, while everything runs.

use std::sync::Arc;

use anyhow::Result;
use floret_model::{Codec, ResourceKey, Version};
use floret_pipeline::{Binding, POLICY_BINDING, Selector};
use serde_json::json;

use super::Story;
use super::build::told;
use super::change::{save_and_cascade, the_text, touched, with_sentence};
use super::texts::Text;
use crate::out::{Cell, Table, Tone, bytes};

/// Bind another policy, change the text once more, and compare what is stored.
pub(super) async fn policy(story: &mut Story<'_>, texts: &[Text]) -> Result<()> {
    let text = the_text(texts)?;
    story.chapter(
        "Another policy, while it runs",
        "policy-archive is bound in place of policy-default, the text gets one more sentence, and what is stored is compared",
    )?;
    let keys = touched(text)?;
    let before = heads(story, &keys).await?;
    bind(story, "policy-archive").await?;
    let changed = with_sentence(text, "May every floret of the Union bloom, and every archive be small.");
    let report = save_and_cascade(story, text, changed).await?;
    let after = heads(story, &keys).await?;
    bind(story, "policy-default").await?;
    let mut table = Table::new(&["", "raw", "policy-default", "", "policy-archive", ""]);
    let mut kept = Vec::new();
    for (one, two) in before.iter().zip(&after) {
        let (default, archive) = (&one.content_location, &two.content_location);
        table.row(vec![
            Cell::text(&one.key).tone(Tone::Name),
            Cell::bytes(archive.size_bytes),
            Cell::bytes(default.size_compressed),
            Cell::text(codec(one)).tone(Tone::Faint),
            Cell::bytes(archive.size_compressed),
            Cell::text(codec(two)).tone(Tone::Faint),
        ]);
        kept.push(json!({
            "resource": one.key.to_string(), "bytes_raw": archive.size_bytes,
            "default": {"bytes": default.size_compressed, "codec": codec(one)},
            "archive": {"bytes": archive.size_compressed, "codec": codec(two)},
        }));
    }
    story.table(table)?;
    let sum = |versions: &[Arc<Version>]| {
        versions.iter().map(|version| version.content_location.size_compressed).sum::<u64>()
    };
    let (default, archive) = (sum(&before), sum(&after));
    story.figures(&format!(
        "{} become {}; nothing was restarted, and policy-default is bound again",
        bytes(default),
        bytes(archive),
    ))?;
    story.keep("policy", json!({"default_bytes": default, "archive_bytes": archive, "resources": kept}));
    told(story, "policy_cascade", &report)
}

async fn bind(story: &Story<'_>, component: &str) -> Result<()> {
    let binding = Binding::new(component);
    story.host.plugin_bind(POLICY_BINDING, binding).await?;
    Ok(())
}

async fn heads(story: &Story<'_>, keys: &[ResourceKey]) -> Result<Vec<Arc<Version>>> {
    let mut heads = Vec::new();
    for key in keys {
        heads.push(story.host.resolve(key, &Selector::Latest).await?);
    }
    Ok(heads)
}

fn codec(version: &Version) -> String {
    let location = &version.content_location;
    Codec { compression: location.compression, level: location.compression_level }.to_string()
}
