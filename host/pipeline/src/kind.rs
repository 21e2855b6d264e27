//! What failures are called by programs, and how they are to be taken: the one place that says so.

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
    /// Bytes are not what was written, or not what was asked or vouched for.
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

/// Which sort each code of an error is of. A code that stands in no row is of another sort.
const KINDS: [(Kind, &[&str]); 8] = [
    (
        Kind::Invalid,
        &[
            "configuration",
            "cycle",
            "invalid_config",
            "invalid_contract",
            "invalid_name",
            "invalid_pattern",
            "invalid_record",
            "invalid_request",
            "plugin_invalid_config",
            "plugin_invalid_input",
            "plugin_invalid_query",
            "plugin_unsupported",
            "plugin_wrong_contract",
            "unknown_name",
            "unknown_namespace",
            "unknown_type",
        ],
    ),
    (Kind::NotFound, &["dropped", "missing_dependency", "not_found", "unknown_component"]),
    (Kind::Conflict, &["conflict", "diverged", "lease_lost", "needed"]),
    (
        Kind::Plugin,
        &[
            "plugin_breaker_open",
            "plugin_compile",
            "plugin_contract_mismatch",
            "plugin_contract_version",
            "plugin_failed",
            "plugin_forbidden_import",
            "plugin_invalid_schema",
            "plugin_limit",
            "plugin_malformed",
            "plugin_no_contract",
            "plugin_not_a_component",
            "plugin_several_contracts",
            "plugin_too_large",
            "plugin_trap",
            "quarantined",
        ],
    ),
    (
        Kind::Integrity,
        &["digest_mismatch", "integrity", "invalid_binding", "missing_blob", "too_large", "untrusted"],
    ),
    (Kind::InUse, &["store_in_use"]),
    (Kind::Unavailable, &["refused", "unavailable"]),
    (Kind::Interrupted, &["interrupted"]),
];

/// Codes of failures that no caller can do anything about but look at the machine.
const OTHERS: [&str; 9] = [
    "cache",
    "catalog",
    "changes_lost",
    "compiled_code",
    "engine",
    "io",
    "newer_format",
    "object_store",
    "other",
];

impl Error {
    /// What it is called, and how it is to be taken.
    pub fn classify(&self) -> Classified {
        match self {
            Error::Cascade(failed) => Classified { code: self.code(), kind: failed.first.classify().kind },
            _ => classified(self.code()),
        }
    }
}

/// The same of an error of the store.
pub fn classify_store(error: &floret_store::Error) -> Classified {
    classified(error.code())
}

/// The same of an error of the runtime.
pub fn classify_runtime(error: &floret_runtime::Error) -> Classified {
    classified(error.code())
}

/// The same of an error of the cache.
pub fn classify_cache(error: &floret_cache::Error) -> Classified {
    classified(error.code())
}

/// Every code that an error can have here and below, with how it is to be taken. `cascade_failed` is not among them: it
/// is taken as the first step's failure is.
pub fn all_codes() -> impl Iterator<Item = Classified> {
    let sorted =
        KINDS.into_iter().flat_map(|(kind, codes)| codes.iter().map(move |code| Classified { code, kind }));
    sorted.chain(OTHERS.into_iter().map(|code| Classified { code, kind: Kind::Other }))
}

fn classified(code: &'static str) -> Classified {
    let row = KINDS.iter().find(|(_, codes)| codes.contains(&code));
    Classified { code, kind: row.map_or(Kind::Other, |(kind, _)| *kind) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_of_exactly_one_sort() {
        let listed: Vec<_> = all_codes().map(|classified| classified.code).collect();
        let distinct: BTreeSet<_> = listed.iter().copied().collect();
        assert_eq!(distinct.len(), listed.len(), "a code stands twice");
        let given = [
            Error::CODES,
            floret_store::Error::CODES,
            floret_runtime::Error::CODES,
            &floret_cache::Error::CODES,
        ];
        let given: BTreeSet<_> = given.into_iter().flatten().copied().collect();
        let expected = &distinct - &["other"].into();
        assert_eq!(&given - &["cascade_failed"].into(), expected);
    }
}
