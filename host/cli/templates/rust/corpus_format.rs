//! Corpora as bytes: lines `word TAB count`, sorted by the bytes of the word, each word once.

use std::collections::BTreeMap;

use crate::floret::types::io::Input;

pub const WORD_BYTES_MAX: usize = 1024;
const PIECE_BYTES: u32 = 1 << 20;

/// Words with their counts, sorted by bytes.
pub type Counts = BTreeMap<Box<[u8]>, u64>;

/// The bytes of an input, read in the largest pieces that the host gives.
pub fn read_all(input: &Input) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(input.size() as usize);
    loop {
        let piece = input.read(bytes.len() as u64, PIECE_BYTES);
        if piece.is_empty() {
            return bytes;
        }
        bytes.extend_from_slice(&piece);
    }
}

pub fn check_utf8(bytes: &[u8], name: &str) -> Result<(), String> {
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{name}: byte {} is not UTF-8", error.valid_up_to())),
    }
}

/// Count a word, or count it more often, up to 2^64 - 1.
pub fn add(counts: &mut Counts, word: &[u8], count: u64) {
    match counts.get_mut(word) {
        Some(known) => *known = known.saturating_add(count),
        None => drop(counts.insert(word.into(), count)),
    }
}

/// Words and counts of a corpus, in its order; the first line that breaks the format is the error.
pub fn parse<'a>(bytes: &'a [u8], name: &str) -> Result<Vec<(&'a [u8], u64)>, String> {
    check_utf8(bytes, name)?;
    let mut entries: Vec<(&[u8], u64)> = Vec::new();
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let bad = |expected: &str| format!("{name}: line {}: expected {expected}", index + 1);
        let line = line
            .strip_suffix(b"\n")
            .ok_or_else(|| bad("a line feed at its end"))?;
        let tab = line
            .iter()
            .position(|byte| *byte == b'\t')
            .ok_or_else(|| bad("a tab"))?;
        let (word, digits) = (&line[..tab], &line[tab + 1..]);
        if word.is_empty() || word.len() > WORD_BYTES_MAX || word.contains(&b'\r') {
            return Err(bad("a word of 1 to 1,024 bytes"));
        }
        let plain = digits
            .first()
            .is_some_and(|digit| (b'1'..=b'9').contains(digit));
        let count = std::str::from_utf8(digits)
            .ok()
            .filter(|_| plain)
            .and_then(|text| text.parse().ok());
        let count = count.ok_or_else(|| bad("a count of 1 to 2^64 - 1"))?;
        if entries.last().is_some_and(|(before, _)| *before >= word) {
            return Err(bad("a word that comes after the one before it"));
        }
        entries.push((word, count));
    }
    Ok(entries)
}

/// Counts of the words of all inputs, summed.
pub fn union(corpora: &[Input]) -> Result<Counts, String> {
    let mut counts = Counts::new();
    for (index, corpus) in corpora.iter().enumerate() {
        let bytes = read_all(corpus);
        for (word, count) in parse(&bytes, &format!("corpus {index}"))? {
            add(&mut counts, word, count);
        }
    }
    Ok(counts)
}

/// The corpus of these counts.
pub fn encode(counts: &Counts) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (word, count) in counts {
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(format!("\t{count}\n").as_bytes());
    }
    bytes
}
