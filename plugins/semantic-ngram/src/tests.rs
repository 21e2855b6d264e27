//! The component as a whole, in memory.

use floret_sdk::index::{Hit, IndexBuilder, Query, Searcher};
use floret_sdk::{Error, Input, Output, Statistic, StatisticValue};

use crate::config::{Config, SCHEMA};
use crate::vector::Vectorizer;
use crate::{NgramSearcher, SemanticNgram};

const CORPUS: &str = "banana\t4\nbandana\t2\ncategory\t9\nnation\t30\nnational\t20\nnationality\t3\ninternational\t8\nzebra\t1\n";

fn corpus() -> String {
    let mut lines: Vec<_> = CORPUS.lines().collect();
    lines.sort_unstable();
    lines.into_iter().map(|line| format!("{line}\n")).collect()
}

fn build(corpora: &[&str], config: &str) -> Result<(Vec<u8>, Vec<Statistic>), Error> {
    let inputs: Vec<_> = corpora.iter().map(|text| Input::from_bytes("corpus", *text)).collect();
    let mut out = Output::memory();
    let statistics = SemanticNgram::build(&inputs, config, &mut out)?;
    Ok((out.into_bytes(), statistics))
}

fn open(config: &str) -> NgramSearcher {
    let (bytes, _) = build(&[&corpus()], config).expect("it is a corpus");
    NgramSearcher::open(&Input::from_bytes("index", bytes)).expect("it is an index")
}

fn semantic(searcher: &NgramSearcher, text: &str, limit: u32) -> Vec<Hit> {
    searcher.search(&Query::Semantic(text.into()), limit).expect("it answers")
}

