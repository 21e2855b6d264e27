mod batch;
mod describe;

use std::path::{Path, PathBuf};

use anyhow::Result;
use bytes::Bytes;
use floret_model::{Bump, ResourceKey};
use floret_pipeline::{Content, IfLatest, SaveRequest, Saved};
use serde_json::json;

use crate::given::{self, Given};
use crate::out::{Out, Tone, bytes};
use crate::remote::Home;
use crate::report;
use crate::run::Context;
use crate::work::{Bars, Work};
use describe::Described;

/// Save a version of a resource, and rebuild what depends on it.
///
/// The save is durable before anything is rebuilt; if rebuilding fails, the save is kept. A content, metadata and tags
/// equal to the latest version's make no new version.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", batch::FORMAT))]
pub(crate) struct Args {
    /// As which resource.
    #[arg(value_name = "TYPE/ID", required_unless_present = "batch")]
    key: Option<ResourceKey>,
    /// The content; - is standard input.
    #[arg(value_name = "FILE", required_unless_present = "batch")]
    file: Option<PathBuf>,
    /// The content is JSON, kept in its canonical form (RFC 8785).
    #[arg(long)]
    as_json: bool,
    /// Media type of the content.
    #[arg(long, conflicts_with = "as_json", value_name = "TYPE")]
    media_type: Option<String>,
    #[command(flatten)]
    described: Described,
    /// A tag; keeps the version from cleanup.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// How long the version is visible, e.g. 30days.
    #[arg(long, value_name = "DURATION", value_parser = given::duration_ms)]
    ttl: Option<u64>,
    /// Which part of the version grows: patch, minor, major.
    #[arg(long, value_name = "PART", default_value = "patch", value_parser = given::bump)]
    bump: Bump,
    /// Only if the latest version has this seq, or if there is none.
    #[arg(long, value_name = "SEQ|none", value_parser = given::if_latest)]
    if_latest: Option<IfLatest>,
    /// Make it a text of this corpus; text and corpus are published in one commit.
    #[arg(long, value_name = "corpus/ID", conflicts_with = "no_cascade")]
    parent: Option<ResourceKey>,
    /// Rebuild nothing.
    #[arg(long)]
    no_cascade: bool,
    /// Save many: a file of JSON lines; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ONE_ONLY)]
    batch: Option<PathBuf>,
    /// Save all of a batch, or nothing. The default.
    #[arg(long, requires = "batch", conflicts_with = "each")]
    atomic: bool,
    /// Save each of a batch by itself, with a result for each.
    #[arg(long, requires = "batch")]
    each: bool,
}

const ONE_ONLY: [&str; 10] =
    ["key", "file", "as_json", "media_type", "tags", "ttl", "bump", "if_latest", "parent", "Described"];

const EXAMPLES: &str = "Examples:
  floret save literature/walden walden.txt --title Walden --author 'Henry D. Thoreau' --year 1854
  echo '{\"senses\": []}' | floret save dictionary/cat - --as-json --word cat --provider mine
  floret save literature/walden walden.txt --parent corpus/thoreau
  floret save --batch texts.jsonl --each";

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    if let Some(file) = &args.batch {
        let requests = batch::read(file)?;
        let (each, no_cascade) = (args.each, args.no_cascade);
        return context
            .with_home(async |home, out, bars| match each {
                true => batch::save_each(home, requests, no_cascade, out, bars).await,
                false => batch::save_all(home, requests, no_cascade, out, bars).await,
            })
            .await;
    }
    let (Some(key), Some(file)) = (&args.key, &args.file) else {
        return Err(given::usage("expected TYPE/ID and FILE, or --batch FILE"));
    };
    let (content, large) = match args.as_json {
        true => (Content::Json(given::json(&given::read(file)?, &given::name(file))?), None),
        false => match given::content(file)? {
            Given::Whole(bytes) => (Content::Bytes(bytes), None),
            Given::Large(reader) => (Content::Bytes(Bytes::new()), Some(reader)),
        },
    };
    let mut request = request(&args, key, content)?;
    context
        .with_home(async |home, out, bars| {
            if let Some(reader) = large {
                let bar = bars.bar(None, "reading");
                let spooled = home.spool(Path::new(&given::name(file)), reader).await;
                bar.finish_and_clear();
                request.content = Content::File(spooled?);
            }
            match &args.parent {
                Some(parent) => with_parent(home, request, parent, out, bars).await,
                None => one(home, request, args.no_cascade, out, bars).await,
            }
        })
        .await
}

