use bytes::Bytes;
use floret_model::{Codec, CompressionType};
use proptest::prelude::*;

use super::{decode_to, encode_to};
use crate::Error;

const ALL: [CompressionType; 4] =
    [CompressionType::None, CompressionType::Zstd, CompressionType::Lz4, CompressionType::Gzip];

fn codec(compression: CompressionType) -> Codec {
    Codec::new(compression, 3).expect("every compression has level 3 or none")
}

/// Both ways of encoding, whole and streamed, and what is stored by the first.
fn encode(raw: &Bytes, codec: Codec) -> Result<Bytes, Error> {
    let whole = super::encode(raw, codec)?;
    let mut streamed = Vec::new();
    encode_to(&mut &raw[..], raw.len() as u64, codec, &mut streamed).expect("encodes as a stream, too");
    let again = super::decode(&streamed.into(), codec.compression, raw.len() as u64, "it");
    assert!(again.expect("what was streamed decodes as a whole") == raw, "{codec}");
    Ok(whole)
}

/// Both ways of decoding, which must agree.
fn decode(stored: &Bytes, compression: CompressionType, size: u64, what: &str) -> Result<Bytes, Error> {
    let whole = super::decode(stored, compression, size, what);
    let mut raw = Vec::new();
    let streamed = decode_to(&stored[..], compression, size, what, |bytes| {
        raw.extend_from_slice(bytes);
        assert!(raw.len() as u64 <= size, "no more is handed out than was promised");
        Ok(())
    });
    match (&whole, streamed) {
        (Ok(whole), Ok(())) => assert!(*whole == raw),
        (Err(_), Err(Error::Integrity { .. } | Error::TooLarge { .. })) => {}
        (whole, streamed) => panic!("{compression}: {whole:?} as a whole, {streamed:?} as a stream"),
    }
    whole
}

fn sample() -> Bytes {
    let lines = (0..5000).map(|number| format!("line {number} of some text that repeats itself\n"));
    lines.collect::<String>().into_bytes().into()
}

#[test]
fn m2_streams_are_what_the_stock_tools_read() {
    let sample = sample();
    let begins = |compression, magic: &[u8]| {
        let stored = encode(&sample, codec(compression)).expect("encodes");
        assert!(stored.starts_with(magic), "{compression}");
        assert!(stored.len() < sample.len() / 3, "{compression}");
        stored
    };
    let zstd = begins(CompressionType::Zstd, &[0x28, 0xb5, 0x2f, 0xfd]);
    assert_eq!(zstd::stream::decode_all(&zstd[..]).expect("decodes"), sample);
    begins(CompressionType::Lz4, &[0x04, 0x22, 0x4d, 0x18]);
    let gzip = begins(CompressionType::Gzip, &[0x1f, 0x8b, 8]);
    assert_eq!(gzip[4..8], [0; 4], "no time of day in it");
}

#[test]
fn m2_an_empty_content_round_trips() {
    for compression in ALL {
        let stored = encode(&Bytes::new(), codec(compression)).expect("encodes");
        let raw = decode(&stored, compression, 0, "nothing").expect("decodes");
        assert!(raw.is_empty(), "{compression}");
    }
}

