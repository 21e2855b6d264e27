//! What a component imports and exports, read from its outline, before anything is compiled or run.

use bytes::Bytes;
use floret_model::Digest;
use semver::Version;
use wasmparser::{Parser, Payload};

use crate::contract::{Contract, ContractKind};
use crate::error::Error;
use crate::runtime::supported_contracts;
use crate::wasi;

/// Names at the top level of a component, in order.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Read the outline. Nested modules and components are stepped over: compiling validates them.
pub(crate) fn outline(digest: Digest, bytes: &Bytes) -> Result<Outline, Error> {
    let fault = |text: String| Error::NotAComponent { digest, text };
    if bytes.is_empty() {
        return Err(fault("the file is empty".to_owned()));
    }
    if Parser::is_core_wasm(bytes) {
        let text = "it is a core module; wrap it with `wasm-tools component new` or the wit-component crate";
        return Err(fault(text.to_owned()));
    }
    if !Parser::is_component(bytes) {
        let start = hex_start(bytes);
        return Err(fault(format!("it begins with {start}, expected 00 61 73 6d 0d 00 01 00")));
    }
    let mut outline = Outline::default();
    walk(bytes, &mut outline).map_err(|text| fault(format!("{text}; is the file truncated or damaged?")))?;
    Ok(outline)
}

fn walk(bytes: &[u8], outline: &mut Outline) -> Result<(), String> {
    let mut parser = Parser::new(0);
    let mut rest = bytes;
    loop {
        let (consumed, payload) = match parser.parse(rest, true).map_err(|error| error.to_string())? {
            wasmparser::Chunk::Parsed { consumed, payload } => (consumed, payload),
            wasmparser::Chunk::NeedMoreData(_) => return Err("it ends too early".to_owned()),
        };
        rest = &rest[consumed..];
        match payload {
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } => {
                let len = unchecked_range.end - unchecked_range.start;
                rest = rest.get(len..).ok_or_else(|| {
                    format!("a section at byte {} ends beyond the file", unchecked_range.start)
                })?;
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import.map_err(|error| error.to_string())?;
                    outline.imports.push(import.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export.map_err(|error| error.to_string())?;
                    outline.exports.push(export.name.name.to_owned());
                }
            }
            Payload::End(_) => return Ok(()),
            _ => {}
        }
    }
}

fn hex_start(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

impl Outline {
    /// The one contract that the component exports.
    pub(crate) fn contract(&self, digest: Digest) -> Result<Contract, Error> {
        let mut found: Vec<(ContractKind, &str)> = Vec::new();
        for name in &self.exports {
            let kind = ContractKind::ALL
                .into_iter()
                .find(|kind| interface_version(name, kind.package(), kind.interface()).is_some());
            found.extend(kind.map(|kind| (kind, name.as_str())));
        }
        let (kind, name) = match found[..] {
            [] => {
                return Err(Error::NoContract {
                    digest,
                    exports: self.exports.clone(),
                    known: Contract::listed(&supported_contracts()),
                });
            }
            [one] => one,
            _ => {
                return Err(Error::SeveralContracts {
                    digest,
                    contracts: found.iter().map(|(_, name)| (*name).to_owned()).collect(),
                });
            }
        };
        let supported = Contract::supported(kind);
        let version = interface_version(name, kind.package(), kind.interface()).unwrap_or_default();
        let Some(contract) = supported.iter().find(|contract| speaks(version, &contract.version)).cloned()
        else {
            return Err(Error::UnsupportedContractVersion {
                digest,
                found: name.to_owned(),
                supported: Contract::listed(&supported),
            });
        };
        Ok(contract)
    }

    /// Refuse imports that are neither of the contract nor of the empty world; `bytes` are the component's, which
    /// tell how to mend it.
    pub(crate) fn refuse_forbidden_imports(
        &self,
        digest: Digest,
        contract: &Contract,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let offered: &[&str] = match contract.kind {
            ContractKind::Corpus | ContractKind::Index => &["types", "io", "log"],
            ContractKind::Policy | ContractKind::Retention => &["types", "log"],
        };
        let allowed = |name: &String| {
            offered.iter().any(|interface| {
                interface_version(name, "floret:types", interface)
                    .is_some_and(|version| speaks(version, &Version::new(0, 1, 0)))
            })
        };
        let names: Vec<_> =
            self.imports.iter().filter(|name| !allowed(name) && !wasi::offers(name)).cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        let contract = Box::new(contract.clone());
        Err(Error::ForbiddenImport { digest, contract, names, remedy: wasi::remedy(bytes) })
    }
}

/// The version text of `package/interface@version`.
pub(crate) fn interface_version<'a>(name: &'a str, package: &str, interface: &str) -> Option<&'a str> {
    name.strip_prefix(package)?.strip_prefix('/')?.strip_prefix(interface)?.strip_prefix('@')
}

