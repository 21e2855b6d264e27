//! What is described in JSON Schema is what is written.

use std::sync::Arc;

use floret_model::{
    BuildSpec, Digest, Fate, ResourceKey, Seq, StepPhases, StepReason, StepReport, TimestampMs, VersionRef,
};
use floret_runtime::{Limits, Query};
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    Binding, CorpusRequest, Costs, DerivedSpec, Event, IfLatest, LogLevel, LogLine, NewerInput, Publication,
    Quarantine, Sample, Sampling, SearchAnswer, SearchHit, SearchMode, Stock, Users, VersionEntry,
};

fn validator<T: JsonSchema>() -> jsonschema::Validator {
    let schema = serde_json::to_value(schema_for!(T)).expect("a schema is JSON");
    jsonschema::validator_for(&schema).expect("a schema that can be used")
}

fn described<T: JsonSchema + Serialize + DeserializeOwned>(value: &T) -> Value {
    let written = serde_json::to_value(value).expect("serialises");
    let wrong: Vec<String> = validator::<T>().iter_errors(&written).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{}: {wrong:?}: {written}", T::schema_name());
    let again: T = serde_json::from_value(written.clone()).expect("reads back");
    assert_eq!(serde_json::to_value(&again).expect("serialises"), written);
    written
}

fn key() -> ResourceKey {
    "other:corpus/a b".parse().expect("a key")
}

fn version() -> VersionRef {
    VersionRef { key: key(), seq: Seq(2) }
}

#[test]
fn small_values_are_described() {
    for sample in [Sample::All, Sample::Share(0.5), Sample::Count(3)] {
        described(&Sampling { sample, seed: 7 });
    }
    for latest in [IfLatest::Absent, IfLatest::Seq(Seq(2))] {
        described(&latest);
    }
    for mode in [SearchMode::Exact, SearchMode::Any] {
        assert_eq!(described(&mode), json!(mode.to_string()));
    }
    described(&Query::Fuzzy { text: "union".to_owned(), distance: 1 });
    assert!(!validator::<Query>().is_valid(&json!({"fuzzy": {"text": "union", "distance": 3}})));
    described(&Costs::default());
    described(&Binding::new("trie"));
    let limits = crate::bounds::in_force(&Limits::default(), &Limits::default());
    described(&Users { limits: [("trie".to_owned(), limits)].into(), ..Users::default() });
}

#[test]
fn requests_may_leave_out_what_has_a_default() {
    let request: CorpusRequest = serde_json::from_value(json!({"documents": [key()]})).expect("a request");
    described(&request);
    let spec = BuildSpec { inputs: Vec::new(), config: serde_json::Map::new() };
    let asked = json!({"key": key(), "spec": spec});
    assert!(validator::<DerivedSpec>().is_valid(&asked));
    let build: DerivedSpec = serde_json::from_value(asked).expect("a build");
    assert!(described(&build).get("follows").is_none());
    let unknown = json!({"key": key(), "spec": spec, "colour": 1});
    assert!(!validator::<DerivedSpec>().is_valid(&unknown));
    assert!(serde_json::from_value::<DerivedSpec>(unknown).is_err());
}

#[test]
fn what_happens_is_described() {
    let step = StepReport {
        key: key(),
        direct: true,
        reason: StepReason::Requested,
        fate: Fate::Built { changed: true },
        version: Some(version()),
        recipe: None,
        elapsed_ms: 1.5,
        output_bytes: 3,
        phases: StepPhases::default(),
        log_lines: 1,
    };
    let line = LogLine {
        key: key(),
        component: "trie@0.1.0".to_owned(),
        stage: "build".to_owned(),
        level: LogLevel::Warn,
        text: "odd".to_owned(),
    };
    assert_eq!(described(&Event::Planned(Arc::default()))["event"], "planned");
    assert_eq!(described(&Event::StepStarted { key: key() })["data"], json!({ "key": key() }));
    assert_eq!(described(&Event::Logged(line))["data"]["level"], "warn");
    assert_eq!(described(&Event::StepFinished(Arc::new(step)))["data"]["fate"], "built");
    assert_eq!(described(&Event::Published), json!({ "event": "published" }));
    let at = TimestampMs(7);
    described(&Publication { id: "p".to_owned(), at, is_own: true, versions: vec![version()], more: 1 });
    described(&Stock { counted_at: at, compressed_away_bytes: -3, ..Stock::default() });
}

#[test]
fn answers_are_described() {
    let digest = Digest::of(b"x");
    let hit = SearchHit {
        word: "union".to_owned(),
        frequency: 3,
        distance: None,
        score: 0.5,
        ranks: [("trie/x".to_owned(), 1)].into(),
    };
    described(&SearchAnswer {
        index: version().to_string(),
        parts: vec![version().to_string()],
        hits: vec![hit],
    });
    described(&NewerInput {
        role: "document".to_owned(),
        built_from: version(),
        latest: version(),
        content_differs: true,
    });
    described(&Quarantine {
        digest,
        plugin: version(),
        artefact: version(),
        expected: digest,
        got: digest,
        released: false,
    });
    let entry = VersionEntry {
        resource: key().to_string(),
        seq: Seq(2),
        version: "1.0.1".to_owned(),
        created_at: "2026-03-01T12:00:00.000Z".to_owned(),
        data_hash: digest.to_string(),
        size_bytes: 1,
        size_compressed: 1,
        compression: "none".to_owned(),
        tags: Vec::new(),
        dropped_at: None,
        publish_id: "p".to_owned(),
        policy: None,
    };
    described(&entry);
    assert!(!validator::<VersionEntry>().is_valid(&json!({"resource": "corpus"})));
}
