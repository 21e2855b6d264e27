//! From a core module to a component.

use anyhow::{Result, anyhow};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// What compilers of C and Rust call the system: WASI 0.1, of which a component has nothing.
const SYSTEM: &str = "wasi_snapshot_preview1";

/// Make a component of a core module that has its world in it. `remedy` says how to do without a call of the system.
pub(super) fn encode(module: &[u8], remedy: &str) -> Result<Vec<u8>> {
    let calls = system_calls(module);
    if !calls.is_empty() {
        let calls = calls.join(", ");
        return Err(anyhow!(
            "the module calls the system, and a component has none below it: {calls}; {remedy}"
        ));
    }
    componentise(module).map_err(|error| {
        anyhow!(
            "the module does not make a component: {error:#}; it may import and export nothing but what wit/ says"
        )
    })
}

fn componentise(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(module)?.encode()
}

/// What a module imports of the system, by name. A module that cannot be read has nothing here: encoding says why.
fn system_calls(module: &[u8]) -> Vec<String> {
    let mut calls = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Ok(Payload::ImportSection(imports)) = payload {
            let system = imports.into_imports().flatten().filter(|import| import.module == SYSTEM);
            calls.extend(system.map(|import| import.name.to_owned()));
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module that imports one function.
    fn importing(module: &str, name: &str) -> Vec<u8> {
        let length = |text: &str| u8::try_from(text.len()).expect("a short name");
        let mut bytes = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0".to_vec();
        bytes.extend([2, length(module) + length(name) + 5, 1, length(module)]);
        bytes.extend(module.as_bytes());
        bytes.push(length(name));
        bytes.extend(name.as_bytes());
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn calls_of_the_system_are_named_with_what_to_do() {
        for (module, expected) in [
            (importing(SYSTEM, "fd_write"), "has none below it: fd_write; leave it out"),
            (importing("env", "fd_write"), "the module does not make a component"),
            (b"no module".to_vec(), "the module does not make a component"),
        ] {
            let problem = encode(&module, "leave it out").expect_err(expected).to_string();
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(system_calls(&importing("env", "fd_write")).is_empty());
    }
}
