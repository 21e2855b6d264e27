//! Compiled code on disk, so that a component is compiled once on a machine.
//!
//! One file for each component and engine, named by both: `<64 hex digits>.cwasm`.
//!
//! ```text
//! file     = code trailer
//! code     = *OCTET                   ; the engine's ELF image: first, so that the file can be mapped as it is
//! trailer  = magic key code-len crc   ; 56 octets
//! magic    = %s"FLCW" %x01 %x00 %x00 %x00   ; with the trailer's version
//! key      = 32OCTET                  ; SHA-256, see `Key`
//! code-len = u64, little-endian
//! crc      = u32 and 4 zero octets, little-endian: CRC-32 of code, magic, key, code-len
//! ```
//!
//! When the folder holds more than `Limits::compiled_bytes_max`, the files made longest ago go.
//!
//! The checksum finds damage, not malice. Against malice stands the folder: private, and owned by the user who
//! runs the host, who could as well replace the host itself.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use floret_model::{Digest, DigestHasher};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::bulk;
use crate::engine::{EngineKind, WASMTIME_VERSION};
use crate::error::Error;

const MAGIC: [u8; 8] = *b"FLCW\x01\0\0\0";
const TRAILER_BYTES: usize = 8 + 32 + 8 + 8;

/// What a file is called while it is written.
const UNFINISHED: &str = ".compiling-";

/// A folder of compiled code.
#[derive(Debug)]
pub(crate) struct CompiledDir {
    path: PathBuf,
    bytes_max: u64,
}

/// What a file was compiled from and for: component, how it is rewritten before (see `bulk.rs`), engine and everything of
/// the engine's configuration that changes code, this processor's features among it.
struct Key(Digest);

impl Key {
    fn new(component: Digest, kind: EngineKind, engine: &Engine) -> Self {
        let mut hash = HashWithSha256(DigestHasher::default());
        engine.precompile_compatibility_hash().hash(&mut hash);
        let mut hasher = DigestHasher::default();
        hasher.field(b"floret compiled 1");
        hasher.field(WASMTIME_VERSION.as_bytes());
        hasher.field(bulk::REVISION.as_bytes());
        hasher.field(component.as_bytes());
        hasher.field(kind.to_string().as_bytes());
        hasher.field(hash.0.finish().as_bytes());
        Self(hasher.finish())
    }
}

/// Lets a `Hash` be taken with SHA-256, which is stable from run to run and does not collide.
struct HashWithSha256(DigestHasher);

impl Hasher for HashWithSha256 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finish();
        u64::from_le_bytes(std::array::from_fn(|place| digest.as_bytes()[place]))
    }
}

impl CompiledDir {
    /// Take a folder into use, making it if needed.
    ///
    /// # Errors
    /// It cannot be made, belongs to somebody else, or others may write to it.
    pub(crate) fn open(path: &Path, bytes_max: u64) -> Result<Self, Error> {
        let fault = |text: String| Error::CompiledDir { path: path.to_owned(), text };
        make_private(path).map_err(|error| fault(error.to_string()))?;
        check_private(path).map_err(fault)?;
        Ok(Self { path: path.to_owned(), bytes_max })
    }

    /// The component's code for an engine: from its file, or compiled now and kept. Something wrong with the
    /// file or the folder is logged and costs a compilation, nothing else.
    pub(crate) fn load_or_compile(
        &self,
        digest: Digest,
        bytes: &[u8],
        kind: EngineKind,
        engine: &Engine,
    ) -> wasmtime::Result<Component> {
        let key = Key::new(digest, kind, engine);
        if let Some(component) = self.load(&key, engine) {
            return Ok(component);
        }
        let code = engine.precompile_component(&bulk::in_pieces(bytes)?)?;
        match self.keep(&key, &code) {
            Ok(()) => {
                if let Some(component) = self.load(&key, engine) {
                    return Ok(component);
                }
            }
            Err(error) => {
                tracing::warn!(%error, folder = %self.path.display(), "compiled code cannot be kept");
            }
        }
        // SAFETY: `code` comes from `precompile_component` of this very engine, in the line above.
        unsafe { Component::deserialize(engine, &code) }
    }

