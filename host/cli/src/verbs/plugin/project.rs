//! A plugin's project: what its `plugin.toml` says, and the words for it on the command line.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::given::usage;

/// The file that makes a folder a project.
pub(super) const MANIFEST: &str = "plugin.toml";

const NAME_BYTES_MAX: usize = 64;

/// What a component is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Contract {
    /// Texts to corpora: floret:corpus.
    Corpus,
    /// Corpora to search indexes: floret:index.
    Index,
    /// How contents are compressed: floret:policy.
    Policy,
}

impl Contract {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Corpus, Self::Index, Self::Policy];

    /// The WIT package with its version.
    pub fn package(self) -> &'static str {
        match self {
            Self::Corpus => "floret:corpus@0.1.0",
            Self::Index => "floret:index@0.1.0",
            Self::Policy => "floret:policy@0.1.0",
        }
    }

    /// The world that a component targets.
    pub fn world(self) -> &'static str {
        match self {
            Self::Corpus => "corpus-component",
            Self::Index => "index-component",
            Self::Policy => "policy-component",
        }
    }

    /// Its name in files and folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Corpus => "corpus",
            Self::Index => "index",
            Self::Policy => "policy",
        }
    }
}

/// What a component is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Language {
    /// With cargo.
    Rust,
    /// With componentize-py.
    Python,
    /// JavaScript, with jco.
    Js,
    /// With clang.
    C,
}

impl Language {
    /// All of them.
    #[cfg(test)]
    pub const ALL: [Self; 4] = [Self::Rust, Self::Python, Self::Js, Self::C];

    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Js => "js",
            Self::C => "c",
        }
    }
}

/// The text of `plugin.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    version: semver::Version,
    contract: String,
    language: Language,
    licence: Option<String>,
    source: Option<String>,
}

/// A project that was read.
#[derive(Debug)]
pub(super) struct Project {
    /// Its folder, absolute.
    pub folder: PathBuf,
    pub name: String,
    pub version: semver::Version,
    pub contract: Contract,
    pub language: Language,
    /// An SPDX expression.
    pub licence: Option<String>,
    /// Where its source is published: a URL.
    pub source: Option<String>,
}

impl Project {
    /// Read the project of a folder.
    ///
    /// # Errors
    /// A folder without `plugin.toml`, or one that does not say what it must.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let shown = path.display();
        let text = std::fs::read_to_string(&path).map_err(|error| {
            usage(format!("{shown} cannot be read: {error}; `floret plugin new` makes a project"))
        })?;
        let manifest: Manifest =
            toml::from_str(&text).map_err(|error| usage(format!("{shown} cannot be used: {error}")))?;
        check_name(&manifest.name).map_err(|text| usage(format!("{shown}: name: {text}")))?;
        let contract = Contract::ALL
            .into_iter()
            .find(|contract| contract.package() == manifest.contract)
            .ok_or_else(|| {
                let known = Contract::ALL.map(Contract::package).join(", ");
                usage(format!("{shown}: contract is {:?}: expected one of {known}", manifest.contract))
            })?;
        let folder = folder.canonicalize().map_err(|error| usage(format!("{shown}: {error}")))?;
        Ok(Self {
            folder,
            name: manifest.name,
            version: manifest.version,
            contract,
            language: manifest.language,
            licence: manifest.licence,
            source: manifest.source,
        })
    }

    /// The component that a build writes.
    pub fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.name))
    }
}

/// Whether a component may be named so; if not, why.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if begins && name.len() <= NAME_BYTES_MAX && !name.ends_with('-') && name.bytes().all(plain) {
        return Ok(());
    }
    Err(format!(
        "{name:?}: expected lower-case letters, digits and hyphens, a letter first and no hyphen last, at most {NAME_BYTES_MAX}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_every_toolchain_takes() {
        for good in ["a", "my-index", "trie2", &"a".repeat(64)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "a-", "2a", "A", "a_b", "a b", "é", "../a", "a/b", &"a".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_manifest_that_says_too_little_or_too_much_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let whole =
            "name = \"a\"\nversion = \"1.0.0\"\ncontract = \"floret:index@0.1.0\"\nlanguage = \"c\"\n";
        let check = |text: &str, expected: &str| {
            std::fs::write(folder.path().join(MANIFEST), text).expect("written");
            let error = Project::read(folder.path()).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("", "missing field `name`");
        check(&whole.replace("\"a\"", "\"A\""), "name: \"A\": expected lower-case letters");
        check(&whole.replace("1.0.0", "1"), "version");
        check(&whole.replace("\"c\"", "\"cobol\""), "unknown variant `cobol`");
        check(&whole.replace("index@0.1.0", "index@9.0.0"), "expected one of floret:corpus@0.1.0");
        check(&format!("{whole}colour = 1\n"), "unknown field `colour`");
        std::fs::write(folder.path().join(MANIFEST), whole).expect("written");
        let project = Project::read(folder.path()).expect("it is whole");
        assert_eq!((project.contract, project.language), (Contract::Index, Language::C));
        assert!(project.file().ends_with("a.wasm"));
    }
}
