//! Reading a corpus line by line in bounded memory, refusing what breaks the format.

use crate::corpus::WORD_BYTES_MAX;
use crate::{Error, Input, READ_BYTES_MAX};

/// Longest line: the word, a tab, the 20 digits of 2^64 - 1, a line feed.
const LINE_BYTES_MAX: usize = WORD_BYTES_MAX + 1 + 20 + 1;

/// Reads one corpus, a line at a time. Its memory is one piece of the input, 1 MiB at most.
#[derive(Debug)]
pub struct CorpusReader<'a> {
    input: &'a Input,
    /// Place in the list of corpora, for messages.
    index: usize,
    piece_bytes: u32,
    /// Where the next piece begins in the input.
    offset: u64,
    at_end: bool,
    buffer: Vec<u8>,
    /// Where the next line begins in `buffer`.
    position: usize,
    /// End of the part of `buffer` that is whole lines of valid UTF-8.
    whole_end: usize,
    /// The current word's place in `buffer`, unless `before_first`.
    word: (usize, usize),
    /// The word before a refill moved the buffer.
    carried: Vec<u8>,
    is_carried: bool,
    count: u64,
    /// [`prefix`] of the current word: settles most comparisons, where comparing slices is slow in wasm.
    prefix: u64,
    line: u64,
}

impl<'a> CorpusReader<'a> {
    /// A reader of `input`, number `index` of its list. Call [`advance`](Self::advance) for the first line.
    pub fn new(input: &'a Input, index: usize) -> Self {
        Self::with_piece_bytes(input, index, READ_BYTES_MAX)
    }

    /// The same with smaller pieces, for many at once.
    pub(crate) fn with_piece_bytes(input: &'a Input, index: usize, piece_bytes: u32) -> Self {
        Self {
            input,
            index,
            piece_bytes,
            offset: 0,
            at_end: false,
            buffer: Vec::new(),
            position: 0,
            whole_end: 0,
            word: (0, 0),
            carried: Vec::new(),
            is_carried: true,
            count: 0,
            prefix: 0,
            line: 0,
        }
    }

    /// The current word. Empty before the first line.
    #[inline]
    pub fn word(&self) -> &str {
        // SAFETY: `fill` checked `buffer[..whole_end]` as UTF-8, and a word ends before an ASCII tab and begins
        // after an ASCII line feed or at the buffer's start, so it is cut at character boundaries.
        unsafe { std::str::from_utf8_unchecked(self.word_bytes()) }
    }

    /// The current word's bytes.
    #[inline]
    pub fn word_bytes(&self) -> &[u8] {
        if self.is_carried { &self.carried } else { &self.buffer[self.word.0..self.word.1] }
    }

    /// The current count.
    #[inline]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The current word's first eight bytes as a number that sorts like them, filled with zeros.
    #[inline]
    pub(crate) fn prefix(&self) -> u64 {
        self.prefix
    }

    /// Go to the next line; `false` at the end.
    ///
    /// # Errors
    /// `invalid-input`, naming the corpus and the line, for a line out of order, repeated or malformed.
    #[inline]
    pub fn advance(&mut self) -> Result<bool, Error> {
        if self.position >= self.whole_end && !self.fill()? {
            return Ok(false);
        }
        self.line += 1;
        let line = &self.buffer[self.position..self.whole_end];
        let Some(tab) = word_end(line) else {
            return Err(self.broken("a word, a tab and a count"));
        };
        if tab == 0 || tab > WORD_BYTES_MAX {
            return Err(self.broken("a word of 1 to 1,024 bytes"));
        }
        let Some((count, len)) = parse_count(&line[tab + 1..]) else {
            return Err(
                self.broken("a decimal count of 1 to 2^64 - 1 without leading zeros, then a line feed")
            );
        };
        let prefix = prefix(line, tab);
        if prefix <= self.prefix && self.line > 1 {
            let is_after = prefix == self.prefix && self.word_bytes() < &line[..tab];
            if !is_after {
                return Err(self.out_of_order(self.position, self.position + tab));
            }
        }
        self.prefix = prefix;
        self.word = (self.position, self.position + tab);
        self.is_carried = false;
        self.position += tab + 1 + len;
        self.count = count;
        Ok(true)
    }

    /// Read until the buffer holds at least one whole line; `false` at the end of the input.
    fn fill(&mut self) -> Result<bool, Error> {
        if !self.is_carried {
            self.carried.clear();
            self.carried.extend_from_slice(&self.buffer[self.word.0..self.word.1]);
            self.is_carried = true;
        }
        self.buffer.drain(..self.position);
        (self.position, self.whole_end) = (0, 0);
        while !self.at_end {
            let piece = self.input.read(self.offset, self.piece_bytes);
            self.at_end = piece.is_empty();
            self.offset += piece.len() as u64;
            let before = self.buffer.len();
            if self.buffer.is_empty() {
                self.buffer = piece;
            } else {
                self.buffer.extend_from_slice(&piece);
            }
            if let Some(end) = memchr::memrchr(b'\n', &self.buffer[before..]) {
                self.whole_end = before + end + 1;
                self.check_utf8()?;
                return Ok(true);
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                break;
            }
        }
        if self.buffer.is_empty() {
            return Ok(false);
        }
        self.line += 1;
        Err(self.broken("a line feed at the end of each line, at most 1,046 bytes long"))
    }

