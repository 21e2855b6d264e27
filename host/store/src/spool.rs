//! Contents too large for memory, in local temporary files.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use floret_model::{Digest, DigestHasher};

use crate::Error;

/// Bytes that are written and hashed at once.
const PIECE_BYTES: usize = 256 * 1024;

/// A content in a local temporary file, with its digest. Cheap to clone; the file is gone with the last clone, or with
/// the process, however that ends: it has no name in its folder.
#[derive(Clone, Debug)]
pub struct Spooled {
    file: Arc<File>,
    digest: Digest,
    size_bytes: u64,
}

impl Spooled {
    /// SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many they are.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The file. Its bytes are those from 0 on; where its cursor stands means nothing.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// The bytes from their beginning on. Readers do not disturb each other.
    pub fn reader(&self) -> SpoolReader {
        self.reader_from(0)
    }

    /// The bytes from one of them on; none if it is behind the last.
    pub fn reader_from(&self, offset: u64) -> SpoolReader {
        SpoolReader { file: Arc::clone(&self.file), offset }
    }

    /// The first bytes, at most `length`. Reads where it is called: for a few.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read.
    pub fn head(&self, length: usize) -> Result<Bytes, Error> {
        let mut head = Vec::with_capacity(length);
        let read = self.reader().take(length as u64).read_to_end(&mut head);
        read.map_err(|source| unreadable("read", source))?;
        Ok(head.into())
    }
}

/// Hash what a reader holds while it is written to a temporary file of the system. Blocks. `what` names it in errors.
///
/// # Errors
/// A reader or a disk that fails.
pub fn spool(what: &Path, from: impl Read) -> Result<Spooled, Error> {
    Spool::new(None).write(what, from)
}

/// A temporary file has no name that anybody could look for.
pub(crate) fn unreadable(action: &'static str, source: io::Error) -> Error {
    Error::Io { action, path: "the temporary file of a content".into(), source }
}

/// Reads a [`Spooled`] content from its beginning, or a byte of it, to its end.
#[derive(Debug)]
pub struct SpoolReader {
    file: Arc<File>,
    offset: u64,
}

impl Read for SpoolReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(into, self.offset)?;
        self.offset += length as u64;
        Ok(length)
    }
}

/// Where contents are spooled: a folder of its own, or the system's one for temporary files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
}

impl Spool {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder: folder.unwrap_or_else(std::env::temp_dir) }
    }

    /// Hash what a reader holds while it is written to a file. Blocks. `what` names it in errors.
    pub(crate) fn write(&self, what: &Path, mut from: impl Read) -> Result<Spooled, Error> {
        let mut writing = self.begin()?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match from.read(&mut piece) {
                Ok(0) => return Ok(writing.finish()),
                Ok(length) => writing.append(&piece[..length])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Io { action: "read", path: what.to_owned(), source }),
            }
        }
    }

    /// An empty file, to be written. Blocks, as does all that is done to it.
    pub(crate) fn begin(&self) -> Result<Writing, Error> {
        let failed = |source| self.failed(source);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        let file = tempfile::tempfile_in(&self.folder).map_err(failed)?;
        Ok(Writing { file, hasher: DigestHasher::default(), size_bytes: 0, spool: self.clone() })
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { action: "write a temporary file in", path: self.folder.clone(), source }
    }
}

/// A temporary file that is being written.
pub(crate) struct Writing {
    file: File,
    hasher: DigestHasher,
    size_bytes: u64,
    spool: Spool,
}

impl Writing {
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|source| self.spool.failed(source))?;
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn finish(self) -> Spooled {
        let Self { file, hasher, size_bytes, .. } = self;
        Spooled { file: Arc::new(file), digest: hasher.finish(), size_bytes }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_spooled_is_hashed_read_by_anybody_and_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let spools = folder.path().join("tmp");
        let bytes: Vec<u8> = (0..PIECE_BYTES as u32 * 2 + 7).map(|number| number as u8).collect();
        let spool = Spool::new(Some(spools.clone()));
        let spooled = spool.write(Path::new("it"), &bytes[..]).expect("written");
        assert_eq!(spooled.digest(), Digest::of(&bytes));
        assert_eq!(spooled.size_bytes(), bytes.len() as u64);
        assert_eq!(spools.metadata().expect("made").permissions().mode() & 0o777, 0o700);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let mut reader = spooled.reader();
        reader.by_ref().take(1000).read_to_end(&mut one).expect("read");
        spooled.reader().read_to_end(&mut other).expect("read");
        reader.read_to_end(&mut one).expect("read on");
        assert!(one == bytes && other == bytes);
        assert_eq!(spooled.head(5).expect("read"), bytes[..5]);
        assert_eq!(std::fs::read_dir(&spools).expect("a folder").count(), 0, "it has no name");
    }

    #[test]
    fn a_reader_or_a_folder_that_fails_is_named() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the cable is out"))
            }
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let spool = Spool::new(Some(folder.path().to_owned()));
        let error = spool.write(Path::new("walden.txt"), Broken).expect_err("it breaks").to_string();
        assert_eq!(error, "cannot read walden.txt: the cable is out");
        let in_the_way = folder.path().join("file");
        std::fs::write(&in_the_way, "").expect("written");
        let error = Spool::new(Some(in_the_way)).begin().err().expect("it is no folder").to_string();
        assert!(error.contains("cannot write a temporary file in"), "{error}");
    }
}
