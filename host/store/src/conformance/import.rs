use std::sync::Arc;

use floret_model::{ResourceKey, Seq, TimestampMs, Version};

use super::log::full;
use super::upkeep::reference;
use super::{
    HOUR_MS, NOW, blob_record, depending, draft, head, key, on, publish, read, save, seqs, stored_blob,
    with_blob,
};
use crate::Error;
use crate::catalog::{Catalog, Draft, Outcome};

/// A version as another catalog has it: its semantic version is 1.0.0 with its seq added to `minor`, and it was made
/// as many hours before [`NOW`] as its seq says.
fn elsewhere(draft: Draft, seq: u64) -> Version {
    let created_at = NOW.minus_ms(seq * HOUR_MS);
    Version {
        seq: Seq(seq),
        version: semver::Version::new(1, seq, 0),
        ..draft.into_version(&format!("elsewhere {seq}"), created_at)
    }
}

fn dropped(version: Version) -> Version {
    Version { content_inline: None, dropped_at: Some(NOW), ..version }
}

async fn stored(catalog: &dyn Catalog, key: &ResourceKey) -> Vec<Version> {
    let mut log = read(catalog.log(key, None, usize::MAX).await);
    log.reverse();
    log.into_iter().map(Arc::unwrap_or_clone).collect()
}

/// What was imported reads as it was elsewhere, wherever it is asked for, and the log goes on from it.
pub async fn imported_versions_are_as_they_were(catalog: Arc<dyn Catalog>) {
    let [part, whole] = ["part", "whole"].map(|id| key("import-fields", id));
    let record = stored_blob(&*catalog, "import fields", NOW).await;
    let parts = [elsewhere(with_blob(&part, &record), 1), elsewhere(draft(&part, "part 2"), 2)];
    let wholes = [elsewhere(full(&whole, &part), 1)];
    let all: Vec<Version> = parts.iter().chain(&wholes).cloned().collect();
    read(catalog.import(&all).await);
    assert_eq!(stored(&*catalog, &part).await, parts);
    assert_eq!(stored(&*catalog, &whole).await, wholes);
    assert_eq!(head(&*catalog, &part).await.as_deref(), Some(&parts[1]));
    assert_eq!(head(&*catalog, &whole).await.as_deref(), Some(&wholes[0]));
    let found = read(catalog.dependents(std::slice::from_ref(&part)).await);
    assert_eq!(found, [vec![whole.clone()]]);
    assert_eq!(read(catalog.referrers(&reference(&part, 1)).await), [reference(&whole, 1)]);
    assert!(read(catalog.blob_is_referenced(&record.digest).await));
    let (namespace, resource_type) = (&part.namespace, &part.resource_type);
    let made =
        async |to| read(catalog.created_between(namespace, resource_type, TimestampMs(0), to, 9).await);
    assert_eq!(made(NOW.minus_ms(HOUR_MS)).await, [reference(&part, 2)], "by the times that they have");
    assert_eq!(made(NOW).await.len(), 3);
    let same = save(&*catalog, draft(&part, "part 2")).await;
    assert!(matches!(same, Outcome::Unchanged(_)), "it is the latest");
    let next = save(&*catalog, draft(&part, "part 3")).await;
    assert_eq!((next.version().seq, next.version().version.to_string()), (Seq(3), "1.2.1".to_owned()));
    assert_eq!(read(catalog.verify_indexes().await), [""; 0]);
}

/// Versions that are here already are passed over, also where only their places or marks differ; what follows is new.
pub async fn imports_are_idempotent(catalog: Arc<dyn Catalog>) {
    let key = key("import-twice", "x");
    let record = stored_blob(&*catalog, "import twice", NOW).await;
    let log = [
        elsewhere(draft(&key, "A"), 1),
        elsewhere(with_blob(&key, &record), 2),
        elsewhere(draft(&key, "C"), 3),
    ];
    read(catalog.import(&log[..2]).await);
    assert_eq!(read(catalog.drop_versions(&[reference(&key, 1)], NOW).await).len(), 1);
    let mut moved = log.clone();
    moved[1].content_location = blob_record("import twice", record.generation + 9, NOW).location;
    read(catalog.import(&moved).await);
    read(catalog.import(&[dropped(log[2].clone())]).await);
    let found = stored(&*catalog, &key).await;
    assert_eq!(found[0].dropped_at, Some(NOW), "dropped here is dropped here");
    assert_eq!(found[1], log[1], "where it is here");
    assert_eq!(found[2], log[2], "dropped there is not dropped here");
    read(catalog.import(&[]).await);
    assert_eq!(read(catalog.verify_indexes().await), [""; 0]);
}

