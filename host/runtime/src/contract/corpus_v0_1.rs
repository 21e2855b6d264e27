//! `floret:corpus@0.1.0` bound to wasmtime.

use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker, Resource};

use super::types_v0_1::types;
use crate::contract::{Said, TextStatistics};
use crate::instance::Job;
use crate::wasi;

super::bindings!(
    "../../wit/corpus",
    "floret:corpus/corpus-component@0.1.0",
    "floret:types/types" = types,
    "floret:types/io" = io,
    "floret:types/log" = log
);
pub(crate) use bindings::CorpusComponentPre as Pre;
use bindings::exports::floret::corpus::builder;

/// What the guest counted while writing a corpus.
pub(crate) struct Claim {
    pub(crate) vocabulary_size: u64,
    pub(crate) total_tokens: u64,
}

impl From<builder::CorpusStatistics> for Claim {
    fn from(statistics: builder::CorpusStatistics) -> Self {
        Self { vocabulary_size: statistics.vocabulary_size, total_tokens: statistics.total_tokens }
    }
}

pub(crate) fn pre(component: &Component) -> wasmtime::Result<Pre<Job>> {
    let mut linker = Linker::new(component.engine());
    bindings::CorpusComponent::add_to_linker::<_, HasSelf<_>>(&mut linker, |job| job)?;
    wasi::link(&mut linker, component)?;
    Pre::new(linker.instantiate_pre(component)?)
}

pub(crate) fn describe(pre: &Pre<Job>, store: &mut Store<Job>) -> wasmtime::Result<types::Description> {
    let guest = pre.instantiate(&mut *store)?;
    guest.floret_corpus_builder().call_describe(store)
}

pub(crate) fn build(
    pre: &Pre<Job>,
    store: &mut Store<Job>,
    config: &str,
) -> wasmtime::Result<Result<Claim, Said>> {
    let guest = pre.instantiate(&mut *store)?;
    let documents = store.data().input_handles();
    let answer = guest.floret_corpus_builder().call_build(store, &documents, config, Resource::new_own(0))?;
    Ok(answer.map(Claim::from).map_err(Said::from))
}

pub(crate) fn merge(pre: &Pre<Job>, store: &mut Store<Job>) -> wasmtime::Result<Result<Claim, Said>> {
    let guest = pre.instantiate(&mut *store)?;
    let corpora = store.data().input_handles();
    let answer = guest.floret_corpus_builder().call_merge(store, &corpora, Resource::new_own(0))?;
    Ok(answer.map(Claim::from).map_err(Said::from))
}

pub(crate) fn analyze(
    pre: &Pre<Job>,
    store: &mut Store<Job>,
    config: &str,
) -> wasmtime::Result<Result<TextStatistics, Said>> {
    let guest = pre.instantiate(&mut *store)?;
    let answer = guest.floret_corpus_builder().call_analyze(store, Resource::new_own(0), config)?;
    let statistics = answer.map(|text| TextStatistics {
        word_count: text.word_count,
        unique_words: text.unique_words,
        sentence_count: text.sentence_count,
        readability_score: text.readability_score,
        readability_formula: text.readability_formula,
    });
    Ok(statistics.map_err(Said::from))
}