    fn check_utf8(&mut self) -> Result<(), Error> {
        let Err(error) = std::str::from_utf8(&self.buffer[..self.whole_end]) else {
            return Ok(());
        };
        let lines = self.buffer[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        self.line += lines as u64 + 1;
        Err(self.broken("UTF-8"))
    }

    #[cold]
    fn broken(&self, expected: &str) -> Error {
        Error::InvalidInput(format!(
            "{} {} breaks the corpus format in line {}: expected {expected}",
            self.input.role(),
            self.index,
            self.line
        ))
    }

    #[cold]
    fn out_of_order(&self, start: usize, end: usize) -> Error {
        let got = String::from_utf8_lossy(&self.buffer[start..end]);
        let previous = self.word();
        let what = if got == previous { "repeats" } else { "is out of order in" };
        Error::InvalidInput(format!(
            "{} {} {what} line {}: {got:?} came after {previous:?}; words ascend by their bytes, each once",
            self.input.role(),
            self.index,
            self.line
        ))
    }
}

/// The first eight of a line's `len` word bytes as a number that sorts like them, filled with zeros.
#[inline]
fn prefix(line: &[u8], len: usize) -> u64 {
    let Some(eight) = line.first_chunk::<8>() else {
        let word = line[..len].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        return word << (64 - 8 * len); // a word is never empty, and a line of less than eight bytes has a shorter one
    };
    let unused_bits = 64 - 8 * len.min(8) as u32;
    u64::from_be_bytes(*eight) >> unused_bits << unused_bits
}

/// Where the tab is, unless a line feed or a carriage return comes before it.
#[inline]
fn word_end(line: &[u8]) -> Option<usize> {
    // Of the bytes up to 13 (tab, line feed, carriage return and controls that words may hold) one is rare
    // enough for a single comparison to serve almost every byte.
    let mut from = 0;
    loop {
        let at = from + line[from..].iter().position(|byte| *byte <= b'\r')?;
        match line[at] {
            b'\t' => return Some(at),
            b'\n' | b'\r' => return None,
            _ => from = at + 1,
        }
    }
}

/// The count at the start of `bytes` and the length of it with its line feed.
#[inline]
fn parse_count(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut count: u64 = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' if at < 19 => {
                count = count * 10 + u64::from(byte - b'0'); // 19 digits stay below 2^64
                if count == 0 {
                    return None;
                }
            }
            b'0'..=b'9' => count = count.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?,
            b'\n' if at > 0 => return Some((count, at + 1)),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], piece_bytes: u32) -> Result<Vec<(String, u64)>, String> {
        let input = Input::from_bytes("corpus", text);
        let mut reader = CorpusReader::with_piece_bytes(&input, 0, piece_bytes);
        let mut lines = Vec::new();
        while reader.advance().map_err(|error| format!("{error:?}"))? {
            lines.push((reader.word().to_owned(), reader.count()));
        }
        Ok(lines)
    }

    #[test]
    fn reads_in_pieces_of_any_size() {
        let text = "a\t1\nab\t18446744073709551615\nb c\t20\nzoë\t3\n".as_bytes();
        let whole = read(text, READ_BYTES_MAX).expect("it is a corpus");
        assert_eq!(whole[1], ("ab".to_owned(), u64::MAX));
        assert_eq!(whole.len(), 4);
        for piece in 1..40 {
            assert_eq!(read(text, piece).as_ref(), Ok(&whole), "pieces of {piece}");
        }
        assert_eq!(read(b"", 7), Ok(Vec::new()));
    }

    #[test]
    fn names_the_line_of_what_breaks_the_format() {
        let long = format!("a\t1\n{}\t1\n", "x".repeat(1025));
        let cases: [(&[u8], &str); 15] = [
            (b"a\t1\nc\t1\nb\t1\n", "is out of order in line 3: \\\"b\\\" came after \\\"c\\\""),
            (b"a\t1\na\t1\n", "repeats line 2"),
            (b"a\t1\nb", "line 2: expected a line feed"),
            (b"a\t1\nb\t1", "line 2: expected a line feed"),
            (b"a\n", "line 1: expected a word, a tab"),
            (b"a\t1\r\n", "line 1: expected a decimal"),
            (b"a\rb\t1\n", "line 1: expected a word, a tab"),
            (b"\t1\n", "line 1: expected a word of 1"),
            (b"a\t0\n", "line 1: expected a decimal"),
            (b"a\t01\n", "line 1: expected a decimal"),
            (b"a\t-1\n", "line 1: expected a decimal"),
            (b"a\t\n", "line 1: expected a decimal"),
            (b"a\t18446744073709551616\n", "line 1: expected a decimal"),
            (b"a\t1\n\xff\t1\n", "line 2: expected UTF-8"),
            (long.as_bytes(), "line 2: expected a word of 1 to 1,024"),
        ];
        for (text, expected) in cases {
            for piece in [3, READ_BYTES_MAX] {
                let error = read(text, piece).expect_err(expected);
                assert!(error.contains(expected), "{error} lacks {expected}");
            }
        }
        let error = read(&vec![b'x'; 1 << 20], 4096).expect_err("no line feed");
        assert!(error.contains("line 1: expected a line feed"), "{error}");
    }
}