/// What cleanup dropped elsewhere is a row without a body here: it needs nothing, keeps nothing, and nothing new may
/// depend on it.
pub async fn dropped_versions_are_imported_as_dropped(catalog: Arc<dyn Catalog>) {
    let [part, whole] = ["part", "whole"].map(|id| key("import-dropped", id));
    let nowhere = blob_record("import dropped", 1, NOW);
    let all = [
        dropped(elsewhere(with_blob(&part, &nowhere), 1)),
        dropped(elsewhere(depending(draft(&whole, "whole 1"), &[on(&part, 1)]), 1)),
        elsewhere(draft(&part, "part 2"), 2),
        // The latest, dropped when its time was over.
        dropped(elsewhere(Draft { ttl_ms: Some(1), ..draft(&whole, "whole 2") }, 2)),
    ];
    read(catalog.import(&all).await);
    assert_eq!(stored(&*catalog, &part).await, [all[0].clone(), all[2].clone()]);
    assert_eq!(stored(&*catalog, &whole).await, [all[1].clone(), all[3].clone()]);
    assert_eq!(read(catalog.referrers(&reference(&part, 1)).await), []);
    assert!(!read(catalog.blob_is_referenced(&nowhere.digest).await));
    let late = elsewhere(depending(draft(&whole, "whole 3"), &[on(&part, 1)]), 3);
    let refused = catalog.import(&[late]).await;
    let missing = matches!(refused, Err(Error::MissingDependency { reason: "dropped by cleanup", .. }));
    assert!(missing, "{refused:?}");
    let anew = save(&*catalog, Draft { ttl_ms: Some(1), ..draft(&whole, "whole 2") }).await;
    assert_eq!(anew.version().seq, Seq(3), "what is dropped is saved anew");
    assert_eq!(read(catalog.verify_indexes().await), [""; 0]);
}

/// A place that another version has is a conflict, and so is a place that leaves a gap.
pub async fn imports_conflict_with_other_versions(catalog: Arc<dyn Catalog>) {
    let key = key("import-conflict", "x");
    let log = [elsewhere(draft(&key, "A"), 1), elsewhere(draft(&key, "B"), 2)];
    let refused = async |version: &Version, found: Option<u64>, why: &str| {
        let result = catalog.import(std::slice::from_ref(version)).await;
        let expected = version.seq.previous();
        match result {
            Err(Error::Conflict { key: of, expected: wanted, found: there }) => {
                assert_eq!((of, wanted, there), (version.key.clone(), expected, found.map(Seq)), "{why}")
            }
            other => panic!("{why}: expected a conflict, got {other:?}"),
        }
    };
    refused(&log[1], None, "nothing is before it").await;
    read(catalog.import(&log).await);
    refused(&elsewhere(draft(&key, "D"), 4), Some(2), "@3 is not here").await;
    for (other, why) in [
        (Version { created_at: NOW, ..log[0].clone() }, "another time"),
        (Version { version: semver::Version::new(1, 0, 0), ..log[0].clone() }, "another semantic version"),
        (elsewhere(draft(&key, "other"), 1), "another content"),
        (elsewhere(draft(&key, "other"), 2), "another content of the latest"),
    ] {
        refused(&other, Some(2), why).await;
    }
    assert_eq!(stored(&*catalog, &key).await, log, "nothing was written");
}

/// An import keeps the invariants as a publish does, and is there whole or not at all.
pub async fn a_failed_import_leaves_nothing(catalog: Arc<dyn Catalog>) {
    let [a, b] = ["a", "b"].map(|id| key("import-failed", id));
    let good = elsewhere(draft(&a, "A"), 1);
    let nowhere = elsewhere(with_blob(&b, &blob_record("import failed", 1, NOW)), 1);
    let hollow = Version { content_inline: None, ..elsewhere(draft(&b, "B"), 1) };
    let dangling = elsewhere(depending(draft(&b, "B"), &[on(&a, 2)]), 1);
    let itself = elsewhere(depending(draft(&b, "B"), &[on(&b, 1)]), 1);
    let refused = async |bad: &Version| match catalog.import(&[good.clone(), bad.clone()]).await {
        Err(error) => error,
        Ok(()) => panic!("{bad:?} was imported"),
    };
    for bad in [&nowhere, &hollow] {
        let error = refused(bad).await;
        assert!(matches!(error, Error::MissingBlob { .. }), "{error:?}");
    }
    for bad in [&dangling, &itself] {
        let error = refused(bad).await;
        assert!(matches!(error, Error::MissingDependency { .. }), "{error:?}");
    }
    let depends = elsewhere(depending(draft(&b, "B"), &[on(&a, 1)]), 1);
    let early = catalog.import(&[depends.clone(), good.clone()]).await;
    assert!(matches!(early, Err(Error::MissingDependency { .. })), "before what it depends on: {early:?}");
    assert_eq!((seqs(&*catalog, &a).await, seqs(&*catalog, &b).await), (vec![], vec![]));
    // The latest of the moment may form a cycle that the ones which follow end.
    let closing = elsewhere(depending(draft(&a, "A2"), &[on(&b, 1)]), 2);
    read(catalog.import(&[good, depends, closing]).await);
    let saved = publish(&*catalog, vec![draft(&a, "A3")]).await;
    assert_eq!(read(saved)[0].version().seq, Seq(3));
}

/// Some hundred versions in one import, of logs that lie through each other.
pub async fn a_long_import_is_one(catalog: Arc<dyn Catalog>) {
    let keys = ["a", "b", "c"].map(|id| key("import-long", id));
    let mut all = Vec::new();
    for seq in 1..=100 {
        for (number, key) in keys.iter().enumerate() {
            let draft = draft(key, &format!("{number} {seq}"));
            let on: Vec<_> = keys[..number].iter().map(|part| on(part, seq)).collect();
            all.push(elsewhere(depending(draft, &on), seq));
        }
    }
    read(catalog.import(&all).await);
    for key in &keys {
        assert_eq!(seqs(&*catalog, key).await, (1..=100).rev().collect::<Vec<_>>());
    }
    let found = read(catalog.dependents(&keys).await);
    assert_eq!(found, [vec![keys[1].clone(), keys[2].clone()], vec![keys[2].clone()], vec![]]);
    read(catalog.import(&all).await);
    assert_eq!(read(catalog.verify_indexes().await), [""; 0]);
}
