//! A program with a contract of its own: its components run in Floret's sandbox, on the engine and under the limits of
//! an open host.
//!
//! `cargo run --release --example custom-contract [FOLDER]`; without a folder, in one that is removed at the end.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use floret_embed::runtime::wasmtime::component::HasSelf;
use floret_embed::runtime::{CustomContract, wasmtime};
use floret_embed::{Home, Limits};

/// What wasmtime makes of the contract.
mod bindings {
    #![allow(
        missing_docs,
        clippy::all,
        unused_qualifications,
        reason = "generated; the WIT file carries the documentation"
    )]
    floret_embed::runtime::wasmtime::component::bindgen!({
        path: "../../examples/custom-contract/wit",
        world: "acme:spell/component@0.1.0",
        imports: { default: trappable },
        wasmtime_crate: floret_embed::runtime::wasmtime,
    });
}
use bindings::ComponentPre;
use bindings::acme::spell::dictionary;

/// The host side: what the component may ask, and how often it did.
struct Words {
    known: BTreeSet<&'static str>,
    asked: u32,
}

impl dictionary::Host for Words {
    fn contains(&mut self, word: String) -> wasmtime::Result<bool> {
        self.asked += 1;
        Ok(self.known.contains(word.as_str()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::args_os().nth(1).map_or_else(|| temporary.path().to_owned(), Into::into);
    // What a call may use: time, memory and the rest are bounded as for Floret's own components.
    let limits =
        Limits { call_timeout: Duration::from_secs(5), memory_bytes_max: 64 << 20, ..Limits::default() };
    let floret = Home::at(&folder).limits(limits).open().await?;

    // The contract: what a component exports, and all that it may import.
    let contract = CustomContract::new("acme:spell/checker@0.1.0", ComponentPre::new)?
        .offering("acme:spell/dictionary@0.1.0", |linker| {
            dictionary::add_to_linker::<_, HasSelf<Words>>(linker, |hosted| hosted.state())
        })?;
    let bytes = include_bytes!("checker.wasm").as_slice().into();
    let checker = floret.runtime().load_custom("checker", bytes, &contract).await?;

    // A call: an instance and a store of its own.
    let words = Words { known: BTreeSet::from(["a", "floret", "is", "small", "flower"]), asked: 0 };
    let called = checker
        .call("check", words, |component, store| {
            let guest = component.instantiate(&mut *store)?;
            guest.acme_spell_checker().call_check(store, "a floret is a smal flowr")
        })
        .await?;
    println!("unknown: {}", called.answer.join(", "));
    println!("asked the dictionary {} times", called.state.asked);
    floret.close().await?;
    Ok(())
}
