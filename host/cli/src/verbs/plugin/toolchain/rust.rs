//! Rust: cargo with a compiler for wasm32-unknown-unknown.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;

use super::{missing, read, run};
use crate::verbs::plugin::project::Project;

const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const INSTALL_RUST: &str = "from https://rustup.rs";
const INSTALL_TARGET: &str =
    "with `rustup target add wasm32-unknown-unknown`, or on Debian `apt install rustc-web rust-web-src`";
/// How to do without a call of the system.
pub(super) const WITHOUT_SYSTEM: &str = "leave out the crate that calls it: `cargo tree` lists them all";
/// Between flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\u{1f}";

/// The core module.
pub(super) fn module(project: &Project) -> Result<Vec<u8>> {
    let ours = sysroot("rustc")?;
    // First, so that the registry's folder is there to be left out of the component's paths.
    run(Command::new("cargo").current_dir(&project.folder).arg("fetch"), INSTALL_RUST)?;
    let mut command = Command::new("cargo");
    command.current_dir(&project.folder).args(["build", "--release", "--target", TARGET]);
    let mut sysroots = vec![ours.clone()];
    if !ours.join("lib/rustlib").join(TARGET).is_dir() {
        // Debian's compiler comes with the sources of its standard library, which is built along.
        let (debian, linker) = debian(&ours)?;
        command
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", DEBIAN_RUSTC)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        sysroots.push(debian);
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(&sysroots)?.join(SEPARATOR));
    run(&mut command, INSTALL_RUST)?;
    let file = format!("{TARGET}/release/{}.wasm", project.name.replace('-', "_"));
    read(&target_folder(project)?.join(file))
}

/// Debian's sysroot and a linker.
fn debian(ours: &Path) -> Result<(PathBuf, PathBuf)> {
    let none = || missing(&format!("rustc has no target {TARGET}"), INSTALL_TARGET);
    if !Path::new(DEBIAN_RUSTC).is_file() {
        return Err(none());
    }
    let sysroot = sysroot(DEBIAN_RUSTC)?;
    if !sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file() {
        return Err(none());
    }
    let linker = [&sysroot, ours].into_iter().find_map(lld);
    let linker = linker.ok_or_else(|| missing("rust-lld is not installed", INSTALL_RUST))?;
    Ok((sysroot, linker))
}

fn lld(sysroot: &Path) -> Option<PathBuf> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
    hosts.filter_map(|host| Some(host.ok()?.path().join("bin/rust-lld"))).find(|lld| lld.is_file())
}

fn sysroot(rustc: &str) -> Result<PathBuf> {
    let output = run(Command::new(rustc).args(["--print", "sysroot"]), INSTALL_RUST)?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// SIMD, no path of this machine in the component, and what the author adds.
fn flags(sysroots: &[PathBuf]) -> Result<Vec<String>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let home = home.context("neither CARGO_HOME nor a home folder is set")?;
    let mut paths = vec![(home.clone(), "/cargo".to_owned())];
    // A registry's folder is named after its address, which must not show either.
    for registry in std::fs::read_dir(home.join("registry/src")).into_iter().flatten() {
        paths.push((registry?.path(), "/registry".to_owned()));
    }
    for sysroot in sysroots {
        let library = sysroot.join("lib/rustlib/src/rust");
        if let Ok(resolved) = library.canonicalize() {
            paths.push((resolved, "/rust".to_owned()));
        }
        paths.push((library, "/rust".to_owned()));
    }
    // rustc takes the last prefix that fits, so the longest, most special ones come last.
    paths.sort_by_key(|(path, _)| path.as_os_str().len());
    let mut flags = vec!["-Ctarget-feature=+simd128".to_owned()];
    flags.extend(paths.iter().map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display())));
    let added = std::env::var("RUSTFLAGS").unwrap_or_default();
    flags.extend(added.split_whitespace().map(str::to_owned));
    Ok(flags)
}

/// Where cargo builds; the author may have set it.
fn target_folder(project: &Project) -> Result<PathBuf> {
    let mut command = Command::new("cargo");
    command.current_dir(&project.folder).args(["metadata", "--format-version", "1", "--no-deps"]);
    let output = run(&mut command, INSTALL_RUST)?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata writes JSON")?;
    let folder = metadata.get("target_directory").and_then(Value::as_str);
    folder.map(PathBuf::from).ok_or_else(|| anyhow!("cargo metadata does not say where it builds"))
}
