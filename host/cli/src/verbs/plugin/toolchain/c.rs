//! C: bindings made here, compiled by clang with wasi-libc.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow};
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

use super::{missing, read, run};
use crate::failure::Failure;
use crate::verbs::plugin::project::Project;

const COMPILERS: [&str; 2] = ["clang-19", "clang"];
const INSTALL: &str =
    "with `apt install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32`, or use the clang of a WASI SDK";

/// How to do without a call of the system.
pub(super) const WITHOUT_SYSTEM: &str = "leave out what calls it (fopen, getenv, time), or add a line for it to src/no_system.c, which makes each a trap";

/// The names of the bindings begin with it; their files are `plugin.h`, `plugin.c` and `plugin_component_type.o`.
const PREFIX: &str = "plugin";

/// The core module.
pub(super) fn module(project: &Project, build: &Path) -> Result<Vec<u8>> {
    let compiler = COMPILERS.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok());
    let compiler = compiler.ok_or_else(|| missing("clang is not installed", INSTALL))?;
    bind(project, build)?;
    let out = build.join("module.wasm");
    let mut command = Command::new(compiler);
    command
        .current_dir(&project.folder)
        .args(["--target=wasm32-wasi", "-mexec-model=reactor", "-O3", "-msimd128", "-Wall"])
        .args(["-Isrc", "-Ibuild", "-Wl,--strip-all", "-o"])
        .arg(&out)
        .args(sources(&project.folder.join("src"))?)
        .args(["build/plugin.c", "build/plugin_component_type.o"]);
    run(&mut command, INSTALL).map_err(|error| {
        anyhow!("{error}\n(clang alone is not enough: install what is missing {INSTALL})")
    })?;
    read(&out)
}

/// Write the bindings of the contract, as the `wit-bindgen` tool would.
fn bind(project: &Project, build: &Path) -> Result<()> {
    let files = bindings(project).map_err(|error| anyhow!("wit/ does not give bindings: {error:#}"))?;
    for (name, bytes) in files.iter() {
        let path = build.join(name);
        std::fs::write(&path, bytes).map_err(|source| {
            anyhow!(Failure::File { action: "write", name: path.display().to_string(), source })
        })?;
    }
    Ok(())
}

fn bindings(project: &Project) -> Result<Files> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(project.folder.join("wit"))?;
    let world = resolve.select_world(&[package], Some(project.contract.world()))?;
    let options =
        wit_bindgen_c::Opts { rename_world: Some(PREFIX.to_owned()), ..wit_bindgen_c::Opts::default() };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    Ok(files)
}

/// Every C file of the folder, sorted, so that the module does not depend on the file system.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed =
        |source| anyhow!(Failure::File { action: "read", name: folder.display().to_string(), source });
    let files = std::fs::read_dir(folder).map_err(failed)?;
    let files = files.map(|file| Ok(file?.path())).collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
    let mut files: Vec<_> =
        files.into_iter().filter(|file| file.extension() == Some(OsStr::new("c"))).collect();
    files.sort();
    Ok(files)
}
