use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use floret_model::{CompressionType, ResourceKey, Version};
use floret_pipeline::{Floret, Freshness, Selector, VersionDocument};
use serde_json::Value;

use crate::failure::Failure;
use crate::given::{name, usage};
use crate::out::{Cell, Out, Table, Tone, plural};
use crate::run::Context;

/// Read a version: its content, or with --info or --json what is known of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floret get literature/walden
  floret get literature/walden --version 1.0.2 --output walden.txt
  floret get corpus/thoreau --info")]
pub(crate) struct Args {
    /// Which resource.
    #[arg(value_name = "TYPE/ID")]
    key: ResourceKey,
    /// Which version: latest, a seq such as 3, or a version such as 1.0.2.
    #[arg(long, default_value = "latest", value_parser = selector)]
    version: Selector,
    /// Write the content to a file.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show what is known of the version instead of its content.
    #[arg(long, conflicts_with = "output")]
    info: bool,
    /// Pass the cache by: read from the store, and verify the bytes.
    #[arg(long)]
    fresh: bool,
}

/// `latest`, a seq, or a semantic version.
pub(crate) fn selector(text: &str) -> Result<Selector, String> {
    text.parse().map_err(|error: floret_pipeline::Error| error.to_string())
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    let json = context.global.json;
    context
        .with_host(async |host, out, _| {
            if args.info || (json && args.output.is_none()) {
                let version = host.resolve(&args.key, &args.version).await?;
                return info(host, &version, out).await;
            }
            let freshness = if args.fresh { Freshness::Strong } else { Freshness::Cached };
            let snapshot = host.get(&args.key, &args.version, freshness).await?;
            match &args.output {
                Some(file) => {
                    write(file, &snapshot.content)?;
                    let document = host.document(&snapshot.version).await?;
                    out.show(&document, |out| {
                        let text = format!("{} is in {}", snapshot.version.reference(), file.display());
                        out.fact(
                            &text,
                            &[&snapshot.version.reference().to_string(), &file.display().to_string()],
                        )
                    })
                }
                None => {
                    if std::io::stdout().is_terminal() && std::str::from_utf8(&snapshot.content).is_err() {
                        let message =
                            format!("the content of {} is not text; use --output FILE, or --info", args.key);
                        return Err(usage(message));
                    }
                    out.raw(&snapshot.content)
                }
            }
        })
        .await
}

fn write(file: &Path, content: &[u8]) -> Result<()> {
    let failed = |source| anyhow!(Failure::File { action: "write", name: name(file), source });
    std::fs::write(file, content).map_err(failed)
}

async fn info(host: &Floret, version: &Version, out: &mut Out) -> Result<()> {
    let document = host.document(version).await?;
    out.show(&document, |out| out.table(&fields(&document)))
}

/// A version's fields, one a line.
fn fields(document: &VersionDocument) -> Table {
    let mut table = Table::new(&["", ""]);
    let mut add = |name: &str, cell: Cell| table.row(vec![Cell::text(name).tone(Tone::Name), cell]);
    let info = &document.version_info;
    let location = &document.content_location;
    add("namespace", Cell::text(&document.namespace));
    add("resource", Cell::text(format!("{}/{}", document.resource_type, document.resource_id)));
    add(
        "version",
        Cell::text(format!(
            "{} (@{}{})",
            info.version,
            info.seq,
            if info.is_latest { ", latest" } else { "" }
        )),
    );
    add("created", Cell::text(&info.created_at));
    add("sha256", Cell::text(info.data_hash));
    add("media type", Cell::text(&document.media_type));
    let stored = match location.compression {
        CompressionType::None => "as they are".to_owned(),
        compression => format!("as {compression} in {}", plural(location.size_compressed, "byte")),
    };
    let place = if document.content_inline { ", inline" } else { "" };
    add("content", Cell::text(format!("{}, stored {stored}{place}", plural(location.size_bytes, "byte"))));
    let told = |value: &Value| !value.is_null() && value.as_array().is_none_or(|values| !values.is_empty());
    for (field, value) in document.metadata.iter().filter(|(_, value)| told(value)) {
        let text = match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        add(field, Cell::text(text));
    }
    if !document.tags.is_empty() {
        add("tags", Cell::text(document.tags.join(", ")));
    }
    if let Some(ttl) = document.ttl {
        add("time to live", Cell::text(format!("{ttl} s")));
    }
    for dependency in &info.dependencies {
        add("made from", Cell::text(dependency));
    }
    if let Some(build) = &document.build {
        let by = build
            .component
            .as_ref()
            .map_or_else(|| "the host".to_owned(), |component| component.plugin.to_string());
        add(
            "built by",
            Cell::text(format!("{by} in {:.1} ms, recipe {}", build.build_time_ms, build.recipe.short())),
        );
    }
    if let Some(policy) = &document.policy {
        add("policy", Cell::text(format!("{}: {}", policy.policy, policy.reason)));
    }
    add("read", Cell::text(plural(document.access_count, "time")));
    if let Some(at) = &document.dropped_at {
        add("dropped", Cell::text(at).tone(Tone::Bad));
    }
    table
}
