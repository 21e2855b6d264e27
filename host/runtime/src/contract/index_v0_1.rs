//! `floret:index@0.1.0` bound to wasmtime. Its components never split a build.

use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceAny};

use super::types_v0_1::types;
use crate::contract::index::Statistics;
use crate::contract::{Hit, Mode, Query, Said};
use crate::instance::Job;
use crate::wasi;

super::bindings!(
    "../../wit/index",
    "floret:index/index-component@0.1.0",
    "floret:types/types" = types,
    "floret:types/io" = io,
    "floret:types/log" = log
);
pub(crate) use bindings::IndexComponentPre as Pre;
use bindings::exports::floret::index::builder;

pub(crate) fn pre(component: &Component) -> wasmtime::Result<Pre<Job>> {
    let mut linker = Linker::new(component.engine());
    bindings::IndexComponent::add_to_linker::<_, HasSelf<_>>(&mut linker, |job| job)?;
    wasi::link(&mut linker, component)?;
    Pre::new(linker.instantiate_pre(component)?)
}

super::index::bind_common!();
