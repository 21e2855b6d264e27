//! The index file.
//!
//! ```text
//! file        = magic version flags dimension ngram-min ngram-max quantization zero words-len text-len
//!               frequencies ends text padding vectors scales checksum     ; integers little-endian
//! magic       = "FLORETSN"                                                ; 8 bytes
//! version     = u32                      ; 1
//! flags       = u32                      ; bit 0: fold queries; others 0
//! dimension   = u32                      ; 16 to 1,024, a multiple of 16
//! ngram-min   = u8
//! ngram-max   = u8
//! quantization = u8                      ; 0 none, 1 float16, 2 int8
//! zero        = u8                       ; 0
//! words-len   = u32                      ; n, the number of words
//! text-len    = u32                      ; bytes of text
//! frequencies = n × u64
//! ends        = n × u32                  ; where each word ends in text
//! text        = *OCTET                   ; the words, ascending by bytes, one after the other, UTF-8
//! padding     = *%x00                    ; to a multiple of 16 bytes from the start of the file
//! vectors     = n × dimension × component ; row-major; f32, f16 or i8
//! scales      = n × f32                  ; only for int8: component × scale is the value
//! checksum    = u32                      ; CRC-32 (IEEE 802.3) of everything before it
//! ```

use std::ops::Range;

use floret_sdk::{Error, Input};

use crate::config::{Config, Quantization};

/// Media type of the file.
pub const MEDIA_TYPE: &str = "application/vnd.floret.semantic-ngram; version=1";

const MAGIC: &[u8; 8] = b"FLORETSN";
const VERSION: u32 = 1;
const FLAG_FOLD_QUERIES: u32 = 1;
/// Bytes of a header.
pub const HEADER_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;

/// The fixed part of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    pub fold_queries: bool,
    pub dimension: usize,
    pub ngram_min: u8,
    pub ngram_max: u8,
    pub quantization: Quantization,
    /// Words and vectors.
    pub words_len: usize,
    /// Bytes of all words.
    pub text_len: usize,
}

/// Where the parts of a file begin.
pub struct Layout {
    pub frequencies: usize,
    pub ends: usize,
    pub text: usize,
    pub padding: Range<usize>,
    pub vectors: usize,
    pub scales: usize,
    pub checksum: usize,
}

impl Header {
    /// Of an index that was configured so, with that many words of that many bytes together.
    pub fn new(config: &Config, words_len: usize, text_len: usize) -> Self {
        Self {
            fold_queries: config.fold_queries,
            dimension: config.dimension as usize,
            ngram_min: config.ngram_min,
            ngram_max: config.ngram_max,
            quantization: config.quantization,
            words_len,
            text_len,
        }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(if self.fold_queries { FLAG_FOLD_QUERIES } else { 0 }).to_le_bytes());
        bytes.extend_from_slice(&(self.dimension as u32).to_le_bytes());
        bytes.extend_from_slice(&[self.ngram_min, self.ngram_max, self.quantization as u8, 0]);
        bytes.extend_from_slice(&(self.words_len as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.text_len as u32).to_le_bytes());
        bytes
    }

    /// Read it from the first bytes of a file.
    ///
    /// # Errors
    /// What they are instead.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < HEADER_BYTES + CHECKSUM_BYTES {
            return Err(format!("{} bytes are fewer than a header has", bytes.len()));
        }
        if &bytes[..8] != MAGIC {
            return Err("it does not begin with FLORETSN".into());
        }
        let (version, flags, dimension) = (u32_at(bytes, 8), u32_at(bytes, 12), u32_at(bytes, 16));
        if version != VERSION {
            return Err(format!("expected version {VERSION}, found {version}; build it anew"));
        }
        let (ngram_min, ngram_max) = (bytes[20], bytes[21]);
        let is_known = flags & !FLAG_FOLD_QUERIES == 0 && bytes[23] == 0;
        let is_sound = (16..=1024).contains(&dimension)
            && dimension.is_multiple_of(16)
            && ngram_min > 0
            && ngram_min <= ngram_max
            && ngram_max <= 8;
        let quantization = Quantization::numbered(bytes[22]).filter(|_| is_known && is_sound);
        Ok(Self {
            fold_queries: flags & FLAG_FOLD_QUERIES != 0,
            dimension: dimension as usize,
            ngram_min,
            ngram_max,
            quantization: quantization.ok_or("its header holds values that no index has")?,
            words_len: u32_at(bytes, 24) as usize,
            text_len: u32_at(bytes, 28) as usize,
        })
    }

    /// Where the parts lie; none if the file would exceed what this machine can address.
    pub fn layout(&self) -> Option<Layout> {
        let words = self.words_len;
        let frequencies = HEADER_BYTES;
        let ends = frequencies.checked_add(words.checked_mul(8)?)?;
        let text = ends.checked_add(words.checked_mul(4)?)?;
        let text_end = text.checked_add(self.text_len)?;
        let vectors = text_end.checked_next_multiple_of(16)?;
        let scales = vectors.checked_add(words.checked_mul(self.vector_bytes())?)?;
        let scale_bytes = if self.quantization == Quantization::Int8 { 4 } else { 0 };
        let checksum = scales.checked_add(words.checked_mul(scale_bytes)?)?;
        checksum.checked_add(CHECKSUM_BYTES)?;
        Some(Layout { frequencies, ends, text, padding: text_end..vectors, vectors, scales, checksum })
    }

    /// Bytes of one vector.
    pub fn vector_bytes(&self) -> usize {
        self.dimension * self.quantization.component_bytes()
    }
}

