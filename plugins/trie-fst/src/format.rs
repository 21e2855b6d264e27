//! The index file.
//!
//! ```text
//! file       = magic version flags word-count fst-length fst checksum      ; integers little-endian
//! magic      = "FLORETTF"                                                  ; 8 bytes
//! version    = u32                                                         ; 1
//! flags      = u32                                                         ; bit 0: fold queries; others 0
//! word-count = u64
//! fst-length = u64                                                         ; bytes of fst
//! fst        = *OCTET                 ; format 3 of the `fst` crate: word → 2^64 - 1 - frequency
//! checksum   = u32                    ; CRC-32 (IEEE 802.3) of everything before it
//! ```

use floret_sdk::{Error, Input, Output};
use fst::raw::Fst;

/// Media type of the file.
pub const MEDIA_TYPE: &str = "application/vnd.floret.trie-fst; version=1";

const MAGIC: &[u8; 8] = b"FLORETTF";
const VERSION: u32 = 1;
const FLAG_FOLD_QUERIES: u32 = 1;
const HEADER_BYTES: usize = 8 + 4 + 4 + 8 + 8;
const CHECKSUM_BYTES: usize = 4;

/// An opened file.
pub struct Index {
    /// Word → 2^64 - 1 - frequency.
    pub fst: Fst<Vec<u8>>,
    /// Whether queries are folded.
    pub fold_queries: bool,
}

/// Write a file.
pub fn write(fst: &[u8], word_count: u64, fold_queries: bool, out: &mut Output) {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&(if fold_queries { FLAG_FOLD_QUERIES } else { 0 }).to_le_bytes());
    header.extend_from_slice(&word_count.to_le_bytes());
    header.extend_from_slice(&(fst.len() as u64).to_le_bytes());
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&header);
    checksum.update(fst);
    out.write(&header);
    out.write(fst);
    out.write(&checksum.finalize().to_le_bytes());
}

impl Index {
    /// Open and check a file.
    ///
    /// # Errors
    /// `invalid-input` for bytes that are not one.
    pub fn open(input: &Input) -> Result<Self, Error> {
        let broken =
            |what: String| Error::InvalidInput(format!("{} 0 is not a trie-fst index: {what}", input.role()));
        let mut bytes = input.read_to_end();
        if bytes.len() < HEADER_BYTES + CHECKSUM_BYTES {
            return Err(broken(format!("{} bytes are fewer than a header has", bytes.len())));
        }
        if &bytes[..8] != MAGIC {
            return Err(broken("it does not begin with FLORETTF".into()));
        }
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let (version, flags, word_count, fst_len) = (u32_at(8), u32_at(12), u64_at(16), u64_at(24));
        if version != VERSION {
            return Err(broken(format!("expected version {VERSION}, found {version}; build it anew")));
        }
        let end = bytes.len() - CHECKSUM_BYTES;
        if fst_len != (end - HEADER_BYTES) as u64 {
            return Err(broken(format!(
                "expected {fst_len} bytes of transducer, found {}",
                end - HEADER_BYTES
            )));
        }
        let (expected, found) = (u32_at(end), crc32fast::hash(&bytes[..end]));
        if expected != found {
            return Err(broken(format!("expected checksum {expected:08x}, found {found:08x}")));
        }
        if flags & !FLAG_FOLD_QUERIES != 0 {
            return Err(broken(format!("flags {flags:#x} are not known")));
        }
        bytes.truncate(end);
        bytes.drain(..HEADER_BYTES);
        let fst = Fst::new(bytes).map_err(|error| broken(error.to_string()))?;
        if fst.len() as u64 != word_count {
            return Err(broken(format!("expected {word_count} words, found {}", fst.len())));
        }
        Ok(Self { fst, fold_queries: flags & FLAG_FOLD_QUERIES != 0 })
    }
}
