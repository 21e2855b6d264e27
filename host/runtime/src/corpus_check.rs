//! Is it a corpus? One pass over what a builder wrote, that also computes what the host wants to know of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use floret_model::{Digest, DigestHasher};

use crate::contract::{CorpusStatistics, WORD_BYTES_MAX};

/// How many of the most frequent words are told.
const TOP_WORDS: usize = 20;

/// Bytes of words gathered before they are hashed, so that hashing costs a call for about a thousand words
/// rather than one for each.
const HASH_PIECE_BYTES: usize = 16 << 10;

/// Check the format (`wit/corpus`) of a whole corpus and compute its figures; O(bytes), constant memory.
///
/// # Errors
/// The first line that breaks the format: its number, and what was wrong with it.
pub fn check_corpus(bytes: &[u8]) -> Result<CorpusStatistics, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
        format!("line {line}: byte {at} is not UTF-8")
    })?;
    if let Some(last) = bytes.last()
        && *last != b'\n'
    {
        let line = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
        return Err(format!("line {line}: the last line does not end with a line feed"));
    }
    let mut figures = Figures::default();
    let mut rest = text;
    let mut previous = "";
    while !rest.is_empty() {
        let line_number = figures.vocabulary_size + 1;
        let fault = |what: String| format!("line {line_number}: {what}");
        let (word, count, len) = split_line(rest).map_err(fault)?;
        if word.as_bytes() <= previous.as_bytes() {
            return Err(fault(out_of_order(previous, word)));
        }
        figures.add(word, count);
        previous = word;
        rest = &rest[len..];
    }
    Ok(figures.finish())
}

/// The word and the count of the first line, and its length with the line feed. The text ends with one.
fn split_line(text: &str) -> Result<(&str, u64, usize), String> {
    let bytes = text.as_bytes();
    let mut tab = 0;
    while !matches!(bytes[tab], b'\t' | b'\n' | b'\r') {
        tab += 1;
    }
    let word = &text[..tab];
    match bytes[tab] {
        b'\n' => {
            return Err(format!("no tab in {:?}: expected word TAB count", shown(word)));
        }
        b'\r' => return Err(format!("a carriage return after {:?}", shown(word))),
        _ => {}
    }
    if word.is_empty() || word.len() > WORD_BYTES_MAX {
        return Err(format!("a word of {} bytes: expected 1 to {WORD_BYTES_MAX}", word.len()));
    }
    let digits = tab + 1;
    let mut end = digits;
    let mut count = 0u64;
    while bytes[end].is_ascii_digit() {
        let digit = u64::from(bytes[end] - b'0');
        count = count
            .checked_mul(10)
            .and_then(|count| count.checked_add(digit))
            .ok_or_else(|| format!("the count of {:?} is 2^64 or more", shown(word)))?;
        end += 1;
    }
    if bytes[end] != b'\n' || end == digits || bytes[digits] == b'0' {
        let end = digits + bytes[digits..].iter().position(|byte| *byte == b'\n').unwrap_or(0);
        return Err(format!(
            "the count of {:?} is {:?}: expected decimal digits, at least 1, no leading zero",
            shown(word),
            shown(&text[digits..end])
        ));
    }
    Ok((word, count, end + 1))
}

fn out_of_order(previous: &str, word: &str) -> String {
    if word == previous {
        return format!("{:?} stands twice", shown(word));
    }
    format!("{:?} follows {:?}: expected words in the order of their bytes", shown(word), shown(previous))
}

fn shown(text: &str) -> &str {
    crate::instance::cut(text, 80)
}

#[derive(Default)]
struct Figures<'a> {
    vocabulary_size: u64,
    total_tokens: u64,
    hasher: DigestHasher,
    unhashed: Vec<u8>,
    /// The least of the most frequent on top: greater counts first, then lesser bytes.
    top: BinaryHeap<Reverse<(u64, Reverse<&'a str>)>>,
    top_count_min: u64,
}

