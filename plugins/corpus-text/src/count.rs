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
    hash: u32,
    len: u32,
    start: usize,
    count: u64,
}

impl Counts {
    /// Fold a word and count it once.
    #[inline]
    pub fn add(&mut self, word: &str) {
        let mut folded = std::mem::take(&mut self.folded);
        text::fold_into(word, &mut folded);
        self.add_folded(&folded, 1);
        self.folded = folded;
    }

    /// Count a folded word.
    #[inline]
    pub fn add_folded(&mut self, word: &str, count: u64) {
        if word.is_empty() || word.len() > WORD_BYTES_MAX {
            self.too_long += u64::from(!word.is_empty());
            return;
        }
        if self.entries.len() * 4 >= self.table.len() * 3 {
            self.grow();
        }
        let hash = hash(word.as_bytes());
        let mask = self.table.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let Some(at) = self.table[slot].checked_sub(1) else { break };
            let entry = &mut self.entries[at as usize];
            if entry.hash == hash && &self.arena.as_bytes()[entry.start..entry.start + entry.len as usize] == word.as_bytes() {
                entry.count = entry.count.saturating_add(count);
                return;
            }
            slot = (slot + 1) & mask;
        }
        self.entries.push(Entry { hash, len: word.len() as u32, start: self.arena.len(), count });
        self.arena.push_str(word);
        self.table[slot] = u32::try_from(self.entries.len()).expect("4 billion distinct words exceed a guest's memory");
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
        let mut entries: Vec<_> = self.entries.iter().map(|entry| (prefix(self.word(entry)), entry)).collect();
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
        for (at, entry) in self.entries.iter().enumerate() {
            let mut slot = entry.hash as usize & (len - 1);
            while self.table[slot] != 0 {
                slot = (slot + 1) & (len - 1);
            }
            self.table[slot] = at as u32 + 1;
        }
    }
}

/// A fixed multiplicative hash, eight bytes at a time: quick on 32 and 64 bits. Nothing of it reaches the output,
/// which is sorted; a text made to collide is slow and meets the host's time limit.
#[inline]
fn hash(word: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 divided by the golden ratio
    let mut state = word.len() as u64;
    let mut chunks = word.chunks_exact(8);
    for chunk in &mut chunks {
        let chunk = u64::from_le_bytes(chunk.try_into().expect("chunks_exact gives eight bytes"));
        state = (state.rotate_left(29) ^ chunk).wrapping_mul(FACTOR);
    }
    let rest = chunks.remainder().iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
    state = (state.rotate_left(29) ^ rest).wrapping_mul(FACTOR);
    (state >> 32) as u32 ^ (state >> 15) as u32
}

/// The first eight bytes as a number that sorts like them.
fn prefix(word: &str) -> u64 {
    let mut bytes = [0; 8];
    let len = word.len().min(8);
    bytes[..len].copy_from_slice(&word.as_bytes()[..len]);
    u64::from_be_bytes(bytes)
}
