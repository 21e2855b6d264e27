//! `compression` of `floret:policy@0.1.0` bound to wasmtime.

mod bindings {
    #![allow(missing_docs, reason = "generated; the WIT files carry the documentation")]
    #![allow(
        unused_qualifications,
        dead_code,
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    wasmtime::component::bindgen!({
        path: ["../../wit/types", "../../wit/policy"],
        world: "floret:policy/policy-component@0.1.0",
        with: {
            "floret:types/types": crate::contract::types_v0_1::types,
            "floret:types/log": crate::contract::types_v0_1::log,
        },
    });
}
pub(crate) use bindings::{PolicyComponent as Guest, PolicyComponentPre as Pre};

super::policy::bind!();
