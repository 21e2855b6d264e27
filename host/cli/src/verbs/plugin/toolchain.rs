//! From a project's sources to a component, with each language's own tools.

mod c;
mod encode;
mod rust;

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, anyhow};

use super::project::{Language, Project};
use crate::failure::Failure;
use crate::given::usage;

/// Where what is made on the way goes.
const BUILD_FOLDER: &str = "build";

/// Build the project's component and return its bytes.
///
/// # Errors
/// A toolchain that is not there, with what to install; a build that fails, with what the tools printed.
pub(super) fn component(project: &Project) -> Result<Vec<u8>> {
    let build = project.folder.join(BUILD_FOLDER);
    std::fs::create_dir_all(&build).map_err(|source| {
        anyhow!(Failure::File { action: "write", name: build.display().to_string(), source })
    })?;
    match project.language {
        Language::Rust => encode::encode(&rust::module(project)?, rust::WITHOUT_SYSTEM),
        Language::C => encode::encode(&c::module(project, &build)?, c::WITHOUT_SYSTEM),
        Language::Python => python(project, &build),
        Language::Js => js(project, &build),
    }
}

fn python(project: &Project, build: &Path) -> Result<Vec<u8>> {
    let tool = local(&project.folder, ".venv/bin/componentize-py", "componentize-py");
    let out = build.join("component.wasm");
    let mut command = Command::new(tool);
    command
        .current_dir(&project.folder)
        .args(["--wit-path", "wit", "--world", project.contract.world(), "componentize", "--stub-wasi"])
        .args(["--python-path", "src", "app", "--output"])
        .arg(&out);
    run(
        &mut command,
        "in the project's folder: `python3 -m venv .venv && .venv/bin/pip install -r requirements.txt` (Python 3.10 or later; on Debian `apt install python3-venv`)",
    )?;
    read(&out)
}

fn js(project: &Project, build: &Path) -> Result<Vec<u8>> {
    let tool = local(&project.folder, "node_modules/.bin/jco", "jco");
    let out = build.join("component.wasm");
    let mut command = Command::new(tool);
    // The QuickJS backend looks for the entry file and what it imports in the working folder.
    command
        .current_dir(project.folder.join("src"))
        .args(["componentize", "plugin.js", "--wit", "../wit", "--world-name", project.contract.world()])
        .args(["--backend", "qjs", "--backend-qjs-disable-async", "--backend-qjs-stub-wasi", "--out"])
        .arg(&out);
    run(&mut command, "in the project's folder: `npm install` (Node.js 20 or later with npm)")?;
    read(&out)
}

/// A tool of the project's own if it is there, else the one on the search path.
fn local(folder: &Path, own: &str, name: &str) -> PathBuf {
    let own = folder.join(own);
    if own.is_file() { own } else { PathBuf::from(name) }
}

/// Run a tool. What it prints is shown only if it fails.
fn run(command: &mut Command, install: &str) -> Result<Output> {
    let name = Path::new(command.get_program()).file_name().unwrap_or(OsStr::new("?"));
    let name = name.to_string_lossy().into_owned();
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => missing(&format!("{name} is not installed"), install),
        _ => anyhow!("{name} cannot be run: {error}"),
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let told = [&output.stdout[..], &output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    Err(anyhow!("{name} failed ({}); it said:\n{}", output.status, told.trim_end()))
}

fn missing(what: &str, install: &str) -> anyhow::Error {
    usage(format!("{what}; install it {install}"))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("the toolchain wrote no {}", path.display()))
}
