//! The interface `compression` of `floret:policy` in every version that this host speaks, as one.

use floret_model::CompressionType;
use wasmtime::component::Component;
use wasmtime::{Engine, Store};

use super::types_v0_1::types;
use super::{policy_v0_1, policy_v0_2};
use crate::contract::{Contract, PolicyProfile, Said};
use crate::instance::Job;

/// A choice as the guest made it, its level not yet checked.
pub(crate) struct Proposal {
    pub(crate) compression: CompressionType,
    pub(crate) level: i32,
    pub(crate) delta: bool,
    pub(crate) reason: String,
}

/// A component linked by its version.
#[derive(Clone)]
pub(crate) enum Pre {
    V0_1(policy_v0_1::Pre<Job>),
    V0_2(policy_v0_2::Pre<Job>),
}

/// An instance of it.
pub(crate) enum Guest {
    V0_1(policy_v0_1::Guest),
    V0_2(policy_v0_2::Guest),
}

impl Pre {
    pub(crate) fn engine(&self) -> &Engine {
        match self {
            Self::V0_1(pre) => pre.engine(),
            Self::V0_2(pre) => pre.engine(),
        }
    }

    pub(crate) fn instantiate(&self, store: &mut Store<Job>) -> wasmtime::Result<Guest> {
        Ok(match self {
            Self::V0_1(pre) => Guest::V0_1(pre.instantiate(store)?),
            Self::V0_2(pre) => Guest::V0_2(pre.instantiate(store)?),
        })
    }
}

pub(crate) fn pre(contract: &Contract, component: &Component) -> wasmtime::Result<Pre> {
    match contract.version.minor {
        1 => policy_v0_1::pre(component).map(Pre::V0_1),
        _ => policy_v0_2::pre(component).map(Pre::V0_2),
    }
}

pub(crate) fn describe(pre: &Pre, store: &mut Store<Job>) -> wasmtime::Result<types::Description> {
    match pre {
        Pre::V0_1(pre) => policy_v0_1::describe(pre, store),
        Pre::V0_2(pre) => policy_v0_2::describe(pre, store),
    }
}

/// `choose`: for one content.
pub(crate) fn choose(
    guest: &Guest,
    store: &mut Store<Job>,
    profile: &PolicyProfile,
    config: &str,
) -> wasmtime::Result<Result<Proposal, Said>> {
    match guest {
        Guest::V0_1(guest) => policy_v0_1::choose(guest, store, profile, config),
        Guest::V0_2(guest) => policy_v0_2::choose(guest, store, profile, config),
    }
}

/// `choose-many`: for several contents.
pub(crate) fn choose_many(
    guest: &Guest,
    store: &mut Store<Job>,
    profiles: Vec<PolicyProfile>,
    config: &str,
) -> wasmtime::Result<Result<Vec<Proposal>, Said>> {
    match guest {
        Guest::V0_1(guest) => policy_v0_1::choose_many(guest, store, profiles, config),
        Guest::V0_2(guest) => policy_v0_2::choose_many(guest, store, profiles, config),
    }
}

/// What is the same in every version but for the types that are generated.
macro_rules! bind {
    () => {
        use bindings::exports::floret::policy::compression;
        use floret_model::CompressionType;
        use wasmtime::Store;
        use wasmtime::component::{Component, HasSelf, Linker};

        use super::policy::Proposal;
        use super::types_v0_1::types;
        use crate::contract::{PolicyProfile, Said};
        use crate::instance::Job;
        use crate::wasi;

        pub(crate) fn pre(component: &Component) -> wasmtime::Result<Pre<Job>> {
            let mut linker = Linker::new(component.engine());
            bindings::PolicyComponent::add_to_linker::<_, HasSelf<_>>(&mut linker, |job| job)?;
            wasi::link(&mut linker, component)?;
            Pre::new(linker.instantiate_pre(component)?)
        }

        pub(crate) fn describe(
            pre: &Pre<Job>,
            store: &mut Store<Job>,
        ) -> wasmtime::Result<types::Description> {
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
    };
}
pub(super) use bind;
