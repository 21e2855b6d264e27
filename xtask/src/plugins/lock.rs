//! The lock beside built components.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

const FILE: &str = "plugins.lock";
const HEADER: &str = "# Written by `cargo xtask plugins`; checked by `cargo xtask plugins --check`.\n\n";

/// One folder's components, sorted by name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Its entries.
    #[serde(default)]
    pub component: Vec<Entry>,
}

/// What a built file came from and is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The file is `<name>.wasm`.
    pub name: String,
    /// SHA-256 over the component's sources, the SDK, the contracts and the guests' Cargo.lock.
    pub source_digest: String,
    /// The compiler, cargo and linker; equal strings promise equal bytes.
    pub toolchain: String,
    /// SHA-256 of the component.
    pub digest: String,
    /// Its length in bytes.
    pub size_bytes: u64,
}

impl Lock {
    /// Read the lock of a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not a lock", path.display()))
    }

    /// Write it.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let text =
            format!("{HEADER}{}", toml::to_string(self).context("a lock is plain strings and numbers")?);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The entry of that name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.component.iter().find(|entry| entry.name == name)
    }
}
