use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use floret_model::Digest;

use crate::contract::types_v0_1::io;
use crate::instance::{Job, Stop};

/// Longest piece that `input.read` hands out, by the contract.
const READ_BYTES_MAX: u32 = 1 << 20;

/// Something for a component to read: a document, a corpus, an index. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Input {
    /// What it is for: at most 64 bytes.
    pub role: String,
    /// SHA-256 of the bytes, as the caller knows it; handed on, not computed again.
    pub digest: Digest,
    /// Media type of the bytes.
    pub media_type: String,
    /// The bytes.
    pub bytes: InputBytes,
}

/// Where an input's bytes are.
#[derive(Clone, Debug)]
pub enum InputBytes {
    /// In memory.
    Memory(Bytes),
    /// In a file, read by offset as the component asks for it: for what is too large for memory. Nobody writes it.
    File {
        /// Its bytes from 0 on.
        file: Arc<File>,
        /// How many they are.
        size_bytes: u64,
    },
}

impl From<Bytes> for InputBytes {
    fn from(bytes: Bytes) -> Self {
        Self::Memory(bytes)
    }
}

impl InputBytes {
    /// How many they are.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { size_bytes, .. } => *size_bytes,
        }
    }

    /// The piece `offset .. min(offset + len, size)`, `len` clamped.
    fn piece(&self, offset: u64, len: u32) -> std::io::Result<Vec<u8>> {
        let start = offset.min(self.size_bytes());
        let len = u64::from(len.min(READ_BYTES_MAX)).min(self.size_bytes() - start) as usize;
        match self {
            // Not beyond what memory holds.
            Self::Memory(bytes) => Ok(bytes[start as usize..][..len].to_vec()),
            Self::File { file, .. } => {
                let mut piece = vec![0; len];
                file.read_exact_at(&mut piece, start)?;
                Ok(piece)
            }
        }
    }
}

impl Input {
    /// An input of bytes whose digest is computed here.
    pub fn new(role: &str, media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        Self { role: role.to_owned(), digest, media_type: media_type.to_owned(), bytes: bytes.into() }
    }
}

// A handle's representation is the input's place in the job. The engine hands back only what the host made,
// so a missing one means that it was dropped, which the engine refuses first.
impl io::HostInput for Job {
    fn role(&mut self, input: io::Handle<Input>) -> wasmtime::Result<String> {
        Ok(self.input(input.rep())?.role.clone())
    }

    fn digest(&mut self, input: io::Handle<Input>) -> wasmtime::Result<String> {
        Ok(self.input(input.rep())?.digest.to_string())
    }

    fn media_type(&mut self, input: io::Handle<Input>) -> wasmtime::Result<String> {
        Ok(self.input(input.rep())?.media_type.clone())
    }

    fn size(&mut self, input: io::Handle<Input>) -> wasmtime::Result<u64> {
        Ok(self.input(input.rep())?.bytes.size_bytes())
    }

    fn read(&mut self, input: io::Handle<Input>, offset: u64, len: u32) -> wasmtime::Result<Vec<u8>> {
        let piece = self.input(input.rep())?.bytes.piece(offset, len);
        Ok(piece.map_err(|error| Stop::InputUnreadable(error.kind()))?)
    }

    fn drop(&mut self, input: io::Handle<Input>) -> wasmtime::Result<()> {
        self.drop_input(input.rep());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};

    use super::*;

    fn in_a_file(bytes: &[u8], size_bytes: usize) -> InputBytes {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(bytes).expect("written");
        InputBytes::File { file: Arc::new(file), size_bytes: size_bytes as u64 }
    }

    #[test]
    fn pieces_are_clamped_at_the_end_and_at_a_mebibyte_wherever_the_bytes_are() {
        let bytes: Vec<u8> = (0..3_u32 << 20).map(|number| (number / 3) as u8).collect();
        let inputs = [Bytes::from(bytes.clone()).into(), in_a_file(&bytes, bytes.len())];
        let check = |offset: u64, len: u32, expected: usize| {
            for input in &inputs {
                let piece = input.piece(offset, len).expect("it can be read");
                assert_eq!(piece.len(), expected, "{offset} {len}");
                let start = offset.min(bytes.len() as u64) as usize;
                assert!(piece == bytes[start..start + expected], "{offset} {len}");
            }
        };
        check(0, 10, 10);
        check(0, u32::MAX, 1 << 20);
        check((3 << 20) - 5, 10, 5);
        check(3 << 20, 10, 0);
        check(u64::MAX, u32::MAX, 0);
        check(5, 0, 0);
    }

    #[test]
    fn a_file_shorter_than_was_said_is_an_error() {
        let error = in_a_file(b"short", 10).piece(0, 10).expect_err("five are missing");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
