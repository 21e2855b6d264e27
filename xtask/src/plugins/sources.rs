//! Which guests there are, and the digest of what each is built from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

/// One guest crate and where its component goes. Paths are relative to the repository.
#[derive(Debug)]
pub struct Guest {
    /// The folder's and the component file's name.
    pub name: String,
    /// The crate's name in Cargo.
    pub package: String,
    /// The crate's folder.
    pub folder: PathBuf,
    /// Folders of further crates that it is built from.
    pub dependencies: Vec<PathBuf>,
    /// The folder of built files.
    pub dist: PathBuf,
}

impl Guest {
    /// The built file.
    pub fn file(&self) -> PathBuf {
        self.dist.join(format!("{}.wasm", self.name))
    }
}

/// Where guest crates lie and where their components go. The guests of tests belong to the same workspace, and
/// lie inside it: cargo names a crate by its path relative to the workspace if it can, else by the machine's
/// path, and the name shows in the bytes.
const FOLDERS: [(&str, &str); 2] = [("plugins", "plugins/dist"), ("plugins/guests", "tests/guests/dist")];

/// Every crate there that makes a cdylib, sorted by folder.
pub fn guests(root: &Path) -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for (parent, dist) in FOLDERS {
        for folder in children(&root.join(parent))? {
            let Ok(text) = std::fs::read_to_string(folder.join("Cargo.toml")) else {
                continue;
            };
            let manifest: toml::Table =
                text.parse().with_context(|| format!("{} is not a manifest", folder.display()))?;
            let crate_type = manifest.get("lib").and_then(|lib| lib.get("crate-type")?.as_array());
            if !crate_type.is_some_and(|types| types.iter().any(|kind| kind.as_str() == Some("cdylib"))) {
                continue;
            }
            let dependencies =
                manifest.get("dependencies").and_then(|table| table.as_table()).into_iter().flatten();
            let dependencies =
                dependencies.filter_map(|(_, value)| value.get("path")?.as_str()).map(|path| {
                    let path = folder
                        .join(path)
                        .canonicalize()
                        .with_context(|| format!("{} depends on {path}", folder.display()))?;
                    Ok(path
                        .strip_prefix(root)
                        .context("guests depend on crates of this repository")?
                        .to_owned())
                });
            let package = manifest.get("package").and_then(|package| package.get("name")?.as_str());
            let name = folder
                .file_name()
                .and_then(|name| name.to_str())
                .context("guest folders have plain names")?;
            guests.push(Guest {
                name: name.to_owned(),
                package: package.with_context(|| format!("{name} has no package name"))?.to_owned(),
                folder: Path::new(parent).join(name),
                dependencies: dependencies.collect::<Result<_>>()?,
                dist: PathBuf::from(dist),
            });
        }
    }
    ensure!(!guests.is_empty(), "no guest crates under {}", root.display());
    Ok(guests)
}

/// The folders of built files, each once.
pub fn dist_folders(guests: &[Guest]) -> BTreeSet<PathBuf> {
    guests.iter().map(|guest| guest.dist.clone()).collect()
}

/// SHA-256 over path and content of every file that the guest is built from.
pub fn digest(root: &Path, guest: &Guest) -> Result<String> {
    let mut files = BTreeSet::new();
    let shared = ["plugins/sdk", "wit"].map(PathBuf::from);
    for folder in shared.iter().chain(&guest.dependencies).chain([&guest.folder]) {
        collect(root, folder, &mut files)?;
    }
    files.insert("plugins/Cargo.toml".to_owned());
    files.insert("plugins/Cargo.lock".to_owned());
    let mut hasher = Sha256::new();
    for file in files {
        let bytes = std::fs::read(root.join(&file)).with_context(|| format!("cannot read {file}"))?;
        // Lengths keep one file's end apart from the next one's beginning.
        hasher.update((file.len() as u64).to_le_bytes());
        hasher.update(&file);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    Ok(hex::encode(hasher.finalize()))
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeSet<String>) -> Result<()> {
    for path in children(&root.join(folder))? {
        let name =
            path.file_name().and_then(|name| name.to_str()).context("source files have plain names")?;
        let relative = folder.join(name);
        // A lock is made from the sources and is none; guests are built with that of their workspace alone.
        if name.starts_with('.') || name == "target" || name.ends_with(".lock") {
            continue;
        }
        if path.is_dir() {
            collect(root, &relative, files)?;
        } else {
            let parts: Vec<_> = relative.iter().filter_map(|part| part.to_str()).collect();
            files.insert(parts.join("/"));
        }
    }
    Ok(())
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
