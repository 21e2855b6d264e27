//! The same frames as the parent module's, from a reader to a writer: memory does not grow with the content.
//!
//! Encoding takes what the codec's tables take: with zstd, by its table of parameters, about 5 MiB at level 3, 20 at
//! level 9, 100 at level 19 and 150 at level 22. Decoding takes a window: at most 8 MiB for what is encoded here, 128 MiB
//! for what [`super::encode`] wrote at zstd 22.

use std::io::{self, BufRead, Read, Write};

use floret_model::{Codec, CompressionType};
use lz4_flex::frame::{FrameDecoder, FrameEncoder, FrameInfo};
use zstd::zstd_safe;

use crate::Error;

/// Bytes that go through a codec at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Longest header of a Zstandard frame, its magic number included (RFC 8878).
const ZSTD_HEADER_BYTES: u64 = 18;
/// The window of zstd 19, the largest that is worth its memory when it is read again.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Compress what a reader holds: exactly `size_bytes`, which the frame records.
///
/// # Errors
/// Those of the reader and the writer, and `InvalidInput` for a level that is none of the codec's.
pub fn encode_to(raw: &mut impl Read, size_bytes: u64, codec: Codec, stored: impl Write) -> io::Result<()> {
    let Codec { compression, level } = Codec::new(codec.compression, codec.level)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
    match compression {
        CompressionType::None => copy(raw, stored).map(drop),
        CompressionType::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(stored, level)?;
            encoder.include_checksum(true)?;
            encoder.set_pledged_src_size(Some(size_bytes))?;
            if level > 19 {
                encoder.window_log(ZSTD_WINDOW_LOG_MAX)?;
            }
            copy(raw, &mut encoder)?;
            encoder.finish().map(drop)
        }
        CompressionType::Lz4 => {
            let info = FrameInfo::new().content_size(Some(size_bytes)).content_checksum(true);
            let mut encoder = FrameEncoder::with_frame_info(info, stored);
            copy(raw, &mut encoder)?;
            encoder.finish().map(drop).map_err(io::Error::other)
        }
        CompressionType::Gzip => {
            let level = flate2::Compression::new(level.unsigned_abs());
            let mut encoder = flate2::write::GzEncoder::new(stored, level);
            copy(raw, &mut encoder)?;
            encoder.finish().map(drop)
        }
    }
}

fn copy(raw: &mut impl Read, mut encoder: impl Write) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match raw.read(&mut piece)? {
            0 => return Ok(()),
            length => encoder.write_all(&piece[..length])?,
        }
    }
}

/// Hand what was encoded to `take`, piece by piece: exactly `size_bytes`, as [`super::decode`] would answer. What is
/// taken is not verified before this returns.
///
/// # Errors
/// As [`super::decode`], and those of `take`.
pub fn decode_to(
    stored: impl BufRead,
    compression: CompressionType,
    size_bytes: u64,
    what: &str,
    take: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut out = Out { left_bytes: size_bytes, size_bytes, what, take };
    let rest = match compression {
        CompressionType::None => {
            let mut stored = stored;
            out.drain(&mut stored)?;
            return Ok(());
        }
        CompressionType::Zstd => out.zstd(stored)?,
        CompressionType::Lz4 => {
            let mut decoder = FrameDecoder::new(stored);
            out.drain(&mut decoder)?;
            is_at_end(&mut decoder.into_inner())
        }
        CompressionType::Gzip => {
            let mut decoder = flate2::bufread::GzDecoder::new(stored);
            out.drain(&mut decoder)?;
            is_at_end(&mut decoder.into_inner())
        }
    };
    match rest {
        Ok(true) => Ok(()),
        Ok(false) => Err(out.damaged("more bytes follow the stream")),
        Err(error) => Err(out.damaged(error)),
    }
}

fn is_at_end(stored: &mut impl BufRead) -> io::Result<bool> {
    Ok(stored.fill_buf()?.is_empty())
}

struct Out<'a, T> {
    left_bytes: u64,
    size_bytes: u64,
    what: &'a str,
    take: T,
}

impl<T: FnMut(&[u8]) -> Result<(), Error>> Out<'_, T> {
    fn damaged(&self, problem: impl ToString) -> Error {
        Error::Integrity { what: self.what.to_owned(), problem: problem.to_string() }
    }

    fn too_large(&self) -> Error {
        Error::TooLarge { what: self.what.to_owned(), limit_bytes: self.size_bytes }
    }

    /// Everything that comes out, which must be as much as was promised. Checksums are compared at the end.
    fn drain(&mut self, decoder: &mut impl Read) -> Result<(), Error> {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = match decoder.read(&mut piece) {
                Ok(0) if self.left_bytes == 0 => return Ok(()),
                Ok(0) => {
                    return Err(self.damaged(format!("{} bytes are missing at its end", self.left_bytes)));
                }
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.damaged(error)),
            };
            self.left_bytes = self.left_bytes.checked_sub(length as u64).ok_or_else(|| self.too_large())?;
            (self.take)(&piece[..length])?;
        }
    }

    /// One frame that says its length, and whether that is all.
    fn zstd(&mut self, mut stored: impl BufRead) -> Result<io::Result<bool>, Error> {
        let mut header = Vec::new();
        let read = (&mut stored).take(ZSTD_HEADER_BYTES).read_to_end(&mut header);
        read.map_err(|error| self.damaged(error))?;
        match zstd_safe::get_frame_content_size(&header) {
            Ok(Some(claimed)) if claimed == self.size_bytes => {}
            Ok(Some(claimed)) if claimed > self.size_bytes => return Err(self.too_large()),
            Ok(claimed) => {
                let expected = self.size_bytes;
                return Err(self.damaged(format!("it claims {claimed:?} bytes; expected {expected}")));
            }
            Err(error) => return Err(self.damaged(error)),
        }
        let whole = io::Cursor::new(header).chain(stored);
        let decoder = zstd::stream::read::Decoder::with_buffer(whole);
        let mut decoder = decoder.map_err(|error| self.damaged(error))?.single_frame();
        self.drain(&mut decoder)?;
        Ok(is_at_end(&mut decoder.finish()))
    }
}
