//! The files of a new project. They are in the program, as are the contracts that they are written for.

use super::project::{Contract, Language};

/// A file of a project: its path with `/`, and its text with `{{…}}` to be filled in.
pub(super) type File = (&'static str, &'static str);

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../../templates/", $path))
    };
}

macro_rules! wit {
    ($path:literal) => {
        include_str!(concat!("../../../../../wit/", $path))
    };
}

/// The files of a language and contract.
pub(super) fn files(language: Language, contract: Contract) -> Vec<File> {
    let mut files = vec![
        ("README.md", readme(language)),
        (".gitignore", template!("gitignore")),
        ("plugin.toml", template!("plugin.toml")),
        ("wit/deps/floret-types/types.wit", wit!("types/types.wit")),
    ];
    files.extend(contract_files(contract));
    files.extend(match language {
        Language::Rust => rust(contract),
        Language::Python => python(contract),
        Language::Js => js(contract),
        Language::C => c(contract),
    });
    files
}

fn readme(language: Language) -> &'static str {
    match language {
        Language::Rust => template!("rust/README.md"),
        Language::Python => template!("python/README.md"),
        Language::Js => template!("js/README.md"),
        Language::C => template!("c/README.md"),
    }
}

/// The contract itself, and data to test with.
fn contract_files(contract: Contract) -> Vec<File> {
    match contract {
        Contract::Corpus => vec![
            ("wit/corpus.wit", wit!("corpus/corpus.wit")),
            ("testdata/one.txt", template!("testdata/one.txt")),
            ("testdata/two.txt", template!("testdata/two.txt")),
            ("testdata/expected", template!("testdata/corpus.tsv")),
        ],
        Contract::Index => vec![
            ("wit/index.wit", wit!("index/index.wit")),
            ("testdata/one.tsv", template!("testdata/one.tsv")),
            ("testdata/two.tsv", template!("testdata/two.tsv")),
            ("testdata/expected", template!("testdata/index")),
        ],
        Contract::Policy => vec![
            ("wit/policy.wit", wit!("policy/policy.wit")),
            ("testdata/one.txt", template!("testdata/one.txt")),
            ("testdata/long.txt", template!("testdata/long.txt")),
            ("testdata/expected", template!("testdata/choices")),
        ],
    }
}

fn rust(contract: Contract) -> Vec<File> {
    let source = match contract {
        Contract::Corpus => template!("rust/corpus.rs"),
        Contract::Index => template!("rust/index.rs"),
        Contract::Policy => template!("rust/policy.rs"),
    };
    let mut files = vec![("Cargo.toml", template!("rust/Cargo.toml")), ("src/lib.rs", source)];
    if contract != Contract::Policy {
        files.push(("src/corpus_format.rs", template!("rust/corpus_format.rs")));
    }
    files
}

fn python(contract: Contract) -> Vec<File> {
    let source = match contract {
        Contract::Corpus => template!("python/corpus.py"),
        Contract::Index => template!("python/index.py"),
        Contract::Policy => template!("python/policy.py"),
    };
    let mut files = vec![("requirements.txt", template!("python/requirements.txt")), ("src/app.py", source)];
    if contract == Contract::Index {
        files.push(("src/builder.py", template!("python/searcher.py")));
    }
    if contract != Contract::Policy {
        files.push(("src/corpus_format.py", template!("python/corpus_format.py")));
    }
    files
}

fn js(contract: Contract) -> Vec<File> {
    let source = match contract {
        Contract::Corpus => template!("js/corpus.js"),
        Contract::Index => template!("js/index.js"),
        Contract::Policy => template!("js/policy.js"),
    };
    let mut files = vec![("package.json", template!("js/package.json")), ("src/plugin.js", source)];
    if contract != Contract::Policy {
        files.push(("src/corpus_format.js", template!("js/corpus_format.js")));
    }
    files
}

fn c(contract: Contract) -> Vec<File> {
    let source = match contract {
        Contract::Corpus => template!("c/corpus.c"),
        Contract::Index => template!("c/index.c"),
        Contract::Policy => template!("c/policy.c"),
    };
    let mut files = vec![("src/plugin.c", source), ("src/no_system.c", template!("c/no_system.c"))];
    if contract != Contract::Policy {
        files.push(("src/corpus_format.c", template!("c/corpus_format.c")));
        files.push(("src/corpus_format.h", template!("c/corpus_format.h")));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_a_template_for_every_contract() {
        for language in Language::ALL {
            for contract in Contract::ALL {
                let files = files(language, contract);
                let mut paths: Vec<_> = files.iter().map(|(path, _)| *path).collect();
                paths.sort_unstable();
                paths.dedup();
                assert_eq!(paths.len(), files.len(), "{language:?} {contract:?}: a path twice");
                assert!(files.iter().all(|(_, text)| !text.is_empty()), "{language:?} {contract:?}");
            }
        }
    }
}
