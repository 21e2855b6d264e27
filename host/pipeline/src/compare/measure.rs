//! Encoding a content and decoding it again, by the clock.

use std::io::{BufReader, BufWriter, Seek, Write};
use std::time::Instant;

use bytes::Bytes;
use floret_model::Codec;
use floret_store::{Spooled, codec};

use crate::Error;

/// What errors call what was encoded here.
const WHAT: &str = "what was encoded to be measured";

/// A content as it is measured.
pub(super) enum Content {
    Memory(Bytes),
    /// A large one; what is encoded goes to another temporary file.
    File(Spooled),
}

/// What a codec makes of a content.
#[derive(Clone, Copy)]
pub(super) struct Measured {
    pub bytes: u64,
    pub encode_ms: f64,
    pub decode_ms: f64,
}

/// A content under two codecs; encoded once if they are one. Blocks.
pub(super) fn both(content: &Content, codecs: [Codec; 2]) -> Result<[Measured; 2], Error> {
    let first = one(content, codecs[0])?;
    let second = if codecs[0] == codecs[1] { first } else { one(content, codecs[1])? };
    Ok([first, second])
}

fn one(content: &Content, codec: Codec) -> Result<Measured, Error> {
    match content {
        Content::Memory(bytes) => {
            let (stored, encode_ms) = timed(|| codec::encode(bytes, codec))?;
            let size_bytes = bytes.len() as u64;
            let (_, decode_ms) = timed(|| codec::decode(&stored, codec.compression, size_bytes, WHAT))?;
            Ok(Measured { bytes: stored.len() as u64, encode_ms, decode_ms })
        }
        Content::File(file) => through_a_file(file, codec),
    }
}

fn through_a_file(raw: &Spooled, codec: Codec) -> Result<Measured, Error> {
    let failed =
        |source| floret_store::Error::Io { action: "write", path: "a temporary file".into(), source };
    let mut stored = tempfile::tempfile().map_err(failed)?;
    let size_bytes = raw.size_bytes();
    let ((), encode_ms) = timed(|| {
        let mut writer = BufWriter::new(&stored);
        codec::encode_to(&mut raw.reader(), size_bytes, codec, &mut writer).map_err(failed)?;
        writer.flush().map_err(failed)
    })?;
    let bytes = stored.stream_position().map_err(failed)?;
    stored.rewind().map_err(failed)?;
    let reader = BufReader::new(stored);
    let ((), decode_ms) =
        timed(|| codec::decode_to(reader, codec.compression, size_bytes, WHAT, |_| Ok(())))?;
    Ok(Measured { bytes, encode_ms, decode_ms })
}

fn timed<T>(work: impl FnOnce() -> Result<T, floret_store::Error>) -> Result<(T, f64), Error> {
    let started = Instant::now();
    let done = work()?;
    Ok((done, started.elapsed().as_secs_f64() * 1e3))
}
