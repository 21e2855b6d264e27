//! `floret plugin new`: a project to begin with.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use serde_json::json;

use super::project::{Contract, Language, check_name};
use super::templates;
use crate::failure::Failure;
use crate::given::usage;
use crate::run::Context;

const VERSION: &str = "0.1.0";

/// Write a project for a component of your own: source that works, the contract, data to test with.
///
/// Nothing of Floret's source is needed to build it, only the language's own toolchain: see its README.md.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  floret plugin new my-index --contract index --lang python && cd my-index && floret plugin build")]
pub(crate) struct Args {
    /// Name of the component: lower-case letters, digits and hyphens.
    name: String,
    /// What it is for.
    #[arg(long, value_enum)]
    contract: Contract,
    /// What it is written in.
    #[arg(long, value_enum)]
    lang: Language,
    /// Folder to write into: a new or an empty one [default: NAME].
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: Args, context: &mut Context) -> Result<()> {
    check_name(&args.name).map_err(usage)?;
    let folder = args.dir.unwrap_or_else(|| PathBuf::from(&args.name));
    check_empty(&folder)?;
    let mut written = Vec::new();
    for (path, text) in templates::files(args.lang, args.contract) {
        write(&folder.join(path), &filled(text, &args.name, args.contract, args.lang))?;
        written.push(path);
    }
    let shown = folder.display().to_string();
    let document = json!({
        "name": args.name,
        "version": VERSION,
        "contract": args.contract.package(),
        "language": args.lang,
        "folder": shown,
        "files": written,
    });
    context.out.show(&document, |out| {
        out.fact(
            &format!("{shown}: {} in {}, {} files", args.contract.package(), args.lang.name(), written.len()),
            &[&shown, args.contract.package(), args.lang.name()],
        )?;
        out.aside(&format!("next: read {shown}/README.md, then `floret plugin build {shown}`"))
    })
}

/// A template's text with the project's names in it.
fn filled(text: &str, name: &str, contract: Contract, language: Language) -> String {
    let (kind, inputs) = match contract {
        Contract::Corpus => ("corpus", "testdata/one.txt testdata/two.txt"),
        Contract::Index => ("words", "testdata/one.tsv testdata/two.tsv"),
        Contract::Policy => ("policy", "testdata/one.txt testdata/long.txt"),
    };
    text.replace("{{name}}", name)
        .replace("{{version}}", VERSION)
        .replace("{{package}}", contract.package())
        .replace("{{contract}}", contract.name())
        .replace("{{world}}", contract.world())
        .replace("{{language}}", language.name())
        .replace("{{type}}", kind)
        .replace("{{inputs}}", inputs)
}

/// Nothing that is there is written over.
fn check_empty(folder: &Path) -> Result<()> {
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(usage(format!(
            "{} is not empty: name another folder with --dir, or empty it",
            folder.display()
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(usage(format!("{} cannot be used: {error}", folder.display()))),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let write = || {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(path, text)
    };
    let failed =
        |source| anyhow!(Failure::File { action: "write", name: path.display().to_string(), source });
    write().map_err(failed)
}
