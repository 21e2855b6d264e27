//! What the sandbox costs: policy calls, starting and stopping components, an fst and vectors inside it beside the same
//! outside, and what building in parts gains.
//!
//! Data: words generated from seed 42 (syllables, 675,586 distinct, as many as large word lists have; frequency
//! falls with rank as 1/rank), the built-in components as they are in `plugins/dist`. Everything of a row runs
//! in one process, alternating where two are compared, on one thread but for builds with several parts at a time; the
//! times are medians by the wall clock. Beside them stands the same work natively, a goal, or another way to do it.
//!
//! Run: `cargo xtask bench runtime`, or only parts of it (`policy`, `start`, `stop`, `fst`, `semantic`): `cargo xtask bench
//! runtime -- semantic`. On a machine that does other things compare ratios, not times.

#[path = "../../tests/runtime/guests.rs"]
#[allow(dead_code, reason = "the tests' hand-written guests; not all are measured")]
mod guests;
mod semantic;
mod stopping;
mod table;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use floret_runtime::{
    CORPUS_MEDIA_TYPE, Component, Input, Limits, PolicyProfile, Query, Runtime, RuntimeConfig, Searcher,
    check_corpus,
};
use fst::automaton::{Levenshtein, Str};
use fst::{Automaton, IntoStreamer, Map, MapBuilder, Streamer};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::table::{median, row, told};

const WORDS: usize = 675_586;
const QUERIES: usize = 200;

fn main() {
    let asynchronous = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
    let asynchronous = asynchronous.expect("an async runtime");
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runs = |part: &str| asked.is_empty() || asked.iter().any(|asked| asked == part);
    table::head();
    asynchronous.block_on(async {
        if runs("policy") {
            policies().await;
        }
        if runs("start") {
            starts().await;
        }
        if runs("stop") {
            stopping::stopping().await;
        }
        if runs("fst") {
            indexes(words()).await;
        }
        if runs("semantic") {
            semantic::semantic(&words()).await;
        }
    });
}

fn dist(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist").join(format!("{name}.wasm"));
    std::fs::read(path).expect("built with `cargo xtask plugins`").into()
}

fn runtime(compiled_dir: Option<PathBuf>) -> Arc<Runtime> {
    let config = RuntimeConfig { compiled_dir, limits: Limits::default() };
    Runtime::new(config).expect("a runtime")
}

async fn policies() {
    let policy = runtime(None).load(dist("policy-default")).await.expect("a policy");
    let profile = |n: u64| PolicyProfile {
        size_bytes: n * 37,
        namespace: "default".into(),
        resource_type: "literature".into(),
        media_type: "text/plain".into(),
        items: None,
        flags: Vec::new(),
        entropy_bits_per_byte: 4.5,
    };
    let one = [profile(1_000)];
    let mut alone = Vec::new();
    for _ in 0..5_000 {
        let started = Instant::now();
        black_box(policy.choose(&one, "{}").await.expect("a choice"));
        alone.push(started.elapsed());
    }
    let mut native = Vec::new();
    for _ in 0..5_000 {
        let started = Instant::now();
        for n in 0..100 {
            black_box(native_choice(black_box(&profile(n + 1_000))));
        }
        native.push(started.elapsed() / 100);
    }
    let (decided, natively) = (median(alone), median(native));
    row("policy: one decision", decided, "native", natively);
    row("policy: one decision", decided, "goal", Duration::from_micros(35));
    let two = [profile(1_000), profile(2_000)];
    let mut fresh = Vec::new();
    for _ in 0..2_000 {
        let started = Instant::now();
        black_box(policy.choose(&two, "{}").await.expect("choices"));
        fresh.push(started.elapsed());
    }
    row("policy: two, fresh store on another thread", median(fresh), "goal", Duration::from_micros(35));
    let many: Vec<_> = (0..1_000).map(profile).collect();
    let mut each = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        black_box(policy.choose(&many, "{}").await.expect("choices"));
        each.push(started.elapsed() / 1_000);
    }
    row("policy: each of a batch of 1,000", median(each), "native", natively);
}

