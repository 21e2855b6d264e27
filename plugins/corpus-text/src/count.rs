//! Counting words.

use floret_sdk::corpus::WORD_BYTES_MAX;
use floret_sdk::text;

/// Distinct words with their counts: a hash table over one arena, so that a word costs no allocation.
#[derive(Debug, Default)]
pub struct Counts {
    /// Places in `entries` plus one; 0 is free. A power of two long, at most three quarters full.
    table: Vec<u32>,
    entries: Vec<Entry>,
    arena: String,
    /// The word at hand, folded.
    folded: String,
    /// Words over [`WORD_BYTES_MAX`] that were left out.
    pub too_long: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The first sixteen bytes, so that few comparisons reach the arena.
    head: Head,
    hash: u32,
    len: u32,
    start: usize,
    count: u64,
}

impl Counts {
    /// Fold a word and count it once.
    #[inline]
    pub fn add(&mut self, word: &str) {
        let head = Head::of(word.as_bytes());
        if word.len() <= HEAD_BYTES && head.is_ascii() {
            // Most words: folded and compared as two numbers, without a call or a copy.
            let head = head.lower_case();
            let hash = head.hash(word.len());
            if let Some(at) = self.find(head, hash, word.len(), &[]) {
                self.entries[at].count = self.entries[at].count.saturating_add(1);
                return;
            }
        }
        self.add_uncommon(word);
    }

    #[inline(never)]
    fn add_uncommon(&mut self, word: &str) {
        let mut folded = std::mem::take(&mut self.folded);
        text::fold_into(word, &mut folded);
        self.add_folded(&folded, 1);
        self.folded = folded;
    }

