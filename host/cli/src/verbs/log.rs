use anyhow::Result;
use floret_model::{ResourceKey, Seq, Version};
use floret_pipeline::VersionEntry;

use crate::out::{Cell, Table, Tone, bytes};
use crate::run::Context;

/// List the versions of a resource, newest first.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which resource.
    #[arg(value_name = "TYPE/ID")]
    key: ResourceKey,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 20)]
    limit: usize,
    /// Only versions before this seq.
    #[arg(long, value_name = "SEQ")]
    before: Option<u64>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    context
        .with_home(async |home, out, _| {
            let log = home.log(&args.key, args.before.map(Seq), args.limit).await?;
            let entries: Vec<VersionEntry> = log.iter().map(|version| VersionEntry::of(version)).collect();
            out.show(&entries, |out| {
                let mut table =
                    Table::new(&["seq", "version", "created", "content", "raw", "stored", "as", "remarks"]);
                for version in &log {
                    table.row(row(version));
                }
                out.table(&table)?;
                match log.last() {
                    Some(last) if log.len() == args.limit && last.seq > Seq::FIRST => {
                        out.aside(&format!("older ones: floret log {} --before {}", args.key, last.seq))
                    }
                    _ => Ok(()),
                }
            })
        })
        .await
}

fn row(version: &Version) -> Vec<Cell> {
    let location = &version.content_location;
    let codec = floret_model::Codec { compression: location.compression, level: location.compression_level };
    let mut remarks: Vec<String> = version.tags.iter().map(|tag| format!("#{tag}")).collect();
    match &version.build {
        Some(build) if build.from_memo => remarks.push("from memo".to_owned()),
        Some(_) => remarks.push("built".to_owned()),
        None => {}
    }
    if version.dropped_at.is_some() {
        remarks.push("dropped".to_owned());
    }
    vec![
        Cell::either(format!("@{}", version.seq), version.seq).tone(Tone::Name),
        Cell::text(&version.version),
        Cell::text(version.created_at),
        Cell::digest(&version.data_hash),
        Cell::either(bytes(location.size_bytes), location.size_bytes).right(),
        Cell::either(bytes(location.size_compressed), location.size_compressed).right(),
        Cell::text(codec),
        if remarks.is_empty() { Cell::none() } else { Cell::text(remarks.join(", ")) },
    ]
}
