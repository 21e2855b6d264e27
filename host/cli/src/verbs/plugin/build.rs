//! `floret plugin build`: a project's component, by the language's own toolchain.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};
use floret_model::Digest;
use serde_json::json;
use wasm_metadata::{AddMetadata, AddMetadataField, Licenses, Source};

use super::project::Project;
use super::toolchain;
use crate::failure::Failure;
use crate::given::usage;
use crate::out::{bytes, milliseconds};
use crate::run::Context;

/// Build the component of a project that `floret plugin new` made, and write it beside `plugin.toml`.
///
/// The language is what plugin.toml says; its toolchain must be installed, and what is missing is said. Name, version,
/// licence and source are put into the component.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the project.
    #[arg(default_value = ".")]
    dir: PathBuf,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<()> {
    let started = Instant::now();
    let project = Project::read(&args.dir)?;
    let metadata = metadata(&project)?;
    let bar = context.bars.bar(None, "building");
    let built = tokio::task::spawn_blocking(move || {
        let component = metadata.to_wasm(&toolchain::component(&project)?)?;
        write(&project.file(), &component)?;
        anyhow::Ok((project, component))
    })
    .await?;
    bar.finish_and_clear();
    let (project, component) = built?;
    let build_ms = started.elapsed().as_secs_f64() * 1e3;
    let file = args.dir.join(format!("{}.wasm", project.name));
    let file = file.strip_prefix(".").unwrap_or(&file).display().to_string();
    let document = json!({
        "name": project.name,
        "version": project.version.to_string(),
        "contract": project.contract.package(),
        "language": project.language,
        "file": file,
        "size_bytes": component.len(),
        "digest": Digest::of(&component),
        "build_ms": build_ms,
    });
    context.out.show(&document, |out| {
        let size = bytes(component.len() as u64);
        let took = milliseconds(build_ms);
        out.fact(
            &format!("built {file}: {} {}, {size} in {took}", project.name, project.version),
            &[&file, &component.len().to_string(), &format!("{build_ms:.0}")],
        )?;
        out.aside(&format!("next: `floret plugin test {file}`, `floret plugin install {file}`"))
    })
}

/// What the component is to say of itself to those who only have the file.
fn metadata(project: &Project) -> Result<AddMetadata> {
    let mut metadata = AddMetadata::default();
    metadata.name = AddMetadataField::Set(project.name.clone());
    metadata.version = AddMetadataField::Set(wasm_metadata::Version::new(project.version.to_string()));
    metadata.processed_by = vec![("floret".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    if let Some(licence) = &project.licence {
        let licence = Licenses::new(licence).map_err(|error| {
            usage(format!("plugin.toml: licence is {licence:?}: expected an SPDX expression: {error}"))
        })?;
        metadata.licenses = AddMetadataField::Set(licence);
    }
    if let Some(source) = &project.source {
        let source = Source::new(source)
            .map_err(|error| usage(format!("plugin.toml: source is {source:?}: expected a URL: {error}")))?;
        metadata.source = AddMetadataField::Set(source);
    }
    Ok(metadata)
}

/// Whoever reads the file finds the old component or the new one, whole.
fn write(path: &Path, component: &[u8]) -> Result<()> {
    let beside = path.with_extension(format!("wasm.{}", std::process::id()));
    let written = std::fs::write(&beside, component).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|source| {
        // It may not even be there.
        let _ = std::fs::remove_file(&beside);
        anyhow!(Failure::File { action: "write", name: path.display().to_string(), source })
    })
}
