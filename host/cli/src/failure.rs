//! Which exit code a failure has; what programs call it, and what sort it is of, the pipeline says.

use std::io;

use floret_pipeline::{
    Classified, Error as Pipeline, Kind, classify_cache, classify_runtime, classify_store,
};
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
    /// A component that was named cannot be had from where it is said to be.
    #[error("{source_name}: {problem}")]
    Source {
        /// From where, as it was named.
        source_name: String,
        /// What is wrong, and what to do.
        problem: String,
        /// What sort of failure it is.
        kind: SourceKind,
    },
    /// `verify` found something.
    #[error("{0}")]
    Unsound(String),
    /// Ctrl-C, where nothing but waiting was stopped.
    #[error("{0}")]
    Interrupted(String),
    /// `doctor` found a problem.
    #[error("{0}")]
    Unhealthy(String),
    /// `plugin test` found a fault.
    #[error("{0}")]
    Unfit(String),
    /// A server says so.
    #[error("{message}")]
    Server {
        /// What programs call it.
        code: &'static str,
        /// How the same ends here.
        exit: Exit,
        /// What it says.
        message: String,
    },
}

impl Failure {
    fn classify(&self) -> (&'static str, Exit) {
        match self {
            Self::Usage(_) => ("usage", Exit::Invalid),
            Self::Configuration(_) => ("configuration", Exit::Invalid),
            Self::File { action: "read", .. } => ("unreadable_file", Exit::Invalid),
            Self::File { .. } => ("unwritable_file", Exit::Other),
            Self::Source { kind, .. } => match kind {
                SourceKind::NotFound => ("source_not_found", Exit::NotFound),
                SourceKind::Unavailable => ("registry_unavailable", Exit::Unavailable),
                SourceKind::NotAComponent => ("source_not_a_component", Exit::Plugin),
                SourceKind::TooLarge => ("plugin_too_large", Exit::Plugin),
                SourceKind::Mismatch => ("digest_mismatch", Exit::Integrity),
            },
            Self::Unsound(_) => ("verify_failed", Exit::Integrity),
            Self::Interrupted(_) => ("interrupted", Exit::Interrupted),
            Self::Unhealthy(_) => ("unhealthy", Exit::Integrity),
            Self::Unfit(_) => ("plugin_unfit", Exit::Plugin),
            Self::Server { code, exit, .. } => (code, *exit),
        }
    }
}

/// Why a component cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SourceKind {
    /// There is none of that name.
    NotFound,
    /// The registry does not answer, answers with nonsense, or refuses.
    Unavailable,
    /// What is there is something else.
    NotAComponent,
    /// It is larger than a component may be.
    TooLarge,
    /// It has another digest than was named.
    Mismatch,
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
    Unavailable = 8,
    Interrupted = 130,
}

impl Exit {
    /// The one of this number.
    pub(crate) fn of(code: u8) -> Option<Self> {
        use Exit::{Conflict, InUse, Integrity, Interrupted, Invalid, NotFound, Other, Plugin, Unavailable};
        [Other, Invalid, NotFound, Conflict, Plugin, Integrity, InUse, Unavailable, Interrupted]
            .into_iter()
            .find(|exit| *exit as u8 == code)
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What `--help` says of the exit codes.
pub(crate) const EXIT_CODES: &str = "Exit codes:
  0    done
  1    another failure (files, the system)
  2    the command line, the configuration or the request is not valid
  3    not found
  4    conflict: somebody else was first
  5    a plugin failed, or is none
  6    integrity: bytes are not what was written, named or signed, or doctor found a problem
  7    the data folder is in use by another process
  8    a server (MongoDB, S3, a registry) does not answer, or refuses
  130  interrupted by Ctrl-C";

/// A stable code for programs, and the exit code.
pub(crate) fn classify(error: &anyhow::Error) -> (&'static str, Exit) {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.classify();
    }
    if let Some(error) = error.downcast_ref::<Pipeline>() {
        return exit(error.classify());
    }
    if let Some(error) = error.downcast_ref::<Store>() {
        return exit(classify_store(error));
    }
    if let Some(error) = error.downcast_ref::<Runtime>() {
        return exit(classify_runtime(error));
    }
    if let Some(error) = error.downcast_ref::<floret_cache::Error>() {
        return exit(classify_cache(error));
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

fn exit(Classified { code, kind }: Classified) -> (&'static str, Exit) {
    let exit = match kind {
        Kind::Invalid => Exit::Invalid,
        Kind::NotFound => Exit::NotFound,
        Kind::Conflict => Exit::Conflict,
        Kind::Plugin => Exit::Plugin,
        Kind::Integrity => Exit::Integrity,
        Kind::InUse => Exit::InUse,
        Kind::Unavailable => Exit::Unavailable,
        Kind::Interrupted => Exit::Interrupted,
        _ => Exit::Other,
    };
    (code, exit)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
            (anyhow!(Failure::Unhealthy(String::new())), "unhealthy", 6),
            (anyhow!(Failure::Unfit(String::new())), "plugin_unfit", 5),
            (anyhow!(in_use), "store_in_use", 7),
            (anyhow!(Pipeline::Interrupted), "interrupted", 130),
            (anyhow!(Failure::Interrupted(String::new())), "interrupted", 130),
            (anyhow!("anything"), "other", 1),
        ] {
            let found = classify(&error);
            assert_eq!((found.0, found.1 as u8), (code, exit), "{error}");
        }
    }

    #[test]
    fn the_index_of_errors_has_every_code_with_its_exit_code_and_no_other() {
        let file = |action| Failure::File { action, name: String::new(), source: io::Error::other("x") };
        let source = |kind| Failure::Source { source_name: String::new(), problem: String::new(), kind };
        let own = [
            Failure::Usage(String::new()),
            Failure::Configuration(String::new()),
            file("read"),
            file("write"),
            Failure::Unsound(String::new()),
            Failure::Interrupted(String::new()),
            Failure::Unhealthy(String::new()),
            Failure::Unfit(String::new()),
            source(SourceKind::NotFound),
            source(SourceKind::Unavailable),
            source(SourceKind::NotAComponent),
            source(SourceKind::TooLarge),
            source(SourceKind::Mismatch),
        ];
        let shared = floret_pipeline::all_codes().map(exit);
        let mut expected = BTreeMap::from_iter(
            shared.chain(own.iter().map(Failure::classify)).map(|(code, exit)| (code, Some(exit as u8))),
        );
        expected.extend(floret_server::HTTP_CODES.map(|code| (code, None)));
        expected.insert("cascade_failed", None);
        let found: BTreeMap<_, _> =
            floret_pipeline::explanations().map(|entry| (entry.code, entry.exit)).collect();
        assert_eq!(found, expected);
        assert_eq!(floret_pipeline::explanations().count(), found.len(), "a code is explained twice");
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
