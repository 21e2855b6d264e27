//! Contents on their way into the store.

use std::io::{ErrorKind, Read};

use bytes::Bytes;
use floret_model::{Digest, ResourceKey, canonical_json};
use floret_runtime::InputBytes;
use floret_store::Spooled;
use serde_json::Value;

use crate::Error;

/// Contents above this are hashed away from the async worker threads: 256 KiB take about 0.15 ms.
const INLINE_HASH_BYTES_MAX: usize = 256 << 10;
/// What writing and freeing a JSON value costs beside its text, in bytes that are hashed: about 50 ns.
const JSON_NODE_BYTES: usize = 90;
/// Bytes of a file that are looked at together.
const PIECE_BYTES: usize = 256 << 10;

/// What to save.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes as they are.
    Bytes(Bytes),
    /// JSON, kept in its canonical form (RFC 8785).
    Json(Value),
    /// Bytes in a temporary file, as [`Floret::spool`](crate::Floret::spool) makes it: for contents above
    /// [`LARGE_BYTES`](crate::LARGE_BYTES), which should not be held in memory.
    File(Spooled),
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Bytes(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<Value> for Content {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

/// A content in its final form. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    Memory(Bytes),
    File(Spooled),
}

impl Held {
    pub(crate) fn of(given: &Content) -> Self {
        match given {
            Content::Bytes(bytes) => Self::Memory(bytes.clone()),
            Content::Json(value) => Self::Memory(canonical_json(value).into()),
            Content::File(file) => Self::File(file.clone()),
        }
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(file) => file.size_bytes(),
        }
    }

    /// Computed here for what is in memory.
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Memory(bytes) => Digest::of(bytes),
            Self::File(file) => file.digest(),
        }
    }

    /// The first bytes, at most `length`.
    pub(crate) fn sample(&self, length: usize) -> Result<Bytes, Error> {
        match self {
            Self::Memory(bytes) => Ok(bytes.slice(..length.min(bytes.len()))),
            Self::File(file) => Ok(file.head(length)?),
        }
    }

    /// For a component to read.
    pub(crate) fn input_bytes(&self) -> InputBytes {
        match self {
            Self::Memory(bytes) => bytes.clone().into(),
            Self::File(file) => input_file(file),
        }
    }

    /// # Errors
    /// [`Error::InvalidRequest`] names the first byte that is not UTF-8, and its offset.
    pub(crate) fn check_utf8(&self, key: &ResourceKey) -> Result<(), Error> {
        let fault = match self {
            Self::Memory(bytes) => {
                let fault = std::str::from_utf8(bytes).err().map(|error| error.valid_up_to());
                fault.map(|offset| (offset as u64, bytes[offset]))
            }
            Self::File(file) => first_fault(file.reader()).map_err(|source| floret_store::Error::Io {
                action: "read",
                path: "a temporary file".into(),
                source,
            })?,
        };
        let Some((offset, byte)) = fault else { return Ok(()) };
        Err(Error::invalid(format!(
            "{key} is not UTF-8: the byte at offset {offset} is 0x{byte:02x}; convert the text first"
        )))
    }
}

pub(crate) fn input_file(file: &Spooled) -> InputBytes {
    InputBytes::File { file: file.file().clone(), size_bytes: file.size_bytes() }
}

/// Offset and value of the first byte that is not UTF-8.
fn first_fault(mut text: impl Read) -> std::io::Result<Option<(u64, u8)>> {
    let mut piece = vec![0; PIECE_BYTES];
    // Of a character that a piece cuts, the beginning is kept for the next: at most 3 bytes.
    let (mut kept, mut offset) = (0, 0);
    loop {
        let length = match text.read(&mut piece[kept..]) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = &piece[..kept + length];
        let Err(error) = std::str::from_utf8(read) else {
            if length == 0 {
                return Ok(None);
            }
            offset += read.len() as u64;
            kept = 0;
            continue;
        };
        let valid = error.valid_up_to();
        if error.error_len().is_some() || length == 0 {
            return Ok(Some((offset + valid as u64, read[valid])));
        }
        kept = read.len() - valid;
        offset += valid as u64;
        piece.copy_within(valid..valid + kept, 0);
    }
}

/// Whether contents take so little that they are hashed where they are asked for.
pub(crate) fn is_short<'a>(contents: impl IntoIterator<Item = &'a Content>) -> bool {
    let mut left = INLINE_HASH_BYTES_MAX;
    contents.into_iter().all(|content| match content {
        Content::Bytes(bytes) => take(&mut left, bytes.len()),
        Content::Json(value) => take_json(&mut left, value),
        Content::File(_) => false,
    })
}

fn take(left: &mut usize, bytes: usize) -> bool {
    let rest = left.checked_sub(bytes);
    *left = rest.unwrap_or(0);
    rest.is_some()
}

/// Takes what a value costs, until nothing is left: a node counts as `JSON_NODE_BYTES` and its text.
fn take_json(left: &mut usize, value: &Value) -> bool {
    take(left, JSON_NODE_BYTES)
        && match value {
            Value::String(text) => take(left, text.len()),
            Value::Array(items) => items.iter().all(|item| take_json(left, item)),
            Value::Object(members) => {
                members.iter().all(|(name, value)| take(left, name.len()) && take_json(left, value))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let length = self.1.min(into.len());
            self.0.take(length as u64).read(into).inspect(|length| self.0 = &self.0[*length..])
        }
    }

    #[test]
    fn m15_the_first_byte_that_is_not_utf8_is_found_wherever_a_text_is_cut() {
        let text = "aé€😀".repeat(20);
        let with = |offset: usize, byte: u8| {
            let mut bytes = text.clone().into_bytes();
            bytes[offset] = byte;
            bytes
        };
        let cut = |length: usize| text.as_bytes()[..length].to_vec();
        for bytes in [cut(0), cut(text.len()), cut(text.len() - 1), cut(9), with(7, 0xff), with(30, b'a')] {
            let expected = std::str::from_utf8(&bytes).err();
            let expected = expected.map(|error| (error.valid_up_to() as u64, bytes[error.valid_up_to()]));
            for step in [1, 2, 3, 5, 1000] {
                assert_eq!(first_fault(Slow(&bytes, step)).expect("read"), expected, "{step}: {bytes:?}");
            }
        }
    }
}
