use std::sync::Arc;

use floret_model::{CascadeReport, Digest, KeyError, Namespace, ResourceKey, Seq, UnknownName, VersionRef};

use crate::Quarantine;

/// Why the host could not do something; variants by what the caller should do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such resource or version: check the name, or save it.
    #[error("{what} is not there{}", hint_text(.hint))]
    NotFound {
        /// What was looked for.
        what: String,
        /// What to do, if that is known.
        hint: Option<String>,
    },
    /// Cleanup has dropped the bytes of this version.
    #[error("the content of {0} is gone: cleanup dropped it; `floret log` shows which versions are kept")]
    Dropped(VersionRef),
    /// Somebody else was first, and the caller asked to be told.
    #[error("{key} has moved on: expected {expected}, found {found}; read it again and decide again")]
    Conflict {
        /// Which resource.
        key: ResourceKey,
        /// What the caller expected.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The request cannot be carried out as it is: mend it.
    #[error("{0}")]
    InvalidRequest(String),
    /// A name breaks the rules of names.
    #[error(transparent)]
    InvalidName(#[from] KeyError),
    /// A name that is none of those known.
    #[error(transparent)]
    UnknownName(#[from] UnknownName),
    /// A namespace that is not configured.
    #[error("unknown namespace {got:?}: configured are {}; add [namespaces.{got}] to the configuration", known.join(", "))]
    UnknownNamespace {
        /// What came.
        got: Namespace,
        /// What is configured.
        known: Vec<String>,
    },
    /// A type that nothing makes known.
    #[error("unknown resource type {got:?}: known are {}; bind a component to it, or add it to `types` in the configuration", known.join(", "))]
    UnknownType {
        /// What came.
        got: String,
        /// What is known.
        known: Vec<String>,
    },
    /// A component that is not installed.
    #[error("no component named {got:?} is installed: installed are {}; `floret plugin install FILE` adds one", known.join(", "))]
    UnknownComponent {
        /// What came.
        got: String,
        /// What is installed.
        known: Vec<String>,
    },
    /// A component that made other bytes than it had made before: it is not used until somebody releases it.
    #[error(
        "{0}; install a mended component, bind another one, or lift it: `floret plugin release {name}`",
        name = .0.plugin.key.resource_id
    )]
    Quarantined(Box<Quarantine>),
    /// A configuration that its component's schema refuses.
    #[error("the configuration of {component} does not fit its schema: {}", problems.join("; "))]
    InvalidConfig {
        /// Whose schema.
        component: String,
        /// One line for each violation.
        problems: Vec<String>,
    },
    /// A stored binding that cannot be read: what is built by it is not, and nothing else suffers.
    #[error(
        "{binding} (sha256:{}) is not a binding: {problem}; bind anew with `floret plugin bind {} COMPONENT`, or go back \
         with `floret plugin rollback {}`",
        digest.short(), binding.key.resource_id, binding.key
    )]
    InvalidBinding {
        /// Which version.
        binding: VersionRef,
        /// SHA-256 of its content.
        digest: Digest,
        /// What is wrong with it.
        problem: String,
    },
    /// A component is not the one that was asked for.
    #[error(
        "its digest is sha256:{found}, and sha256:{expected} was expected: it is not the component that was meant, and nothing is installed"
    )]
    DigestMismatch {
        /// What the caller named.
        expected: Digest,
        /// What the bytes have.
        found: Digest,
    },
    /// A component that no trusted key vouches for.
    #[error("the component is not installed: {problem}; {remedy}")]
    Untrusted {
        /// What is wrong with its signature.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// Something that others need, and so is not removed.
    #[error("{what} stays: {needed_by}; {remedy}")]
    Needed {
        /// What was to be removed.
        what: String,
        /// Who needs it.
        needed_by: String,
        /// What to do first.
        remedy: String,
    },
    /// Steps failed; nothing of the cascade is visible, and finished builds are remembered.
    #[error("{}", cascade_text(.0))]
    Cascade(Box<FailedCascade>),
    /// The work was stopped; nothing of it is visible, and finished builds are remembered.
    #[error("stopped before anything was published; run it again to go on: finished builds are remembered")]
    Interrupted,
    /// A component failed, or what it was given or gave was not right.
    #[error(transparent)]
    Plugin(#[from] floret_runtime::Error),
    /// A component broke so often on end that it is not asked for a while.
    #[error(
        "{component}, bound to {id}, broke several times on end and is not asked until {until}; mend it or bind another, \
         or `floret plugin reset {id}` to try it at once"
    )]
    BreakerOpen {
        /// What it is bound to.
        id: String,
        /// Its name and version.
        component: String,
        /// When it is asked again.
        until: String,
    },
    /// The store failed. Shared by all who waited for the same content.
    #[error(transparent)]
    Store(Arc<floret_store::Error>),
    /// The cache failed to open, or does not know a namespace.
    #[error(transparent)]
    Cache(#[from] floret_cache::Error),
}

/// A cascade of which steps failed: its report, and why the first of them did.
#[derive(Debug)]
pub struct FailedCascade {
    /// Every step.
    pub report: CascadeReport,
    /// What the first step that failed failed with.
    pub first: Error,
}

impl std::ops::Deref for FailedCascade {
    type Target = CascadeReport;

    fn deref(&self) -> &CascadeReport {
        &self.report
    }
}

impl From<floret_store::Error> for Error {
    fn from(error: floret_store::Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

floret_model::error_codes!(Error {
    NotFound => "not_found",
    Dropped => "dropped",
    Conflict => "conflict",
    InvalidRequest => "invalid_request",
    InvalidName => "invalid_name",
    UnknownName => "unknown_name",
    UnknownNamespace => "unknown_namespace",
    UnknownType => "unknown_type",
    UnknownComponent => "unknown_component",
    InvalidConfig => "invalid_config",
    InvalidBinding => "invalid_binding",
    Cascade => "cascade_failed",
    DigestMismatch => "digest_mismatch",
    Untrusted => "untrusted",
    Needed => "needed",
    Quarantined => "quarantined",
    Interrupted => "interrupted",
    BreakerOpen => "plugin_breaker_open",
} through { Plugin, Store, Cache });

impl Error {
    pub(crate) fn not_found(what: impl ToString) -> Self {
        Self::NotFound { what: what.to_string(), hint: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidRequest(message.into())
    }

    /// A lost race as the caller is told of it.
    pub(crate) fn told(self) -> Self {
        let text = |seq: &Option<Seq>| seq.map_or_else(|| "no version".to_owned(), |seq| format!("@{seq}"));
        match &self {
            Self::Store(error) => match &**error {
                floret_store::Error::Conflict { key, expected, found } => {
                    Self::Conflict { key: key.clone(), expected: text(expected), found: text(found) }
                }
                _ => self,
            },
            _ => self,
        }
    }

    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_retryable())
    }
}

fn hint_text(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default()
}

fn cascade_text(report: &CascadeReport) -> String {
    let mut failures = report.steps.iter().filter_map(|step| match &step.fate {
        floret_model::Fate::Failed { error } => Some(format!("{}: {error}", step.key)),
        _ => None,
    });
    let first = failures.next().unwrap_or_else(|| "a step failed".to_owned());
    let more = match failures.count() {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    format!("{first}{more}; nothing was published, {} finished builds are remembered", report.count("built"))
}
