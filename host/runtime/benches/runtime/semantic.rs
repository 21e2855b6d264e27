//! `semantic-ngram` in the sandbox beside the same code outside it, and its builds in parts beside builds as a whole.
//!
//! The peers are the component's own files for vectors and quantisation, compiled for this machine; around them stands
//! what they need of a corpus reader and of a scan. The build as a whole is that of the frozen 0.1.0 component, which
//! knows no parts.

#[path = "../../../../plugins/semantic-ngram/src/quantize.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "the component, and its tests, need more of it")]
mod quantize;
#[path = "../../../../plugins/semantic-ngram/src/vector.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "the component, and its tests, need more of it")]
mod vector;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use floret_runtime::{CORPUS_MEDIA_TYPE, Component, Input, Limits, Query, Runtime, RuntimeConfig};

use crate::table::{median, row};
use vector::Vectorizer;

/// The component's default.
const DIMENSION: usize = 256;
const ROUNDS: usize = 5;
const QUERIES: usize = 50;

/// Builds of three sizes, then searches in the middle one.
pub async fn semantic(words: &[(String, u64)]) {
    for (count, words_max) in [(50_000, 100_000), (200_000, 200_000), (words.len(), 100_000)] {
        // Spread over all words, as a corpus of any size is.
        let step = words.len() / count;
        let words: Vec<_> = words.iter().step_by(step).take(count).cloned().collect();
        let lines: String = words.iter().map(|(word, count)| format!("{word}\t{count}\n")).collect();
        let index = builds(&Bytes::from(lines), &words, words_max).await;
        if count == 200_000 {
            searches(&words, index).await;
        }
    }
}

async fn component(folder: &str, instances_max: usize) -> Arc<Component> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder).join("semantic-ngram.wasm");
    let bytes = std::fs::read(path).expect("a built component");
    let limits = Limits { instances_max, ..Limits::default() };
    let runtime = Runtime::new(RuntimeConfig { compiled_dir: None, limits }).expect("a runtime");
    runtime.load(bytes.into()).await.expect("a component")
}

async fn builds(lines: &Bytes, words: &[(String, u64)], words_max: usize) -> Bytes {
    let whole = component("tests/guests/frozen", 1).await;
    let one = component("plugins/dist", 1).await;
    // One of three turns is left to other components.
    let two = component("plugins/dist", 3).await;
    let config = format!(r#"{{"words_max":{words_max}}}"#);
    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut built = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        black_box(native_build(lines, words_max));
        times[0].push(started.elapsed());
        built.clear();
        for (component, times) in [&whole, &one, &two].into_iter().zip(&mut times[1..]) {
            let corpus = Input::new("corpus", CORPUS_MEDIA_TYPE, lines.clone());
            let started = Instant::now();
            built.push(component.build_index(vec![corpus], &config).await.expect("an index").bytes);
            times.push(started.elapsed());
        }
        assert!(built[0] == built[1] && built[1] == built[2], "the same bytes, however it is built");
    }
    let [native, whole, one, two] = times.map(median);
    let what = format!("semantic, {} of {} words", words.len().min(words_max), words.len());
    row(&format!("{what}: built as a whole"), whole, "native", native);
    row(&format!("{what}: in parts, one at a time"), one, "whole", whole);
    row(&format!("{what}: in parts, two at a time"), two, "whole", whole);
    built.swap_remove(0)
}

/// Vectors and scales of the most frequent words: parse, choose, compute, quantise.
fn native_build(lines: &[u8], words_max: usize) -> (Vec<u8>, Vec<f32>) {
    let text = std::str::from_utf8(lines).expect("UTF-8");
    let mut words: Vec<(&str, u64)> = text
        .lines()
        .map(|line| line.split_once('\t').expect("a tab"))
        .map(|(word, count)| (word, count.parse().expect("a count")))
        .collect();
    if words.len() > words_max {
        words.select_nth_unstable_by_key(words_max - 1, |(word, count)| (Reverse(*count), *word));
        words.truncate(words_max);
        words.sort_unstable();
    }
    let mut vectorizer = Vectorizer::new(DIMENSION, 3, 5);
    let mut rows = Vec::with_capacity(words.len() * DIMENSION);
    let scales =
        words.iter().map(|(word, _)| quantize::to_int8(vectorizer.vector(word), &mut rows)).collect();
    (rows, scales)
}

async fn searches(words: &[(String, u64)], index: Bytes) {
    let component = component("plugins/dist", 1).await;
    let media_type = component.description().output_media_type.clone();
    let searcher = component.open_index(Input::new("index", &media_type, index)).await.expect("it opens");
    let lines: String = words.iter().map(|(word, count)| format!("{word}\t{count}\n")).collect();
    let (rows, scales) = native_build(lines.as_bytes(), words.len());
    let (mut guest_times, mut native_times) = (Vec::new(), Vec::new());
    for round in 0..2 {
        for (word, _) in words.iter().step_by(words.len() / QUERIES) {
            let query = Query::Semantic(word.clone());
            let started = Instant::now();
            let hits = searcher.search(query, 20).await.expect("an answer");
            let guest_time = started.elapsed();
            let started = Instant::now();
            let found = black_box(native_search(word, &rows, &scales));
            let native_time = started.elapsed();
            assert_eq!((hits.len(), hits[0].score), (found.len(), found[0].min(1.0)), "{word}");
            if round == 1 {
                guest_times.push(guest_time);
                native_times.push(native_time);
            }
        }
    }
    let work = format!("semantic, the 20 nearest of {}", words.len());
    row(&work, median(guest_times), "native", median(native_times));
}

/// The scores of the twenty nearest, best first.
fn native_search(text: &str, rows: &[u8], scales: &[f32]) -> Vec<f32> {
    let mut vectorizer = Vectorizer::new(DIMENSION, 3, 5);
    let (query, query_scale) = quantize::to_query(vectorizer.vector(text));
    let mut best: BinaryHeap<Reverse<u32>> = BinaryHeap::new();
    for (row, scale) in rows.chunks_exact(DIMENSION).zip(scales) {
        let dot: i32 = query.iter().zip(row).map(|(one, two)| i32::from(*one) * i32::from(*two as i8)).sum();
        let score = dot as f32 * (scale * query_scale);
        // Positive floats sort like their bits.
        if score > 0.0
            && (best.len() < 20 || best.peek().is_some_and(|Reverse(worst)| score.to_bits() > *worst))
        {
            best.push(Reverse(score.to_bits()));
            if best.len() > 20 {
                best.pop();
            }
        }
    }
    best.into_sorted_vec().into_iter().map(|Reverse(bits)| f32::from_bits(bits)).collect()
}
