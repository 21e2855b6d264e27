//! The vector of a word.
//!
//! As in fastText (Bojanowski et al., "Enriching Word Vectors with Subword Information", 2017) a word is the bag
//! of its character n-grams, with `<` and `>` at its ends, and itself as a whole. As in feature hashing
//! (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009) each n-gram is hashed to one
//! component and one sign, so that collisions cancel out on average. An n-gram that occurs t times adds √t; the
//! vector is divided by its Euclidean length.
//!
//! Nothing but sums, products, quotients and square roots of IEEE 754, in one order: equal everywhere.

/// Computes vectors, keeping its buffers.
pub struct Vectorizer {
    ngram_min: usize,
    ngram_max: usize,
    marked: String,
    starts: Vec<usize>,
    hashes: Vec<u64>,
    vector: Vec<f32>,
}

impl Vectorizer {
    /// Vectors of `dimension` components over n-grams of `ngram_min` to `ngram_max` characters.
    pub fn new(dimension: usize, ngram_min: u8, ngram_max: u8) -> Self {
        Self {
            ngram_min: usize::from(ngram_min),
            ngram_max: usize::from(ngram_max),
            marked: String::new(),
            starts: Vec::new(),
            hashes: Vec::new(),
            vector: vec![0.0; dimension],
        }
    }

    /// The vector of a word, of length 1; all zeros for an empty word.
    pub fn vector(&mut self, word: &str) -> &[f32] {
        self.vector.fill(0.0);
        if word.is_empty() {
            return &self.vector;
        }
        self.hash_ngrams(word);
        self.hashes.sort_unstable();
        let dimension = self.vector.len() as u64;
        for run in self.hashes.chunk_by(|left, right| left == right) {
            let hash = run[0];
            let at = ((hash >> 32) * dimension) >> 32;
            let weight = (run.len() as f32).sqrt();
            self.vector[at as usize] += if hash & 1 == 0 { weight } else { -weight };
        }
        // Summed in f64, where squares of these small numbers lose nothing that f32 could show.
        let length =
            self.vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt() as f32;
        if length > 0.0 {
            self.vector.iter_mut().for_each(|value| *value /= length);
        }
        &self.vector
    }

    fn hash_ngrams(&mut self, word: &str) {
        self.marked.clear();
        self.marked.push('<');
        self.marked.push_str(word);
        self.marked.push('>');
        self.starts.clear();
        self.starts.extend(self.marked.char_indices().map(|(start, _)| start));
        self.starts.push(self.marked.len());
        self.hashes.clear();
        let bytes = self.marked.as_bytes();
        let chars = self.starts.len() - 1;
        for (at, start) in self.starts[..chars].iter().enumerate() {
            let mut hash = FNV_OFFSET;
            let mut from = *start;
            for len in 1..=self.ngram_max.min(chars - at) {
                let end = self.starts[at + len];
                hash = fnv(hash, &bytes[from..end]);
                from = end;
                if len >= self.ngram_min {
                    self.hashes.push(mix(hash));
                }
            }
        }
        if chars > self.ngram_max || chars < self.ngram_min {
            self.hashes.push(mix(fnv(FNV_OFFSET, bytes)));
        }
    }
}

/// Where FNV-1a begins.
pub const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits: grows byte by byte, so that each n-gram continues the one before it.
pub fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The last step of MurmurHash3: FNV's high bits alone are poor for short texts.
fn mix(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}
