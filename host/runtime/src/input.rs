use bytes::Bytes;
use floret_model::Digest;

use crate::contract::types_v0_1::io;
use crate::instance::Job;

/// Longest piece that `input.read` hands out, by the contract.
const READ_BYTES_MAX: u32 = 1 << 20;

/// Something for a component to read: a document, a corpus, an index. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    /// What it is for: at most 64 bytes.
    pub role: String,
    /// SHA-256 of the bytes, as the caller knows it; handed on, not computed again.
    pub digest: Digest,
    /// Media type of the bytes.
    pub media_type: String,
    /// The bytes.
    pub bytes: Bytes,
}

impl Input {
    /// An input of bytes whose digest is computed here.
    pub fn new(role: &str, media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { role: role.to_owned(), digest: Digest::of(&bytes), media_type: media_type.to_owned(), bytes }
    }
}

/// The piece `offset .. min(offset + len, size)`, `len` clamped.
fn piece(bytes: &[u8], offset: u64, len: u32) -> &[u8] {
    let start = usize::try_from(offset).map_or(bytes.len(), |start| start.min(bytes.len()));
    let len = len.min(READ_BYTES_MAX) as usize;
    &bytes[start..bytes.len().min(start.saturating_add(len))]
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
        Ok(self.input(input.rep())?.bytes.len() as u64)
    }

    fn read(&mut self, input: io::Handle<Input>, offset: u64, len: u32) -> wasmtime::Result<Vec<u8>> {
        Ok(piece(&self.input(input.rep())?.bytes, offset, len).to_vec())
    }

    fn drop(&mut self, input: io::Handle<Input>) -> wasmtime::Result<()> {
        self.drop_input(input.rep());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_clamped_at_the_end_and_at_a_mebibyte() {
        let bytes = vec![7u8; 3 << 20];
        let check = |offset: u64, len: u32, expected: usize| {
            assert_eq!(piece(&bytes, offset, len).len(), expected, "{offset} {len}");
        };
        check(0, 10, 10);
        check(0, u32::MAX, 1 << 20);
        check((3 << 20) - 5, 10, 5);
        check(3 << 20, 10, 0);
        check(u64::MAX, u32::MAX, 0);
        check(5, 0, 0);
    }
}