    /// Count a folded word.
    pub fn add_folded(&mut self, word: &str, count: u64) {
        if word.is_empty() || word.len() > WORD_BYTES_MAX {
            self.too_long += u64::from(!word.is_empty());
            return;
        }
        let head = Head::of(word.as_bytes());
        let tail = word.as_bytes().get(HEAD_BYTES..).unwrap_or_default();
        let hash = tail
            .iter()
            .fold(head.hash(word.len()), |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        if let Some(at) = self.find(head, hash, word.len(), tail) {
            self.entries[at].count = self.entries[at].count.saturating_add(count);
            return;
        }
        if self.entries.len() * 4 >= self.table.len() * 3 {
            self.grow();
        }
        self.entries.push(Entry { head, hash, len: word.len() as u32, start: self.arena.len(), count });
        self.arena.push_str(word);
        self.place(self.entries.len() - 1);
    }

    /// The entry of a folded word, given by its head and what follows it.
    #[inline]
    fn find(&self, head: Head, hash: u32, len: usize, tail: &[u8]) -> Option<usize> {
        let mask = self.table.len().checked_sub(1)?;
        let mut slot = hash as usize & mask;
        loop {
            let at = self.table[slot].checked_sub(1)? as usize;
            let entry = &self.entries[at];
            if entry.head == head
                && entry.len as usize == len
                && (tail.is_empty() || &self.word(entry).as_bytes()[HEAD_BYTES..] == tail)
            {
                return Some(at);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Put an entry into the table, which has room.
    fn place(&mut self, at: usize) {
        let mask = self.table.len() - 1;
        let mut slot = self.entries[at].hash as usize & mask;
        while self.table[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.table[slot] = u32::try_from(at + 1).expect("4 billion distinct words exceed a guest's memory");
    }

    /// Distinct words.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The words in the order of their first occurrence.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.entries.iter().map(|entry| (self.word(entry), entry.count))
    }

    /// The words ascending by their bytes.
    pub fn sorted(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut entries: Vec<_> =
            self.entries.iter().map(|entry| (prefix(self.word(entry)), entry)).collect();
        entries.sort_unstable_by(|(left_prefix, left), (right_prefix, right)| {
            left_prefix.cmp(right_prefix).then_with(|| self.word(left).cmp(self.word(right)))
        });
        entries.into_iter().map(|(_, entry)| (self.word(entry), entry.count))
    }

    fn word(&self, entry: &Entry) -> &str {
        &self.arena[entry.start..entry.start + entry.len as usize]
    }

    fn grow(&mut self) {
        let len = (self.table.len() * 2).max(1 << 10);
        self.table.clear();
        self.table.resize(len, 0);
        for at in 0..self.entries.len() {
            self.place(at);
        }
    }
}

/// Bytes of a [`Head`].
const HEAD_BYTES: usize = 16;

/// Each byte 1.
const ONES: u64 = 0x0101_0101_0101_0101;

/// The first sixteen bytes of a word, filled with zeros, as two little-endian numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head(u64, u64);

impl Head {
    #[inline]
    fn of(word: &[u8]) -> Self {
        let len = word.len();
        if let (Some(first), Some(last)) =
            (word.first_chunk::<8>(), word[..len.min(HEAD_BYTES)].last_chunk::<8>())
        {
            // The last eight overlap the first, whose bytes are shifted out.
            let last = u64::from_le_bytes(*last);
            let unused_bits = 8 * (HEAD_BYTES - len.min(HEAD_BYTES)) as u32;
            return Self(u64::from_le_bytes(*first), last.checked_shr(unused_bits).unwrap_or(0));
        }
        if let (Some(first), Some(last)) = (word.first_chunk::<4>(), word.last_chunk::<4>()) {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            return Self(u64::from(first) | u64::from(last) << (8 * (len - 4)), 0);
        }
        let word = word.iter().rev();
        Self(word.fold(0, |word, byte| word << 8 | u64::from(*byte)), 0)
    }

    #[inline]
    fn is_ascii(self) -> bool {
        (self.0 | self.1) & (0x80 * ONES) == 0
    }

    /// ASCII letters in lower case, eight at a time: a byte's top bit shows whether it is from `A` on, and
    /// whether it is beyond `Z`; where these differ bit 0x20 makes it small. No byte carries into the next, as
    /// all are below 0x80.
    #[inline]
    fn lower_case(self) -> Self {
        let lower = |bytes: u64| {
            let from_a = bytes + (0x80 - u64::from(b'A')) * ONES;
            let beyond_z = bytes + (0x7f - u64::from(b'Z')) * ONES;
            bytes | ((from_a ^ beyond_z) & (0x80 * ONES)) >> 2
        };
        Self(lower(self.0), lower(self.1))
    }

    /// A fixed multiplicative hash. Nothing of it reaches the output, which is sorted; a text made to collide
    /// is slow and meets the host's time limit.
    #[inline]
    fn hash(self, len: usize) -> u32 {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 divided by the golden ratio
        let state = (self.0 ^ len as u64).wrapping_mul(FACTOR);
        let state = (state.rotate_left(29) ^ self.1).wrapping_mul(FACTOR);
        (state >> 32) as u32 ^ (state >> 15) as u32
    }
}

/// The first eight bytes as a number that sorts like them.
fn prefix(word: &str) -> u64 {
    Head::of(word.as_bytes()).0.swap_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_words_of_every_length_by_all_their_bytes() {
        let mut counts = Counts::default();
        let mut expected = std::collections::BTreeMap::<String, u64>::new();
        let text = "THE Quick brown@[`{Zfox jumps over a lazy Straße dog 0123456789";
        for round in 0..3 {
            for (start, _) in text.char_indices() {
                for (end, _) in text.char_indices().filter(|(end, _)| *end > start) {
                    let word = &text[start..end];
                    if round == 0 || word.len() % 3 == round {
                        counts.add(word);
                        *expected.entry(text::fold(word)).or_default() += 1;
                    }
                }
            }
        }
        let sorted: Vec<_> = counts.sorted().collect();
        let expected: Vec<_> = expected.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        assert_eq!(sorted, expected);
        assert_eq!(counts.len(), expected.len());
    }
}
