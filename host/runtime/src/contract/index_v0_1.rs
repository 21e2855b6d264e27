//! `floret:index@0.1.0` bound to wasmtime.

use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceAny};

use super::types_v0_1::types;
use crate::contract::{Hit, Mode, Query, Said, StatisticValue};
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

pub(crate) fn describe(
    pre: &Pre<Job>,
    store: &mut Store<Job>,
) -> wasmtime::Result<(types::Description, Vec<Mode>)> {
    let guest = pre.instantiate(&mut *store)?;
    let description = guest.floret_index_builder().call_describe(&mut *store)?;
    let modes = guest.floret_index_builder().call_modes(store)?;
    Ok((description, modes.into_iter().map(Mode::from).collect()))
}

type Statistics = Vec<(String, StatisticValue)>;

pub(crate) fn build(
    pre: &Pre<Job>,
    store: &mut Store<Job>,
    config: &str,
) -> wasmtime::Result<Result<Statistics, Said>> {
    let guest = pre.instantiate(&mut *store)?;
    let corpora = store.data().input_handles();
    let answer = guest.floret_index_builder().call_build(store, &corpora, config, Resource::new_own(0))?;
    let named = |statistic: types::Statistic| (statistic.name, statistic.value.into());
    let statistics = answer.map(|statistics| statistics.into_iter().map(named).collect());
    Ok(statistics.map_err(Said::from))
}

/// An opened index: the instance and its searcher.
pub(crate) struct Opened {
    guest: bindings::IndexComponent,
    searcher: ResourceAny,
}

pub(crate) fn open(pre: &Pre<Job>, store: &mut Store<Job>) -> wasmtime::Result<Result<Opened, Said>> {
    let guest = pre.instantiate(&mut *store)?;
    let answer = guest.floret_index_builder().searcher().call_open(store, Resource::new_own(0))?;
    let opened = answer.map(|searcher| Opened { guest, searcher });
    Ok(opened.map_err(Said::from))
}

pub(crate) fn search(
    opened: &Opened,
    store: &mut Store<Job>,
    query: &Query,
    limit: u32,
) -> wasmtime::Result<Result<Vec<Hit>, Said>> {
    let query = match query {
        Query::Exact(text) => builder::Query::Exact(text.clone()),
        Query::Prefix(text) => builder::Query::Prefix(text.clone()),
        Query::Semantic(text) => builder::Query::Semantic(text.clone()),
        Query::Fuzzy { text, distance } => {
            builder::Query::Fuzzy(builder::FuzzyQuery { text: text.clone(), distance: *distance })
        }
    };
    let answer =
        opened.guest.floret_index_builder().searcher().call_search(store, opened.searcher, &query, limit)?;
    let hits = answer.map(|hits| hits.into_iter().map(Hit::from).collect());
    Ok(hits.map_err(Said::from))
}

impl From<builder::Hit> for Hit {
    fn from(hit: builder::Hit) -> Self {
        Self { word: hit.word, frequency: hit.frequency, distance: hit.distance, score: hit.score }
    }
}

impl From<builder::Mode> for Mode {
    fn from(mode: builder::Mode) -> Self {
        match mode {
            builder::Mode::Exact => Self::Exact,
            builder::Mode::Prefix => Self::Prefix,
            builder::Mode::Fuzzy => Self::Fuzzy,
            builder::Mode::Semantic => Self::Semantic,
        }
    }
}
