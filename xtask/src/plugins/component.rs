//! Making a component of a module, and checking that it asks for no more than the contracts give.

use anyhow::{Context, Result, bail, ensure};
use wit_component::{ComponentEncoder, DecodedWasm};

/// All that a component may import.
const IMPORTS: [&str; 3] = ["floret:types/io@0.1.0", "floret:types/log@0.1.0", "floret:types/types@0.1.0"];

/// The guest of the tests that looks at the empty world: the one component that may import WASI.
const PROBE: &str = "wasi-probe";

/// What a component may export: one contract's interface.
const EXPORTS: [&str; 4] = [
    "floret:corpus/builder@0.1.0",
    "floret:index/builder@0.2.0",
    "floret:policy/compression@0.1.0",
    "floret:policy/retention@0.2.0",
];

/// Make a component.
pub fn encode(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(module)?.encode()
}

/// Refuse a component that imports anything but `floret:types` (or WASI, for the probe), or exports anything but contracts.
pub fn check(name: &str, component: &[u8]) -> Result<()> {
    let decoded = wit_component::decode(component).with_context(|| format!("{name} is not a component"))?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        bail!("{name} is a WIT package, not a component")
    };
    let world = &resolve.worlds[world];
    for (key, _) in &world.imports {
        let import = resolve.name_world_key(key);
        let wasi = name == PROBE && import.starts_with("wasi:");
        ensure!(
            wasi || IMPORTS.contains(&import.as_str()),
            "{name} imports {import}, which no contract gives"
        );
    }
    let exports: Vec<_> = world.exports.iter().map(|(key, _)| resolve.name_world_key(key)).collect();
    for export in &exports {
        ensure!(EXPORTS.contains(&export.as_str()), "{name} exports {export}, which is no contract");
    }
    ensure!(!exports.is_empty(), "{name} exports no contract");
    Ok(())
}
