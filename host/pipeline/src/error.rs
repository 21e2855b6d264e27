use std::sync::Arc;

use floret_model::{CascadeReport, KeyError, Namespace, ResourceKey, Seq, UnknownName, VersionRef};

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
    /// Steps failed; nothing of the cascade is visible, and finished builds are remembered.
    #[error("{}", cascade_text(.0))]
    Cascade(Box<FailedCascade>),
    /// The work was stopped; nothing of it is visible, and finished builds are remembered.
    #[error("stopped before anything was published; run it again to go on: finished builds are remembered")]
    Interrupted,
    /// A component failed, or what it was given or gave was not right.
    #[error(transparent)]
    Plugin(#[from] floret_runtime::Error),
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
