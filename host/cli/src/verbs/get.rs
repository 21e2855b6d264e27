use std::io::{self, IsTerminal, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use floret_model::{CompressionType, ResourceKey, Seq, Version};
use floret_pipeline::{Freshness, LARGE_BYTES, Selector, Snapshot, VersionDocument};
use serde_json::Value;

use crate::failure::Failure;
use crate::given::{name, usage};
use crate::out::{Cell, Out, Table, Tone, plural};
use crate::remote::Home;
use crate::run::Context;

/// Bytes of a large content by which it is told whether a terminal can show it.
const HEAD_BYTES: usize = 64 << 10;
/// Bytes written to a file at once.
const PIECE_BYTES: usize = 256 << 10;

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
    /// The latest version, and an error if it is below this seq: whoever saved @3 reads @3 or what came after.
    #[arg(long, value_name = "SEQ", conflicts_with_all = ["version", "fresh"])]
    at_least: Option<u64>,
}

/// `latest`, a seq, or a semantic version.
pub(crate) fn selector(text: &str) -> Result<Selector, String> {
    text.parse().map_err(|error: floret_pipeline::Error| error.to_string())
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    let json = context.global.json;
    context
        .with_home(async |home, out, _| {
            let freshness = match args.at_least {
                Some(seq) => Freshness::AtLeast(Seq(seq)),
                None if args.fresh => Freshness::Strong,
                None => Freshness::Cached,
            };
            let is_info = args.info || (json && args.output.is_none());
            let host = match home {
                Home::Here(host) => host,
                Home::There(client) => {
                    let version = client.record(&args.key, &args.version, freshness).await?;
                    if is_info {
                        return info(home, &version, out).await;
                    }
                    let mut file = client.content(&version, args.fresh).await?;
                    let mut head = Vec::new();
                    Read::by_ref(&mut file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
                    file.rewind()?;
                    return hand_out(&args, home, &version, file, is_text(&head), out).await;
                }
            };
            let found = host.find(&args.key, &args.version, freshness).await?;
            let version = found.version();
            if is_info {
                return info(home, version, out).await;
            }
            if version.content_location.size_bytes > LARGE_BYTES {
                let content = host.export(version).await?;
                let head = content.head(HEAD_BYTES)?;
                return hand_out(&args, home, version, content.reader(), is_text(&head), out).await;
            }
            let Snapshot { version, content, .. } = &*host.read(found).await?;
            let is_text = std::str::from_utf8(content).is_ok();
            hand_out(&args, home, version, &content[..], is_text, out).await
        })
        .await
}

/// Whether what begins so is text; a character may be cut at its end.
fn is_text(head: &[u8]) -> bool {
    std::str::from_utf8(head).err().is_none_or(|error| error.error_len().is_none())
}

/// Write a content to where it is wanted.
async fn hand_out(
    args: &Args,
    home: Home<'_>,
    version: &Version,
    content: impl Read,
    is_text: bool,
    out: &mut Out,
) -> Result<()> {
    let Some(file) = &args.output else {
        if io::stdout().is_terminal() && !is_text {
            let message = format!("the content of {} is not text; use --output FILE, or --info", args.key);
            return Err(usage(message));
        }
        return out.raw(content);
    };
    write(file, content)
        .map_err(|source| anyhow!(Failure::File { action: "write", name: name(file), source }))?;
    let document = home.document(version).await?;
    out.show(&document, |out| {
        let text = format!("{} is in {}", version.reference(), file.display());
        out.fact(&text, &[&version.reference().to_string(), &file.display().to_string()])
    })
}

fn write(file: &Path, mut content: impl Read) -> io::Result<()> {
    let mut file = io::BufWriter::with_capacity(PIECE_BYTES, std::fs::File::create(file)?);
    io::copy(&mut content, &mut file)?;
    file.flush()
}

async fn info(home: Home<'_>, version: &Version, out: &mut Out) -> Result<()> {
    let document = home.document(version).await?;
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
