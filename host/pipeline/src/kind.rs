//! What failures are called by programs, and how they are to be taken: the one place that says so.

use floret_runtime::Error as Runtime;
use floret_store::Error as Store;

use crate::Error;

/// What sort of failure it is, for exit codes and HTTP statuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// The request cannot be carried out as it is.
    Invalid,
    /// What was named is not there.
    NotFound,
    /// Somebody else was first.
    Conflict,
    /// A component failed, or is none.
    Plugin,
    /// Stored bytes are not what was written.
    Integrity,
    /// Another process has the store open.
    InUse,
    /// A server that is needed does not answer, or refuses.
    Unavailable,
    /// The work was stopped.
    Interrupted,
    /// Anything else.
    Other,
}

/// A failure as programs know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Classified {
    /// A stable name, e.g. `not_found`.
    pub code: &'static str,
    /// Its sort.
    pub kind: Kind,
}

impl Error {
    /// What it is called, and how it is to be taken.
    pub fn classify(&self) -> Classified {
        match self {
            Error::NotFound { .. } => is("not_found", Kind::NotFound),
            Error::Dropped(_) => is("dropped", Kind::NotFound),
            Error::Conflict { .. } => is("conflict", Kind::Conflict),
            Error::InvalidRequest(_) => is("invalid_request", Kind::Invalid),
            Error::InvalidName(_) => is("invalid_name", Kind::Invalid),
            Error::UnknownName(_) => is("unknown_name", Kind::Invalid),
            Error::UnknownNamespace { .. } => is("unknown_namespace", Kind::Invalid),
            Error::UnknownType { .. } => is("unknown_type", Kind::Invalid),
            Error::UnknownComponent { .. } => is("unknown_component", Kind::NotFound),
            Error::Quarantined(_) => is("quarantined", Kind::Plugin),
            Error::InvalidConfig { .. } => is("invalid_config", Kind::Invalid),
            Error::Cascade(failed) => is("cascade_failed", failed.first.classify().kind),
            Error::Interrupted => is("interrupted", Kind::Interrupted),
            Error::Plugin(error) => classify_runtime(error),
            Error::Store(error) => classify_store(error),
            Error::Cache(error) => classify_cache(error),
        }
    }
}

/// The same of an error of the store.
pub fn classify_store(error: &Store) -> Classified {
    match error {
        Store::Conflict { .. } => is("conflict", Kind::Conflict),
        Store::Diverged { .. } => is("diverged", Kind::Conflict),
        Store::LeaseLost { .. } => is("lease_lost", Kind::Conflict),
        Store::MissingDependency { .. } => is("missing_dependency", Kind::NotFound),
        Store::Cycle { .. } => is("cycle", Kind::Invalid),
        Store::Invalid { .. } => is("invalid_record", Kind::Invalid),
        Store::MissingBlob { .. } => is("missing_blob", Kind::Integrity),
        Store::Integrity { .. } => is("integrity", Kind::Integrity),
        Store::TooLarge { .. } => is("too_large", Kind::Integrity),
        Store::InUse { .. } => is("store_in_use", Kind::InUse),
        Store::NewerFormat { .. } => is("newer_format", Kind::Other),
        Store::Io { .. } => is("io", Kind::Other),
        Store::Unavailable { .. } => is("unavailable", Kind::Unavailable),
        Store::Refused { .. } => is("refused", Kind::Unavailable),
        Store::Object { .. } => is("object_store", Kind::Other),
        Store::Backend { .. } => is("catalog", Kind::Other),
        _ => is("other", Kind::Other),
    }
}

/// The same of an error of the runtime.
pub fn classify_runtime(error: &Runtime) -> Classified {
    match error {
        Runtime::InvalidInput { .. } => is("plugin_invalid_input", Kind::Invalid),
        Runtime::InvalidConfig { .. } => is("plugin_invalid_config", Kind::Invalid),
        Runtime::InvalidQuery { .. } => is("plugin_invalid_query", Kind::Invalid),
        Runtime::Unsupported { .. } => is("plugin_unsupported", Kind::Invalid),
        Runtime::WrongContract { .. } => is("plugin_wrong_contract", Kind::Invalid),
        Runtime::InvalidLimits { .. } => is("configuration", Kind::Invalid),
        Runtime::Failed { .. } => is("plugin_failed", Kind::Plugin),
        Runtime::Trap { .. } => is("plugin_trap", Kind::Plugin),
        Runtime::Limit { .. } => is("plugin_limit", Kind::Plugin),
        Runtime::Malformed { .. } => is("plugin_malformed", Kind::Plugin),
        Runtime::NotAComponent { .. } => is("plugin_not_a_component", Kind::Plugin),
        Runtime::NoContract { .. } => is("plugin_no_contract", Kind::Plugin),
        Runtime::SeveralContracts { .. } => is("plugin_several_contracts", Kind::Plugin),
        Runtime::ForbiddenImport { .. } => is("plugin_forbidden_import", Kind::Plugin),
        Runtime::UnsupportedContractVersion { .. } => is("plugin_contract_version", Kind::Plugin),
        Runtime::ContractMismatch { .. } => is("plugin_contract_mismatch", Kind::Plugin),
        Runtime::TooLarge { .. } => is("plugin_too_large", Kind::Plugin),
        Runtime::Compile { .. } => is("plugin_compile", Kind::Plugin),
        Runtime::Cancelled { .. } => is("interrupted", Kind::Interrupted),
        _ => is("other", Kind::Other),
    }
}

/// The same of an error of the cache.
pub fn classify_cache(error: &floret_cache::Error) -> Classified {
    match error {
        floret_cache::Error::UnknownNamespace { .. } => is("unknown_namespace", Kind::Invalid),
        floret_cache::Error::Configuration(_) => is("configuration", Kind::Invalid),
        floret_cache::Error::Pattern { .. } => is("invalid_pattern", Kind::Invalid),
        floret_cache::Error::Locked { .. } => is("store_in_use", Kind::InUse),
        floret_cache::Error::NewerFormat { .. } => is("newer_format", Kind::Other),
        _ => is("cache", Kind::Other),
    }
}

const fn is(code: &'static str, kind: Kind) -> Classified {
    Classified { code, kind }
}