fn request(args: &Args, key: &ResourceKey, content: Content) -> Result<SaveRequest> {
    Ok(SaveRequest {
        media_type: args.media_type.clone(),
        metadata: args.described.metadata(key)?,
        tags: args.tags.iter().cloned().collect(),
        ttl_ms: args.ttl,
        bump: args.bump,
        if_latest: args.if_latest,
        ..SaveRequest::new(key.clone(), content)
    })
}

async fn one(
    home: Home<'_>,
    request: SaveRequest,
    no_cascade: bool,
    out: &mut Out,
    bars: Bars,
) -> Result<()> {
    let saved = home.save(request).await?;
    let roots = if saved.is_new && !no_cascade { vec![saved.version.key.clone()] } else { Vec::new() };
    finish(home, Told::One(saved), &roots, out, bars).await
}

/// What was saved, and in which form it is told.
enum Told {
    One(Saved),
    Batch { saved: Vec<Saved>, failed: Vec<serde_json::Value> },
}

/// Tell what was saved; rebuild what depends on it, and tell that.
async fn finish(home: Home<'_>, told: Told, roots: &[ResourceKey], out: &mut Out, bars: Bars) -> Result<()> {
    let saved = match &told {
        Told::One(saved) => std::slice::from_ref(saved),
        Told::Batch { saved, .. } => saved,
    };
    for saved in saved {
        tell(out, saved)?;
    }
    let built = match roots {
        [] => Ok(None),
        roots => bars.cascade(async |work| home.cascade(roots, work).await).await.map(Some),
    };
    let report = built.as_ref().ok().and_then(Option::as_ref);
    let document = match &told {
        Told::One(saved) => json!({"saved": document(saved), "cascade": report}),
        Told::Batch { saved, failed } => {
            let saved: Vec<serde_json::Value> = saved.iter().map(document).collect();
            json!({"saved": saved, "failed": failed, "cascade": report})
        }
    };
    out.show(&document, |out| match report {
        Some(report) if !report.steps.is_empty() => report::show(out, report),
        _ => Ok(()),
    })?;
    if let Err(error) = built {
        let roots: Vec<String> = roots.iter().take(8).map(|root| format!("'{root}'")).collect();
        out.note(&format!(
            "what was saved is kept; only rebuilding what depends on it did not work. To go on: floret cascade {}",
            roots.join(" ")
        ));
        return Err(error);
    }
    Ok(())
}

async fn with_parent(
    home: Home<'_>,
    request: SaveRequest,
    parent: &ResourceKey,
    out: &mut Out,
    bars: Bars,
) -> Result<()> {
    let key = request.key.clone();
    let work = async |work: &Work| home.save_with_parent(request, parent, work).await;
    let report = bars.cascade(work).await?;
    let version = home.resolve(&key, &floret_pipeline::Selector::Latest).await?;
    let saved = Saved { is_new: version.publish_id == report.id, version };
    tell(out, &saved)?;
    out.show(&json!({"saved": document(&saved), "cascade": report}), |out| report::show(out, &report))
}

fn document(saved: &Saved) -> serde_json::Value {
    let version = &saved.version;
    json!({
        "resource": version.key.to_string(),
        "seq": version.seq,
        "version": version.version.to_string(),
        "data_hash": version.data_hash,
        "is_new": saved.is_new,
        "size_bytes": version.content_location.size_bytes,
        "size_compressed": version.content_location.size_compressed,
    })
}

fn tell(out: &mut Out, saved: &Saved) -> Result<()> {
    let version = &saved.version;
    let reference = version.reference().to_string();
    let location = &version.content_location;
    let (word, tone) = if saved.is_new { ("saved", Tone::Good) } else { ("unchanged", Tone::Faint) };
    let codec = floret_model::Codec { compression: location.compression, level: location.compression_level };
    let size = match location.compression {
        floret_model::CompressionType::None => bytes(location.size_bytes),
        _ => format!("{} as {codec} in {}", bytes(location.size_bytes), bytes(location.size_compressed)),
    };
    let sentence = format!("{} {reference} ({}), {size}", out.paint(tone, word), version.version);
    let fields = [
        if saved.is_new { "new" } else { "unchanged" },
        &reference,
        &version.version.to_string(),
        &version.data_hash.to_string(),
    ];
    out.fact(&sentence, &fields)
}