    fn load(&self, key: &Key, engine: &Engine) -> Option<Component> {
        let path = self.path(key);
        match check_file(&path, key) {
            Ok(()) => {}
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return None,
            Err(fault) => {
                tracing::warn!(%fault, path = %path.display(), "compiled code is damaged and will be made anew");
                return None;
            }
        }
        // SAFETY: `deserialize_file` asks for a file that `precompile_component` made for a compatible engine,
        // and that does not change while it is mapped. It was made so: only `keep` names files in this folder
        // (checked at opening to be ours and closed to others), and its name and trailer hold the key, which
        // covers component, wasmtime version and the engine's compatibility hash. It is undamaged: the
        // checksum was just compared over every byte. It does not change: files are only ever replaced by
        // renaming, so that the mapped one lives on unchanged. What remains is another process of the same
        // user changing the file on purpose, and that is within the trust boundary: such a process could
        // change this program as well.
        let loaded = unsafe { Component::deserialize_file(engine, &path) };
        loaded
            .inspect_err(|error| {
                tracing::warn!(%error, path = %path.display(), "compiled code does not load and will be made anew");
            })
            .ok()
    }

    /// Write a file beside, then give it its name, so that no half of one is ever seen. Not synced: after a
    /// crash of the system the checksum decides.
    fn keep(&self, key: &Key, code: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.path)?;
        file.write_all(code)?;
        file.write_all(&trailer(key, code.len() as u64, crc32fast::hash(code)))?;
        file.persist(self.path(key))?;
        self.tidy(&self.path(key))
    }

    /// Remove what a crash left unfinished, and the files made longest ago until the rest is within the bound.
    /// The file made just now stays. A file that is mapped lives on without its name.
    fn tidy(&self, kept: &Path) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let (path, metadata) = (entry.path(), entry.metadata()?);
            let name = entry.file_name();
            // One process holds the folder; if a second one is writing all the same, it goes on without a file.
            if name.to_string_lossy().starts_with(UNFINISHED) {
                std::fs::remove_file(&path)?;
            } else if path != kept {
                files.push((metadata.modified()?, path, metadata.len()));
            }
        }
        files.sort();
        let mut bytes = std::fs::metadata(kept)?.len() + files.iter().map(|(.., len)| len).sum::<u64>();
        for (_, path, len) in files {
            if bytes <= self.bytes_max {
                break;
            }
            std::fs::remove_file(&path)?;
            bytes -= len;
        }
        Ok(())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.path.join(format!("{}.cwasm", key.0))
    }
}

fn trailer(key: &Key, code_len: u64, code_crc: u32) -> [u8; TRAILER_BYTES] {
    let mut trailer = [0; TRAILER_BYTES];
    trailer[..8].copy_from_slice(&MAGIC);
    trailer[8..40].copy_from_slice(key.0.as_bytes());
    trailer[40..48].copy_from_slice(&code_len.to_le_bytes());
    let mut crc = crc32fast::Hasher::new_with_initial(code_crc);
    crc.update(&trailer[..48]);
    trailer[48..52].copy_from_slice(&crc.finalize().to_le_bytes());
    trailer
}

/// Whether the file is whole and holds what the key says.
fn check_file(path: &Path, key: &Key) -> io::Result<()> {
    let fault = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
    let mut file = File::open(path)?;
    let file_bytes = file.metadata()?.len();
    let code_len =
        file_bytes.checked_sub(TRAILER_BYTES as u64).ok_or_else(|| fault("the file is too short"))?;
    let mut crc = crc32fast::Hasher::new();
    let mut piece = vec![0; 128 << 10]; // stays in the processor's cache
    let mut rest = code_len;
    while rest > 0 {
        let len = usize::try_from(rest).map_or(piece.len(), |rest| rest.min(piece.len()));
        file.read_exact(&mut piece[..len])?;
        crc.update(&piece[..len]);
        rest -= len as u64;
    }
    file.seek(SeekFrom::Start(code_len))?;
    let mut found = [0; TRAILER_BYTES];
    file.read_exact(&mut found)?;
    if found[..8] != MAGIC {
        return Err(fault("the file is truncated, or not of this program"));
    }
    if found != trailer(key, code_len, crc.finalize()) {
        return Err(fault("the checksum does not fit"));
    }
    Ok(())
}

#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Ours, and closed to others. Who we are is asked by making a file.
#[cfg(unix)]
fn check_private(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let folder = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !folder.is_dir() {
        return Err("it is no folder".to_owned());
    }
    if folder.mode() & 0o022 != 0 {
        return Err(format!(
            "others may write to it (mode {:o}), so its code cannot be trusted; run chmod 700 on it",
            folder.mode() & 0o777
        ));
    }
    let ours = tempfile::tempfile_in(path).map_err(|error| format!("no file can be made in it: {error}"))?;
    let ours = ours.metadata().map_err(|error| error.to_string())?;
    if ours.uid() != folder.uid() {
        return Err(format!(
            "it belongs to user {}, but this program runs as user {}",
            folder.uid(),
            ours.uid()
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<(), String> {
    Ok(())
}
