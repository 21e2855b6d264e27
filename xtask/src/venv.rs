//! Python programs that the tests ask, in an environment of their own: `target/venv`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{apt, plugins};

/// What the environment was made with: its folder, then one package a line.
const STAMP: &str = "floret-packages";

/// See to it that `target/venv` has these packages, each pinned as `NAME==VERSION`, and answer where it is. What is
/// there already stays; when nothing is missing, neither Python nor the network is asked.
///
/// # Errors
/// A package that is not pinned, a machine without Python on which we may not install it, or a package index that does
/// not answer or does not have the package.
pub fn require(packages: &[&str]) -> Result<PathBuf> {
    if let Some(loose) = packages.iter().find(|package| !package.contains("==")) {
        bail!("the Python package {loose} is not pinned: expected NAME==VERSION");
    }
    let target = plugins::repository()?.join("target");
    std::fs::create_dir_all(&target).with_context(|| format!("cannot create {}", target.display()))?;
    let lock = File::create(target.join("venv.lock")).context("cannot create target/venv.lock")?;
    lock.lock().context("cannot lock target/venv.lock")?;
    let folder = target.join("venv");
    let stamp = folder.join(STAMP);
    // Programs in an environment name its folder, so one that was moved or copied is made anew.
    let here = folder.display().to_string();
    let found = std::fs::read_to_string(&stamp).unwrap_or_default();
    let mut installed: Vec<&str> = match found.split_once('\n') {
        Some((made_at, installed)) if made_at == here => installed.lines().collect(),
        _ => {
            make(&folder)?;
            Vec::new()
        }
    };
    let missing: Vec<&str> =
        packages.iter().filter(|package| !installed.contains(*package)).copied().collect();
    if missing.is_empty() {
        return Ok(folder);
    }
    install(&folder, &missing)?;
    installed.retain(|old| missing.iter().all(|new| name(old) != name(new)));
    installed.extend(missing);
    let text = format!("{here}\n{}\n", installed.join("\n"));
    std::fs::write(&stamp, text).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(folder)
}

fn name(package: &str) -> &str {
    package.split("==").next().unwrap_or(package)
}

/// An empty environment; one that is there goes.
fn make(folder: &Path) -> Result<()> {
    let make = || {
        let mut command = Command::new("python3");
        command.args(["-m", "venv", "--clear"]).arg(folder).output()
    };
    if !make().is_ok_and(|made| made.status.success()) {
        // Debian has the module `venv` in a package of its own.
        apt::install(&["python3", "python3-venv"])?;
        let made = make().context("python3 cannot be run; install Python 3.9 or later")?;
        if !made.status.success() {
            let told = [made.stdout, made.stderr].concat();
            bail!("`python3 -m venv` failed: {}", String::from_utf8_lossy(&told));
        }
    }
    Ok(())
}

fn install(folder: &Path, packages: &[&str]) -> Result<()> {
    println!("installing {} into {}", packages.join(" and "), folder.display());
    let status = Command::new(folder.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(packages)
        .status()
        .context("the Python of target/venv cannot be run; delete target/venv and try again")?;
    if !status.success() {
        bail!("pip cannot install {}: see above; it needs a package index (PyPI)", packages.join(" and "));
    }
    Ok(())
}
