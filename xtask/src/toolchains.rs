//! `cargo xtask toolchains`: what the tests of plugins in other languages build with, as the templates pin it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{apt, plugins, venv};

/// Files of Debian packages that C needs, each with its package.
const C_FILES: [(&str, &str); 4] = [
    ("/usr/bin/clang-19", "clang-19"),
    ("/usr/bin/wasm-ld-19", "lld-19"),
    ("/usr/include/wasm32-wasi/stdlib.h", "wasi-libc"),
    ("/usr/lib/llvm-19/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a", "libclang-rt-19-dev-wasm32"),
];

/// Install what is missing: Debian packages, componentize-py into `target/venv`, jco into `target/npm`.
///
/// # Errors
/// As [`apt::install`] and [`venv::require`]; npm that fails.
pub fn run() -> Result<()> {
    plugins::require_toolchain()?;
    let missing: Vec<&str> =
        C_FILES.iter().filter(|(file, _)| !Path::new(file).exists()).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        apt::install(&missing)?;
    }
    apt::require_programs(&[("node", "nodejs"), ("npm", "npm")])?;
    let root = plugins::repository()?;
    let templates = root.join("host/cli/templates");
    let requirements = read(&templates.join("python/requirements.txt"))?;
    let pinned: Vec<&str> = requirements.lines().filter(|line| !line.is_empty()).collect();
    let folder = venv::require(&pinned)?;
    println!("{} is in {}", pinned.join(" and "), folder.display());
    node_packages(&root.join("target/npm"), &read(&templates.join("js/package.json"))?)
}

/// Install a template's packages, once.
fn node_packages(folder: &Path, template: &str) -> Result<()> {
    let manifest = template.replace("{{name}}", "templates").replace("{{version}}", "0.0.0");
    let path = folder.join("package.json");
    let stamp = folder.join("installed.json");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == manifest) {
        println!("the packages of package.json are in {}", folder.display());
        return Ok(());
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    std::fs::write(&path, &manifest).with_context(|| format!("cannot write {}", path.display()))?;
    println!("installing the packages of {}", path.display());
    let status = Command::new("npm")
        .current_dir(folder)
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
        .status()
        .context("npm cannot be run")?;
    if !status.success() {
        bail!("npm cannot install the packages of {}: see above; it needs a registry", path.display());
    }
    std::fs::write(&stamp, &manifest).with_context(|| format!("cannot write {}", stamp.display()))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
