//! Debian packages that a check needs.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Install packages, as root or through sudo.
///
/// # Errors
/// A machine without apt, or one on which we may not install.
pub fn install(packages: &[&str]) -> Result<()> {
    let user = Command::new("id").arg("-u").output().context("id cannot be run")?;
    let is_root = user.stdout.trim_ascii() == b"0";
    let apt = |arguments: &[&str]| {
        let mut command = if is_root { Command::new("apt-get") } else { Command::new("sudo") };
        if !is_root {
            command.args(["--non-interactive", "apt-get"]);
        }
        let status = command.args(arguments).status().context("apt-get cannot be run")?;
        if status.success() { Ok(()) } else { bail!("apt-get {} failed: {status}", arguments.join(" ")) }
    };
    println!("installing {}", packages.join(" and "));
    apt(&["update"])?;
    apt(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
}

/// Install the packages of those programs that are not there; each package is named as its program.
///
/// # Errors
/// As [`install`].
pub fn require(programs: &[&str]) -> Result<()> {
    let named: Vec<_> = programs.iter().map(|program| (*program, *program)).collect();
    require_programs(&named)
}

/// Install the packages of those programs that are not there: each a program and its package.
///
/// # Errors
/// As [`install`].
pub fn require_programs(programs: &[(&str, &str)]) -> Result<()> {
    let missing = |program: &str| Command::new(program).arg("--version").output().is_err();
    let missing: Vec<&str> =
        programs.iter().filter(|(program, _)| missing(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}
