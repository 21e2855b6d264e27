//! The component as a whole, in memory.

use floret_sdk::corpus::CorpusBuilder;
use floret_sdk::{Error, Input, Output};

use crate::CorpusText;
use crate::config::{Config, SCHEMA};

fn build(documents: &[&str], config: &str) -> Result<String, Error> {
    let inputs: Vec<_> = documents.iter().map(|text| Input::from_bytes("document", *text)).collect();
    let mut out = Output::memory();
    let statistics = CorpusText::build(&inputs, config, &mut out)?;
    let text = String::from_utf8(out.into_bytes()).expect("a corpus is UTF-8");
    assert_eq!(statistics.vocabulary_size, text.lines().count() as u64);
    Ok(text)
}

fn merge(corpora: &[&str]) -> String {
    let inputs: Vec<_> = corpora.iter().map(|text| Input::from_bytes("corpus", *text)).collect();
    let mut out = Output::memory();
    CorpusText::merge(&inputs, &mut out).expect("they are corpora");
    String::from_utf8(out.into_bytes()).expect("a corpus is UTF-8")
}

#[test]
fn schema_and_defaults_agree() {
    floret_sdk::config::assert_defaults_agree::<Config>(SCHEMA);
}

#[test]
fn counts_folded_words() {
    let cases = [
        ("", ""),
        (" \n -- ... _ ", ""),
        ("The cat; the CAT, the 3.14 cats' don't", "3.14\t1\ncat\t2\ncats\t1\ndon't\t1\nthe\t3\n"),
        ("Straße STRASSE e\u{301}tude ÉTUDE", "strasse\t2\nétude\t2\n"),
        ("one\ttwo\r\none", "one\t2\ntwo\t1\n"),
    ];
    for (text, expected) in cases {
        assert_eq!(build(&[text], "{}").expect("it is text"), expected, "{text:?}");
    }
}

#[test]
fn config_chooses_words() {
    let text = "Running runs; the runner ran THE race";
    let cases = [
        (r#"{"stop_words": ["The"]}"#, "race\t1\nran\t1\nrunner\t1\nrunning\t1\nruns\t1\n"),
        (r#"{"min_count": 2}"#, "the\t2\n"),
        (r#"{"stemming": true, "language": "en-GB", "min_count": 2}"#, "run\t2\nthe\t2\n"),
    ];
    for (config, expected) in cases {
        assert_eq!(build(&[text], config).expect("it is text"), expected, "{config}");
    }
    assert!(build(&[text], r#"{"stemming": false, "language": "tlh"}"#).is_ok());
    let error = build(&[text], r#"{"stemming": true, "language": "tlh"}"#);
    assert!(matches!(error, Err(Error::InvalidConfig(text)) if text.contains("tlh")));
}

#[test]
fn documents_are_counted_together_and_words_over_the_limit_left_out() {
    let long = "x".repeat(1025);
    let just = "y".repeat(1024);
    assert_eq!(
        build(&["a b", "", "b", &long, &just], "{}").expect("it is text"),
        format!("a\t1\nb\t2\n{just}\t1\n")
    );
}

#[test]
fn bytes_that_are_not_utf8_are_named() {
    let mut text = "word ".repeat(300_000).into_bytes(); // 1.5 MB: the fault is in the second piece
    text.extend_from_slice(b"bad\xff end");
    let inputs = [Input::from_bytes("document", "fine"), Input::from_bytes("document", text)];
    let error = CorpusText::build(&inputs, "{}", &mut Output::memory());
    assert!(
        matches!(error, Err(Error::InvalidInput(text)) if text == "document 1 is not UTF-8 at byte 1500003")
    );
}

#[test]
fn pieces_do_not_cut_words_or_characters() {
    let text = "naïve ".repeat(400_000); // 2.8 MB
    assert_eq!(build(&[&text], "{}").expect("it is text"), "naïve\t400000\n");
    let text = "ä".repeat(1_100_000); // no space at all: one word, too long
    assert_eq!(build(&[&text], "{}").expect("it is text"), "");
}

#[test]
fn merging_builds_equals_building_all() {
    let texts = ["the quick brown fox", "jumps over the lazy dog", "The End", ""];
    let corpora: Vec<_> = texts.iter().map(|text| build(&[text], "{}").expect("it is text")).collect();
    let whole = build(&texts, "{}").expect("it is text");
    assert_eq!(merge(&corpora.iter().map(String::as_str).collect::<Vec<_>>()), whole);
    assert_eq!(merge(&[&merge(&[&corpora[3], &corpora[1]]), &merge(&[&corpora[2], &corpora[0]])]), whole);
}

#[test]
fn m15_figures_of_a_text() {
    let text = "The cat sat on the mat. It was a happy cat!\nDon't you agree?";
    let figures = CorpusText::analyze(&Input::from_bytes("document", text), "{}").expect("it is text");
    assert_eq!((figures.word_count, figures.unique_words, figures.sentence_count), (14, 12, 3));
    assert_eq!(figures.readability_formula, "flesch-reading-ease");
    let syllables = 6.0 + 6.0 + 4.0; // "happy" and "agree" have two
    let expected = 206.835 - 1.015 * (14.0 / 3.0) - 84.6 * (syllables / 14.0);
    assert_eq!(figures.readability_score, Some(expected));
    for (text, config) in [("", "{}"), ("...", "{}"), ("Ein Satz.", r#"{"language": "de"}"#)] {
        let figures = CorpusText::analyze(&Input::from_bytes("document", text), config).expect("it is text");
        assert_eq!(figures.readability_score, None, "{text}");
    }
}
