//! Building the guests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::component;
use super::sources::Guest;
use super::toolchain::{Toolchain, cargo};

/// Between flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\u{1f}";

/// Build every guest and return the components, in the order of `guests`. All in one run of cargo: features of
/// shared dependencies are united over a run, so that building fewer could give other bytes.
pub fn all(root: &Path, toolchain: &Toolchain, guests: &[Guest]) -> Result<Vec<Vec<u8>>> {
    let target = root.join("plugins/target");
    let mut command = Command::new(cargo());
    command
        .current_dir(root.join("plugins"))
        .args(["build", "--quiet", "--locked", "--release", "--target", "wasm32-unknown-unknown"])
        .arg("--target-dir")
        .arg(&target)
        .env("RUSTC", &toolchain.rustc)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(root, toolchain)?.join(SEPARATOR))
        // What a machine sets for its own builds must not reach these.
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO_BUILD_TARGET");
    if let Some(linker) = &toolchain.linker {
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    if toolchain.builds_std {
        command.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
    }
    for guest in guests {
        command.args(["--package", &guest.package]);
    }
    let status = command.status().context("cargo cannot be run")?;
    ensure!(status.success(), "building the guests failed: {status}");
    guests.iter().map(|guest| componentise(&target, guest)).collect()
}

fn componentise(target: &Path, guest: &Guest) -> Result<Vec<u8>> {
    let file = format!("wasm32-unknown-unknown/release/{}.wasm", guest.package.replace('-', "_"));
    let module = std::fs::read(target.join(&file)).with_context(|| format!("cargo wrote no {file}"))?;
    let component =
        component::encode(&module).with_context(|| format!("{} does not make a component", guest.name))?;
    component::check(&guest.name, &component)?;
    Ok(component)
}

/// Compiler flags: SIMD, and no path of this machine in the output.
fn flags(root: &Path, toolchain: &Toolchain) -> Result<Vec<String>> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let cargo_home = cargo_home.context("neither CARGO_HOME nor a home folder is set")?;
    let mut paths = vec![(root.to_owned(), "/floret")];
    // A registry's folder is named after its address, which must not show either.
    for registry in std::fs::read_dir(cargo_home.join("registry/src")).into_iter().flatten() {
        paths.push((registry.context("the registry cannot be listed")?.path(), "/registry"));
    }
    paths.push((cargo_home, "/cargo"));
    let library = toolchain.sysroot.join("lib/rustlib/src/rust");
    if let Ok(resolved) = library.canonicalize() {
        paths.push((resolved, "/rust"));
    }
    paths.push((library, "/rust"));
    // rustc takes the last prefix that fits, so the longest, most special ones come last.
    paths.sort_by_key(|(path, _)| path.as_os_str().len());
    let mut flags = vec!["-Ctarget-feature=+simd128".to_owned()];
    for (path, name) in paths {
        let path = path.to_str().context("paths of the toolchain are Unicode")?;
        flags.push(format!("--remap-path-prefix={path}={name}"));
    }
    Ok(flags)
}
