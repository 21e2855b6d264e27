//! Every built-in component keeps its contract, and the suites find those that do not.

use floret_runtime::{Limits, conformance};

use crate::guests::load;

async fn check(name: &str) {
    let component = load(Limits::default(), name).await;
    let findings = conformance::check(&component, "{}").await;
    let faults: Vec<_> =
        findings.iter().filter(|finding| !finding.passed()).map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
    assert!(findings.len() >= 4, "{name}: only {} checks", findings.len());
}

#[tokio::test]
async fn corpus_text_keeps_its_contract() {
    check("corpus-text").await;
}

#[tokio::test]
async fn trie_fst_keeps_its_contract() {
    check("trie-fst").await;
}

#[tokio::test]
async fn semantic_ngram_keeps_its_contract() {
    check("semantic-ngram").await;
}

#[tokio::test]
async fn policies_keep_their_contract() {
    check("policy-default").await;
    check("policy-archive").await;
    check("retention-default").await;
}

#[tokio::test]
async fn the_suites_find_components_that_do_not() {
    for (name, expected) in [
        ("misbehave", "FAILED: a document that is not UTF-8 is invalid-input"),
        ("misbehave-index", "FAILED: a malformed corpus is invalid-input"),
        ("misbehave-retention", "FAILED: the latest and tagged versions are not to be dropped"),
    ] {
        let component = load(Limits::default(), name).await;
        let findings = conformance::check(&component, "{}").await;
        let told: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|line| line.starts_with(expected)), "{name}:\n{}", told.join("\n"));
    }
}
