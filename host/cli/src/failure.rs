//! What a failure is called, and which exit code it has: the only place that says so.

use std::io;

use floret_pipeline::Error as Pipeline;
use floret_runtime::Error as Runtime;
use floret_store::Error as Store;

/// Failures of the command line itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line cannot be understood.
    #[error("{0}")]
    Usage(String),
    /// The configuration cannot be used.
    #[error("configuration: {0}")]
    Configuration(String),
    /// A file that was named on the command line cannot be read or written.
    #[error("cannot {action} {name}: {source}")]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// Which.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// `verify` found something.
    #[error("{0}")]
    Unsound(String),
}

/// How `floret` ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Exit {
    Other = 1,
    Invalid = 2,
    NotFound = 3,
    Conflict = 4,
    Plugin = 5,
    Integrity = 6,
    InUse = 7,
    Interrupted = 130,
}

/// What `--help` says of the exit codes.
pub(crate) const EXIT_CODES: &str = "Exit codes:
  0    done
  1    another failure (files, the system)
  2    the command line, the configuration or the request is not valid
  3    not found
  4    conflict: somebody else was first
  5    a plugin failed, or is none
  6    integrity: stored bytes are not what was written
  7    the data folder is in use by another process
  130  interrupted by Ctrl-C";

/// A stable code for programs, and the exit code.
pub(crate) fn classify(error: &anyhow::Error) -> (&'static str, Exit) {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return match failure {
            Failure::Usage(_) => ("usage", Exit::Invalid),
            Failure::Configuration(_) => ("configuration", Exit::Invalid),
            Failure::File { action: "read", .. } => ("unreadable_file", Exit::Invalid),
            Failure::File { .. } => ("unwritable_file", Exit::Other),
            Failure::Unsound(_) => ("verify_failed", Exit::Integrity),
        };
    }
    if let Some(error) = error.downcast_ref::<Pipeline>() {
        return pipeline(error);
    }
    if let Some(error) = error.downcast_ref::<Store>() {
        return store(error);
    }
    if let Some(error) = error.downcast_ref::<Runtime>() {
        return runtime(error);
    }
    if let Some(error) = error.downcast_ref::<floret_cache::Error>() {
        return cache(error);
    }
    if error.downcast_ref::<floret_model::KeyError>().is_some() {
        return ("invalid_name", Exit::Invalid);
    }
    ("other", Exit::Other)
}

/// Whether the reader of our output went away, e.g. `floret list | head`.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(broken)
}

fn pipeline(error: &Pipeline) -> (&'static str, Exit) {
    match error {
        Pipeline::NotFound { .. } => ("not_found", Exit::NotFound),
        Pipeline::Dropped(_) => ("dropped", Exit::NotFound),
        Pipeline::Conflict { .. } => ("conflict", Exit::Conflict),
        Pipeline::InvalidRequest(_) => ("invalid_request", Exit::Invalid),
        Pipeline::InvalidName(_) => ("invalid_name", Exit::Invalid),
        Pipeline::UnknownName(_) => ("unknown_name", Exit::Invalid),
        Pipeline::UnknownNamespace { .. } => ("unknown_namespace", Exit::Invalid),
        Pipeline::UnknownType { .. } => ("unknown_type", Exit::Invalid),
        Pipeline::UnknownComponent { .. } => ("unknown_component", Exit::NotFound),
        Pipeline::InvalidConfig { .. } => ("invalid_config", Exit::Invalid),
        Pipeline::Cascade(failed) => ("cascade_failed", pipeline(&failed.first).1),
        Pipeline::Interrupted => ("interrupted", Exit::Interrupted),
        Pipeline::Plugin(error) => runtime(error),
        Pipeline::Store(error) => store(error),
        Pipeline::Cache(error) => cache(error),
        _ => ("other", Exit::Other),
    }
}

fn store(error: &Store) -> (&'static str, Exit) {
    match error {
        Store::Conflict { .. } => ("conflict", Exit::Conflict),
        Store::LeaseLost { .. } => ("lease_lost", Exit::Conflict),
        Store::MissingDependency { .. } => ("missing_dependency", Exit::NotFound),
        Store::Cycle { .. } => ("cycle", Exit::Invalid),
        Store::Invalid { .. } => ("invalid_record", Exit::Invalid),
        Store::MissingBlob { .. } => ("missing_blob", Exit::Integrity),
        Store::Integrity { .. } => ("integrity", Exit::Integrity),
        Store::TooLarge { .. } => ("too_large", Exit::Integrity),
        Store::InUse { .. } => ("store_in_use", Exit::InUse),
        Store::NewerFormat { .. } => ("newer_format", Exit::Other),
        Store::Io { .. } => ("io", Exit::Other),
        Store::Object { .. } => ("object_store", Exit::Other),
        Store::Backend { .. } => ("catalog", Exit::Other),
        _ => ("other", Exit::Other),
    }
}

