use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use floret_model::{
    BuildRecord, BuildSpec, Bump, Codec, ComponentRef, CompressionType, Digest, LiteratureMetadata, Metadata,
    Namespace, PolicyDecision, PolicyQuestion, RecordedInput, ResourceKey, ResourceType, Seq, SpecInput,
    TimestampMs, TypedMetadata, VersionRef,
};
use serde_json::json;

use super::{HOUR_MS, NOW, depending, draft, head, key, on, publish, publish_at, read, save, seqs};
use crate::Error;
use crate::catalog::{Catalog, Draft, IfUnchanged, ListQuery, Outcome, Precondition};

/// V2: a save that equals the latest version is that version; one that equals an older one is new.
pub async fn v2_equal_saves_are_one_version_and_a_b_a_are_three(catalog: Arc<dyn Catalog>) {
    let key = key("v2-a-b-a", "x");
    let first = save(&*catalog, draft(&key, "A")).await;
    assert!(matches!(first, Outcome::Appended(_)), "the first save is new");
    let again = save(&*catalog, draft(&key, "A")).await;
    assert!(matches!(again, Outcome::Unchanged(_)), "the same save is not");
    assert_eq!(again.version(), first.version(), "it is the version there is");
    save(&*catalog, draft(&key, "B")).await;
    let third = save(&*catalog, draft(&key, "A")).await;
    assert_eq!(third.version().seq, Seq(3), "A after B is a third version");
    assert_eq!(third.version().data_hash, first.version().data_hash);
    assert_eq!(head(&*catalog, &key).await.as_ref(), Some(third.version()));
    assert_eq!(seqs(&*catalog, &key).await, [3, 2, 1]);
    let append = Draft { if_unchanged: IfUnchanged::Append, ..draft(&key, "A") };
    let appended = save(&*catalog, append).await;
    assert_eq!(appended.version().seq, Seq(4), "appended, as asked");
}

/// V2: content, dependencies, metadata, media type, tags, time to live and specification make a version.
pub async fn v2_whatever_is_fingerprinted_makes_a_version(catalog: Arc<dyn Catalog>) {
    let (key, part) = (key("v2-fields", "x"), key("v2-fields", "part"));
    save(&*catalog, draft(&part, "part")).await;
    let base = draft(&key, "A");
    let custom = BTreeMap::from([("note".to_owned(), json!("a"))]);
    let changes: [Draft; 7] = [
        base.clone(),
        depending(base.clone(), &[on(&part, 1)]),
        Draft { metadata: Metadata { custom, ..Metadata::default() }, ..base.clone() },
        Draft { media_type: "text/html".to_owned(), ..base.clone() },
        Draft { tags: BTreeSet::from(["stable".to_owned()]), ..base.clone() },
        Draft { ttl_ms: Some(HOUR_MS), ..base.clone() },
        Draft { spec: Some(BuildSpec { inputs: Vec::new(), config: serde_json::Map::new() }), ..base },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let new = save(&*catalog, change.clone()).await;
        let expected = Seq(index as u64 + 1);
        assert_eq!(new.version().seq, expected, "change {index} makes a version");
        let same = save(&*catalog, change).await;
        assert!(matches!(same, Outcome::Unchanged(_)), "change {index}, repeated");
    }
}

/// V2 and V9: what has expired is hidden, so saving it again makes it visible again.
pub async fn v2_what_has_expired_is_saved_anew(catalog: Arc<dyn Catalog>) {
    let key = key("v2-expired", "x");
    let brief = Draft { ttl_ms: Some(10), ..draft(&key, "A") };
    save(&*catalog, brief.clone()).await;
    let early = read(publish_at(&*catalog, NOW.plus_ms(9), vec![brief.clone()]).await);
    assert!(matches!(early[0], Outcome::Unchanged(_)), "not expired yet");
    let late = read(publish_at(&*catalog, NOW.plus_ms(10), vec![brief]).await);
    assert!(matches!(late[0], Outcome::Appended(_)), "expired: a new version");
}

