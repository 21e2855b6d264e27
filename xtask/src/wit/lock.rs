//! The lock of published packages.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::packages::Packages;

const FILE: &str = "wit/published.lock";
const HEADER: &str = "# Written by `cargo xtask wit --publish`; checked by `cargo xtask wit`. Published packages never change.\n\n";

/// All published packages, sorted by name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Its entries.
    #[serde(default)]
    pub package: Vec<Entry>,
}

/// One version of a package.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// With its version, e.g. `floret:index@0.2.0`.
    pub name: String,
    /// The folder in `wit/`.
    pub folder: String,
    /// SHA-256 over names and contents of its files.
    pub digest: String,
}

impl Lock {
    /// Read it; empty where there is none.
    pub fn read(root: &Path) -> Result<Self> {
        match std::fs::read_to_string(root.join(FILE)) {
            Ok(text) => toml::from_str(&text).with_context(|| format!("{FILE} is not a lock")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {FILE}")),
        }
    }

    /// Write it.
    pub fn write(&mut self, root: &Path) -> Result<()> {
        self.package.sort_by(|one, two| one.name.cmp(&two.name));
        let text = toml::to_string(self).context("a lock is plain strings")?;
        std::fs::write(root.join(FILE), format!("{HEADER}{text}"))
            .with_context(|| format!("cannot write {FILE}"))
    }

    /// What became of published packages that are not what they were.
    pub fn changed(&self, packages: &Packages) -> Vec<String> {
        let fault = |entry: &Entry| {
            let Some(found) = packages.locked.iter().find(|found| found.name == entry.name) else {
                return Some(format!(
                    "{} is published, and wit/{} has it no more: bring it back; components need it as long as they exist",
                    entry.name, entry.folder
                ));
            };
            (found != entry).then(|| {
                format!(
                    "{} is published in wit/{} and was changed there: undo that, and make what is new a version beside \
                     it, in a folder of its own (such as wit/index-0.2), with what the old one has and what is added",
                    entry.name, entry.folder
                )
            })
        };
        self.package.iter().filter_map(fault).collect()
    }

    /// Packages that are not locked yet.
    pub fn missing<'a>(&'a self, packages: &'a Packages) -> impl Iterator<Item = &'a Entry> {
        packages.locked.iter().filter(|found| self.package.iter().all(|entry| entry.name != found.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, digest: &str) -> Entry {
        Entry { name: name.into(), folder: "index".into(), digest: digest.into() }
    }

    #[test]
    fn changes_losses_and_news_are_told_apart() {
        let packages = Packages {
            locked: vec![entry("floret:index@0.1.0", "a"), entry("floret:index@0.2.0", "b")],
            ..Packages::default()
        };
        let lock = |package: Vec<Entry>| Lock { package };
        assert!(lock(vec![entry("floret:index@0.1.0", "a")]).changed(&packages).is_empty());
        let changed = lock(vec![entry("floret:index@0.1.0", "z")]).changed(&packages);
        assert!(
            changed[0].contains("floret:index@0.1.0 is published in wit/index and was changed"),
            "{changed:?}"
        );
        let lost = lock(vec![entry("floret:corpus@0.1.0", "z")]).changed(&packages);
        assert!(lost[0].contains("has it no more: bring it back"), "{lost:?}");
        let half = lock(vec![entry("floret:index@0.1.0", "a")]);
        let missing: Vec<_> = half.missing(&packages).collect();
        assert_eq!(missing, [&packages.locked[1]]);
    }
}