fn runtime(error: &Runtime) -> (&'static str, Exit) {
    match error {
        Runtime::InvalidInput { .. } => ("plugin_invalid_input", Exit::Invalid),
        Runtime::InvalidConfig { .. } => ("plugin_invalid_config", Exit::Invalid),
        Runtime::InvalidQuery { .. } => ("plugin_invalid_query", Exit::Invalid),
        Runtime::Unsupported { .. } => ("plugin_unsupported", Exit::Invalid),
        Runtime::WrongContract { .. } => ("plugin_wrong_contract", Exit::Invalid),
        Runtime::InvalidLimits { .. } => ("configuration", Exit::Invalid),
        Runtime::Failed { .. } => ("plugin_failed", Exit::Plugin),
        Runtime::Trap { .. } => ("plugin_trap", Exit::Plugin),
        Runtime::Limit { .. } => ("plugin_limit", Exit::Plugin),
        Runtime::Malformed { .. } => ("plugin_malformed", Exit::Plugin),
        Runtime::NotAComponent { .. } => ("plugin_not_a_component", Exit::Plugin),
        Runtime::NoContract { .. } => ("plugin_no_contract", Exit::Plugin),
        Runtime::SeveralContracts { .. } => ("plugin_several_contracts", Exit::Plugin),
        Runtime::ForbiddenImport { .. } => ("plugin_forbidden_import", Exit::Plugin),
        Runtime::UnsupportedContractVersion { .. } => ("plugin_contract_version", Exit::Plugin),
        Runtime::ContractMismatch { .. } => ("plugin_contract_mismatch", Exit::Plugin),
        Runtime::TooLarge { .. } => ("plugin_too_large", Exit::Plugin),
        Runtime::Compile { .. } => ("plugin_compile", Exit::Plugin),
        Runtime::Cancelled { .. } => ("interrupted", Exit::Interrupted),
        _ => ("other", Exit::Other),
    }
}

fn cache(error: &floret_cache::Error) -> (&'static str, Exit) {
    match error {
        floret_cache::Error::UnknownNamespace { .. } => ("unknown_namespace", Exit::Invalid),
        floret_cache::Error::Configuration(_) => ("configuration", Exit::Invalid),
        floret_cache::Error::Pattern { .. } => ("invalid_pattern", Exit::Invalid),
        floret_cache::Error::Locked { .. } => ("store_in_use", Exit::InUse),
        floret_cache::Error::NewerFormat { .. } => ("newer_format", Exit::Other),
        _ => ("cache", Exit::Other),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use floret_model::{Digest, ResourceKey};

    use super::*;

    fn key() -> ResourceKey {
        "corpus/x".parse().expect("a key")
    }

    #[test]
    fn every_kind_of_failure_has_its_exit_code() {
        let integrity = || Store::Integrity { what: "a blob".to_owned(), problem: "cut".to_owned() };
        let in_use = Store::InUse { path: "x".into(), holder: None };
        let not_found = Pipeline::NotFound { what: "x".to_owned(), hint: None };
        let conflict = Store::Conflict { key: key(), expected: None, found: None };
        let no_component = Runtime::NotAComponent { digest: Digest::of(b""), text: "empty".to_owned() };
        for (error, code, exit) in [
            (anyhow!(Failure::Usage(String::new())), "usage", 2),
            (anyhow!(Failure::Configuration(String::new())), "configuration", 2),
            (anyhow!(not_found), "not_found", 3),
            (anyhow!(Pipeline::from(conflict)), "conflict", 4),
            (anyhow!(Pipeline::Plugin(no_component)), "plugin_not_a_component", 5),
            (anyhow!(Pipeline::from(integrity())), "integrity", 6),
            (anyhow!(integrity()), "integrity", 6),
            (anyhow!(in_use), "store_in_use", 7),
            (anyhow!(Pipeline::Interrupted), "interrupted", 130),
            (anyhow!("anything"), "other", 1),
        ] {
            let found = classify(&error);
            assert_eq!((found.0, found.1 as u8), (code, exit), "{error}");
        }
    }

    #[test]
    fn context_keeps_the_exit_code() {
        let error = anyhow!(Pipeline::Interrupted).context("the cascade");
        assert_eq!(classify(&error).1, Exit::Interrupted);
    }

    #[test]
    fn a_reader_that_went_away_is_told_apart() {
        let gone = anyhow!(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing");
        assert!(is_broken_pipe(&gone));
        assert!(!is_broken_pipe(&anyhow!("no")));
    }
}
