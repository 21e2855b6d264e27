//! What wit-bindgen makes of the contracts in `wit/`. The other modules put a Rust face on it.
#![allow(
    missing_docs,
    clippy::all,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    reason = "generated code keeps its own style"
)]

mod imports {
    wit_bindgen::generate!({
        path: ["../../wit/types"],
        inline: "package floret:sdk; world imports {
            import floret:types/types@0.1.0;
            import floret:types/io@0.1.0;
            import floret:types/log@0.1.0;
        }",
        generate_all,
        generate_unused_types: true,
    });
}
pub use imports::floret::types::{io, log, types};

macro_rules! contract {
    ($module:ident, $directory:literal, $world:literal, [$($interface:ident $path:literal),+]) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: ["../../wit/types", $directory],
                world: $world,
                with: {
                    $($path: crate::bindings::$interface,)+
                },
                pub_export_macro: true,
                default_bindings_module: "floret_sdk::bindings",
            });
        }
    };
}

contract!(
    corpus,
    "../../wit/corpus",
    "floret:corpus/corpus-component@0.1.0",
    [types "floret:types/types@0.1.0", io "floret:types/io@0.1.0", log "floret:types/log@0.1.0"]
);
contract!(
    index,
    "../../wit/index-0.2",
    "floret:index/index-component@0.2.0",
    [types "floret:types/types@0.1.0", io "floret:types/io@0.1.0", log "floret:types/log@0.1.0"]
);
contract!(
    policy,
    "../../wit/policy",
    "floret:policy/policy-component@0.1.0",
    [types "floret:types/types@0.1.0", log "floret:types/log@0.1.0"]
);
contract!(
    retention,
    "../../wit/policy-0.2",
    "floret:policy/retention-component@0.2.0",
    [types "floret:types/types@0.1.0", log "floret:types/log@0.1.0"]
);
