//! Which crate may know which: the arrows of ARCHITECTURE.md, read from the manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Crates of the host, and those of the host that each may name.
const ARROWS: [(&str, &[&str]); 9] = [
    ("floret-model", &[]),
    ("floret-runtime", &["floret-model"]),
    ("floret-store", &["floret-model"]),
    ("floret-cache", &[]),
    ("floret-pipeline", &["floret-cache", "floret-model", "floret-runtime", "floret-store"]),
    ("floret-embed", &["floret-cache", "floret-model", "floret-pipeline", "floret-runtime", "floret-store"]),
    ("floret-show", &["floret-pipeline"]),
    ("floret-server", &["floret-model", "floret-pipeline", "floret-show"]),
    (
        "floret",
        &[
            "floret-cache",
            "floret-embed",
            "floret-model",
            "floret-pipeline",
            "floret-runtime",
            "floret-server",
            "floret-show",
            "floret-store",
        ],
    ),
];

/// Crates of others, and the only ones of ours that may name them outside tests.
const ONLY_IN: [(&str, &[&str]); 9] = [
    ("wasmtime", &["floret-runtime"]),
    ("mongodb", &["floret-store"]),
    ("fjall", &["floret-cache", "floret-store"]),
    ("moka", &["floret-cache"]),
    ("object_store", &["floret-store", "floret"]),
    ("axum", &["floret-server"]),
    ("clap", &["floret", "xtask"]),
    ("metrics-exporter-prometheus", &["floret"]),
    ("opentelemetry_sdk", &["floret"]),
];

/// Direct dependencies of each crate of the workspace, without those of its tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(floret_tests::repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let of = |package: &Value| {
        let listed = package["dependencies"].as_array().unwrap().iter();
        listed.filter(|dependency| dependency["kind"] != "dev").map(name).collect()
    };
    packages.map(|package| (name(package), of(package))).collect()
}

#[test]
fn crates_name_only_those_below_them() {
    let found = dependencies();
    for (name, allowed) in ARROWS {
        let ours = found[name].iter().filter(|dependency| dependency.starts_with("floret"));
        let extra: Vec<_> = ours.filter(|dependency| !allowed.contains(&dependency.as_str())).collect();
        assert!(extra.is_empty(), "{name} must not depend on {extra:?}");
    }
    let known: BTreeSet<&str> =
        ARROWS.iter().map(|(name, _)| *name).chain(["floret-tests", "xtask"]).collect();
    let unknown: Vec<_> = found.keys().filter(|name| !known.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "say in this test what {unknown:?} may depend on");
}

#[test]
fn engines_and_databases_are_named_in_their_places_only() {
    for (name, dependencies) in dependencies() {
        for (foreign, places) in ONLY_IN {
            let allowed = name == "floret-tests" || places.contains(&name.as_str());
            assert!(allowed || !dependencies.contains(foreign), "{name} must not depend on {foreign}");
        }
    }
}
