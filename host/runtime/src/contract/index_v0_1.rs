//! `floret:index@0.1.0` bound to wasmtime. Its components never split a build.

use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceAny};

use super::types_v0_1::types;
use crate::contract::index::Statistics;
use crate::contract::{Hit, Mode, Query, Said};
use crate::instance::Job;
use crate::wasi;

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
        path: ["../../wit/types", "../../wit/index"],
        world: "floret:index/index-component@0.1.0",
        with: {
            "floret:types/types": crate::contract::types_v0_1::types,
            "floret:types/io": crate::contract::types_v0_1::io,
            "floret:types/log": crate::contract::types_v0_1::log,
        },
    });
}
pub(crate) use bindings::IndexComponentPre as Pre;
use bindings::exports::floret::index::builder;

pub(crate) fn pre(component: &Component) -> wasmtime::Result<Pre<Job>> {
    let mut linker = Linker::new(component.engine());
    bindings::IndexComponent::add_to_linker::<_, HasSelf<_>>(&mut linker, |job| job)?;
    wasi::link(&mut linker, component)?;
    Pre::new(linker.instantiate_pre(component)?)
}

super::index::bind_common!();
