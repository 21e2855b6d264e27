//! The compiler for the guests.
//!
//! Preferred is Debian's `rustc-web` with `rust-web-src`: it is the same on every machine that we test on, and
//! the standard library is built along, so that the bytes are. A rustup toolchain with the target
//! `wasm32-unknown-unknown` serves just as well to build something that works; its bytes may differ.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
const TARGET: &str = "wasm32-unknown-unknown";

/// A compiler that builds guests.
pub struct Toolchain {
    /// What it is: equal strings promise equal bytes.
    pub identity: String,
    /// The compiler.
    pub rustc: PathBuf,
    /// Its folder of libraries and sources.
    pub sysroot: PathBuf,
    /// The linker, where rustc does not bring its own.
    pub linker: Option<PathBuf>,
    /// Whether to build the standard library along.
    pub builds_std: bool,
}

impl Toolchain {
    /// Debian's if it is here, else rustup's with the target, else install Debian's.
    pub fn find() -> Result<Self> {
        if let Some(found) = Self::debian()? {
            return Ok(found);
        }
        if let Some(found) = Self::rustup()? {
            return Ok(found);
        }
        crate::apt::install(&DEBIAN_PACKAGES).with_context(|| {
            format!(
                "no compiler for guests: run `rustup target add {TARGET}`, or on Debian install {}",
                DEBIAN_PACKAGES.join(" and ")
            )
        })?;
        Self::debian()?.with_context(|| {
            format!("{} are installed, yet {DEBIAN_RUSTC} cannot build guests", DEBIAN_PACKAGES.join(" and "))
        })
    }

    fn debian() -> Result<Option<Self>> {
        let rustc = PathBuf::from(DEBIAN_RUSTC);
        if !rustc.is_file() {
            return Ok(None);
        }
        let sysroot = sysroot(&rustc)?;
        if !sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file()
            || minor_version(&rustc)? < 95
        {
            return Ok(None);
        }
        let Some(linker) = [sysroot.clone(), path_sysroot()?].iter().find_map(|sysroot| lld(sysroot)) else {
            return Ok(None);
        };
        let identity = format!(
            "{}; std built along; {}; {}",
            version(&rustc)?,
            linker_version(&linker)?,
            cargo_version()?
        );
        Ok(Some(Self { identity, rustc, sysroot, linker: Some(linker), builds_std: true }))
    }

    fn rustup() -> Result<Option<Self>> {
        let sysroot = path_sysroot()?;
        if !sysroot.join("lib/rustlib").join(TARGET).is_dir() {
            return Ok(None);
        }
        let rustc = sysroot.join("bin/rustc");
        let identity = format!("{}; std of rustup; {}", version(&rustc)?, cargo_version()?);
        Ok(Some(Self { identity, rustc, sysroot, linker: None, builds_std: false }))
    }
}

/// The sysroot of the rustc that cargo would use: rustup's real one, not its proxy.
fn path_sysroot() -> Result<PathBuf> {
    sysroot(Path::new("rustc"))
}

fn sysroot(rustc: &Path) -> Result<PathBuf> {
    Ok(PathBuf::from(output(Command::new(rustc).args(["--print", "sysroot"]))?))
}

fn version(rustc: &Path) -> Result<String> {
    output(Command::new(rustc).arg("--version"))
}

fn cargo_version() -> Result<String> {
    output(Command::new(cargo()).arg("--version"))
}

/// 96 of `rustc 1.96.0 (…)`.
fn minor_version(rustc: &Path) -> Result<u32> {
    let version = version(rustc)?;
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse().ok());
    minor.with_context(|| format!("{version:?} is not the version of a rustc"))
}

fn lld(sysroot: &Path) -> Option<PathBuf> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
    hosts.filter_map(|host| Some(host.ok()?.path().join("bin/rust-lld"))).find(|lld| lld.is_file())
}

fn linker_version(lld: &Path) -> Result<String> {
    output(Command::new(lld).args(["-flavor", "wasm", "--version"]))
}

/// The cargo that runs us.
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// The first line that a command prints.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?} cannot be run"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
