//! Compression: each form is one stream that the stock tools read (`zstd -d`, `lz4 -d`, `gzip -d`).
//!
//! Decoding is told the exact length that must come out. It allocates that much and never more (beside a constant:
//! at most 9 MB, for blocks of an LZ4 frame), whatever the bytes claim of themselves.

mod stream;

use std::io::{self, Read, Write};

use bytes::Bytes;
use floret_model::{Codec, CompressionType};
use lz4_flex::frame::{FrameDecoder, FrameEncoder, FrameInfo};
use zstd::zstd_safe;

use crate::Error;

pub use stream::{decode_to, encode_to};

/// Most that LZ4 can expand: 255 bytes a byte, and a block's worth for a short frame.
const LZ4_RATIO_MAX: u64 = 256;
/// Most that deflate can expand: 1032 (RFC 1951: 258 bytes in 2 bits).
const GZIP_RATIO_MAX: u64 = 1032;

/// Compress `bytes`. Takes about as much memory again as comes out; deterministic for one build of this program.
///
/// # Errors
/// [`Error::Invalid`] when the level is none of the codec's.
pub fn encode(bytes: &Bytes, codec: Codec) -> Result<Bytes, Error> {
    Codec::new(codec.compression, codec.level)
        .map_err(|error| error.to_string())
        .and_then(|codec| match codec.compression {
            CompressionType::None => Ok(bytes.clone()),
            CompressionType::Zstd => zstd_frame(bytes, codec.level).map_err(|e| e.to_string()),
            CompressionType::Lz4 => lz4_frame(bytes).map_err(|e| e.to_string()),
            CompressionType::Gzip => gzip_member(bytes, codec.level).map_err(|e| e.to_string()),
        })
        .map_err(|problem| Error::Invalid { what: format!("a content as {codec}"), problem })
}

fn zstd_frame(bytes: &[u8], level: i32) -> io::Result<Bytes> {
    let mut compressor = zstd::bulk::Compressor::new(level)?;
    compressor.set_parameter(zstd_safe::CParameter::ChecksumFlag(true))?;
    compressor.compress(bytes).map(Bytes::from)
}

fn lz4_frame(bytes: &[u8]) -> io::Result<Bytes> {
    let info = FrameInfo::new().content_size(Some(bytes.len() as u64)).content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(bytes.len() / 2));
    encoder.write_all(bytes)?;
    Ok(encoder.finish().map_err(io::Error::other)?.into())
}

fn gzip_member(bytes: &[u8], level: i32) -> io::Result<Bytes> {
    let level = flate2::Compression::new(level.unsigned_abs());
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(bytes.len() / 2), level);
    encoder.write_all(bytes)?;
    encoder.finish().map(Bytes::from)
}

/// What was encoded: exactly `size_bytes` long. `what` names the bytes in errors.
///
/// # Errors
/// [`Error::TooLarge`] when more comes out; [`Error::Integrity`] when less does, when anything follows the stream, or
/// when it is damaged or claims another length.
pub fn decode(
    stored: &Bytes,
    compression: CompressionType,
    size_bytes: u64,
    what: &str,
) -> Result<Bytes, Error> {
    let stream = Stream { stored, size_bytes, what };
    match compression {
        CompressionType::None => stream.raw(),
        CompressionType::Zstd => stream.zstd(),
        CompressionType::Lz4 => stream.lz4(),
        CompressionType::Gzip => stream.gzip(),
    }
}

struct Stream<'a> {
    stored: &'a Bytes,
    size_bytes: u64,
    what: &'a str,
}

impl Stream<'_> {
    fn damaged(&self, problem: impl ToString) -> Error {
        Error::Integrity { what: self.what.to_owned(), problem: problem.to_string() }
    }

    fn too_large(&self) -> Error {
        Error::TooLarge { what: self.what.to_owned(), limit_bytes: self.size_bytes }
    }

    fn raw(&self) -> Result<Bytes, Error> {
        if self.stored.len() as u64 == self.size_bytes {
            return Ok(self.stored.clone());
        }
        let (got, expected) = (self.stored.len(), self.size_bytes);
        Err(self.damaged(format!("it has {got} bytes; expected {expected}")))
    }

    /// Room for what must come out, if so few bytes can become so many.
    fn room(&self, ratio_max: u64) -> Result<Vec<u8>, Error> {
        let possible = (self.stored.len() as u64).saturating_mul(ratio_max);
        let size = usize::try_from(self.size_bytes).ok();
        let size = size.filter(|_| self.size_bytes <= possible).ok_or_else(|| {
            let (got, expected) = (self.stored.len(), self.size_bytes);
            self.damaged(format!("{got} stored bytes cannot hold {expected}"))
        })?;
        Ok(vec![0; size])
    }

    fn zstd(&self) -> Result<Bytes, Error> {
        let length = zstd_safe::find_frame_compressed_size(self.stored)
            .map_err(|code| self.damaged(zstd_safe::get_error_name(code)))?;
        if length != self.stored.len() {
            let rest = self.stored.len() - length;
            return Err(self.damaged(format!("{rest} bytes follow the Zstandard frame")));
        }
        // Every frame that we write says its length; a foreign one that does not is refused.
        match zstd_safe::get_frame_content_size(self.stored) {
            Ok(Some(claimed)) if claimed == self.size_bytes => {}
            Ok(Some(claimed)) if claimed > self.size_bytes => return Err(self.too_large()),
            Ok(claimed) => {
                let expected = self.size_bytes;
                return Err(self.damaged(format!("it claims {claimed:?} bytes; expected {expected}")));
            }
            Err(error) => return Err(self.damaged(error)),
        }
        // A block takes at least 3 bytes, and holds at most 128 KiB.
        let mut raw = self.room(128 * 1024)?;
        let written =
            zstd::bulk::decompress_to_buffer(self.stored, &mut raw).map_err(|error| self.damaged(error))?;
        if written != raw.len() {
            return Err(self.damaged(format!("{written} bytes came out")));
        }
        Ok(raw.into())
    }

    fn lz4(&self) -> Result<Bytes, Error> {
        let mut raw = self.room(LZ4_RATIO_MAX)?;
        let mut decoder = FrameDecoder::new(&self.stored[..]);
        self.fill(&mut raw, &mut decoder)?;
        self.at_end(decoder.get_ref())?;
        Ok(raw.into())
    }

    fn gzip(&self) -> Result<Bytes, Error> {
        let mut raw = self.room(GZIP_RATIO_MAX)?;
        let mut decoder = flate2::bufread::GzDecoder::new(&self.stored[..]);
        self.fill(&mut raw, &mut decoder)?;
        self.at_end(decoder.get_ref())?;
        Ok(raw.into())
    }

    /// Exactly as many bytes as there is room, and then the end, which is where checksums are compared.
    fn fill(&self, raw: &mut [u8], decoder: &mut impl Read) -> Result<(), Error> {
        decoder
            .read_exact(raw)
            .map_err(|error| self.damaged(format!("{error} before {} bytes came out", self.size_bytes)))?;
        match decoder.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.too_large()),
            Err(error) => Err(self.damaged(error)),
        }
    }

    fn at_end(&self, rest: &[u8]) -> Result<(), Error> {
        if rest.is_empty() {
            return Ok(());
        }
        Err(self.damaged(format!("{} bytes follow the stream", rest.len())))
    }
}

#[cfg(test)]
mod tests;