/// V3: a precondition that does not hold is a conflict that says what was found.
pub async fn v3_preconditions_hold_or_conflict(catalog: Arc<dyn Catalog>) {
    let key = key("v3-conditions", "x");
    let when = |precondition, text: &str| Draft { precondition, ..draft(&key, text) };
    let conflict = |result: Result<Vec<Outcome>, Error>, expected, found| match result {
        Err(Error::Conflict { key: of, expected: wanted, found: there }) => {
            assert_eq!((of, wanted, there), (key.clone(), expected, found))
        }
        other => panic!("expected a conflict, got {other:?}"),
    };
    let early = publish(&*catalog, vec![when(Precondition::Latest(Seq(1)), "A")]).await;
    conflict(early, Some(Seq(1)), None);
    save(&*catalog, when(Precondition::Absent, "A")).await;
    let twice = publish(&*catalog, vec![when(Precondition::Absent, "B")]).await;
    conflict(twice, None, Some(Seq(1)));
    save(&*catalog, when(Precondition::Latest(Seq(1)), "B")).await;
    // Also where the content would be deduplicated: the caller decided on what is no longer the latest.
    let stale = publish(&*catalog, vec![when(Precondition::Latest(Seq(1)), "B")]).await;
    conflict(stale, Some(Seq(1)), Some(Seq(2)));
    assert_eq!(seqs(&*catalog, &key).await, [2, 1]);
}

/// V4: the same id in two namespaces names two resources, and odd ids are ordinary.
pub async fn v4_namespaces_isolate(catalog: Arc<dyn Catalog>) {
    for id in ["x", "a/b", "..", "a b", "😀", "a:b@1"] {
        let (one, two) = (key("v4-one", id), key("v4-two", id));
        save(&*catalog, draft(&one, "one")).await;
        assert_eq!(head(&*catalog, &two).await, None, "{two} is another resource");
        save(&*catalog, draft(&two, "two")).await;
        save(&*catalog, draft(&two, "three")).await;
        assert_eq!(seqs(&*catalog, &one).await, [1], "{one}");
        assert_eq!(seqs(&*catalog, &two).await, [2, 1], "{two}");
    }
    let other = ResourceKey::parse("v4-one", "trie", "x").expect("valid");
    assert_eq!(head(&*catalog, &other).await, None, "types are apart, too");
}

/// M4: what readers see of a version is derived from the log.
pub async fn m4_versions_say_what_the_log_implies(catalog: Arc<dyn Catalog>) {
    let key = key("m4-info", "x");
    for text in ["A", "B", "C"] {
        save(&*catalog, draft(&key, text)).await;
    }
    let latest = head(&*catalog, &key).await.expect("three versions");
    let log = read(catalog.log(&key, None, 10).await);
    let infos: Vec<_> = log.iter().map(|version| version.info(latest.seq)).collect();
    let seen: Vec<_> =
        infos.iter().map(|info| (info.is_latest, info.superseded_by, info.supersedes)).collect();
    let expected =
        [(true, None, Some(Seq(2))), (false, Some(Seq(3)), Some(Seq(1))), (false, Some(Seq(2)), None)];
    assert_eq!(seen, expected);
    assert!(infos.iter().all(|info| info.created_at == NOW.to_string()));
    assert_eq!(infos[2].version, "1.0.0", "the first version");
    let page = read(catalog.log(&key, Some(Seq(3)), 1).await);
    assert_eq!(page[0].seq, Seq(2), "a page begins below the seq that is given");
    assert_eq!(page.len(), 1);
}

/// M5: patch by default, minor or major when asked, and a dense seq beside it.
pub async fn m5_semantic_versions_grow_as_asked(catalog: Arc<dyn Catalog>) {
    let key = key("m5-bumps", "x");
    let bumps = [Bump::Major, Bump::Patch, Bump::Minor, Bump::Patch, Bump::Major];
    let mut seen = Vec::new();
    for (index, bump) in bumps.into_iter().enumerate() {
        let draft = Draft { bump, ..draft(&key, &index.to_string()) };
        let version = Arc::clone(save(&*catalog, draft).await.version());
        assert_eq!(version.seq, Seq(index as u64 + 1));
        seen.push(version.version.to_string());
    }
    assert_eq!(seen, ["1.0.0", "1.0.1", "1.1.0", "1.1.1", "2.0.0"]);
}

