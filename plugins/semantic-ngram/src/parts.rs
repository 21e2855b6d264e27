//! A build in parts: each makes the index of a range of the words, and merging lays them end to end.
//!
//! ```text
//! part        = magic part parts fingerprint index   ; integers little-endian
//! magic       = "FLORETSP"                           ; 8 bytes
//! part        = u32                                  ; which it is, from 0
//! parts       = u32                                  ; of how many
//! fingerprint = u64                                  ; of the corpora and the configuration: FNV-1a
//! index       = *OCTET                               ; of the words of this part, see `format.rs`
//! ```
//!
//! Which words an index has, the most frequent, is known only from all of them, so every part reads all corpora; what
//! is shared is the making of the vectors.

use std::ops::Range;

use floret_sdk::{Error, Input, Output, READ_BYTES_MAX, Statistic};

use crate::build::{self, Checked, too_large};
use crate::config::Config;
use crate::format::{HEADER_BYTES, Header, Layout};
use crate::vector::{FNV_OFFSET, fnv};

const MAGIC: &[u8; 8] = b"FLORETSP";
const PREFIX_BYTES: usize = 24;

/// Most parts. Each one more reads everything once more, and most machines have few processors to spare.
const PARTS_MAX: u64 = 4;

/// Words of a part at least: their vectors take some 20 ms, a part's start less than one.
const PART_WORDS_MIN: u64 = 8_192;

/// Vectors for each line that a part reads at least, as one over so many: making a vector takes as long as reading
/// about sixteen lines, so that reading is a quarter of a part's work at most.
const LINES_FOR_A_VECTOR_MAX: u64 = 4;

/// Bytes of a line, as texts have them on average.
const LINE_BYTES: u64 = 12;

/// Into how many parts it is split, by the sizes of the corpora.
pub fn count(corpora: &[Input], config: &Config) -> u32 {
    let lines = corpora.iter().map(Input::size_bytes).sum::<u64>() / LINE_BYTES;
    let words = lines.min(u64::from(config.words_max));
    let by_size = words / PART_WORDS_MIN;
    let by_reading = (words * LINES_FOR_A_VECTOR_MAX).checked_div(lines).unwrap_or(1);
    by_size.min(by_reading).clamp(1, PARTS_MAX) as u32
}

/// Write one part.
pub fn build(
    corpora: &[Input],
    config: &Config,
    part: u32,
    parts: u32,
    out: &mut Output,
) -> Result<(), Error> {
    if part >= parts {
        return Err(Error::InvalidInput(format!("there is no part {part} of {parts}: they count from 0")));
    }
    out.write(&prefix(part, parts, fingerprint(corpora, config)));
    build::build_part(corpora, config, part, parts, out)
}

fn prefix(part: u32, parts: u32, fingerprint: u64) -> [u8; PREFIX_BYTES] {
    let mut prefix = [0; PREFIX_BYTES];
    prefix[..8].copy_from_slice(MAGIC);
    prefix[8..12].copy_from_slice(&part.to_le_bytes());
    prefix[12..16].copy_from_slice(&parts.to_le_bytes());
    prefix[16..].copy_from_slice(&fingerprint.to_le_bytes());
    prefix
}

/// Tells parts of one build from those of another: of other corpora, or another configuration.
fn fingerprint(corpora: &[Input], config: &Config) -> u64 {
    let settings = Header::new(config, config.words_max as usize, 0).encode();
    corpora.iter().fold(fnv(FNV_OFFSET, &settings), |hash, corpus| {
        fnv(fnv(hash, corpus.digest().as_bytes()), &corpus.size_bytes().to_le_bytes())
    })
}

