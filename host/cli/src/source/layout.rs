//! OCI layout folders: `oci-layout`, `index.json` and `blobs/sha256/DIGEST`, as tools write them that copy images.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use floret_model::Digest;
use serde_json::Value;

use super::manifest::{self, MANIFEST_BYTES_MAX, pick};
use super::{Fetched, LayoutPlace, Problem, verify};
use crate::failure::SourceKind;

/// Indexes in indexes that are gone through.
const DEPTH_MAX: usize = 4;

pub(super) fn fetch(place: &LayoutPlace, bytes_max: u64) -> Result<Fetched, Problem> {
    let folder = &place.folder;
    let mark: Option<Value> = serde_json::from_slice(&read(&folder.join("oci-layout"), 1 << 10)?).ok();
    if mark.as_ref().and_then(|mark| mark.get("imageLayoutVersion")).and_then(Value::as_str) != Some("1.0.0")
    {
        let text = "its file oci-layout does not say {\"imageLayoutVersion\": \"1.0.0\"}";
        return Err(Problem::new(SourceKind::NotAComponent, text));
    }
    let mut bytes = match place.digest {
        Some(digest) => blob(folder, digest, MANIFEST_BYTES_MAX)?,
        None => read(&folder.join("index.json"), MANIFEST_BYTES_MAX)?,
    };
    let mut tag = if place.digest.is_some() { None } else { place.tag.as_deref() };
    let mut digest = place.digest;
    for _ in 0..DEPTH_MAX {
        match manifest::read(&bytes, bytes_max)? {
            manifest::Read::Component(layer) => {
                let component = blob(folder, layer.digest, layer.size_bytes)?;
                let source = LayoutPlace { digest, ..place.clone() }.to_string();
                return Ok(Fetched { bytes: component.into(), source });
            }
            manifest::Read::Index(entries) => {
                let picked = pick(&entries, tag.take())?;
                bytes = blob(folder, picked, MANIFEST_BYTES_MAX)?;
                digest = Some(picked);
            }
        }
    }
    Err(Problem::new(SourceKind::NotAComponent, "its indexes lead to indexes only"))
}

fn blob(folder: &Path, digest: Digest, bytes_max: u64) -> Result<Vec<u8>, Problem> {
    let bytes = read(&folder.join("blobs/sha256").join(digest.to_string()), bytes_max)?;
    verify(&bytes, digest, "a blob")?;
    Ok(bytes)
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Problem> {
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => SourceKind::NotFound,
            _ => SourceKind::Unavailable,
        };
        Problem::new(kind, format!("cannot read {}: {error}", path.display()))
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        let text = format!("{} has more than the {bytes_max} bytes that it may have", path.display());
        return Err(Problem::new(SourceKind::TooLarge, text));
    }
    Ok(bytes)
}
