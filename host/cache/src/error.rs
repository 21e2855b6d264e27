//! What can go wrong, by what the caller should do.

use std::path::PathBuf;
use std::sync::Arc;

/// Why the cache could not be opened or asked.
///
/// No variant is ever returned by a read or a write of an entry: a disk tier that fails there is counted in
/// [`NamespaceStats::disk_errors`](crate::NamespaceStats::disk_errors) and is a miss.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The namespace is not in the configuration. Configure it or correct the name.
    #[error("unknown cache namespace {name:?}; configured are {}", .known.join(", "))]
    UnknownNamespace {
        /// The name that was asked for.
        name: String,
        /// The names that are configured, sorted.
        known: Vec<String>,
    },
    /// Another process has the directory open. Use another directory, or that process.
    #[error("cache directory {} is in use by another process; stop it or choose another directory", .path.display())]
    Locked {
        /// The cache directory.
        path: PathBuf,
    },
    /// A newer program wrote the directory. Upgrade this one, or remove the directory.
    #[error("cache directory {} has format {found}, this program reads format {supported} and older; upgrade it or remove the directory", .path.display())]
    NewerFormat {
        /// The cache directory.
        path: PathBuf,
        /// The format number in the directory.
        found: u32,
        /// The newest format number that this program reads.
        supported: u32,
    },
    /// The directory holds files that no cache wrote, so it is not wiped. Choose an empty or a new one.
    #[error("{} is not a cache directory: it contains {found:?}; choose an empty or a new directory", .path.display())]
    NotACache {
        /// The directory.
        path: PathBuf,
        /// The first name in it that is not ours.
        found: String,
    },
    /// The configuration contradicts itself.
    #[error("cache configuration: {0}")]
    Configuration(String),
    /// A glob could not be read.
    #[error("cache pattern {pattern:?}: {reason} at byte {position}")]
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// Where it went wrong, in bytes from its start.
        position: usize,
        /// What was expected there.
        reason: &'static str,
    },
    /// The file system refused something while the directory was being opened or flushed.
    #[error("cache file {}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The engine below the small values refused something while it was being opened or flushed.
    #[error("cache engine in {}: {source}", .path.display())]
    Engine {
        /// The engine's directory.
        path: PathBuf,
        /// What the engine said.
        source: Box<fjall::Error>,
    },
}

impl Error {
    /// Every code that [`code`](Self::code) answers.
    pub const CODES: [&str; 6] =
        ["unknown_namespace", "store_in_use", "newer_format", "configuration", "invalid_pattern", "cache"];

    /// Its stable name for programs; `docs/errors.md` says what each means.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownNamespace { .. } => "unknown_namespace",
            Self::Locked { .. } => "store_in_use",
            Self::NewerFormat { .. } => "newer_format",
            Self::Configuration(_) => "configuration",
            Self::Pattern { .. } => "invalid_pattern",
            Self::NotACache { .. } | Self::Io { .. } | Self::Engine { .. } => "cache",
        }
    }

    /// True if the same call may succeed later without any change by the user.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Io { .. })
    }
}

/// Why [`NamespaceHandle::get_or_load`](crate::NamespaceHandle::get_or_load) has no value.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E: std::error::Error + 'static> {
    /// The loader failed. All who waited for that one call get the same error; nothing is cached.
    #[error("the loader failed: {0}")]
    Loader(#[source] Arc<E>),
}

impl<E: std::error::Error + 'static> LoadError<E> {
    /// The loader's own error, without a copy.
    #[must_use]
    pub fn loader_error(&self) -> &E {
        let Self::Loader(error) = self;
        error
    }

    /// The loader's own error, owned; `Err` with the shared one if another waiter still holds it.
    ///
    /// # Errors
    /// The shared error.
    pub fn into_loader_error(self) -> Result<E, Arc<E>> {
        let Self::Loader(error) = self;
        Arc::try_unwrap(error)
    }
}

pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io { path, source }
}