#[test]
fn m2_a_level_that_a_codec_does_not_have_is_refused() {
    for (compression, level) in [(CompressionType::Zstd, 23), (CompressionType::Gzip, 10)] {
        let codec = Codec { compression, level };
        let refused = super::encode(&sample(), codec);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
        let refused = encode_to(&mut &b""[..], 0, codec, Vec::new()).expect_err("no such level");
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn h4_whatever_is_torn_or_follows_is_an_error() {
    let sample = sample();
    for compression in ALL {
        let stored = encode(&sample, codec(compression)).expect("encodes");
        let expect_error = |bytes: Vec<u8>, what: String| {
            let size = sample.len() as u64;
            let got = decode(&bytes.into(), compression, size, "it");
            let error = got.expect_err(&what);
            let typed = matches!(error, Error::Integrity { .. } | Error::TooLarge { .. });
            assert!(typed, "{what}: {error}");
        };
        let lengths = (0..stored.len()).step_by(stored.len() / 97 + 1);
        for length in lengths.chain([stored.len() - 1]) {
            expect_error(stored[..length].to_vec(), format!("{compression} cut to {length}"));
        }
        for rest in [&b"x"[..], &[0; 64], &stored] {
            let bytes = [&stored[..], rest].concat();
            expect_error(bytes, format!("{compression} with {} more", rest.len()));
        }
    }
    // A skippable frame after the frame holds nothing, and is refused all the same.
    let mut stored = encode(&sample, codec(CompressionType::Zstd)).expect("encodes").to_vec();
    stored.extend_from_slice(&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
    let got = decode(&stored.into(), CompressionType::Zstd, sample.len() as u64, "it");
    assert!(matches!(got, Err(Error::Integrity { .. })), "{got:?}");
}

#[test]
fn h4_a_bomb_is_stopped_at_the_promised_length() {
    let zeros = Bytes::from(vec![0_u8; 64 * 1024 * 1024]);
    for compression in ALL {
        let stored = encode(&zeros, codec(compression)).expect("encodes");
        for promised in [0, 1, 1000, zeros.len() as u64 - 1] {
            let got = decode(&stored, compression, promised, "a bomb");
            let refused = matches!(got, Err(Error::TooLarge { limit_bytes, .. }) if limit_bytes == promised)
                || matches!(got, Err(Error::Integrity { .. })) && compression == CompressionType::None;
            assert!(refused, "{compression}, {promised} promised");
        }
        // More is promised than there is, up to what no machine has.
        for promised in [zeros.len() as u64 + 1, u64::MAX / 2, u64::MAX] {
            let got = decode(&stored, compression, promised, "a lie");
            assert!(matches!(got, Err(Error::Integrity { .. })), "{compression}, {promised} promised");
        }
    }
}

#[test]
fn h4_a_header_that_lies_is_an_error() {
    let sample = sample();
    let size = sample.len() as u64;
    // Zstandard: the frame's content size, 4 bytes after the descriptor, claims 1 GB.
    let mut stored = encode(&sample, codec(CompressionType::Zstd)).expect("encodes").to_vec();
    assert_eq!(stored[4] >> 6, 2, "a content size of 4 bytes");
    stored[5..9].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    let got = decode(&stored.into(), CompressionType::Zstd, size, "it");
    assert!(matches!(got, Err(Error::TooLarge { .. })), "{got:?}");
    // gzip: the length at its end.
    let mut stored = encode(&sample, codec(CompressionType::Gzip)).expect("encodes").to_vec();
    let end = stored.len() - 4;
    stored[end..].copy_from_slice(&1_u32.to_le_bytes());
    let got = decode(&stored.into(), CompressionType::Gzip, size, "it");
    assert!(matches!(got, Err(Error::Integrity { .. })), "{got:?}");
}

#[test]
fn m2_streams_record_their_length_and_checksum_as_whole_buffers_do() {
    let sample = sample();
    let mut stored = Vec::new();
    let codec = codec(CompressionType::Zstd);
    encode_to(&mut &sample[..], sample.len() as u64, codec, &mut stored).expect("encodes");
    let whole = super::encode(&sample, codec).expect("encodes");
    assert_eq!(stored[..9], whole[..9], "magic number, descriptor and content size");
    // A reader that holds less or more than was said makes no frame.
    for size in [sample.len() as u64 - 1, sample.len() as u64 + 1] {
        encode_to(&mut &sample[..], size, codec, Vec::new()).expect_err("another length");
    }
}

fn contents() -> impl Strategy<Value = Vec<u8>> {
    let random = prop::collection::vec(any::<u8>(), 0..5000);
    let repeated = (prop::collection::vec(any::<u8>(), 1..50), 1_usize..3000)
        .prop_map(|(bytes, count)| bytes.repeat(count));
    prop_oneof![random, repeated]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn m2_every_codec_is_byte_exact(bytes in contents(), which in 0_usize..4, level in 1..=9) {
        let codec = Codec::new(ALL[which], level).expect("1 to 9 are levels of each");
        let bytes = Bytes::from(bytes);
        let stored = encode(&bytes, codec).expect("encodes");
        let size = bytes.len() as u64;
        prop_assert_eq!(&decode(&stored, codec.compression, size, "it").expect("decodes"), &bytes);
        prop_assert_eq!(&encode(&bytes, codec).expect("encodes"), &stored);
    }

    #[test]
    fn h4_changed_bytes_never_panic_nor_grow(
        bytes in contents(),
        which in 1_usize..4,
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let bytes = Bytes::from(bytes);
        let mut stored = encode(&bytes, codec(ALL[which])).expect("encodes").to_vec();
        let at = at.index(stored.len());
        stored[at] = value;
        let size = bytes.len() as u64;
        if let Ok(raw) = decode(&stored.into(), ALL[which], size, "it") {
            prop_assert_eq!(raw.len() as u64, size);
        }
    }

    #[test]
    fn h4_arbitrary_bytes_never_panic(bytes in contents(), which in 0_usize..4, size in 0_u64..1 << 20) {
        if let Ok(raw) = decode(&bytes.into(), ALL[which], size, "it") {
            prop_assert_eq!(raw.len() as u64, size);
        }
    }
}
