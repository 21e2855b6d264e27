//! `floret:index@0.2.0` bound to wasmtime: 0.1.0, and builds in parts.

use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceAny};

use super::types_v0_1::types;
use crate::contract::index::Statistics;
use crate::contract::{Hit, Mode, Query, Said};
use crate::instance::Job;
use crate::wasi;

super::bindings!(
    "../../wit/index-0.2",
    "floret:index/index-component@0.2.0",
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

/// Into how many parts the build is split: what the guest says, not checked.
pub(crate) fn parts(
    pre: &Pre<Job>,
    store: &mut Store<Job>,
    config: &str,
) -> wasmtime::Result<Result<u32, Said>> {
    let guest = pre.instantiate(&mut *store)?;
    let corpora = store.data().input_handles();
    let answer = guest.floret_index_builder().call_parts(store, &corpora, config)?;
    Ok(answer.map_err(Said::from))
}

pub(crate) fn build_part(
    pre: &Pre<Job>,
    store: &mut Store<Job>,
    config: &str,
    part: u32,
    parts: u32,
) -> wasmtime::Result<Result<(), Said>> {
    let guest = pre.instantiate(&mut *store)?;
    let corpora = store.data().input_handles();
    let sink = Resource::new_own(0);
    let answer = guest.floret_index_builder().call_build_part(store, &corpora, config, part, parts, sink)?;
    Ok(answer.map_err(Said::from))
}

/// Of the job's inputs the first `parts` are the parts, the others the corpora.
pub(crate) fn merge_parts(
    pre: &Pre<Job>,
    store: &mut Store<Job>,
    config: &str,
    parts: usize,
) -> wasmtime::Result<Result<Statistics, Said>> {
    let guest = pre.instantiate(&mut *store)?;
    let mut parts_first = store.data().input_handles();
    let corpora = parts_first.split_off(parts);
    let sink = Resource::new_own(0);
    let answer =
        guest.floret_index_builder().call_merge_parts(store, &parts_first, &corpora, config, sink)?;
    Ok(answer.map(plain_statistics).map_err(Said::from))
}