pub(super) fn full(key: &ResourceKey, part: &ResourceKey) -> Draft {
    let version = VersionRef { key: part.clone(), seq: Seq(1) };
    let config = json!({"nested": {"$oid": "not special", "list": [1, 2.5, null, true, -3]}});
    let serde_json::Value::Object(members) = config.clone() else {
        unreachable!("an object was written above")
    };
    Draft {
        bump: Bump::Minor,
        tags: BTreeSet::from(["a".to_owned(), "ß".to_owned()]),
        ttl_ms: Some(HOUR_MS),
        metadata: Metadata {
            typed: TypedMetadata::Literature(LiteratureMetadata {
                title: "Walden".to_owned(),
                authors: vec!["Thoreau".to_owned()],
                publication_year: Some(1854),
                genres: BTreeSet::from(["essay".to_owned()]),
                source: None,
                text_hash: Some(Digest::of(b"text")),
                text_size_bytes: i64::MAX as u64,
                statistics: None,
            }),
            custom: BTreeMap::from([("config".to_owned(), config.clone())]),
        },
        spec: Some(BuildSpec {
            inputs: vec![SpecInput { role: "part".to_owned(), key: part.clone() }],
            config: members,
        }),
        build: Some(BuildRecord {
            component: Some(ComponentRef {
                plugin: version.clone(),
                digest: Digest::of(b"component"),
                contract: "floret:corpus@0.1.0".to_owned(),
            }),
            config,
            inputs: vec![RecordedInput { role: "part".to_owned(), version, digest: Digest::of(b"input") }],
            recipe: Digest::of(b"recipe"),
            profile: "profile".to_owned(),
            from_memo: true,
            build_time_ms: 0.125,
            input_bytes: 7,
            output_bytes: 9,
        }),
        policy: Some(PolicyDecision {
            policy: "default@1".to_owned(),
            digest: Digest::of(b"policy"),
            reason: "small".to_owned(),
            entropy_bits_per_byte: 4.7,
            asked: Some(PolicyQuestion {
                component: VersionRef { key: key.clone(), seq: Seq(2) },
                config: serde_json::Map::from_iter([("level".to_owned(), 3.into())]),
                size_bytes: 7,
                namespace: "default".to_owned(),
                resource_type: "m6-fields".to_owned(),
                media_type: String::new(),
                items: Some(5),
                flags: vec!["real_time".to_owned()],
                codec: Codec { compression: CompressionType::Zstd, level: 3 },
                delta: true,
            }),
        }),
        ..depending(draft(key, "\0 any bytes \u{ff}"), &[on(part, 1)])
    }
}

/// M6: whatever a version holds reads back as it was.
pub async fn m6_every_field_reads_back(catalog: Arc<dyn Catalog>) {
    let (key, part) = (key("m6-fields", "x"), key("m6-fields", "part"));
    save(&*catalog, draft(&part, "part")).await;
    let saved = save(&*catalog, full(&key, &part)).await;
    let found = head(&*catalog, &key).await.expect("it was saved");
    assert_eq!(&found, saved.version());
    let reference = found.reference();
    let by_name = read(catalog.version(&reference).await).expect("it was saved");
    assert_eq!(by_name, found);
    let again = save(&*catalog, full(&key, &part)).await;
    assert!(matches!(again, Outcome::Unchanged(_)), "nor does its fingerprint change");
    let too_much = Draft { ttl_ms: Some(u64::MAX), ..draft(&key, "B") };
    let refused = publish(&*catalog, vec![too_much]).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "a count of 2^63 or more is refused: {refused:?}");
}

/// M7: heads in pages, by namespace, type and beginning of the id.
pub async fn m7_lists_come_in_pages_by_key(catalog: Arc<dyn Catalog>) {
    let namespace = "m7-list";
    let mut drafts = Vec::new();
    for id in ["a", "aa", "ab", "b"] {
        for resource_type in ["corpus", "trie"] {
            let key = ResourceKey::parse(namespace, resource_type, id).expect("valid");
            drafts.push(draft(&key, id));
        }
    }
    drafts.push(draft(&key("m7-list-2", "a"), "elsewhere"));
    drafts.push(draft(&key(namespace, "a"), "newer"));
    read(publish(&*catalog, drafts).await);
    let base = ListQuery {
        namespace: Some(Namespace::new(namespace).expect("valid")),
        limit: 3,
        ..ListQuery::default()
    };
    let mut pages = Vec::new();
    let mut query = base.clone();
    loop {
        let page = read(catalog.list(&query).await);
        let Some(last) = page.last() else {
            break;
        };
        assert!(page.len() <= 3, "at most the limit");
        query.after = Some(last.key.clone());
        pages.extend(page);
    }
    let seen: Vec<_> = pages.iter().map(|version| version.key.to_string()).collect();
    let expected =
        ["corpus/a", "corpus/aa", "corpus/ab", "corpus/b", "trie/a", "trie/aa", "trie/ab", "trie/b"];
    let expected = expected.map(|key| format!("{namespace}:{key}"));
    assert_eq!(seen, expected);
    assert_eq!(pages[0].seq, Seq(2), "only the latest version of each");
    let of = |resource_type: Option<&str>, prefix: Option<&str>| ListQuery {
        resource_type: resource_type.map(|name| ResourceType::new(name).expect("valid")),
        id_prefix: prefix.map(str::to_owned),
        limit: 100,
        ..base.clone()
    };
    let count = async |query| read(catalog.list(&query).await).len();
    assert_eq!(count(of(Some("trie"), None)).await, 4);
    assert_eq!(count(of(Some("trie"), Some("a"))).await, 3);
    assert_eq!(count(of(None, Some("ab"))).await, 2);
    assert_eq!(count(of(Some("search"), None)).await, 0);
    let everywhere = ListQuery { namespace: None, ..of(Some("trie"), Some("ab")) };
    assert_eq!(count(everywhere).await, 1, "without a namespace, by scanning");
}