impl<'a> Figures<'a> {
    #[inline]
    fn add(&mut self, word: &'a str, count: u64) {
        self.vocabulary_size += 1;
        self.total_tokens = self.total_tokens.saturating_add(count);
        self.unhashed.extend_from_slice(word.as_bytes());
        self.unhashed.push(b'\n');
        if self.unhashed.len() >= HASH_PIECE_BYTES {
            self.hasher.update(&self.unhashed);
            self.unhashed.clear();
        }
        // An equal count loses, since its bytes come later.
        if count > self.top_count_min {
            self.enter_top(word, count);
        }
    }

    #[cold]
    fn enter_top(&mut self, word: &'a str, count: u64) {
        self.top.push(Reverse((count, Reverse(word))));
        if self.top.len() > TOP_WORDS {
            self.top.pop();
        }
        if self.top.len() == TOP_WORDS {
            self.top_count_min = self.top.peek().map_or(0, |Reverse((count, _))| *count);
        }
    }

    fn finish(mut self) -> CorpusStatistics {
        self.hasher.update(&self.unhashed);
        let top = self.top.into_sorted_vec();
        let top = top.into_iter().map(|Reverse((count, Reverse(word)))| (word.to_owned(), count));
        let vocabulary_hash: Digest = self.hasher.finish();
        CorpusStatistics {
            vocabulary_size: self.vocabulary_size,
            total_tokens: self.total_tokens,
            vocabulary_hash,
            top_words: top.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_is_counted() {
        let statistics = check_corpus("a\t3\nb\t18446744073709551615\né\t3\n".as_bytes()).expect("a corpus");
        assert_eq!(statistics.vocabulary_size, 3);
        assert_eq!(statistics.total_tokens, u64::MAX);
        assert_eq!(statistics.vocabulary_hash, Digest::of("a\nb\né\n".as_bytes()));
        let top: Vec<_> = statistics.top_words.iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(top, ["b", "a", "é"]);
        let empty = check_corpus(b"").expect("an empty corpus");
        assert_eq!((empty.vocabulary_size, empty.vocabulary_hash), (0, Digest::of(b"")));
    }

    #[test]
    fn the_top_keeps_twenty_and_prefers_lesser_bytes_among_equals() {
        let lines: String = (0..100).map(|n| format!("w{n:03}\t{}\n", 1 + n % 5)).collect();
        let statistics = check_corpus(lines.as_bytes()).expect("a corpus");
        let expected: Vec<_> = (0..20).map(|n| (format!("w{:03}", n * 5 + 4), 5)).collect();
        assert_eq!(statistics.top_words, expected);
        let all: String = (0..100).map(|n| format!("w{n:03}\n")).collect();
        assert_eq!(statistics.vocabulary_hash, Digest::of(all.as_bytes()));
    }

    #[test]
    fn every_fault_names_its_line() {
        let long = format!("a\t1\n{}\t1\n", "x".repeat(1_025));
        let cases: [(&[u8], &str); 13] = [
            (b"b\t1\na\t1\n", "line 2: \"a\" follows \"b\""),
            (b"a\t1\na\t1\n", "line 2: \"a\" stands twice"),
            (b"a\t1\nb\n", "line 2: no tab in \"b\""),
            (b"a\t0\n", "line 1: the count of \"a\" is \"0\""),
            (b"a\t01\n", "line 1: the count of \"a\" is \"01\""),
            (b"a\t\n", "line 1: the count of \"a\" is \"\""),
            (b"a\t-1\n", "line 1: the count of \"a\" is \"-1\""),
            (b"a\t1\r\n", "line 1: the count of \"a\" is \"1\\r\""),
            (b"a\t18446744073709551616\n", "line 1: the count of \"a\" is 2^64 or more"),
            (b"\t1\n", "line 1: a word of 0 bytes"),
            (b"a\t1\nb\t1", "line 2: the last line does not end"),
            (b"a\t1\n\xff\t1\n", "line 2: byte 4 is not UTF-8"),
            (long.as_bytes(), "line 2: a word of 1025 bytes"),
        ];
        for (bytes, expected) in cases {
            let fault = check_corpus(bytes).expect_err(expected);
            assert!(fault.starts_with(expected), "{fault:?} does not begin with {expected:?}");
        }
        assert!(check_corpus(b"a\rb\t1\n").is_err_and(|fault| fault.contains("carriage return")));
        assert!(check_corpus(b"\n").is_err_and(|fault| fault.contains("no tab")));
    }
}
