//! The component as a whole, in memory, against the plain way to do the same.

use std::collections::{BTreeMap, HashSet};

use floret_sdk::index::{FuzzyQuery, Hit, IndexBuilder, Query, Searcher};
use floret_sdk::{Error, Input, Output, Statistic, StatisticValue};

use crate::format::Index;
use crate::{Config, TrieFst, TrieSearcher, build};

fn index(corpora: &[&str], config: &str) -> Result<(Vec<u8>, Vec<Statistic>), Error> {
    let inputs: Vec<_> = corpora.iter().map(|text| Input::from_bytes("corpus", *text)).collect();
    let mut out = Output::memory();
    let statistics = TrieFst::build(&inputs, config, &mut out)?;
    Ok((out.into_bytes(), statistics))
}

fn open(corpora: &[&str]) -> TrieSearcher {
    let (bytes, _) = index(corpora, "{}").expect("they are corpora");
    TrieSearcher::open(&Input::from_bytes("index", bytes)).expect("it is an index")
}

fn answers(hits: &[Hit]) -> Vec<(&str, u64, u8)> {
    hits.iter().map(|hit| (hit.word.as_str(), hit.frequency, hit.distance)).collect()
}

fn fuzzy(text: &str, distance: u8) -> Query {
    Query::Fuzzy(FuzzyQuery { text: text.into(), distance })
}

/// Pseudo-random words over a small alphabet, so that there are many near ones and many ties.
fn vocabulary() -> BTreeMap<String, u64> {
    let mut state = 42u64;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    let letters = ['a', 'b', 'c', 'ä', '日'];
    (0..3000)
        .map(|_| {
            let len = next(7) + 1;
            let word = (0..len).map(|_| letters[next(5) as usize]).collect();
            let frequency = if next(50) == 0 { u64::MAX - next(3) } else { next(6) + 1 };
            (word, frequency)
        })
        .collect()
}

fn corpus(words: &BTreeMap<String, u64>) -> String {
    words.iter().map(|(word, count)| format!("{word}\t{count}\n")).collect()
}

