//! `floret:index` in every version that this host speaks, as one: a component of 0.1.0 is one whose builds are never
//! split.

use wasmtime::component::Component;
use wasmtime::{Engine, Store};

use super::types_v0_1::types;
use super::{index_v0_1, index_v0_2};
use crate::contract::{Contract, Hit, Mode, Query, Said, StatisticValue};
use crate::instance::Job;

/// What a builder counts, by name.
pub(crate) type Statistics = Vec<(String, StatisticValue)>;

/// A component linked by its version.
#[derive(Clone)]
pub(crate) enum Pre {
    V0_1(index_v0_1::Pre<Job>),
    V0_2(index_v0_2::Pre<Job>),
}

/// An opened index: the instance and its searcher.
pub(crate) enum Opened {
    V0_1(index_v0_1::Opened),
    V0_2(index_v0_2::Opened),
}

impl Pre {
    pub(crate) fn engine(&self) -> &Engine {
        match self {
            Self::V0_1(pre) => pre.engine(),
            Self::V0_2(pre) => pre.engine(),
        }
    }

    /// The component as one that splits builds, if its version has that.
    pub(crate) fn splitting(&self) -> Option<&index_v0_2::Pre<Job>> {
        match self {
            Self::V0_1(_) => None,
            Self::V0_2(pre) => Some(pre),
        }
    }
}

pub(crate) fn pre(contract: &Contract, component: &Component) -> wasmtime::Result<Pre> {
    match contract.version.minor {
        1 => index_v0_1::pre(component).map(Pre::V0_1),
        _ => index_v0_2::pre(component).map(Pre::V0_2),
    }
}

pub(crate) fn describe(
    pre: &Pre,
    store: &mut Store<Job>,
) -> wasmtime::Result<(types::Description, Vec<Mode>)> {
    match pre {
        Pre::V0_1(pre) => index_v0_1::describe(pre, store),
        Pre::V0_2(pre) => index_v0_2::describe(pre, store),
    }
}

/// Build as a whole.
pub(crate) fn build(
    pre: &Pre,
    store: &mut Store<Job>,
    config: &str,
) -> wasmtime::Result<Result<Statistics, Said>> {
    match pre {
        Pre::V0_1(pre) => index_v0_1::build(pre, store, config),
        Pre::V0_2(pre) => index_v0_2::build(pre, store, config),
    }
}

pub(crate) fn open(pre: &Pre, store: &mut Store<Job>) -> wasmtime::Result<Result<Opened, Said>> {
    Ok(match pre {
        Pre::V0_1(pre) => index_v0_1::open(pre, store)?.map(Opened::V0_1),
        Pre::V0_2(pre) => index_v0_2::open(pre, store)?.map(Opened::V0_2),
    })
}

pub(crate) fn search(
    opened: &Opened,
    store: &mut Store<Job>,
    query: &Query,
    limit: u32,
) -> wasmtime::Result<Result<Vec<Hit>, Said>> {
    match opened {
        Opened::V0_1(opened) => index_v0_1::search(opened, store, query, limit),
        Opened::V0_2(opened) => index_v0_2::search(opened, store, query, limit),
    }
}

/// What every version binds alike, over the types that were generated for it: describing, building as a whole, opening
/// and searching. Generated types of two versions are equal in all but name, which a macro does not mind.
macro_rules! bind_common {
    () => {
        pub(crate) fn describe(
            pre: &Pre<Job>,
            store: &mut Store<Job>,
        ) -> wasmtime::Result<(types::Description, Vec<Mode>)> {
            let guest = pre.instantiate(&mut *store)?;
            let description = guest.floret_index_builder().call_describe(&mut *store)?;
            let modes = guest.floret_index_builder().call_modes(store)?;
            Ok((description, modes.into_iter().map(Mode::from).collect()))
        }

        pub(crate) fn build(
            pre: &Pre<Job>,
            store: &mut Store<Job>,
            config: &str,
        ) -> wasmtime::Result<Result<Statistics, Said>> {
            let guest = pre.instantiate(&mut *store)?;
            let corpora = store.data().input_handles();
            let answer =
                guest.floret_index_builder().call_build(store, &corpora, config, Resource::new_own(0))?;
            Ok(answer.map(plain_statistics).map_err(Said::from))
        }

        fn plain_statistics(statistics: Vec<types::Statistic>) -> Statistics {
            statistics.into_iter().map(|statistic| (statistic.name, statistic.value.into())).collect()
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
            let answer = opened.guest.floret_index_builder().searcher().call_search(
                store,
                opened.searcher,
                &query,
                limit,
            )?;
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
    };
}
pub(crate) use bind_common;
