//! Writing a corpus.

use crate::corpus::{CorpusStatistics, WORD_BYTES_MAX};
use crate::{Error, Output};

/// Writes the corpus format, refusing what would break it, and counts as it goes.
#[derive(Debug)]
pub struct CorpusWriter<'a> {
    out: &'a mut Output,
    previous: Vec<u8>,
    statistics: CorpusStatistics,
}

impl<'a> CorpusWriter<'a> {
    /// A writer to `out`.
    pub fn new(out: &'a mut Output) -> Self {
        Self {
            out,
            previous: Vec::new(),
            statistics: CorpusStatistics { vocabulary_size: 0, total_tokens: 0 },
        }
    }

    /// Write one line. Words come ascending by their bytes, each once, without tab, line feed and carriage
    /// return, 1 to 1,024 bytes long; counts are at least 1.
    ///
    /// # Errors
    /// `failed` for a line that breaks one of these rules: a fault of the component.
    pub fn write(&mut self, word: &str, count: u64) -> Result<(), Error> {
        if word.is_empty() || word.len() > WORD_BYTES_MAX || word.contains(['\t', '\n', '\r']) || count == 0 {
            return Err(Error::Failed(format!("{word:?} with count {count} cannot stand in a corpus")));
        }
        if self.statistics.vocabulary_size > 0 && self.previous.as_slice() >= word.as_bytes() {
            let previous = String::from_utf8_lossy(&self.previous);
            return Err(Error::Failed(format!(
                "{word:?} was written after {previous:?}; words ascend by their bytes, each once"
            )));
        }
        self.previous.clear();
        self.previous.extend_from_slice(word.as_bytes());
        self.write_sorted(word, count);
        Ok(())
    }

    /// Write one line that is known to keep the rules.
    #[inline]
    pub(crate) fn write_sorted(&mut self, word: &str, count: u64) {
        self.out.write(word.as_bytes());
        let mut digits = [0; 22]; // a tab, 20 digits of 2^64 - 1, a line feed
        let mut start = digits.len() - 1;
        digits[start] = b'\n';
        let mut rest = count;
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        start -= 1;
        digits[start] = b'\t';
        self.out.write(&digits[start..]);
        self.statistics.vocabulary_size += 1;
        self.statistics.total_tokens = self.statistics.total_tokens.saturating_add(count);
    }

    /// Figures of what was written.
    pub fn statistics(&self) -> CorpusStatistics {
        self.statistics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_breaks_the_format() {
        let mut out = Output::memory();
        let mut corpus = CorpusWriter::new(&mut out);
        corpus.write("b", u64::MAX).expect("it is in order");
        for (word, count) in [
            ("a", 1),
            ("b", 1),
            ("", 1),
            ("c\td", 1),
            ("c\n", 1),
            ("c\r", 1),
            ("c", 0),
            (&"x".repeat(1025), 1),
        ] {
            assert!(matches!(corpus.write(word, count), Err(Error::Failed(_))), "{word:?} {count}");
        }
        corpus.write("c", 1).expect("it is in order");
        assert_eq!(corpus.statistics().vocabulary_size, 2);
        assert_eq!(corpus.statistics().total_tokens, u64::MAX);
        assert_eq!(out.into_bytes(), b"b\t18446744073709551615\nc\t1\n");
    }
}
