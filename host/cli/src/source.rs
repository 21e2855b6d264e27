//! Where components come from: files, standard input, OCI registries and OCI layout folders. What is fetched is bounded
//! and held against its digests before anybody looks into it.
//!
//! In a registry and in a layout a component is an artifact as the CNCF lays it down
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>): a manifest whose configuration is of the type
//! `application/vnd.wasm.config.v0+json`, with one layer, `application/wasm`.

mod challenge;
mod layout;
mod manifest;
mod reference;
mod registry;

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use bytes::Bytes;
use floret_model::Digest;

use crate::config::PluginsSection;
use crate::failure::{Failure, SourceKind};
use crate::given;

pub(crate) use reference::{LayoutPlace, RegistryPlace, digest};

/// A signature is four short lines.
const SIGNATURE_BYTES_MAX: u64 = 64 << 10;

/// Where a component is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// A file; `-` is standard input.
    File(PathBuf),
    /// `oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`.
    Registry(RegistryPlace),
    /// `oci-layout:FOLDER[:TAG][@sha256:DIGEST]`.
    Layout(LayoutPlace),
}

/// A component that was fetched.
pub(crate) struct Fetched {
    pub bytes: Bytes,
    /// Where from, with the digest of its manifest.
    pub source: String,
}

/// Why a component cannot be had.
#[derive(Debug)]
struct Problem {
    kind: SourceKind,
    text: String,
    /// Whether it may be gone in a moment.
    is_passing: bool,
}

impl Problem {
    fn new(kind: SourceKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), is_passing: false }
    }

    fn too_large(what: &str, size_bytes: u64, bytes_max: u64) -> Self {
        let text = format!(
            "{what} has {size_bytes} bytes, and at most {bytes_max} are taken: raise limits.component_bytes_max if that is meant"
        );
        Self::new(SourceKind::TooLarge, text)
    }

    fn passing(text: impl Into<String>) -> Self {
        Self { is_passing: true, ..Self::new(SourceKind::Unavailable, text) }
    }

    fn of(self, source: &str) -> anyhow::Error {
        anyhow!(Failure::Source { source_name: source.to_owned(), problem: self.text, kind: self.kind })
    }
}

/// Read a source as it is given on the command line.
pub(crate) fn parse(text: &str) -> Result<Source, String> {
    if let Some(place) = text.strip_prefix("oci://") {
        return place.parse().map(Source::Registry);
    }
    if let Some(place) = text.strip_prefix("oci-layout:") {
        return place.parse().map(Source::Layout);
    }
    match text.split_once("://") {
        Some((scheme, _)) if !Path::new(text).exists() => Err(format!(
            "{scheme}:// is nothing that components come from: expected a file, -, oci://HOST/REPOSITORY:TAG or oci-layout:FOLDER"
        )),
        _ => Ok(Source::File(text.into())),
    }
}

impl Source {
    /// Fetch the component, of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`Failure::Source`], [`Failure::File`].
    pub(crate) async fn fetch(&self, section: &PluginsSection, bytes_max: u64) -> Result<Fetched> {
        match self {
            Self::File(path) => {
                let bytes = read(path, bytes_max)?;
                Ok(Fetched { bytes, source: given::name(path) })
            }
            Self::Registry(place) => registry::fetch(place, section, bytes_max)
                .await
                .map_err(|problem| problem.of(&place.to_string())),
            Self::Layout(place) => {
                layout::fetch(place, bytes_max).map_err(|problem| problem.of(&place.to_string()))
            }
        }
    }

    /// The signature of a component: in the file that was named, or beside the component's own.
    ///
    /// # Errors
    /// A file that was named and cannot be read, or is none of text.
    pub(crate) fn signature(&self, named: Option<&Path>) -> Result<Option<String>> {
        let beside = match (named, self) {
            (Some(named), _) => named.to_owned(),
            (None, Self::File(path)) if path != Path::new("-") => {
                let mut beside = path.clone().into_os_string();
                beside.push(".minisig");
                PathBuf::from(beside)
            }
            (None, _) => return Ok(None),
        };
        if named.is_none() && !beside.exists() {
            return Ok(None);
        }
        let bytes = read(&beside, SIGNATURE_BYTES_MAX)?;
        let text = String::from_utf8(bytes.to_vec())
            .map_err(|_| given::usage(format!("{} is no signature: it is not text", given::name(&beside))))?;
        Ok(Some(text))
    }
}

/// A file of at most so many bytes: no more is read.
fn read(path: &Path, bytes_max: u64) -> Result<Bytes> {
    let failed = |source| anyhow!(Failure::File { action: "read", name: given::name(path), source });
    let reader: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => {
            let file = std::fs::File::open(path).map_err(failed)?;
            let size_bytes = file.metadata().map_err(failed)?.len();
            if size_bytes > bytes_max {
                return Err(Problem::too_large("the file", size_bytes, bytes_max).of(&given::name(path)));
            }
            Box::new(file)
        }
    };
    let mut bytes = Vec::new();
    reader.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    let size_bytes = bytes.len() as u64;
    if size_bytes > bytes_max {
        return Err(Problem::too_large("what is read", size_bytes, bytes_max).of(&given::name(path)));
    }
    Ok(bytes.into())
}

/// The bytes are those that a digest names.
fn verify(bytes: &[u8], expected: Digest, what: &str) -> Result<(), Problem> {
    let found = Digest::of(bytes);
    if found == expected {
        return Ok(());
    }
    let text = format!("{what} has the digest sha256:{found}, and sha256:{expected} was expected");
    Err(Problem::new(SourceKind::Mismatch, text))
}
