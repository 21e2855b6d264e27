//! Many corpora read as one, counts of equal words summed.

use std::cmp::Ordering;

use crate::corpus::CorpusReader;
use crate::{Error, Input, READ_BYTES_MAX};

/// What all readers' buffers may take together, unless there are so many that each gets its least.
const BUFFERS_BYTES: usize = 32 << 20;

/// The union of corpora in one pass: words ascending by bytes, each once, counts summed and saturated. So it is
/// associative and commutative: any grouping and order of the same corpora reads the same.
///
/// Memory: one buffer a corpus, 64 KiB to 1 MiB each. Time: n log k for n lines of k corpora.
#[derive(Debug)]
pub struct CorpusMerge<'a> {
    readers: Vec<CorpusReader<'a>>,
    /// A binary heap, least first, of the readers that are not at their end. `heap[0]` is the current word.
    heap: Vec<Head>,
    /// Whether `heap[0]` was given out and is to be advanced first.
    is_given: bool,
}

/// A reader's word by its first bytes, which settle most comparisons without touching the reader.
#[derive(Debug, Clone, Copy)]
struct Head {
    prefix: u64,
    reader: u32,
}

impl<'a> CorpusMerge<'a> {
    /// Open all corpora.
    ///
    /// # Errors
    /// `invalid-input` for a first line that breaks the format.
    pub fn new(corpora: &'a [Input]) -> Result<Self, Error> {
        let share = BUFFERS_BYTES / corpora.len().max(1);
        let piece_bytes = u32::try_from(share).unwrap_or(READ_BYTES_MAX).clamp(64 << 10, READ_BYTES_MAX);
        let readers = corpora.iter().enumerate();
        let readers =
            readers.map(|(index, input)| CorpusReader::with_piece_bytes(input, index, piece_bytes)).collect();
        let mut merge = Self { readers, heap: Vec::with_capacity(corpora.len()), is_given: false };
        for reader in 0..merge.readers.len() {
            if merge.readers[reader].advance()? {
                merge.heap.push(merge.head(reader as u32));
            }
        }
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(at);
        }
        Ok(merge)
    }

    /// The next word and the sum of its counts; `None` at the end.
    ///
    /// # Errors
    /// `invalid-input`, naming the corpus and the line, for one out of order, repeated or malformed.
    #[expect(clippy::should_implement_trait, reason = "it lends: the word lives until the next call")]
    pub fn next(&mut self) -> Result<Option<(&str, u64)>, Error> {
        if self.is_given {
            self.advance(0)?;
        }
        let Some(top) = self.heap.first().copied() else {
            return Ok(None);
        };
        let mut count = self.readers[top.reader as usize].count();
        // The least of the others is a child of the root; while it equals the root's word, take its count.
        while let Some(child) = self.least_child(0) {
            if self.compare(self.heap[child], top) != Ordering::Equal {
                break;
            }
            count = count.saturating_add(self.readers[self.heap[child].reader as usize].count());
            self.advance(child)?;
        }
        self.is_given = true;
        Ok(Some((self.readers[top.reader as usize].word(), count)))
    }

    /// Advance the reader at a place of the heap and restore the heap below it.
    fn advance(&mut self, at: usize) -> Result<(), Error> {
        let reader = self.heap[at].reader;
        if self.readers[reader as usize].advance()? {
            self.heap[at] = self.head(reader);
        } else {
            // Only the root and its children are advanced and nothing is less than the root, so what comes
            // here from the end of the heap can only belong further down.
            self.heap.swap_remove(at);
        }
        self.sift_down(at);
        Ok(())
    }

    fn head(&self, reader: u32) -> Head {
        Head { prefix: self.readers[reader as usize].prefix(), reader }
    }

    #[inline]
    fn compare(&self, left: Head, right: Head) -> Ordering {
        left.prefix.cmp(&right.prefix).then_with(|| {
            let word = |head: Head| self.readers[head.reader as usize].word_bytes();
            word(left).cmp(word(right))
        })
    }

    #[inline]
    fn least_child(&self, at: usize) -> Option<usize> {
        let (left, right) = (2 * at + 1, 2 * at + 2);
        if right < self.heap.len() && self.compare(self.heap[right], self.heap[left]) == Ordering::Less {
            return Some(right);
        }
        (left < self.heap.len()).then_some(left)
    }

    fn sift_down(&mut self, mut at: usize) {
        while let Some(child) = self.least_child(at) {
            if self.compare(self.heap[child], self.heap[at]) != Ordering::Less {
                break;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(corpora: &[&str]) -> String {
        let inputs: Vec<_> = corpora.iter().map(|text| Input::from_bytes("corpus", *text)).collect();
        let mut merge = CorpusMerge::new(&inputs).expect("they are corpora");
        let mut text = String::new();
        while let Some((word, count)) = merge.next().expect("they are corpora") {
            text.push_str(&format!("{word}\t{count}\n"));
        }
        text
    }

    #[test]
    fn sums_sorts_and_saturates() {
        assert_eq!(merge(&["a\t1\nc\t2\n", "", "b\t5\nc\t3\n", "c\t4\n"]), "a\t1\nb\t5\nc\t9\n");
        assert_eq!(merge(&["a\t18446744073709551615\n", "a\t2\n"]), "a\t18446744073709551615\n");
        assert_eq!(merge(&["", ""]), "");
        // A zero byte is a character like any other, and the filled prefix must not confuse it with the end.
        assert_eq!(merge(&["a\0\t1\n", "a\t1\na\0\t1\n"]), "a\t1\na\0\t2\n");
    }

    #[test]
    fn is_associative_and_commutative() {
        // A small generator of corpora; any fixed sequence does.
        let mut state = 7u64;
        let mut next = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 33
        };
        let corpora: Vec<String> = (0..9)
            .map(|_| {
                let words: std::collections::BTreeMap<_, _> =
                    (0..200).map(|_| (format!("w{}ö", next() % 400), next() % 9 + 1)).collect();
                words.iter().map(|(word, count)| format!("{word}\t{count}\n")).collect()
            })
            .collect();
        let all: Vec<&str> = corpora.iter().map(String::as_str).collect();
        let whole = merge(&all);
        let reversed: Vec<&str> = all.iter().rev().copied().collect();
        assert_eq!(merge(&reversed), whole);
        let (left, right) = (merge(&all[..4]), merge(&all[4..]));
        assert_eq!(merge(&[&right, &left]), whole);
        assert_eq!(merge(&[&whole]), whole);
    }
}
