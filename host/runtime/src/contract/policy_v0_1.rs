//! `floret:policy@0.1.0` bound to wasmtime.

use floret_model::CompressionType;
use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker};

use super::types_v0_1::types;
use crate::contract::{PolicyProfile, Said};
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
        path: ["../../wit/types", "../../wit/policy"],
        world: "floret:policy/policy-component@0.1.0",
        with: {
            "floret:types/types": crate::contract::types_v0_1::types,
            "floret:types/log": crate::contract::types_v0_1::log,
        },
    });
}
use bindings::exports::floret::policy::compression;
pub(crate) use bindings::{PolicyComponent as Guest, PolicyComponentPre as Pre};

/// A choice as the guest made it, its level not yet checked.
pub(crate) struct Proposal {
    pub(crate) compression: CompressionType,
    pub(crate) level: i32,
    pub(crate) delta: bool,
    pub(crate) reason: String,
}

pub(crate) fn pre(component: &Component) -> wasmtime::Result<Pre<Job>> {
    let mut linker = Linker::new(component.engine());
    bindings::PolicyComponent::add_to_linker::<_, HasSelf<_>>(&mut linker, |job| job)?;
    wasi::link(&mut linker, component)?;
    Pre::new(linker.instantiate_pre(component)?)
}

pub(crate) fn describe(pre: &Pre<Job>, store: &mut Store<Job>) -> wasmtime::Result<types::Description> {
    let guest = pre.instantiate(&mut *store)?;
    guest.floret_policy_compression().call_describe(store)
}

/// `choose`: for one content.
pub(crate) fn choose(
    guest: &Guest,
    store: &mut Store<Job>,
    profile: &PolicyProfile,
    config: &str,
) -> wasmtime::Result<Result<Proposal, Said>> {
    let policy = guest.floret_policy_compression();
    let answer = policy.call_choose(store, &profile.clone().into(), config)?;
    Ok(answer.map(Proposal::from).map_err(Said::from))
}

/// `choose-many`: for several contents.
pub(crate) fn choose_many(
    guest: &Guest,
    store: &mut Store<Job>,
    profiles: Vec<PolicyProfile>,
    config: &str,
) -> wasmtime::Result<Result<Vec<Proposal>, Said>> {
    let policy = guest.floret_policy_compression();
    let profiles: Vec<_> = profiles.into_iter().map(compression::Profile::from).collect();
    let answer = policy.call_choose_many(store, &profiles, config)?;
    let proposals = answer.map(|choices| choices.into_iter().map(Proposal::from).collect());
    Ok(proposals.map_err(Said::from))
}

impl From<PolicyProfile> for compression::Profile {
    fn from(profile: PolicyProfile) -> Self {
        Self {
            size_bytes: profile.size_bytes,
            namespace: profile.namespace,
            resource_type: profile.resource_type,
            media_type: profile.media_type,
            items: profile.items,
            flags: profile.flags,
            entropy_bits_per_byte: profile.entropy_bits_per_byte,
        }
    }
}

impl From<compression::Choice> for Proposal {
    fn from(choice: compression::Choice) -> Self {
        Self {
            compression: match choice.codec {
                compression::Codec::None => CompressionType::None,
                compression::Codec::Zstd => CompressionType::Zstd,
                compression::Codec::Lz4 => CompressionType::Lz4,
                compression::Codec::Gzip => CompressionType::Gzip,
            },
            level: choice.level,
            delta: choice.delta,
            reason: choice.reason,
        }
    }
}
