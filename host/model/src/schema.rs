//! How texts that name things are described in JSON Schema, as ECMA-262 regular expressions.

/// A resource as one text, `TYPE/ID` or `NAMESPACE:TYPE/ID`: what [`ResourceKey`](crate::ResourceKey) reads and writes
/// as a text. The namespace is left out where it is `default`; the id is everything after the first `/`.
pub const RESOURCE_PATTERN: &str =
    r"^([a-z0-9][a-z0-9._-]{0,63}:)?[a-z0-9][a-z0-9._-]{0,63}/[^\u0000-\u001f\u007f-\u009f]+$";

/// A version as one text, `TYPE/ID@SEQ` or `NAMESPACE:TYPE/ID@SEQ`; the place in the log is what follows the last `@`.
pub const VERSION_PATTERN: &str =
    r"^([a-z0-9][a-z0-9._-]{0,63}:)?[a-z0-9][a-z0-9._-]{0,63}/[^\u0000-\u001f\u007f-\u009f]+@[1-9][0-9]*$";

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, schema_for};
    use serde::{Serialize, de::DeserializeOwned};
    use serde_json::{Value, json};

    use crate::*;

    fn validator<T: JsonSchema>() -> jsonschema::Validator {
        let schema = serde_json::to_value(schema_for!(T)).expect("a schema is JSON");
        jsonschema::validator_for(&schema).expect("a schema that can be used")
    }

    /// Its schema holds for what is written, and what is written reads back.
    fn described<T: JsonSchema + Serialize + DeserializeOwned>(value: &T) -> Value {
        let written = serde_json::to_value(value).expect("serialises");
        let wrong: Vec<String> =
            validator::<T>().iter_errors(&written).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}: {written}", T::schema_name());
        let again: T = serde_json::from_value(written.clone()).expect("reads back");
        assert_eq!(serde_json::to_value(&again).expect("serialises"), written);
        written
    }

    fn refused<T: JsonSchema>(values: &[Value]) {
        for value in values {
            assert!(!validator::<T>().is_valid(value), "{}: {value}", T::schema_name());
        }
    }

    fn version_ref() -> VersionRef {
        VersionRef { key: "other:corpus/a/b".parse().expect("a key"), seq: Seq::FIRST }
    }

    #[test]
    fn names_are_described_as_they_are_checked() {
        described(&Digest::of(b"x"));
        described(&version_ref());
        described(&version_ref().key);
        described(&ResourceId::new("😀 ..").expect("an ordinary id"));
        described(&TimestampMs(-1));
        described(&semver::Version::new(1, 2, 3));
        refused::<Digest>(&[json!("ab"), json!("A".repeat(64)), json!(1)]);
        refused::<Seq>(&[json!(0), json!(-1), json!(1.5), json!("1")]);
        refused::<ResourceId>(&[json!(""), json!("a\nb"), json!("\u{7f}"), json!("x".repeat(513))]);
        for name in ["", "A", "-a", "a b", &"x".repeat(65)] {
            assert!(Namespace::new(name).is_err());
            refused::<Namespace>(&[json!(name)]);
            refused::<ResourceType>(&[json!(name)]);
        }
        refused::<ResourceKey>(&[
            json!({"namespace": "default", "resource_type": "corpus"}),
            json!({"namespace": "default", "resource_type": "corpus", "resource_id": "x", "colour": 1}),
        ]);
    }

    #[test]
    fn documents_are_described_as_they_are_written() {
        let key = version_ref().key;
        let step = |fate| StepReport {
            key: key.clone(),
            direct: true,
            reason: StepReason::InputChanged { inputs: vec![key.clone()] },
            fate,
            version: Some(version_ref()),
            recipe: None,
            elapsed_ms: 1.5,
            output_bytes: 3,
            phases: StepPhases { build_ms: 1.25, ..StepPhases::default() },
            log_lines: 2,
        };
        let steps = vec![
            step(Fate::Built { changed: true }),
            step(Fate::CutOff),
            step(Fate::Failed { error: "why".to_owned() }),
        ];
        described(&CascadeReport {
            id: "1".to_owned(),
            started_at: TimestampMs(0),
            elapsed_ms: 0.5,
            roots: vec![key.clone()],
            published: true,
            steps,
        });
        let planned = PlannedStep { key: key.clone(), after: vec![0], reason: StepReason::Requested };
        described(&Plan { roots: vec![key.clone()], steps: vec![planned] });
        described(&Dependency { role: "document".to_owned(), on: version_ref() });
        let corpus = Metadata::typed(TypedMetadata::Corpus(CorpusMetadata::default()));
        assert_eq!(described(&corpus)["typed"]["kind"], "corpus");
        described(&Metadata::default());
        let text = r#"{"typed": {"kind": "literature", "title": "Walden"}, "custom": {"hot": true}}"#;
        described(&serde_json::from_str::<Metadata>(text).expect("valid"));
    }

    #[test]
    fn a_step_of_an_older_program_reads_without_its_phases() {
        let text = r#"{"key": {"namespace": "default", "resource_type": "corpus", "resource_id": "x"}, "direct": true,
            "reason": {"why": "requested"}, "fate": "built", "changed": true, "version": null, "recipe": null,
            "elapsed_ms": 1.5, "output_bytes": 3}"#;
        let step: StepReport = serde_json::from_str(text).expect("a step");
        assert_eq!((step.phases, step.log_lines), (StepPhases::default(), 0));
        assert_eq!(step.fate, Fate::Built { changed: true });
        described(&step);
    }

    #[test]
    fn a_version_is_described_whole() {
        let digest = Digest::of(b"x");
        let version = Version {
            key: version_ref().key,
            seq: Seq(2),
            version: semver::Version::new(1, 0, 1),
            created_at: TimestampMs(1),
            data_hash: digest,
            media_type: "text/plain".to_owned(),
            content_location: ContentLocation {
                storage_type: StorageType::Database,
                cache_namespace: "other".to_owned(),
                cache_key: digest.to_string(),
                path: None,
                compression: CompressionType::None,
                compression_level: 0,
                size_bytes: 1,
                size_compressed: 1,
                checksum: digest,
            },
            content_inline: Some(bytes::Bytes::from_static(b"x")),
            dependencies: vec![Dependency { role: "document".to_owned(), on: version_ref() }],
            metadata: Metadata::default(),
            tags: ["kept".to_owned()].into(),
            ttl_ms: Some(1),
            spec: Some(BuildSpec { inputs: Vec::new(), config: serde_json::Map::new() }),
            build: None,
            policy: None,
            publish_id: "p".to_owned(),
            dropped_at: None,
        };
        described(&version);
        described(&version.info(Seq(3)));
        let pattern = |pattern: &str| {
            jsonschema::validator_for(&json!({"type": "string", "pattern": pattern})).expect("a pattern")
        };
        let (resource, named) = (pattern(RESOURCE_PATTERN), pattern(VERSION_PATTERN));
        assert!(resource.is_valid(&json!(version.key.to_string())) && !resource.is_valid(&json!("corpus")));
        assert!(named.is_valid(&json!(version.reference().to_string())));
        assert!(!named.is_valid(&json!("corpus/x")));
    }
}