/// M7: versions of a type in a range of time, oldest first, the end not included.
pub async fn m7_creation_times_are_a_range(catalog: Arc<dyn Catalog>) {
    let key = key("m7-created", "x");
    for at in [30, 10, 20_i64] {
        let text = at.to_string();
        read(publish_at(&*catalog, TimestampMs(at), vec![draft(&key, &text)]).await);
    }
    let between = async |from, to, limit| {
        let (namespace, resource_type) = (&key.namespace, &key.resource_type);
        let found = catalog
            .created_between(namespace, resource_type, TimestampMs(from), TimestampMs(to), limit)
            .await;
        let seqs = read(found).into_iter().map(|version| version.seq.0);
        seqs.collect::<Vec<_>>()
    };
    assert_eq!(between(10, 31, 9).await, [2, 3, 1]);
    assert_eq!(between(10, 30, 9).await, [2, 3], "the end is not included");
    assert_eq!(between(i64::MIN, i64::MAX, 1).await, [2], "at most the limit");
    assert_eq!(between(31, 30, 9).await, [0_u64; 0], "an empty range");
}

/// B1, B4: a later draft may depend on an earlier one, and follow it in the same log.
pub async fn b1_drafts_of_one_publish_build_on_each_other(catalog: Arc<dyn Catalog>) {
    let (child, master) = (key("b1-batch", "child"), key("b1-batch", "master"));
    let drafts = vec![
        draft(&child, "A"),
        draft(&child, "B"),
        depending(draft(&master, "M"), &[on(&child, 2)]),
        draft(&child, "B"),
    ];
    let outcomes = read(publish(&*catalog, drafts).await);
    let seen: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome.version().seq.0, matches!(outcome, Outcome::Appended(_))))
        .collect();
    assert_eq!(seen, [(1, true), (2, true), (1, true), (2, false)]);
    let master = head(&*catalog, &master).await.expect("published");
    assert_eq!(master.dependencies, [on(&child, 2)]);
    let log = read(catalog.log(&child, None, 9).await);
    assert!(log.iter().all(|version| version.publish_id == master.publish_id));
    assert!(read(publish(&*catalog, Vec::new()).await).is_empty(), "nothing of nothing");
}

/// B2: if one draft fails, nothing of the others is there.
pub async fn b2_a_failed_publish_leaves_nothing(catalog: Arc<dyn Catalog>) {
    let (one, two) = (key("b2-failed", "one"), key("b2-failed", "two"));
    save(&*catalog, draft(&one, "A")).await;
    let before = read(catalog.statistics().await);
    let bad = Draft { precondition: Precondition::Latest(Seq(9)), ..draft(&one, "C") };
    let drafts = vec![draft(&one, "B"), draft(&two, "B"), bad];
    let failed = publish(&*catalog, drafts).await;
    assert!(matches!(failed, Err(Error::Conflict { .. })), "{failed:?}");
    assert_eq!(seqs(&*catalog, &one).await, [1]);
    assert_eq!(head(&*catalog, &two).await, None);
    let after = read(catalog.statistics().await);
    assert_eq!(after, before, "nothing is counted either");
    assert_eq!(read(catalog.verify_indexes().await), [""; 0]);
}