#[test]
fn schema_and_defaults_agree() {
    floret_sdk::config::assert_defaults_agree::<Config>(SCHEMA);
    let error = build(&[""], r#"{"ngram_min": 5, "ngram_max": 3}"#);
    assert!(matches!(error, Err(Error::InvalidConfig(_))));
}

#[test]
fn near_words_come_first_in_every_quantization() {
    for quantization in ["none", "float16", "int8"] {
        let searcher = open(&format!(r#"{{"quantization": "{quantization}"}}"#));
        let hits = semantic(&searcher, "NATIONAL", 4);
        let words: Vec<_> = hits.iter().map(|hit| hit.word.as_str()).collect();
        assert_eq!(words[0], "national", "{quantization}");
        assert!(hits[0].score > 0.99 && hits[0].score <= 1.0 && hits[0].frequency == 20, "{quantization}");
        assert_eq!(
            words[1..].iter().filter(|word| word.contains("nation")).count(),
            3,
            "{quantization}: {words:?}"
        );
        assert!(hits.is_sorted_by(|left, right| left.score >= right.score), "{quantization}");
        assert!(semantic(&searcher, "", 10).is_empty());
    }
}

#[test]
fn scores_are_the_cosines() {
    for (quantization, tolerance) in [("none", 1e-6), ("float16", 1e-3), ("int8", 6e-3)] {
        let searcher = open(&format!(r#"{{"quantization": "{quantization}", "dimension": 64}}"#));
        let mut vectorizer = Vectorizer::new(64, 3, 5);
        let query = vectorizer.vector("nations").to_vec();
        for hit in semantic(&searcher, "nations", 100) {
            let cosine: f32 =
                vectorizer.vector(&hit.word).iter().zip(&query).map(|(left, right)| left * right).sum();
            assert!(
                (cosine - hit.score).abs() < tolerance,
                "{quantization} {}: {cosine} {}",
                hit.word,
                hit.score
            );
        }
    }
}

#[test]
fn exact_words_and_refusals() {
    let searcher = open("{}");
    let hits = searcher.search(&Query::Exact("Zebra".into()), 5).expect("it answers");
    assert_eq!((hits.len(), hits[0].word.as_str(), hits[0].frequency), (1, "zebra", 1));
    assert!(searcher.search(&Query::Exact("zebr".into()), 5).expect("it answers").is_empty());
    assert!(matches!(searcher.search(&Query::Prefix("z".into()), 5), Err(Error::Unsupported(_))));
    assert!(
        matches!(build(&["b\t1\na\t1\n"], "{}"), Err(Error::InvalidInput(text)) if text.contains("line 2"))
    );
}

#[test]
fn keeps_the_most_frequent_words() {
    let (bytes, statistics) =
        build(&["a\t1\nb\t5\nc\t5\n", "a\t1\nd\t2\n"], r#"{"words_max": 3}"#).expect("they are corpora");
    let searcher = NgramSearcher::open(&Input::from_bytes("index", bytes)).expect("it is an index");
    let has = |word: &str| searcher.search(&Query::Exact(word.into()), 1).expect("it answers").len();
    assert_eq!(["a", "b", "c", "d"].map(has), [1, 1, 1, 0], "a and d have 2 each, and a is first");
    assert!(matches!(statistics[0].value, StatisticValue::Count(3)));
}

#[test]
fn m14_statistics() {
    let (bytes, statistics) =
        build(&[&corpus()], r#"{"dimension": 32, "quantization": "float16"}"#).expect("it is a corpus");
    let shown: Vec<_> =
        statistics.iter().map(|statistic| format!("{} {:?}", statistic.name, statistic.value)).collect();
    let size = format!("memory_usage_bytes StatisticValue::Count({})", bytes.len());
    let expected = [
        "word_count StatisticValue::Count(8)",
        "embedding_dimension StatisticValue::Count(32)",
        "model_name StatisticValue::Text(\"char-ngram-hash-1\")",
        "index_type StatisticValue::Text(\"flat\")",
        "quantization StatisticValue::Text(\"float16\")",
        &size,
    ];
    assert_eq!(shown, expected);
}

/// Golden: the bytes are the same on every machine, native and wasm, and change only with the format's version.
#[test]
fn bytes_are_the_same_everywhere() {
    for (quantization, expected) in [("none", 2422153807), ("float16", 3854521572), ("int8", 1507901470)] {
        let (bytes, _) =
            build(&[&corpus()], &format!(r#"{{"quantization": "{quantization}"}}"#)).expect("it is a corpus");
        assert_eq!(crc32fast::hash(&bytes[..bytes.len() - 4]), expected, "{quantization}");
    }
}

/// Many words, so that a build is split; counts that words_max tells apart.
fn large_corpus() -> String {
    let mut words: Vec<_> =
        (0..60_000u32).map(|n| format!("w{:x}\u{e4}{n}", n.wrapping_mul(2_654_435_761))).collect();
    words.sort_unstable();
    words.iter().enumerate().map(|(at, word)| format!("{word}\t{}\n", at % 97 + 1)).collect()
}

fn part(corpora: &[Input], config: &str, part: u32, parts: u32) -> Input {
    let mut out = Output::memory();
    SemanticNgram::build_part(corpora, config, part, parts, &mut out).expect("a part");
    Input::from_bytes("part", out.into_bytes())
}

fn merge(parts: &[Input], corpora: &[Input], config: &str) -> Result<(Vec<u8>, Vec<Statistic>), Error> {
    let mut out = Output::memory();
    let statistics = SemanticNgram::merge_parts(parts, corpora, config, &mut out)?;
    Ok((out.into_bytes(), statistics))
}

#[test]
fn parts_depend_on_sizes_and_words_max() {
    let count = |bytes: usize, config: &str| {
        SemanticNgram::parts(&[Input::from_bytes("corpus", vec![b'x'; bytes])], config).expect("a number")
    };
    assert_eq!([0, 100, 190_000, 200_000, 1_200_000].map(|bytes| count(bytes, "{}")), [1, 1, 1, 2, 4]);
    // Where most lines make no vector, reading them several times would cost more than it saves.
    assert_eq!(count(12_000_000, "{}"), 1);
    assert_eq!(count(12_000_000, r#"{"words_max": 1000000}"#), 4);
}

#[test]
fn parts_merged_are_the_whole() {
    let text = large_corpus();
    for corpora in [&["", ""][..], &[&corpus(), "nation\t1\n"], &[&text], &[&text, &corpus()]] {
        let inputs: Vec<_> = corpora.iter().map(|text| Input::from_bytes("corpus", *text)).collect();
        for (quantization, words_max) in [("int8", 1_000), ("float16", 100_000), ("none", 5)] {
            let config =
                format!(r#"{{"quantization": "{quantization}", "words_max": {words_max}, "dimension": 16}}"#);
            let (bytes, statistics) = build(corpora, &config).expect("they are corpora");
            for parts in [1, 3, 8] {
                let made: Vec<_> = (0..parts).map(|at| part(&inputs, &config, at, parts)).collect();
                let merged = merge(&made, &inputs, &config).expect("they are the parts");
                assert!(merged.0 == bytes, "{quantization} {words_max} in {parts}");
                assert_eq!(format!("{:?}", merged.1), format!("{statistics:?}"));
            }
        }
    }
}

#[test]
fn parts_of_another_build_are_refused() {
    let corpora = [Input::from_bytes("corpus", corpus())];
    let others = [Input::from_bytes("corpus", "a\t1\n")];
    let made = |corpora: &[Input], config: &str| [0, 1].map(|at| part(corpora, config, at, 2));
    let refused = |parts: &[Input], expected: &str| match merge(parts, &corpora, "{}") {
        Err(Error::InvalidInput(text)) if text.contains(expected) => {}
        other => panic!("expected {expected:?}, got {other:?}"),
    };
    let [first, second] = made(&corpora, "{}");
    refused(&[], "there are no parts");
    refused(&[part(&corpora, "{}", 0, 2)], "part 0 is not part 0 of this build: it is another part");
    refused(&[second, first], "it is another part");
    refused(&made(&others, "{}"), "other corpora");
    refused(&made(&corpora, r#"{"words_max": 3}"#), "another configuration");
    let [first, second] = made(&corpora, "{}");
    let cut = second.read_to_end();
    refused(&[first, Input::from_bytes("part", &cut[..cut.len() - 1])], "bytes, found");
    for garbage in [&b""[..], b"FLORETSP", b"nation\t1\n"] {
        let [first, _] = made(&corpora, "{}");
        refused(&[first, Input::from_bytes("part", garbage)], "is not part 1 of this build");
    }
    assert!(matches!(
        SemanticNgram::build_part(&corpora, "{}", 2, 2, &mut Output::memory()),
        Err(Error::InvalidInput(_))
    ));
}

#[test]
fn empty_and_damaged() {
    let (bytes, _) = build(&[""], "{}").expect("it is a corpus");
    let searcher = NgramSearcher::open(&Input::from_bytes("index", bytes)).expect("it is an index");
    assert!(semantic(&searcher, "a", 10).is_empty());
    let (bytes, _) = build(&["a\t1\nbä\t300\n"], r#"{"dimension": 16}"#).expect("it is a corpus");
    let opens = |bytes: Vec<u8>| match NgramSearcher::open(&Input::from_bytes("index", bytes)) {
        Ok(_) => true,
        Err(Error::InvalidInput(text)) => !text.starts_with("index 0 is not a semantic-ngram index: "),
        Err(error) => panic!("{error:?}"),
    };
    for len in 0..bytes.len() {
        assert!(!opens(bytes[..len].to_vec()), "cut to {len}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(!opens(damaged), "bit {bit} of byte {at}");
        }
    }
    assert!(opens(bytes));
}
