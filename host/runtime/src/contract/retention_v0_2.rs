//! `retention` of `floret:policy@0.2.0` bound to wasmtime.

use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker};

use super::types_v0_1::types;
use crate::contract::{RetentionSubject, RetentionVerdict, Said, VersionFacts};
use crate::instance::Job;
use crate::wasi;

super::bindings!(
    "../../wit/policy-0.2",
    "floret:policy/retention-component@0.2.0",
    "floret:types/types" = types,
    "floret:types/log" = log
);
pub(crate) use bindings::RetentionComponentPre as Pre;
use bindings::exports::floret::policy::retention;

pub(crate) fn pre(component: &Component) -> wasmtime::Result<Pre<Job>> {
    let mut linker = Linker::new(component.engine());
    bindings::RetentionComponent::add_to_linker::<_, HasSelf<_>>(&mut linker, |job| job)?;
    wasi::link(&mut linker, component)?;
    Pre::new(linker.instantiate_pre(component)?)
}

pub(crate) fn describe(pre: &Pre<Job>, store: &mut Store<Job>) -> wasmtime::Result<types::Description> {
    let guest = pre.instantiate(&mut *store)?;
    guest.floret_policy_retention().call_describe(store)
}

/// `keep`: for the versions of one resource.
pub(crate) fn keep(
    pre: &Pre<Job>,
    store: &mut Store<Job>,
    subject: RetentionSubject,
    versions: Vec<VersionFacts>,
    config: &str,
) -> wasmtime::Result<Result<Vec<RetentionVerdict>, Said>> {
    let guest = pre.instantiate(&mut *store)?;
    let versions: Vec<_> = versions.into_iter().map(retention::VersionFacts::from).collect();
    let answer = guest.floret_policy_retention().call_keep(store, &subject.into(), &versions, config)?;
    let verdicts = answer.map(|verdicts| verdicts.into_iter().map(RetentionVerdict::from).collect());
    Ok(verdicts.map_err(Said::from))
}

impl From<RetentionSubject> for retention::Subject {
    fn from(subject: RetentionSubject) -> Self {
        Self {
            namespace: subject.namespace,
            resource_type: subject.resource_type,
            id: subject.id,
            access_count: subject.access_count,
            last_access_age_ms: subject.last_access_age_ms,
        }
    }
}

impl From<VersionFacts> for retention::VersionFacts {
    fn from(facts: VersionFacts) -> Self {
        Self {
            seq: facts.seq,
            semantic_version: facts.semantic_version,
            age_ms: facts.age_ms,
            size_bytes: facts.size_bytes,
            stored_bytes: facts.stored_bytes,
            tags: facts.tags,
            latest: facts.latest,
            referenced: facts.referenced,
        }
    }
}

impl From<retention::Verdict> for RetentionVerdict {
    fn from(verdict: retention::Verdict) -> Self {
        Self { keep: matches!(verdict.fate, retention::Fate::Keep), reason: verdict.reason }
    }
}