/// Write the index of all parts. Streams: memory is a piece of one part, and where its words end.
pub fn merge(
    parts: &[Input],
    corpora: &[Input],
    config: &Config,
    out: &mut Output,
) -> Result<Vec<Statistic>, Error> {
    let fingerprint = fingerprint(corpora, config);
    let pieces = parts.iter().enumerate().map(|(at, input)| {
        let expected = prefix(at as u32, parts.len() as u32, fingerprint);
        Piece::open(input, &expected, config).map_err(|what| {
            Error::InvalidInput(format!("{} {at} is not part {at} of this build: {what}", input.role()))
        })
    });
    let pieces: Vec<_> = pieces.collect::<Result<_, _>>()?;
    if pieces.is_empty() {
        return Err(Error::InvalidInput(
            "there are no parts: expected those of this build, in their order".into(),
        ));
    }
    let words_len = pieces.iter().map(|piece| piece.header.words_len).sum();
    let text_len = pieces.iter().map(|piece| piece.header.text_len).sum();
    let header = Header::new(config, words_len, text_len);
    let layout = header.layout().ok_or_else(too_large)?;
    let mut file = Checked::new(out);
    file.write(&header.encode());
    copy(&pieces, |layout| layout.frequencies..layout.ends, &mut file)?;
    write_ends(&pieces, &mut file)?;
    copy(&pieces, |layout| layout.text..layout.padding.start, &mut file)?;
    file.write(&[0; 16][..layout.padding.len()]);
    copy(&pieces, |layout| layout.vectors..layout.scales, &mut file)?;
    copy(&pieces, |layout| layout.scales..layout.checksum, &mut file)?;
    file.end();
    Ok(build::statistics(&header, layout.file_bytes()))
}

/// A part, opened as far as merging needs.
struct Piece<'a> {
    input: &'a Input,
    header: Header,
    layout: Layout,
}

impl<'a> Piece<'a> {
    fn open(input: &'a Input, prefix: &[u8; PREFIX_BYTES], config: &Config) -> Result<Self, String> {
        let first = input.read(0, (PREFIX_BYTES + HEADER_BYTES + 4) as u32);
        if !first.starts_with(MAGIC) {
            return Err("it does not begin with FLORETSP".into());
        }
        if !first.starts_with(prefix) {
            return Err("it is another part, or one of other corpora or another configuration".into());
        }
        let header = Header::decode(&first[PREFIX_BYTES..])?;
        let layout = header.layout().ok_or("its header names more than memory holds")?;
        let expected = (PREFIX_BYTES + layout.file_bytes()) as u64;
        if input.size_bytes() != expected {
            return Err(format!("expected {expected} bytes, found {}", input.size_bytes()));
        }
        if Header::new(config, header.words_len, header.text_len) != header {
            return Err("it has another configuration".into());
        }
        Ok(Self { input, header, layout })
    }

    /// Hand on the bytes of a range of its index, piece by piece.
    fn read(&self, range: Range<usize>, mut take: impl FnMut(&[u8])) -> Result<(), Error> {
        let (mut at, end) = ((PREFIX_BYTES + range.start) as u64, (PREFIX_BYTES + range.end) as u64);
        while at < end {
            let piece = self.input.read(at, (end - at).min(u64::from(READ_BYTES_MAX)) as u32);
            if piece.is_empty() {
                return Err(Error::InvalidInput(format!("{} ends at byte {at}", self.input.role())));
            }
            at += piece.len() as u64;
            take(&piece);
        }
        Ok(())
    }
}

fn copy(
    pieces: &[Piece<'_>],
    range: impl Fn(&Layout) -> Range<usize>,
    file: &mut Checked<'_>,
) -> Result<(), Error> {
    pieces.iter().try_for_each(|piece| piece.read(range(&piece.layout), |bytes| file.write(bytes)))
}

/// Where each word ends: in a part it counts from the part's first word.
fn write_ends(pieces: &[Piece<'_>], file: &mut Checked<'_>) -> Result<(), Error> {
    let mut start = 0u32;
    for piece in pieces {
        let mut ends = Vec::with_capacity(4 * piece.header.words_len);
        piece.read(piece.layout.ends..piece.layout.text, |bytes| ends.extend_from_slice(bytes))?;
        for end in ends.as_chunks_mut::<4>().0 {
            let moved = u32::from_le_bytes(*end).checked_add(start).ok_or_else(too_large)?;
            *end = moved.to_le_bytes();
        }
        file.write(&ends);
        start = u32::try_from(piece.header.text_len)
            .ok()
            .and_then(|text_len| start.checked_add(text_len))
            .ok_or_else(too_large)?;
    }
    Ok(())
}
