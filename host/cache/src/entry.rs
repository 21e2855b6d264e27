//! The bytes of an entry on disk: codec, lengths, checksum, payload.
//!
//! ```text
//! entry   := header payload
//! header  := magic "FLCE" · version u8 (1) · codec u8 · zero u16 · raw length u64 · payload length u64 · checksum u32 · zero u32
//! codec   := 0 none · 1 zstd frame · 2 lz4 block · 3 gzip stream
//! ```
//! Little-endian, 32 bytes of header. The checksum is CRC-32 (IEEE) of the entry's key on disk, the header's first
//! 24 bytes and the payload: an entry that is torn, damaged or another key's does not match. It guards against
//! accidents, not against an attacker; whoever can write to the directory (mode 0700) is the user himself. Nothing that
//! is read is executed, and no length is trusted before it is compared with what is there.

use std::io::Read;

use bytes::Bytes;

use crate::config::Compression;

pub(crate) const HEADER_BYTES: usize = 32;

/// The largest value that is kept on disk, raw. What a damaged header may make us allocate.
pub(crate) const RAW_BYTES_MAX: u64 = 1 << 30;

const MAGIC: &[u8; 4] = b"FLCE";
const VERSION: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Codec {
    None = 0,
    Zstd = 1,
    Lz4 = 2,
    Gzip = 3,
}

/// What is to be written: the header, and the payload without another copy.
pub(crate) struct Sealed {
    pub(crate) header: [u8; HEADER_BYTES],
    pub(crate) payload: Bytes,
}

impl Sealed {
    pub(crate) fn len(&self) -> u64 {
        (HEADER_BYTES + self.payload.len()) as u64
    }
}

/// Compresses, unless that does not help, and seals.
pub(crate) fn seal(disk_key: &[u8], raw: &Bytes, compression: Compression) -> Sealed {
    let (codec, payload) = match compress(raw, compression) {
        Some((codec, packed)) if packed.len() < raw.len() => (codec, Bytes::from(packed)),
        _ => (Codec::None, raw.clone()),
    };
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(MAGIC);
    header[4] = VERSION;
    header[5] = codec as u8;
    header[8..16].copy_from_slice(&(raw.len() as u64).to_le_bytes());
    header[16..24].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    let checksum = checksum(disk_key, &header, &payload);
    header[24..28].copy_from_slice(&checksum.to_le_bytes());
    Sealed { header, payload }
}

/// The raw value, if `entry` is whole and was sealed for this key. Shares the memory of `entry` if it can.
pub(crate) fn open(disk_key: &[u8], entry: &Bytes) -> Option<Bytes> {
    let (header, payload) = entry.split_first_chunk::<HEADER_BYTES>()?;
    let word = |at: usize| {
        let bytes = header[at..at + 8].try_into().expect("eight bytes of 32");
        u64::from_le_bytes(bytes)
    };
    let stored = u32::from_le_bytes(header[24..28].try_into().expect("four bytes of 32"));
    let (raw_length, payload_length) = (word(8), word(16));
    let expected = header[..4] == *MAGIC
        && header[4] == VERSION
        && payload_length == payload.len() as u64
        && raw_length <= RAW_BYTES_MAX
        && stored == checksum(disk_key, header, payload);
    if !expected {
        return None;
    }
    if header[5] == Codec::None as u8 {
        return (raw_length == payload_length).then(|| entry.slice(HEADER_BYTES..));
    }
    decompress(header[5], payload, usize::try_from(raw_length).ok()?).map(Bytes::from)
}

fn checksum(disk_key: &[u8], header: &[u8; HEADER_BYTES], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(disk_key);
    hasher.update(&header[..24]);
    hasher.update(payload);
    hasher.finalize()
}

