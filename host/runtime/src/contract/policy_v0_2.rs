//! `compression` of `floret:policy@0.2.0` bound to wasmtime.

super::bindings!(
    "../../wit/policy-0.2",
    "floret:policy/policy-component@0.2.0",
    "floret:types/types" = types,
    "floret:types/log" = log
);
pub(crate) use bindings::{PolicyComponent as Guest, PolicyComponentPre as Pre};

super::policy::bind!();