/// Whether a version is compatible with one that the host has: `0.1.x` with `0.1.0`.
pub(crate) fn speaks(version: &str, supported: &Version) -> bool {
    Version::parse(version).is_ok_and(|version| {
        version.pre.is_empty() && (version.major, version.minor) == (supported.major, supported.minor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(exports: &[&str], imports: &[&str], expected: &str) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let outline = Outline { imports: owned(imports), exports: owned(exports) };
        let digest = Digest::of(b"");
        let contract = outline.contract(digest).and_then(|contract| {
            outline.refuse_forbidden_imports(digest, &contract, b"")?;
            Ok(contract)
        });
        let got = match contract {
            Ok(contract) => contract.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(got.contains(expected), "{got:?} does not tell {expected:?}");
    }

    #[test]
    fn contracts_are_told_from_exports_and_imports_are_checked() {
        let types = "floret:types/types@0.1.0";
        let io = "floret:types/io@0.1.0";
        check(&["floret:index/builder@0.1.0"], &[types, io], "floret:index@0.1.0");
        check(&["floret:index/builder@0.2.0"], &[types, io], "floret:index@0.2.0");
        check(&["floret:corpus/builder@0.1.3"], &[], "floret:corpus@0.1.0");
        let spoken =
            "exports floret:index/builder@0.3.0, but this host speaks floret:index@0.1.0, floret:index@0.2.0";
        check(&["floret:index/builder@0.3.0"], &[], spoken);
        let both = ["floret:index/builder@0.1.0", "floret:index/builder@0.2.0"];
        check(&both, &[], "several contracts (floret:index/builder@0.1.0, floret:index/builder@0.2.0)");
        check(&["run", "floret:policy/compression@0.1.0"], &[types], "floret:policy@0.1.0");
        check(&["floret:policy/compression@0.1.0"], &[io], "imports floret:types/io@0.1.0");
        check(&["floret:policy/retention@0.2.0"], &[types], "floret:policy@0.2.0");
        check(&["floret:policy/retention@0.1.0"], &[], "this host speaks floret:policy@0.2.0");
        check(&["floret:policy/compression@0.2.0"], &[], "floret:policy@0.2.0");
        check(
            &["floret:policy/compression@0.3.0"],
            &[],
            "this host speaks floret:policy@0.1.0, floret:policy@0.2.0",
        );
        check(&["floret:corpus/builder@0.2.0"], &[], "exports floret:corpus/builder@0.2.0");
        check(&["floret:corpus/builder@0.1.0-rc.1"], &[], "this host speaks floret:corpus@0.1.0");
        check(&["wasi:cli/run@0.2.0"], &[], "it exports wasi:cli/run@0.2.0");
        check(&[], &[], "it exports nothing");
        check(&[], &[], "floret:corpus@0.1.0, floret:index@0.1.0, floret:index@0.2.0, floret:policy@0.1.0");
        let wasi = ["wasi:io/poll@0.2.0", types, "wasi:random/random@0.2.6"];
        check(&["floret:corpus/builder@0.1.0"], &wasi, "floret:corpus@0.1.0");
        let wasi = ["wasi:http/types@0.2.0", types, "wasi:io/poll@0.2.0", "wasi:io/poll@0.3.0", "run"];
        let expected = "imports wasi:http/types@0.2.0, wasi:io/poll@0.3.0, run, which";
        check(&["floret:corpus/builder@0.1.0"], &wasi, expected);
        let both = ["floret:corpus/builder@0.1.0", "floret:index/builder@0.1.0"];
        check(&both, &[], "several contracts (floret:corpus/builder@0.1.0, floret:index/builder@0.1.0)");
    }
}