/// What `policy-default` decides for a text, without its configuration: the flags, the type, the entropy, the size.
fn native_choice(profile: &PolicyProfile) -> (i32, String) {
    if profile.flags.iter().any(|flag| flag == "real_time") {
        return (0, "real_time is set".into());
    }
    if ["dictionary", "semantic"].contains(&profile.resource_type.as_str()) {
        return (0, format!("type {} is never compressed", profile.resource_type));
    }
    match profile.size_bytes {
        _ if profile.entropy_bits_per_byte > 7.5 => (0, format!("entropy over {} bits a byte", 7.5)),
        0..=1024 => (0, format!("not over {} bytes", 1024)),
        1025..1_000_000 => (3, format!("under {} bytes", 1_000_000)),
        _ => (9, format!("{} bytes or more", 1_000_000)),
    }
}

async fn starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("compiled");
    for name in ["policy-default", "trie-fst", "corpus-text"] {
        let bytes = dist(name);
        let load = async |runtime: Arc<Runtime>| {
            let started = Instant::now();
            let component = runtime.load(bytes.clone()).await.expect("a component");
            (started.elapsed(), component)
        };
        let (cold, _) = load(runtime(Some(folder.clone()))).await;
        let mut warm = Vec::new();
        for _ in 0..21 {
            warm.push(load(runtime(Some(folder.clone()))).await.0);
        }
        let kilobytes = bytes.len() / 1_000;
        row(&format!("start {name} ({kilobytes} kB), cold"), cold, "goal", Duration::from_millis(1_300));
        row(
            &format!("start {name} ({kilobytes} kB), compiled"),
            median(warm),
            "goal",
            Duration::from_millis(1),
        );
    }
}

/// Distinct words, sorted, with counts.
fn words() -> Vec<(String, u64)> {
    let mut random = StdRng::seed_from_u64(42);
    let onsets =
        ["b", "br", "c", "ch", "d", "f", "g", "gr", "h", "j", "l", "m", "n", "p", "r", "s", "st", "t", "v"];
    let vowels = ["a", "e", "i", "o", "u", "ea", "ou", "io"];
    let codas = ["", "", "", "n", "r", "s", "t", "l", "nd"];
    let mut words = BTreeSet::new();
    while words.len() < WORDS {
        let syllables = random.random_range(2..=5);
        let mut word = String::new();
        for _ in 0..syllables {
            for part in [&onsets[..], &vowels, &codas] {
                word.push_str(part.choose(&mut random).expect("parts"));
            }
        }
        words.insert(word);
    }
    let counted = |word| (word, 1 + WORDS as u64 / random.random_range(1..=WORDS as u64));
    words.into_iter().map(counted).collect()
}

