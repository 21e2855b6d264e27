use std::path::PathBuf;

use floret_model::{Digest, ResourceKey, Seq, VersionRef};

/// Why the store could not do something; variants by what the caller should do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else was first: read again and decide again.
    #[error("{key} has moved on: expected {}, found {}", seq_text(*.expected), seq_text(*.found))]
    Conflict {
        /// Of which resource.
        key: ResourceKey,
        /// The latest seq that the caller expected.
        expected: Option<Seq>,
        /// The latest seq that is there.
        found: Option<Seq>,
    },
    /// A version depends on something that is not there.
    #[error(
        "{dependent} depends on {missing}, which is not there ({reason}); save it first, or build again from what is latest"
    )]
    MissingDependency {
        /// Whose dependency.
        dependent: ResourceKey,
        /// Which.
        missing: Box<VersionRef>,
        /// `never committed` or `dropped by cleanup`.
        reason: &'static str,
    },
    /// A version would make its resource depend on itself.
    #[error("{key} cannot depend on {on}: it would depend on itself, by way of {}", path_text(.path))]
    Cycle {
        /// The dependent.
        key: ResourceKey,
        /// The dependency that closes the cycle.
        on: Box<ResourceKey>,
        /// From `on` back to `key`.
        path: Vec<ResourceKey>,
    },
    /// A version's content is not stored.
    #[error("the content {digest} of {key} is not stored; put it before the version is published")]
    MissingBlob {
        /// Whose content.
        key: ResourceKey,
        /// Digest of the raw bytes.
        digest: Digest,
    },
    /// A blob was not settled, or not referred to, before its lease ended: put it again.
    #[error("the lease on blob {digest} ended before it was used; put it again")]
    LeaseLost {
        /// Digest of the raw bytes.
        digest: Digest,
    },
    /// A record that no catalog can hold, e.g. a count beyond 2^63: mend what is to be saved.
    #[error("{what} cannot be stored: {problem}")]
    Invalid {
        /// Which record.
        what: String,
        /// What about it.
        problem: String,
    },
    /// Stored bytes are not what was written: restore them, or build the version again.
    #[error("{what} is damaged: {problem}")]
    Integrity {
        /// Which thing.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Bytes that expand beyond what they may.
    #[error(
        "{what} expands beyond {limit_bytes} bytes; nothing larger was promised, so it was not read further"
    )]
    TooLarge {
        /// Which thing.
        what: String,
        /// The cap.
        limit_bytes: u64,
    },
    /// Another process has the store open.
    #[error("the store {} is in use{}; stop that process, or give another folder with --data", .path.display(), holder_text(.holder))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// What that process wrote of itself.
        holder: Option<String>,
    },
    /// The store was written by a newer program.
    #[error("the store {} has format {found}, and this program reads up to {supported}; use a newer floret", .path.display())]
    NewerFormat {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known here.
        supported: u32,
    },
    /// The folder cannot be used, e.g. it is read-only or full.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The object store failed.
    #[error("cannot {action} {path} in {store}: {source}")]
    Object {
        /// What was tried.
        action: &'static str,
        /// On which object.
        path: String,
        /// Where.
        store: String,
        /// Why not.
        source: Box<object_store::Error>,
    },
    /// A server that is needed does not answer: start it, or try again.
    #[error("{service} is unavailable: {problem}; {remedy}")]
    Unavailable {
        /// Which server.
        service: String,
        /// What happened.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// A server that is needed answers, and refuses: mend the configuration, ours or the server's.
    #[error("{service} refuses: {problem}; {remedy}")]
    Refused {
        /// Which server.
        service: String,
        /// What it says.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// Changes behind a token are no longer kept: read again whatever was cached, and follow from now.
    #[error("{catalog} no longer keeps the changes that follow: {problem}")]
    ChangesLost {
        /// Which catalog.
        catalog: String,
        /// What it says.
        problem: String,
    },
    /// A home that is to be a copy of another is none.
    #[error(
        "{target_home} is no copy of {source_home}: {what}: {problem}; copy into an empty home, or into one that got whatever it shares with the other from copies"
    )]
    Diverged {
        /// Where they part.
        what: Box<str>,
        /// The one that is copied.
        source_home: Box<str>,
        /// The one that is to be its copy.
        target_home: Box<str>,
        /// What each has.
        problem: Box<str>,
    },
    /// The catalog's backend failed.
    #[error("{catalog} failed: {problem}")]
    Backend {
        /// Which catalog.
        catalog: String,
        /// What it said.
        problem: String,
    },
}

floret_model::error_codes!(Error {
    Conflict => "conflict",
    MissingDependency => "missing_dependency",
    Cycle => "cycle",
    MissingBlob => "missing_blob",
    LeaseLost => "lease_lost",
    Invalid => "invalid_record",
    Integrity => "integrity",
    TooLarge => "too_large",
    InUse => "store_in_use",
    NewerFormat => "newer_format",
    Io => "io",
    Object => "object_store",
    Unavailable => "unavailable",
    Refused => "refused",
    ChangesLost => "changes_lost",
    Diverged => "diverged",
    Backend => "catalog",
});

impl Error {
    /// Whether the same call may succeed if it is made again, after reading again.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::LeaseLost { .. })
    }
}

fn seq_text(seq: Option<Seq>) -> String {
    seq.map_or_else(|| "no version".to_owned(), |seq| format!("version @{seq} as the latest"))
}

fn path_text(path: &[ResourceKey]) -> String {
    path.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → ")
}

fn holder_text(holder: &Option<String>) -> String {
    holder.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default()
}