fn compress(raw: &[u8], compression: Compression) -> Option<(Codec, Vec<u8>)> {
    match compression {
        Compression::None => None,
        Compression::Zstd { level } => {
            zstd::bulk::compress(raw, level.clamp(1, 22)).ok().map(|packed| (Codec::Zstd, packed))
        }
        Compression::Lz4 => Some((Codec::Lz4, lz4_flex::block::compress(raw))),
        Compression::Gzip { level } => {
            let level = flate2::Compression::new(level.min(9));
            let mut packed = Vec::with_capacity(raw.len() / 2);
            let mut encoder = flate2::bufread::GzEncoder::new(raw, level);
            encoder.read_to_end(&mut packed).ok().map(|_| (Codec::Gzip, packed))
        }
    }
}

/// Exactly `raw_length` bytes, or `None`.
fn decompress(codec: u8, payload: &[u8], raw_length: usize) -> Option<Vec<u8>> {
    let raw = match codec {
        c if c == Codec::Zstd as u8 => zstd::bulk::decompress(payload, raw_length).ok()?,
        c if c == Codec::Lz4 as u8 => lz4_flex::block::decompress(payload, raw_length).ok()?,
        c if c == Codec::Gzip as u8 => {
            let mut raw = Vec::with_capacity(raw_length);
            // One byte more than promised is enough to tell a lie.
            flate2::bufread::GzDecoder::new(payload)
                .take(raw_length as u64 + 1)
                .read_to_end(&mut raw)
                .ok()?;
            raw
        }
        _ => return None,
    };
    (raw.len() == raw_length).then_some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODECS: [Compression; 4] =
        [Compression::None, Compression::Zstd { level: 3 }, Compression::Lz4, Compression::Gzip { level: 6 }];

    fn bytes(sealed: &Sealed) -> Vec<u8> {
        [&sealed.header[..], &sealed.payload].concat()
    }

    #[test]
    fn c7_every_codec_round_trips_and_is_named_in_the_entry() {
        let raw = Bytes::from("the same words, the same words, ".repeat(50));
        for (number, compression) in CODECS.into_iter().enumerate() {
            let sealed = seal(b"k", &raw, compression);
            assert_eq!(usize::from(sealed.header[5]), number);
            assert_eq!(open(b"k", &Bytes::from(bytes(&sealed))).as_ref(), Some(&raw));
        }
    }

    #[test]
    fn c7_what_does_not_shrink_is_kept_as_it_is() {
        for compression in CODECS {
            let sealed = seal(b"k", &Bytes::from_static(b"x"), compression);
            assert_eq!(sealed.header[5], 0);
        }
    }

    #[test]
    fn c12_a_lying_length_is_damage_even_with_a_right_checksum() {
        let raw = Bytes::from(vec![7; 10_000]);
        for compression in CODECS {
            for lie in [0_u64, 9_999, 10_001, 1 << 29, u64::MAX] {
                let mut sealed = seal(b"k", &raw, compression);
                sealed.header[8..16].copy_from_slice(&lie.to_le_bytes());
                let crc = checksum(b"k", &sealed.header, &sealed.payload);
                sealed.header[24..28].copy_from_slice(&crc.to_le_bytes());
                assert_eq!(open(b"k", &Bytes::from(bytes(&sealed))), None, "{compression:?} {lie}");
            }
        }
    }

    proptest! {
        #[test]
        fn c12_any_cut_or_changed_byte_is_damage(
            raw in proptest::collection::vec(0_u8..4, 0..300), codec in 0_usize..4, at in any::<prop::sample::Index>(),
            flip in 1_u8..=255
        ) {
            let whole = bytes(&seal(b"key", &Bytes::from(raw), CODECS[codec]));
            let cut = Bytes::copy_from_slice(&whole[..at.index(whole.len())]);
            prop_assert_eq!(open(b"key", &cut), None);
            let mut changed = whole.clone();
            // The last four bytes of the header are reserved and not looked at.
            let place = at.index(whole.len());
            if !(28..32).contains(&place) {
                changed[place] ^= flip;
                prop_assert_eq!(open(b"key", &Bytes::from(changed)), None);
            }
            prop_assert_eq!(open(b"another key", &Bytes::from(whole)), None);
        }
    }
}