async fn indexes(words: Vec<(String, u64)>) {
    let lines: String = words.iter().map(|(word, count)| format!("{word}\t{count}\n")).collect();
    let lines = Bytes::from(lines);
    let mut checks = Vec::new();
    for _ in 0..7 {
        let started = Instant::now();
        black_box(check_corpus(&lines).expect("a corpus"));
        checks.push(started.elapsed());
    }
    let goal = Duration::from_secs_f64(lines.len() as f64 / 400e6);
    row(
        &format!("checking a corpus of {} kB (goal 400 MB/s)", lines.len() / 1_000),
        median(checks),
        "goal",
        goal,
    );
    let trie = runtime(None).load(dist("trie-fst")).await.expect("a trie");
    let mut native_times = Vec::new();
    let mut guest_times = Vec::new();
    let mut both = None;
    for _ in 0..5 {
        let started = Instant::now();
        let native = native_build(&lines);
        native_times.push(started.elapsed());
        let corpus = Input::new("corpus", CORPUS_MEDIA_TYPE, lines.clone());
        let started = Instant::now();
        let built = trie.build_index(vec![corpus], "{}").await.expect("a trie");
        guest_times.push(started.elapsed());
        both = Some((native, built.bytes));
    }
    let (native, guest) = both.expect("five rounds");
    let (native_bytes, guest_bytes) = (native.as_fst().as_bytes().len() / 1_000, guest.len() / 1_000);
    println!(
        "fst of {WORDS} words: native {native_bytes} kB, component {guest_bytes} kB; the peer is native fst"
    );
    row("fst build (corpus text in, index out)", median(guest_times), "native", median(native_times));
    let searcher = open(&trie, guest).await;
    let mut random = StdRng::seed_from_u64(7);
    let sample: Vec<_> = (0..QUERIES).map(|_| words[random.random_range(0..WORDS)].0.clone()).collect();
    let cut = |word: &String| word[..word.len().min(4)].to_owned();
    compare(
        "exact",
        &searcher,
        &sample,
        |word| Query::Exact(word.clone()),
        |word| native.get(word).into_iter().map(|count| (0, count)).collect(),
    )
    .await;
    compare(
        "prefix of 4, the 20 most frequent",
        &searcher,
        &sample,
        |word| Query::Prefix(cut(word)),
        |word| {
            let prefix = cut(word);
            native_search(&native, Str::new(&prefix).starts_with())
        },
    )
    .await;
    for distance in [1, 2] {
        let query = |word: &String| Query::Fuzzy { text: word.clone(), distance };
        compare(&format!("fuzzy within {distance}, the 20 best"), &searcher, &sample, query, |word| {
            native_search(&native, Levenshtein::new(word, u32::from(distance)).expect("an automaton"))
        })
        .await;
    }
}

async fn open(trie: &Component, index: Bytes) -> Searcher {
    let index = Input::new("index", &trie.description().output_media_type, index);
    let started = Instant::now();
    let searcher = trie.open_index(index).await.expect("it opens");
    println!("opening the index: {}", told(started.elapsed()));
    searcher
}

/// What the component does natively: parse the corpus, build the map.
fn native_build(lines: &[u8]) -> Map<Vec<u8>> {
    let mut builder = MapBuilder::memory();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let text = std::str::from_utf8(line).expect("UTF-8");
        let (word, count) = text.split_once('\t').expect("a tab");
        builder.insert(word, count.parse().expect("a count")).expect("sorted");
    }
    builder.into_map()
}

/// The twenty most frequent of what an automaton accepts: the least that any answer of ours needs.
fn native_search(map: &Map<Vec<u8>>, automaton: impl Automaton) -> Vec<(u64, u64)> {
    let mut stream = map.search(automaton).into_stream();
    let mut hits = Vec::new();
    while let Some((word, count)) = stream.next() {
        hits.push((u64::MAX - count, word.len() as u64));
    }
    hits.sort_unstable();
    hits.truncate(20);
    hits
}

async fn compare(
    work: &str,
    searcher: &Searcher,
    sample: &[String],
    query: impl Fn(&String) -> Query,
    native: impl Fn(&String) -> Vec<(u64, u64)>,
) {
    let (mut guest_times, mut native_times) = (Vec::new(), Vec::new());
    // Twice, so that quick modes have moved to this thread and memory is warm; the second round counts.
    for round in 0..2 {
        for word in sample {
            let query = query(word);
            let started = Instant::now();
            let hits = searcher.search(query, 20).await.expect("an answer");
            let guest_time = started.elapsed();
            let started = Instant::now();
            let found = black_box(native(word));
            let native_time = started.elapsed();
            assert_eq!(hits.is_empty(), found.is_empty(), "{work}: {word}");
            if round == 1 {
                guest_times.push(guest_time);
                native_times.push(native_time);
            }
        }
    }
    row(work, median(guest_times), "native", median(native_times));
}
