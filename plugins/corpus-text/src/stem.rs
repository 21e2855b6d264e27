//! Stop words and stems, on the distinct words.

use std::collections::HashSet;

use floret_sdk::text;
use rust_stemmers::Stemmer;

use crate::count::Counts;

/// Drop the stop words, then replace words by their stems and sum the counts.
pub fn reduce(counts: Counts, stop_words: &[String], stemmer: Option<&Stemmer>) -> Counts {
    if stop_words.is_empty() && stemmer.is_none() {
        return counts;
    }
    // Only asked, never iterated: its order cannot reach the output.
    let stop_words: HashSet<_> = stop_words.iter().map(|word| text::fold(word)).collect();
    let mut reduced = Counts::default();
    for (word, count) in counts.iter().filter(|(word, _)| !stop_words.contains(*word)) {
        match stemmer {
            // A stemmer takes letters away and may leave a bare mark at the end, hence folding again.
            Some(stemmer) => reduced.add_folded(&text::fold(&stemmer.stem(word)), count),
            None => reduced.add_folded(word, count),
        }
    }
    reduced
}
