//! `cargo xtask wit`: what was published in `wit/` stays as it is, and what is new only adds.
//!
//! Components that exist import and export these packages by name and version, and cannot be asked to change. So
//!
//! - a published package never changes: `wit/published.lock` has a digest of each;
//! - a new version of one has everything that the version before it has, with the same structure (`shape.rs`); for a
//!   break there are major versions;
//! - all packages parse, and every package, world, interface, type and function says what it is.

mod lock;
mod packages;
mod shape;

use anyhow::{Result, bail};

use lock::Lock;
use packages::Packages;

/// What to do.
#[derive(clap::Args)]
pub struct Options {
    /// Add packages that the lock does not have yet. From then on they never change.
    #[arg(long)]
    pub publish: bool,
}

/// Run the verb.
pub fn run(options: &Options) -> Result<()> {
    let root = crate::plugins::repository()?;
    let packages = Packages::read(&root.join("wit"))?;
    let mut lock = Lock::read(&root)?;
    let mut faults = lock.changed(&packages);
    faults.extend(packages.undocumented());
    faults.extend(packages.not_only_added());
    let new: Vec<_> = lock.missing(&packages).cloned().collect();
    if !options.publish {
        faults.extend(new.iter().map(|package| {
            format!(
                "{} in {} is not published yet: `cargo xtask wit --publish` does",
                package.name, package.folder
            )
        }));
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    for package in new {
        println!("published {}", package.name);
        lock.package.push(package);
    }
    if options.publish {
        lock.write(&root)?;
    }
    println!("{} packages agree with their lock, and newer ones only add", packages.locked.len());
    Ok(())
}