fn levenshtein(left: &str, right: &str) -> usize {
    let right: Vec<_> = right.chars().collect();
    let mut row: Vec<_> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[test]
fn schema_and_defaults_agree() {
    floret_sdk::config::assert_defaults_agree::<Config>(&TrieFst::describe().config_schema);
}

#[test]
fn answers_exactly_and_folds_queries() {
    let searcher = open(&["apple\t3\nstrasse\t7\n", "apple\t2\n"]);
    let exact = |word: &str| searcher.search(&Query::Exact(word.into()), 10).expect("it answers");
    assert_eq!(answers(&exact("apple")), [("apple", 5, 0)]);
    assert_eq!(answers(&exact("STRAẞE")), [("strasse", 7, 0)]);
    assert!(exact("appl").is_empty() && exact("").is_empty());
    let (bytes, _) = index(&["Apple\t1\n"], r#"{"fold_queries": false}"#).expect("it is a corpus");
    let searcher = TrieSearcher::open(&Input::from_bytes("index", bytes)).expect("it is an index");
    assert_eq!(searcher.search(&Query::Exact("Apple".into()), 1).expect("it answers").len(), 1);
}

#[test]
fn prefixes_give_the_most_frequent() {
    let words = vocabulary();
    let searcher = open(&[&corpus(&words)]);
    for prefix in ["", "a", "b", "ab", "日", "ä", "abc", "caa", "aaaaaaa", "zz"] {
        for limit in [1, 2, 7, 20, 10_000] {
            let mut expected: Vec<_> = words.iter().filter(|(word, _)| word.starts_with(prefix)).collect();
            expected.sort_by_key(|(word, frequency)| (u64::MAX - **frequency, word.as_bytes()));
            let expected: Vec<_> = expected
                .into_iter()
                .take(limit as usize)
                .map(|(word, count)| (word.as_str(), *count, 0))
                .collect();
            let hits = searcher.search(&Query::Prefix(prefix.into()), limit).expect("it answers");
            assert_eq!(answers(&hits), expected, "{prefix:?} {limit}");
        }
    }
}

#[test]
fn fuzzy_is_ranked_by_distance_frequency_bytes() {
    let words = vocabulary();
    let searcher = open(&[&corpus(&words)]);
    for text in ["", "a", "abc", "日ä", "bacab", "ccccccc", "xyz", "aäbbc日"] {
        for distance in [1, 2] {
            for limit in [1, 10, 10_000] {
                let near =
                    words.iter().map(|(word, count)| (levenshtein(text, word), u64::MAX - count, word));
                let mut expected: Vec<_> =
                    near.filter(|(found, ..)| *found <= usize::from(distance)).collect();
                expected.sort();
                let expected: Vec<_> = expected
                    .into_iter()
                    .take(limit as usize)
                    .map(|(found, rest, word)| (word.as_str(), u64::MAX - rest, found as u8))
                    .collect();
                let hits = searcher.search(&fuzzy(text, distance), limit).expect("it answers");
                assert_eq!(answers(&hits), expected, "{text:?} {distance} {limit}");
            }
        }
    }
}

#[test]
fn refuses_what_it_does_not_do() {
    let searcher = open(&["a\t1\n"]);
    for query in [fuzzy("a", 0), fuzzy("a", 3), Query::Semantic("a".into())] {
        assert!(matches!(searcher.search(&query, 1), Err(Error::Unsupported(_))), "{query:?}");
    }
    let error = index(&["b\t1\na\t1\n"], "{}");
    assert!(matches!(error, Err(Error::InvalidInput(text)) if text.contains("line 2")));
}

#[test]
fn m16_statistics() {
    let words = vocabulary();
    let (bytes, statistics) = index(&[&corpus(&words)], "{}").expect("it is a corpus");
    let count = |name: &str| {
        let found = statistics.iter().find(|statistic| statistic.name == name).expect("it is counted");
        let StatisticValue::Count(count) = found.value else { panic!("{name} is a count") };
        count
    };
    assert_eq!(count("word_count"), words.len() as u64);
    assert_eq!(count("max_depth"), words.keys().map(String::len).max().expect("there are words") as u64);
    // The plain way to count: visit all, remember which.
    let index = Index::open(&Input::from_bytes("index", bytes)).expect("it is an index");
    let (mut seen, mut stack) = (HashSet::new(), vec![index.fst.root().addr()]);
    while let Some(address) = stack.pop() {
        if seen.insert(address) {
            stack.extend(index.fst.node(address).transitions().map(|transition| transition.addr));
        }
    }
    assert_eq!(count("node_count"), seen.len() as u64);
}

#[test]
fn empty_and_large() {
    let searcher = open(&[""]);
    for query in [Query::Exact(String::new()), Query::Prefix(String::new()), fuzzy("a", 2)] {
        assert!(searcher.search(&query, 10).expect("it answers").is_empty());
    }
    let (bytes, statistics) = index(&["", ""], "{}").expect("they are corpora");
    assert!(matches!(statistics[1].value, StatisticValue::Count(1)), "the root");
    assert_eq!(
        build::node_count(&Index::open(&Input::from_bytes("index", bytes)).expect("it is an index").fst),
        1
    );
    let long = format!("{}\t1\n", "x".repeat(1024));
    let hits = open(&[&long]).search(&Query::Prefix("x".repeat(1000)), 3).expect("it answers");
    assert_eq!(hits[0].word.len(), 1024);
}

#[test]
fn damaged_bytes_are_refused() {
    let (bytes, _) = index(&["a\t1\nb\t300\nbc\t2\n"], "{}").expect("it is a corpus");
    let opens = |bytes: Vec<u8>| match TrieSearcher::open(&Input::from_bytes("index", bytes)) {
        Ok(_) => true,
        Err(Error::InvalidInput(text)) => !text.starts_with("index 0 is not a trie-fst index: "),
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
    assert!(!opens([bytes.as_slice(), b"x"].concat()));
    assert!(opens(bytes));
}
