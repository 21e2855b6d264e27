//! The components of the product keep their contracts, and need nothing but the host.

use std::sync::Arc;

use floret_runtime::{Component, Limits, Runtime, RuntimeConfig, conformance};
use floret_tests::cli::Cli;
use floret_tests::{compiled_dir, component, guest, repository};

const BUILT_IN: [&str; 6] =
    ["corpus-text", "trie-fst", "semantic-ngram", "policy-default", "policy-archive", "retention-default"];

async fn load(bytes: bytes::Bytes) -> Arc<Component> {
    let config = RuntimeConfig { compiled_dir: Some(compiled_dir()), limits: Limits::default() };
    Runtime::new(config).unwrap().load(bytes).await.unwrap()
}

/// Components in a folder of built ones, by the names of their files.
fn built(folder: &str) -> Vec<String> {
    let files = std::fs::read_dir(repository().join(folder)).unwrap().map(|file| file.unwrap().path());
    let components = files.filter(|file| file.extension().is_some_and(|ending| ending == "wasm"));
    components.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_built_component_is_looked_at_here() {
    let mut names = built("plugins/dist");
    names.sort();
    let mut known = BUILT_IN.to_vec();
    known.sort();
    assert_eq!(names, known);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_built_in_component_keeps_its_contract() {
    for name in BUILT_IN {
        let component = load(component(name).unwrap()).await;
        let findings = conformance::check(&component, "{}").await;
        let faults: Vec<_> = findings.iter().filter(|one| !one.passed()).map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
        assert!(findings.len() >= 4, "{name}: only {} checks", findings.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suites_find_those_that_do_not() {
    for name in ["misbehave", "misbehave-index", "misbehave-retention"] {
        let component = load(guest(name).unwrap()).await;
        let findings = conformance::check(&component, "{}").await;
        assert!(findings.iter().any(|one| !one.passed()), "{name} passed every check");
    }
}

#[test]
fn no_built_in_component_imports_anything_of_wasi() {
    let cli = Cli::new();
    for name in BUILT_IN {
        let inspected = cli.run(&["--json", "plugin", "inspect", name]).ok().json();
        let imports = inspected["imports"].as_array().unwrap();
        assert!(
            !imports.is_empty() || name.starts_with("policy") || name.starts_with("retention"),
            "{name}: {imports:?}"
        );
        for import in imports {
            assert!(import.as_str().unwrap().starts_with("floret:types/"), "{name} imports {import}");
        }
        assert_eq!(inspected["name"], name);
        let splits = ["trie-fst", "semantic-ngram"].contains(&name);
        let contract = inspected["contract"].as_str().unwrap();
        assert_eq!(contract == "floret:index@0.2.0", splits, "{name} has the contract {contract}");
    }
}
