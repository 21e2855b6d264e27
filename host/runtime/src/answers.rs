//! What a guest may answer; anything else is malformed.

use std::collections::BTreeSet;

use floret_model::Codec;

use crate::contract::policy::Proposal;
use crate::contract::{Choice, Hit, StatisticValue, TextStatistics, WORD_BYTES_MAX};
use crate::instance::cut;

const STATISTIC_NAME_BYTES_MAX: usize = 64;
const STATISTIC_TEXT_BYTES_MAX: usize = 1_024;
const FORMULA_BYTES_MAX: usize = 64;
const REASON_BYTES_MAX: usize = 256;

pub(crate) fn check_text(text: &TextStatistics) -> Result<(), String> {
    if text.readability_score.is_some_and(|score| !score.is_finite()) {
        return Err(format!("readability_score is {:?}: expected a finite number", text.readability_score));
    }
    if text.readability_formula.len() > FORMULA_BYTES_MAX {
        let bytes = text.readability_formula.len();
        return Err(format!(
            "readability_formula has {bytes} bytes: at most {FORMULA_BYTES_MAX} are allowed"
        ));
    }
    if text.unique_words > text.word_count {
        let (unique, all) = (text.unique_words, text.word_count);
        return Err(format!("unique_words is {unique}, more than word_count, {all}"));
    }
    Ok(())
}

pub(crate) fn check_statistics(statistics: &[(String, StatisticValue)]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for (name, value) in statistics {
        let letters = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if name.is_empty() || name.len() > STATISTIC_NAME_BYTES_MAX || !name.bytes().all(letters) {
            let name = cut(name, 80);
            return Err(format!(
                "a statistic is named {name:?}: expected snake_case of 1 to {STATISTIC_NAME_BYTES_MAX} bytes"
            ));
        }
        if !names.insert(name) {
            return Err(format!("the statistic {name:?} stands twice"));
        }
        match value {
            StatisticValue::Real(real) if !real.is_finite() => {
                return Err(format!("the statistic {name:?} is {real}: expected a finite number"));
            }
            StatisticValue::Text(text) if text.len() > STATISTIC_TEXT_BYTES_MAX => {
                let bytes = text.len();
                return Err(format!(
                    "the statistic {name:?} has {bytes} bytes: at most {STATISTIC_TEXT_BYTES_MAX} are allowed"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn check_choice(proposal: Proposal) -> Result<Choice, String> {
    let codec = Codec::new(proposal.compression, proposal.level).map_err(|error| error.to_string())?;
    if proposal.reason.len() > REASON_BYTES_MAX {
        let bytes = proposal.reason.len();
        return Err(format!("the reason has {bytes} bytes: at most {REASON_BYTES_MAX} are allowed"));
    }
    Ok(Choice { codec, delta: proposal.delta, reason: proposal.reason })
}

pub(crate) fn check_hits(hits: &[Hit], limit: u32) -> Result<(), String> {
    if hits.len() > limit as usize {
        return Err(format!("{} hits, but at most {limit} were asked for", hits.len()));
    }
    for hit in hits {
        if !hit.score.is_finite() {
            let word = cut(&hit.word, 80);
            return Err(format!("the score of {word:?} is {}: expected a finite number", hit.score));
        }
        if hit.word.is_empty() || hit.word.len() > WORD_BYTES_MAX {
            let bytes = hit.word.len();
            return Err(format!("a word of {bytes} bytes: expected 1 to {WORD_BYTES_MAX}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use floret_model::CompressionType;

    fn check(got: Result<(), String>, expected: &str) {
        let fault = got.expect_err(expected);
        assert!(fault.contains(expected), "{fault:?} does not tell {expected:?}");
    }

    #[test]
    fn texts() {
        let text = TextStatistics {
            word_count: 2,
            unique_words: 2,
            sentence_count: 1,
            readability_score: None,
            readability_formula: "x".into(),
        };
        assert!(check_text(&text).is_ok());
        let nan = TextStatistics { readability_score: Some(f64::NAN), ..text.clone() };
        check(check_text(&nan), "readability_score is Some(NaN)");
        let more = TextStatistics { unique_words: 3, ..text.clone() };
        check(check_text(&more), "unique_words is 3");
        let long = TextStatistics { readability_formula: "x".repeat(65), ..text };
        check(check_text(&long), "65 bytes");
    }

    #[test]
    fn statistics() {
        let count = |name: &str| (name.to_owned(), StatisticValue::Count(1));
        assert!(check_statistics(&[count("a"), count("b_1")]).is_ok());
        check(check_statistics(&[count("a"), count("a")]), "\"a\" stands twice");
        check(check_statistics(&[count("Node-Count")]), "snake_case");
        check(check_statistics(&[count("")]), "snake_case");
        let value = |value| check_statistics(&[("x".to_owned(), value)]);
        check(value(StatisticValue::Real(f64::INFINITY)), "\"x\" is inf");
        check(value(StatisticValue::Text("x".repeat(1_025))), "1025 bytes");
    }

    #[test]
    fn choices() {
        let choice = |compression, level, reason: &str| {
            let reason = reason.to_owned();
            let proposal = Proposal { compression, level, delta: false, reason };
            check_choice(proposal).map(|choice| assert!(choice.codec.level <= 19))
        };
        assert!(choice(CompressionType::Zstd, 19, "").is_ok());
        assert!(choice(CompressionType::Lz4, 99, "").is_ok());
        check(choice(CompressionType::Zstd, 20, ""), "1 to 19");
        check(choice(CompressionType::Gzip, 0, ""), "1 to 9");
        check(choice(CompressionType::None, 0, &"x".repeat(257)), "257 bytes");
    }

    #[test]
    fn hits() {
        let hit = |word: &str, score| Hit { word: word.to_owned(), frequency: 1, distance: 0, score };
        assert!(check_hits(&[hit("a", 1.0)], 1).is_ok());
        check(check_hits(&[hit("a", 1.0), hit("b", 1.0)], 1), "2 hits");
        check(check_hits(&[hit("a", f32::NAN)], 1), "\"a\" is NaN");
        check(check_hits(&[hit("", 1.0)], 1), "a word of 0 bytes");
    }
}
