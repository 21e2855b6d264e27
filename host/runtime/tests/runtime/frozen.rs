//! Components of the first contracts, as they were published: they go on working, and build what they built.
//!
//! Their bytes, and what they must build, stand in `tests/guests/frozen` and never change.

use std::collections::BTreeMap;

use bytes::Bytes;
use floret_model::Digest;
use floret_runtime::{CORPUS_MEDIA_TYPE, Component, Input, Limits, PolicyProfile, Query, conformance};
use serde_json::Value;

use crate::guests::{corpus, dist, load, root, runtime, text};

const NAMES: [&str; 4] = ["corpus-text", "policy-default", "semantic-ngram", "trie-fst"];

fn lock() -> Value {
    let path = root().join("tests/guests/frozen/frozen.json");
    serde_json::from_slice(&std::fs::read(path).expect("frozen.json")).expect("it is JSON")
}

fn bytes(name: &str) -> Bytes {
    let path = root().join("tests/guests/frozen").join(format!("{name}.wasm"));
    std::fs::read(path).expect("a frozen component").into()
}

async fn frozen(name: &str) -> std::sync::Arc<Component> {
    runtime(Limits::default()).load(bytes(name)).await.unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn frozen_components_are_what_they_were() {
    let lock = lock();
    let locked = lock["components"].as_object().expect("components");
    assert_eq!(locked.keys().collect::<Vec<_>>(), NAMES.iter().collect::<Vec<_>>());
    let mut size_bytes = 0;
    for (name, digest) in locked {
        assert_eq!(Digest::of(&bytes(name)).to_string(), digest.as_str().expect("a digest"), "{name}");
        size_bytes += bytes(name).len();
    }
    assert!(size_bytes <= 2 << 20, "{size_bytes} bytes of fixtures");
}

#[tokio::test]
async fn frozen_components_load_by_their_contracts_and_keep_them() {
    for name in NAMES {
        let component = frozen(name).await;
        let contract = component.contract().to_string();
        assert!(contract.ends_with("@0.1.0"), "{name}: {contract}");
        assert_eq!(component.label(), format!("{name}@0.1.0"));
        let findings = conformance::check(&component, "{}").await;
        let faults: Vec<_> = findings.iter().filter(|one| !one.passed()).map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
    }
}

#[tokio::test]
async fn frozen_components_build_what_they_built() {
    let lock = lock();
    let mut built: BTreeMap<String, Bytes> = BTreeMap::new();
    for wanted in lock["built"].as_array().expect("what they built") {
        let word = |field: &str| wanted[field].as_str().expect("a text").to_owned();
        let (name, from, config) = (word("component"), word("from"), wanted["config"].to_string());
        let component = frozen(&name).await;
        let (bytes, digest) = match name.as_str() {
            "corpus-text" => {
                let document = std::fs::read_to_string(root().join(from)).expect("a text");
                let built = component.build_corpus(vec![text(&document)], &config).await.expect("a corpus");
                (built.bytes, built.digest)
            }
            _ => {
                let corpus = Input::new("corpus", CORPUS_MEDIA_TYPE, built[&from].clone());
                let built = component.build_index(vec![corpus], &config).await.expect("an index");
                (built.bytes, built.digest)
            }
        };
        assert_eq!(digest.to_string(), word("digest"), "{name} {config}");
        built.insert(name, bytes);
    }
    assert_eq!(built.len(), 3);
}

#[tokio::test]
async fn frozen_and_present_components_agree_on_bytes_and_answers() {
    let mut words: Vec<_> =
        (0..60_000u32).map(|n| format!("w{:08x}", n.wrapping_mul(2_654_435_761))).collect();
    words.sort_unstable();
    let lines: String =
        words.iter().enumerate().map(|(at, word)| format!("{word}\t{}\n", at % 97 + 1)).collect();
    for (name, config, query) in [
        ("trie-fst", "{}", Query::Prefix("w0".into())),
        ("semantic-ngram", r#"{"dimension":64}"#, Query::Semantic(words[7].clone())),
    ] {
        let present = load(Limits::default(), name).await;
        assert_ne!(bytes(name), dist(name), "{name} is still the frozen one");
        assert_eq!(present.contract().to_string(), "floret:index@0.2.0");
        let frozen = frozen(name).await;
        let (one, two) = (
            frozen.build_index(vec![corpus(&lines)], config).await.expect("an index"),
            present.build_index(vec![corpus(&lines)], config).await.expect("an index"),
        );
        assert_eq!((one.digest, &one.statistics), (two.digest, &two.statistics), "{name}");
        // Each opens what the other built.
        let mut answers = Vec::new();
        for (component, index) in [(&frozen, &two), (&present, &one)] {
            let media_type = &component.description().output_media_type;
            let index = Input::new("index", media_type, index.bytes.clone());
            let searcher = component.open_index(index).await.expect("it opens");
            answers.push(searcher.search(query.clone(), 20).await.expect("an answer"));
        }
        assert!(answers[0] == answers[1] && answers[0].len() == 20, "{name}: {answers:?}");
    }
}

#[tokio::test]
async fn the_frozen_policy_decides_as_it_did() {
    let policy = frozen("policy-default").await;
    let present = load(Limits::default(), "policy-default").await;
    let profile = |resource_type: &str, size_bytes| PolicyProfile {
        size_bytes,
        namespace: "default".into(),
        resource_type: resource_type.into(),
        media_type: "text/plain".into(),
        items: None,
        flags: Vec::new(),
        entropy_bits_per_byte: 4.5,
    };
    let profiles = [profile("semantic", 159_412), profile("literature", 100), profile("literature", 100_000)];
    let choices = policy.choose(&profiles, "{}").await.expect("choices");
    assert_eq!(choices[0].reason, "type semantic is never compressed");
    assert_eq!(choices, present.choose(&profiles, "{}").await.expect("choices"));
}
