//! The components that come with Floret, as bytes in the program.

use bytes::Bytes;
use floret_model::Digest;
use floret_pipeline::BuiltIn;
use serde_json::Map;

/// A component in the program, and what it is bound to at first.
struct Shipped {
    name: &'static str,
    bytes: &'static [u8],
    bindings: &'static [&'static str],
}

macro_rules! shipped {
    ($name:literal, $bindings:expr) => {
        Shipped {
            name: $name,
            bytes: include_bytes!(concat!("../../../plugins/dist/", $name, ".wasm")),
            bindings: $bindings,
        }
    };
}

const SHIPPED: [Shipped; 6] = [
    shipped!("corpus-text", &["literature", "corpus"]),
    shipped!("trie-fst", &["trie"]),
    shipped!("semantic-ngram", &["semantic"]),
    shipped!("policy-default", &["policy"]),
    shipped!("policy-archive", &[]),
    shipped!("retention-default", &[]),
];

/// The components in the program, each with what it is bound to unless somebody binds something else.
pub fn built_ins() -> Vec<BuiltIn> {
    let built_in = |shipped: Shipped| BuiltIn {
        name: shipped.name.to_owned(),
        bytes: Bytes::from_static(shipped.bytes),
        bindings: shipped.bindings.iter().map(|id| ((*id).to_owned(), Map::new())).collect(),
    };
    SHIPPED.into_iter().map(built_in).collect()
}

/// Digest of a component in the program.
pub fn built_in_digest(name: &str) -> Option<Digest> {
    SHIPPED.iter().find(|shipped| shipped.name == name).map(|shipped| Digest::of(shipped.bytes))
}
