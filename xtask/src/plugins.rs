//! `cargo xtask plugins`: the guest components, built the same way on every machine.
//!
//! Built files are kept in the repository, so that a machine without a wasm toolchain needs none. Each folder
//! of them has a lock (`plugins.lock`) that names what every file was built from, with what, and what came out.

mod build;
mod component;
mod lock;
mod sources;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use lock::{Entry, Lock};
use sources::Guest;
use toolchain::Toolchain;

/// What to do.
#[derive(clap::Args)]
pub struct Options {
    /// Change nothing: fail if sources, locks and built files disagree.
    #[arg(long)]
    pub check: bool,
    /// With --check: build for real too, and compare the bytes.
    #[arg(long, requires = "check")]
    pub rebuild: bool,
}

/// Run the verb.
pub fn run(options: &Options) -> Result<()> {
    let root = repository()?;
    let guests = sources::guests(&root)?;
    if options.check {
        check_locks(&root, &guests)?;
        println!("{} components agree with their sources and locks", guests.len());
        return if options.rebuild { check_rebuilt(&root, &guests) } else { Ok(()) };
    }
    let toolchain = Toolchain::find()?;
    println!("building with {}", toolchain.identity);
    let built = build::all(&root, &toolchain, &guests)?;
    for folder in sources::dist_folders(&guests) {
        let mut lock = Lock::default();
        for (guest, bytes) in guests.iter().zip(&built).filter(|(guest, _)| guest.dist == folder) {
            write(&root.join(guest.file()), bytes)?;
            lock.component.push(entry(&root, guest, bytes, &toolchain)?);
            println!("{:>9} bytes  {}", bytes.len(), guest.file().display());
        }
        lock.write(&root.join(&folder))?;
    }
    Ok(())
}

/// See to it that guests in Rust can be built here.
///
/// # Errors
/// A machine on which the compiler is not and may not be installed.
pub fn require_toolchain() -> Result<()> {
    Toolchain::find().map(drop)
}

fn entry(root: &Path, guest: &Guest, bytes: &[u8], toolchain: &Toolchain) -> Result<Entry> {
    Ok(Entry {
        name: guest.name.clone(),
        source_digest: sources::digest(root, guest)?,
        toolchain: toolchain.identity.clone(),
        digest: sources::sha256(bytes),
        size_bytes: bytes.len() as u64,
    })
}

/// Compare sources and built files with the locks. Builds nothing.
fn check_locks(root: &Path, guests: &[Guest]) -> Result<()> {
    let mut faults = Vec::new();
    for folder in sources::dist_folders(guests) {
        let lock = Lock::read(&root.join(&folder))?;
        let ours: Vec<_> = guests.iter().filter(|guest| guest.dist == folder).collect();
        for locked in &lock.component {
            if !ours.iter().any(|guest| guest.name == locked.name) {
                faults.push(format!("{} is locked in {}, but has no sources", locked.name, folder.display()));
            }
        }
        for guest in ours {
            let Some(locked) = lock.find(&guest.name) else {
                faults.push(format!("{} has no entry in {}", guest.name, folder.display()));
                continue;
            };
            if locked.source_digest != sources::digest(root, guest)? {
                faults.push(format!("the sources of {} changed since it was built", guest.name));
            }
            match std::fs::read(root.join(guest.file())) {
                Ok(bytes) if sources::sha256(&bytes) == locked.digest => {
                    component::check(&guest.name, &bytes)?
                }
                Ok(_) => {
                    faults.push(format!("{} is not the file that its lock names", guest.file().display()))
                }
                Err(error) => faults.push(format!("{} cannot be read: {error}", guest.file().display())),
            }
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("{}\nrun `cargo xtask plugins` and commit what it writes", faults.join("\n"))
}

/// Build into nowhere and compare with the locks, where the toolchain is the locked one.
fn check_rebuilt(root: &Path, guests: &[Guest]) -> Result<()> {
    let toolchain = Toolchain::find()?;
    println!("building with {}", toolchain.identity);
    let built = build::all(root, &toolchain, guests)?;
    let (mut equal, mut different) = (0, Vec::new());
    for (guest, bytes) in guests.iter().zip(&built) {
        let lock = Lock::read(&root.join(&guest.dist))?;
        let locked = lock.find(&guest.name).context("check_locks found every entry")?;
        if locked.toolchain != toolchain.identity {
            println!(
                "{}: builds; bytes not compared, since it was locked with {}",
                guest.name, locked.toolchain
            );
        } else if locked.digest == sources::sha256(bytes) {
            equal += 1;
        } else {
            different.push(guest.name.as_str());
        }
    }
    println!("{equal} of {} components rebuilt with equal bytes", guests.len());
    if different.is_empty() {
        return Ok(());
    }
    bail!("rebuilt with other bytes than committed: {}", different.join(", "))
}

/// The repository's folder.
pub fn repository() -> Result<PathBuf> {
    // Cargo says at run time too where we are, which is right where checkouts share a target folder.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = xtask.parent().context("xtask lies in the repository")?;
    root.canonicalize().with_context(|| format!("{} is gone; build xtask anew", root.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
