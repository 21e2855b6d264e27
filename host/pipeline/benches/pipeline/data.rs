//! What is saved: the same in every run.

use std::fmt::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use floret_model::{DictionaryMetadata, Metadata, ResourceKey, TypedMetadata};
use floret_pipeline::{Content, SaveRequest};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

pub const SEED: u64 = 20_250_731;
const WORDS: usize = 320_000;
const WORDS_OF_CORPORA: usize = 100_000;
const WORDS_OF_A_CORPUS: usize = 20_000;

pub fn key(text: &str) -> ResourceKey {
    text.parse().expect("a resource key")
}

/// Distinct words of syllables, about nine letters each.
fn words() -> &'static [String] {
    static WORDS_MADE: OnceLock<Vec<String>> = OnceLock::new();
    WORDS_MADE.get_or_init(|| {
        let mut random = StdRng::seed_from_u64(SEED);
        let syllables: Vec<String> =
            ["b", "c", "d", "f", "gr", "l", "m", "n", "p", "r", "st", "t", "v", "wh"]
                .iter()
                .flat_map(|onset| {
                    ["a", "e", "i", "o", "ou", "er", "an", "ing"].map(|rime| format!("{onset}{rime}"))
                })
                .collect();
        let mut seen = std::collections::HashSet::new();
        let mut words = Vec::with_capacity(WORDS);
        while words.len() < WORDS {
            let length = random.random_range(2..=5);
            let word: String =
                (0..length).map(|_| syllables.choose(&mut random).expect("not empty").as_str()).collect();
            if seen.insert(word.clone()) {
                words.push(word);
            }
        }
        words
    })
}

pub fn entry_key(number: usize) -> ResourceKey {
    key(&format!("dictionary/word-{number}"))
}

/// A dictionary entry of about 1,000 bytes in canonical form; another revision is another content.
pub fn entry(number: usize, revision: usize) -> SaveRequest {
    let mut random = StdRng::seed_from_u64(SEED + number as u64);
    let mut phrase = |count: usize| {
        let some: Vec<&str> =
            (0..count).map(|_| words().choose(&mut random).expect("not empty").as_str()).collect();
        some.join(" ")
    };
    let senses: Vec<Value> = ["noun", "verb", "adjective"]
        .into_iter()
        .map(|part| {
            json!({
                "part_of_speech": part, "definition": phrase(12), "examples": [phrase(8)], "synonyms": [phrase(1), phrase(1)]
            })
        })
        .collect();
    let word = words()[number].clone();
    let content = json!({"word": word, "revision": revision, "pronunciation": phrase(1), "senses": senses});
    let metadata = DictionaryMetadata { word, provider: "bench".to_owned(), language: "en".to_owned() };
    SaveRequest {
        metadata: Metadata::typed(TypedMetadata::Dictionary(metadata)),
        ..SaveRequest::new(entry_key(number), Content::Json(content))
    }
}

/// Frequencies of the vocabulary: they fall with the rank, and some differ from revision to revision.
fn frequencies(revision: usize) -> impl Iterator<Item = (&'static String, usize)> {
    words().iter().enumerate().map(move |(rank, word)| {
        let more = if rank % 997 == revision % 997 { revision } else { 0 };
        (word, 1_000_000 / (rank + 1) + 1 + more)
    })
}

/// A vocabulary of about 5 MB in canonical form, as it is after parsing a sorted document.
pub fn vocabulary_json(revision: usize) -> Value {
    let mut words: Vec<_> = frequencies(revision).collect();
    words.sort_unstable();
    let mut document = String::from("{\"frequencies\":{");
    for (index, (word, count)) in words.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(document, "{comma}\"{word}\":{count}").expect("a string takes everything");
    }
    write!(document, "}},\"revision\":{revision}}}").expect("a string takes everything");
    serde_json::from_str(&document).expect("JSON")
}

/// The same as lines: at least 5 MiB.
pub fn vocabulary_lines(revision: usize) -> Bytes {
    let mut lines = format!("revision\t{revision}\n");
    for (word, count) in frequencies(revision) {
        writeln!(lines, "{word}\t{count}\t{}", word.len()).expect("a string takes everything");
    }
    lines.into()
}

/// A text whose corpus has 20,000 words; another revision adds some of its own.
pub fn child_text(child: usize, revision: usize) -> SaveRequest {
    let mut random = StdRng::seed_from_u64(SEED + child as u64);
    let mut some: Vec<&str> = words()[..WORDS_OF_CORPORA].iter().map(String::as_str).collect();
    some.shuffle(&mut random);
    some.truncate(WORDS_OF_A_CORPUS);
    let often: Vec<&str> =
        (0..WORDS_OF_A_CORPUS / 2).map(|_| *some[..100].choose(&mut random).expect("not empty")).collect();
    let mut text = [&some[..], &often[..]].concat().join(" ");
    for number in 0..revision {
        write!(text, " revised{}{child}", "x".repeat(number)).expect("a string takes everything");
    }
    SaveRequest::new(key(&format!("literature/t{child}")), Content::Bytes(text.into()))
}