impl Layout {
    /// Length of the whole file.
    pub fn file_bytes(&self) -> usize {
        self.checksum + CHECKSUM_BYTES
    }
}

/// An opened file: its bytes as they are, with the places of its parts.
pub struct Index {
    pub header: Header,
    layout: Layout,
    bytes: Vec<u8>,
}

impl Index {
    /// Open and check a file.
    ///
    /// # Errors
    /// `invalid-input` for bytes that are not one.
    pub fn open(input: &Input) -> Result<Self, Error> {
        Self::check(input.read_to_end()).map_err(|what| {
            Error::InvalidInput(format!("{} 0 is not a semantic-ngram index: {what}", input.role()))
        })
    }

    fn check(bytes: Vec<u8>) -> Result<Self, String> {
        let header = Header::decode(&bytes)?;
        let layout = header.layout().ok_or("its header names more than memory holds")?;
        if layout.file_bytes() != bytes.len() {
            return Err(format!("expected {} bytes, found {}", layout.file_bytes(), bytes.len()));
        }
        let (expected, found) = (u32_at(&bytes, layout.checksum), crc32fast::hash(&bytes[..layout.checksum]));
        if expected != found {
            return Err(format!("expected checksum {expected:08x}, found {found:08x}"));
        }
        let index = Self { header, layout, bytes };
        let text = std::str::from_utf8(&index.bytes[index.layout.text..index.layout.padding.start])
            .map_err(|_| "its words are not UTF-8")?;
        let mut start = 0;
        for at in 0..index.header.words_len {
            let end = index.end(at);
            if end < start || !text.is_char_boundary(end) {
                return Err(format!("word {at} does not end where its text does"));
            }
            start = end;
        }
        Ok(index)
    }

    fn end(&self, at: usize) -> usize {
        u32_at(&self.bytes, self.layout.ends + 4 * at) as usize
    }

    /// A word.
    pub fn word(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.end(at - 1) };
        let bytes = &self.bytes[self.layout.text + start..self.layout.text + self.end(at)];
        std::str::from_utf8(bytes).expect("opening checked the text and where its words end")
    }

    /// A word's count.
    pub fn frequency(&self, at: usize) -> u64 {
        let at = self.layout.frequencies + 8 * at;
        u64::from(u32_at(&self.bytes, at)) | u64::from(u32_at(&self.bytes, at + 4)) << 32
    }

    /// All vectors, row after row.
    pub fn vectors(&self) -> &[u8] {
        &self.bytes[self.layout.vectors..self.layout.scales]
    }

    /// A vector's scale; int8 only.
    #[inline]
    pub fn scale(&self, at: usize) -> f32 {
        f32::from_bits(u32_at(&self.bytes, self.layout.scales + 4 * at))
    }

    /// Where a word is, by halving.
    pub fn find(&self, word: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.header.words_len);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.word(middle).cmp(word) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
