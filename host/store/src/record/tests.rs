use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use floret_model::{
    CompressionType, ContentLocation, CorpusMetadata, Digest, LiteratureMetadata, LiteratureStatistics,
    Metadata, ResourceKey, SearchMetadata, Seq, StorageType, TimestampMs, TypedMetadata, Version,
};
use proptest::prelude::*;
use serde_json::json;

use super::{version_from_document, version_to_document};
use crate::Error;

fn version(metadata: Metadata) -> Version {
    let checksum = Digest::of(b"x");
    Version {
        key: ResourceKey::parse("default", "corpus", "a").expect("valid"),
        seq: Seq(3),
        version: semver::Version::new(1, 2, 3),
        created_at: TimestampMs(-5),
        data_hash: checksum,
        media_type: "text/plain".to_owned(),
        content_location: ContentLocation {
            storage_type: StorageType::S3,
            cache_namespace: "content".to_owned(),
            cache_key: checksum.to_string(),
            path: Some("cas".to_owned()),
            compression: CompressionType::Gzip,
            compression_level: 9,
            size_bytes: 1,
            size_compressed: 21,
            checksum,
        },
        content_inline: Some(Bytes::from_static(b"\0\xff")),
        dependencies: Vec::new(),
        metadata,
        tags: BTreeSet::new(),
        ttl_ms: None,
        spec: None,
        build: None,
        policy: None,
        publish_id: "p".to_owned(),
        dropped_at: Some(TimestampMs(9)),
    }
}

fn round_trip(version: &Version) {
    let document = version_to_document(version).expect("encodes");
    let found = version_from_document(&document).expect("decodes");
    assert_eq!(&found, version);
    assert_eq!(found.fingerprint(), version.fingerprint());
}

#[test]
fn m3_a_record_has_the_promised_field_names() {
    let document = version_to_document(&version(Metadata::default())).expect("encodes");
    let document = bson::raw::RawDocument::from_bytes(&document[..]).expect("a document");
    let names = |document: &bson::raw::RawDocument| {
        let names = document.iter().map(|field| field.expect("sound").0.as_str().to_owned());
        names.collect::<Vec<_>>()
    };
    let expected = [
        "namespace",
        "resource_type",
        "resource_id",
        "seq",
        "version_info",
        "publish_id",
        "dropped_at",
        "media_type",
        "content_location",
        "content_inline",
        "metadata",
    ];
    assert_eq!(names(document), expected);
    let location = document.get_document("content_location").expect("there");
    let expected = [
        "storage_type",
        "cache_namespace",
        "cache_key",
        "path",
        "compression",
        "compression_level",
        "size_bytes",
        "size_compressed",
        "checksum",
    ];
    assert_eq!(names(location), expected);
    let info = document.get_document("version_info").expect("there");
    assert_eq!(names(info), ["version", "created_at", "data_hash"]);
}

#[test]
fn m10_metadata_of_each_kind_reads_back() {
    let literature = LiteratureMetadata {
        title: "Walden".to_owned(),
        authors: vec!["Thoreau".to_owned()],
        publication_year: Some(-5),
        genres: BTreeSet::new(),
        source: Some("shelf".to_owned()),
        text_hash: None,
        text_size_bytes: 7,
        statistics: Some(LiteratureStatistics {
            word_count: 2,
            unique_words: 1,
            sentence_count: 1,
            readability_score: Some(60.5),
            readability_formula: "flesch-reading-ease".to_owned(),
        }),
    };
    let bare = LiteratureMetadata { statistics: None, ..literature.clone() };
    let corpus = CorpusMetadata {
        vocabulary_hash: Some(Digest::of(b"v")),
        word_frequencies: BTreeMap::from([("a.b$c".to_owned(), 3)]),
        ..CorpusMetadata::default()
    };
    let search = SearchMetadata {
        search_config: BTreeMap::from([("k".to_owned(), json!(60))]),
        ..SearchMetadata::default()
    };
    for typed in [
        TypedMetadata::None,
        TypedMetadata::Literature(literature),
        TypedMetadata::Literature(bare),
        TypedMetadata::Corpus(corpus),
        TypedMetadata::Search(search),
    ] {
        round_trip(&version(Metadata::typed(typed)));
    }
}

fn custom(value: serde_json::Value) -> Metadata {
    Metadata { custom: BTreeMap::from([("value".to_owned(), value)]), ..Metadata::default() }
}

#[test]
fn m6_what_bson_cannot_hold_is_refused_in_words() {
    for (value, expected) in
        [(json!(u64::MAX), "18446744073709551615"), (json!({"nul\0inside": 1}), "metadata")]
    {
        let refused = version_to_document(&version(custom(value)));
        let message = refused.expect_err("not representable").to_string();
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("corpus/a"), "{message}");
    }
    let large =
        Version { content_inline: Some(vec![0; 17 * 1024 * 1024].into()), ..version(Metadata::default()) };
    let refused = version_to_document(&large);
    assert!(matches!(refused, Err(Error::Invalid { .. })));
}

#[test]
fn m3_a_torn_record_is_an_error() {
    let document = version_to_document(&version(Metadata::default())).expect("encodes");
    for length in 0..document.len() {
        assert!(version_from_document(&document[..length]).is_err(), "{length}");
    }
}

fn json_values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>()
            .prop_filter("JSON has only finite ones", |value| value.is_finite())
            .prop_map(|value| json!(value)),
        "[^\0]{0,8}".prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|value| json!(value)),
            prop::collection::btree_map("[^\0]{0,6}", inner, 0..5).prop_map(|value| json!(value)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn m6_any_json_reads_back_with_its_fingerprint(value in json_values()) {
        round_trip(&version(custom(value)));
    }
}
