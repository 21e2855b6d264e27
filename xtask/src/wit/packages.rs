//! The packages of `wit/`: one in each folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use wit_parser::{Docs, Package, PackageId, Resolve, TypeOwner};

use super::lock::Entry;
use super::shape;

/// All of them, parsed together.
#[derive(Default)]
pub struct Packages {
    /// What the lock would say of each, in the order of their folders' names.
    pub locked: Vec<Entry>,
    pub(super) resolve: Resolve,
    /// Of each, in the same order.
    pub(super) ids: Vec<PackageId>,
}

impl Packages {
    /// Read every folder of `wit/`.
    ///
    /// # Errors
    /// The parser's, with the place; a package without a version.
    pub fn read(wit: &Path) -> Result<Self> {
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(wit).with_context(|| format!("cannot list {}", wit.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
        folders.sort();
        ensure!(!folders.is_empty(), "{} holds no package", wit.display());
        let mut found = Self::parse(&folders)?;
        for (folder, id) in folders.iter().zip(&found.ids) {
            let name = &found.resolve.packages[*id].name;
            ensure!(name.version.is_some(), "{name} in {} has no version", folder.display());
            let folder_name = folder.file_name().and_then(|name| name.to_str());
            found.locked.push(Entry {
                name: name.to_string(),
                folder: folder_name.context("folders of packages have plain names")?.to_owned(),
                digest: digest(folder)?,
            });
        }
        Ok(found)
    }

    /// Packages name each other, so they are parsed in whatever order works.
    fn parse(folders: &[PathBuf]) -> Result<Self> {
        let mut resolve = Resolve::default();
        let mut ids: Vec<Option<PackageId>> = vec![None; folders.len()];
        while ids.contains(&None) {
            let mut refused = None;
            let before = ids.clone();
            for (folder, id) in folders.iter().zip(&mut ids).filter(|(_, id)| id.is_none()) {
                let mut with = resolve.clone();
                match with.push_path(folder) {
                    Ok((package, _)) => (resolve, *id) = (with, Some(package)),
                    Err(error) => {
                        refused = Some(error.context(format!("{} does not parse", folder.display())))
                    }
                }
            }
            if let (true, Some(error)) = (before == ids, refused) {
                return Err(error);
            }
        }
        Ok(Self { locked: Vec::new(), resolve, ids: ids.into_iter().flatten().collect() })
    }

    /// Items that do not say what they are.
    pub fn undocumented(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for id in &self.ids {
            let package = &self.resolve.packages[*id];
            let mut check = |docs: &Docs, what: String| {
                if docs.contents.as_deref().is_none_or(|text| text.trim().is_empty()) {
                    faults.push(format!("{} {what} has no doc comment: say what it is", package.name));
                }
            };
            check(&package.docs, "itself".to_owned());
            for (name, world) in &package.worlds {
                check(&self.resolve.worlds[*world].docs, format!("world {name}"));
            }
            for (name, interface) in &package.interfaces {
                let owner = *interface;
                let interface = &self.resolve.interfaces[owner];
                check(&interface.docs, format!("interface {name}"));
                for (of, ty) in &interface.types {
                    let ty = &self.resolve.types[*ty];
                    // A type that is only used here is described where it comes from.
                    if ty.owner == TypeOwner::Interface(owner) && !shape::is_alias(&ty.kind) {
                        check(&ty.docs, format!("type {name}.{of}"));
                    }
                }
                for (of, function) in &interface.functions {
                    check(&function.docs, format!("function {name}.{of}"));
                }
            }
        }
        faults
    }

    /// What a version lacks or has otherwise than the version before it, of the same package and major version.
    pub fn not_only_added(&self) -> Vec<String> {
        let mut packages: Vec<_> = self.ids.iter().map(|id| &self.resolve.packages[*id]).collect();
        let order = |package: &&Package| {
            let name = &package.name;
            (name.namespace.clone(), name.name.clone(), name.version.clone())
        };
        packages.sort_by_key(order);
        let mut faults = Vec::new();
        for pair in packages.windows(2) {
            let (old, new) = (pair[0], pair[1]);
            let (one, two) = (&old.name, &new.name);
            let major = |package: &Package| package.name.version.as_ref().map(|version| version.major);
            if (&one.namespace, &one.name) != (&two.namespace, &two.name) || major(old) != major(new) {
                continue;
            }
            let added = shape::items(&self.resolve, new);
            for (item, shape) in shape::items(&self.resolve, old) {
                match added.get(&item) {
                    Some(found) if *found == shape => {}
                    Some(found) => faults.push(format!(
                        "{two} changes {item} of {one}: expected {shape}, found {found}; a version after another only \
                         adds, a break is a new major version"
                    )),
                    None => faults.push(format!(
                        "{two} lacks {item} of {one}: a version after another only adds, a break is a new major version"
                    )),
                }
            }
        }
        faults
    }
}

/// SHA-256 over the name and the content of every file of a folder.
fn digest(folder: &Path) -> Result<String> {
    let files = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files = files.map(|file| Ok(file?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        let name =
            file.file_name().and_then(|name| name.to_str()).context("files of packages have plain names")?;
        let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        // Lengths keep one file's end apart from the next one's beginning.
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    Ok(hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(texts: &[&str]) -> Packages {
        let mut found = Packages::default();
        for (place, text) in texts.iter().enumerate() {
            found.ids.push(found.resolve.push_str(format!("{place}.wit"), text).expect("it parses"));
        }
        found
    }

    const OLD: &str = "/// A package.
        package a:b@0.1.0;
        /// One.
        interface i {
            /// How.
            enum mode { fast, slow }
            /// What.
            record question { text: string, mode: option<mode> }
            /// Something that lives.
            resource thing {
                /// Ask it.
                ask: func(question: question) -> result<list<u32>, string>;
            }
            /// Ask.
            ask: func(thing: borrow<thing>) -> u64;
        }
        /// All.
        world w { export i; }";

    fn check(new: &str, expected: &str) {
        let faults = packages(&[OLD, new]).not_only_added();
        match expected {
            "" => assert!(faults.is_empty(), "{faults:?}"),
            _ => assert!(faults.iter().any(|fault| fault.contains(expected)), "{faults:?} lack {expected:?}"),
        }
    }

    #[test]
    fn a_later_version_only_adds() {
        let newer = OLD.replace("0.1.0", "0.2.0");
        check(&newer, "");
        check(&newer.replace("/// Ask.", "/// Ask more.\nmore: func() -> u8;\n/// Ask."), "");
        check(&newer.replace("world w", "world extra { import i; }\n/// All.\nworld w"), "");
        check(
            &newer.replace("{ fast, slow }", "{ fast, slow, slower }"),
            "changes i.mode of a:b@0.1.0: expected enum",
        );
        check(&newer.replace("{ fast, slow }", "{ slow, fast }"), "a:b@0.2.0 changes i.mode");
        check(&newer.replace("text: string, ", ""), "changes i.question");
        check(&newer.replace("list<u32>", "list<u64>"), "changes i.[method]thing.ask");
        check(&newer.replace("borrow<thing>", "thing"), "changes i.ask");
        check(&newer.replace("thing: borrow", "other: borrow"), "changes i.ask");
        check(&newer.replace("-> u64", "-> u32"), "changes i.ask");
        check(&newer.replace("ask: func(thing: borrow<thing>) -> u64;", "tell: func();"), "lacks i.ask");
        check(&newer.replace("{ export i; }", "{ import i; }"), "lacks world w export i");
        check(&newer.replace("interface i", "interface j").replace("export i", "export j"), "lacks i.mode");
        // A break is free to be one.
        check(&OLD.replace("0.1.0", "1.0.0").replace("-> u64", "-> u32"), "");
    }

    #[test]
    fn whatever_has_no_doc_comment_is_told() {
        assert!(packages(&[OLD]).undocumented().is_empty());
        for (line, expected) in [
            ("/// A package.", "a:b@0.1.0 itself has no doc comment"),
            ("/// One.", "interface i has"),
            ("/// How.", "type i.mode has"),
            ("/// Ask it.", "function i.[method]thing.ask has"),
            ("/// Ask.", "function i.ask has"),
            ("/// All.", "world w has"),
        ] {
            let faults = packages(&[&OLD.replace(line, "")]).undocumented();
            assert!(faults.len() == 1 && faults[0].contains(expected), "{line}: {faults:?}");
        }
    }

    #[test]
    fn the_packages_of_this_repository_parse() {
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        let found = Packages::read(&wit).expect("they parse");
        assert!(found.locked.iter().any(|package| package.name == "floret:index@0.2.0"));
        assert_eq!(found.not_only_added(), Vec::<String>::new());
        assert_eq!(found.undocumented(), Vec::<String>::new());
    }
}
