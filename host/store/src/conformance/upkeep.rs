use std::sync::Arc;

use floret_model::{
    CascadeReport, Digest, Fate, ResourceKey, Seq, StepPhases, StepReason, StepReport, TimestampMs,
    VersionRef,
};

use super::{HOUR_MS, NOW, depending, draft, head, key, on, publish, read, save, stored_blob, with_blob};
use crate::Error;
use crate::catalog::{Access, Catalog, Draft, Publish};

pub(super) fn reference(key: &ResourceKey, seq: u64) -> VersionRef {
    VersionRef { key: key.clone(), seq: Seq(seq) }
}

/// R1: no latest version, and nothing that a version was made from which stays.
pub async fn r1_only_what_nothing_needs_is_dropped(catalog: Arc<dyn Catalog>) {
    let [part, whole] = ["part", "whole"].map(|id| key("r1-drop", id));
    let record = stored_blob(&*catalog, "r1 part 1", NOW).await;
    save(&*catalog, with_blob(&part, &record)).await;
    save(&*catalog, draft(&part, "part 2")).await;
    save(&*catalog, draft(&part, "part 3")).await;
    save(&*catalog, depending(draft(&whole, "whole 1"), &[on(&part, 1)])).await;
    let dropped = async |references: &[VersionRef]| read(catalog.drop_versions(references, NOW).await);
    assert_eq!(dropped(&[reference(&part, 3)]).await, [], "the latest stays");
    assert_eq!(dropped(&[reference(&part, 1)]).await, [], "the whole was made from it");
    assert_eq!(dropped(&[reference(&part, 9)]).await, [], "never committed");
    assert_eq!(dropped(&[reference(&part, 2)]).await, [reference(&part, 2)]);
    assert_eq!(dropped(&[reference(&part, 2)]).await, [], "it is dropped already");
    let version = read(catalog.version(&reference(&part, 2)).await).expect("its row stays");
    assert_eq!(version.dropped_at, Some(NOW));
    assert_eq!(version.content_inline, None, "its bytes are gone");
    let late = depending(draft(&whole, "whole 2"), &[on(&part, 2)]);
    let refused = publish(&*catalog, vec![late]).await;
    let reason = "dropped by cleanup";
    let missing = matches!(&refused, Err(Error::MissingDependency { reason: why, .. }) if *why == reason);
    assert!(missing, "{refused:?}");
    // Both at once, in the unfavourable order: the whole goes, and then what it was made from.
    save(&*catalog, draft(&whole, "whole 2")).await;
    let both = [reference(&part, 1), reference(&whole, 1)];
    assert_eq!(dropped(&both).await, both);
    assert_eq!(read(catalog.referrers(&reference(&part, 1)).await), []);
    assert!(read(catalog.condemn_blob(&record.digest, NOW).await), "its blob is free");
    assert_eq!(super::seqs(&*catalog, &part).await, [3, 2, 1], "nothing is renumbered");
    assert_eq!(read(catalog.verify_indexes().await), [""; 0]);
}

/// V9: time to live is the one thing that lets a latest version go.
pub async fn v9_an_expired_latest_version_may_be_dropped(catalog: Arc<dyn Catalog>) {
    let key = key("v9-ttl", "x");
    let brief = Draft { ttl_ms: Some(HOUR_MS), ..draft(&key, "A") };
    save(&*catalog, brief).await;
    let reference = reference(&key, 1);
    let drop_at = async |now: TimestampMs| {
        read(catalog.drop_versions(std::slice::from_ref(&reference), now).await).len()
    };
    assert_eq!(drop_at(NOW.plus_ms(HOUR_MS - 1)).await, 0, "not expired");
    assert_eq!(drop_at(NOW.plus_ms(HOUR_MS)).await, 1, "expired");
    let latest = head(&*catalog, &key).await.expect("its row stays");
    assert!(latest.dropped_at.is_some());
    let again = save(&*catalog, Draft { ttl_ms: Some(HOUR_MS), ..draft(&key, "A") }).await;
    assert_eq!(again.version().seq, Seq(2), "what is dropped is saved anew");
}

pub(super) fn report(id: &str, at: i64, keys: &[&ResourceKey]) -> CascadeReport {
    let step = |key: &ResourceKey| StepReport {
        key: key.clone(),
        direct: true,
        reason: StepReason::InputChanged { inputs: vec![key.clone()] },
        fate: Fate::MemoHit { changed: true },
        version: Some(reference(key, 1)),
        recipe: Some(Digest::of(b"recipe")),
        elapsed_ms: 0.5,
        output_bytes: 3,
        phases: StepPhases { load_ms: 0.125, compile_ms: 0.0, build_ms: 0.25, store_ms: 0.0625 },
        log_lines: 7,
    };
    CascadeReport {
        id: id.to_owned(),
        started_at: TimestampMs(at),
        elapsed_ms: 1.5,
        roots: keys.iter().map(|key| (*key).clone()).collect(),
        published: true,
        steps: keys.iter().map(|key| step(key)).collect(),
    }
}

/// K4: reports are found by every step's key, newest first; a failed publish has none.
pub async fn k4_reports_are_found_by_every_step(catalog: Arc<dyn Catalog>) {
    let [a, b] = ["a", "b"].map(|id| key("k4-reports", id));
    let reports = [report("k4 1", 10, &[&a]), report("k4 2", 20, &[&a, &b, &a]), report("k4 0", 5, &[&a])];
    let with = |report: &CascadeReport, drafts| Publish {
        id: report.id.clone(),
        at: NOW,
        drafts,
        report: Some(report.clone()),
    };
    read(catalog.publish(with(&reports[0], vec![draft(&a, "A")])).await);
    read(catalog.publish(with(&reports[1], vec![draft(&b, "B")])).await);
    read(catalog.put_report(&reports[2]).await);
    let bad = depending(draft(&a, "A2"), &[on(&b, 9)]);
    let failed = catalog.publish(with(&report("k4 3", 30, &[&a]), vec![bad])).await;
    assert!(failed.is_err());
    let found = read(catalog.cascades_of(&a, 9).await);
    let ids: Vec<_> = found.iter().map(|report| report.id.as_str()).collect();
    assert_eq!(ids, ["k4 2", "k4 1", "k4 0"]);
    assert_eq!(found[0], reports[1], "as it was");
    assert_eq!(read(catalog.cascades_of(&a, 1).await).len(), 1, "at most the limit");
    assert_eq!(read(catalog.cascades_of(&b, 9).await).len(), 1);
    assert_eq!(read(catalog.cascades_of(&key("k4-reports", "c"), 9).await), []);
}

/// M6: access counts add up without a write for each read.
pub async fn m6_accesses_add_up(catalog: Arc<dyn Catalog>) {
    let key = key("m6-access", "x");
    assert_eq!(read(catalog.access(&key).await), Access::default());
    let access = |count, at| {
        let last_at = TimestampMs(at);
        (key.clone(), Access { count, last_at })
    };
    read(catalog.add_accesses(&[access(2, 20), access(3, 10)]).await);
    read(catalog.add_accesses(&[access(1, 15)]).await);
    let last_at = TimestampMs(20);
    assert_eq!(read(catalog.access(&key).await), Access { count: 6, last_at });
}

/// O3: indexes, scan and statistics agree with the log after a bit of everything.
pub async fn o3_a_sound_catalog_has_sound_indexes(catalog: Arc<dyn Catalog>) {
    let before = read(catalog.statistics().await);
    let [a, b] = ["a", "b"].map(|id| key("o3-sound", id));
    let record = stored_blob(&*catalog, "o3 blob", NOW).await;
    save(&*catalog, draft(&a, "A")).await;
    save(&*catalog, with_blob(&a, &record)).await;
    save(&*catalog, depending(draft(&b, "B"), &[on(&a, 1), on(&a, 2)])).await;
    save(&*catalog, depending(draft(&b, "BB"), &[on(&a, 2)])).await;
    read(catalog.drop_versions(&[reference(&b, 1), reference(&a, 1)], NOW).await);
    read(catalog.flush().await);
    assert_eq!(read(catalog.verify_indexes().await), [""; 0]);
    let after = read(catalog.statistics().await);
    assert_eq!(after.resources - before.resources, 2);
    assert_eq!(after.versions - before.versions, 4);
    assert_eq!(after.inline_bytes - before.inline_bytes, 2, "only BB is left inline");
    assert_eq!(after.raw_bytes - before.raw_bytes, 2 + 7);
    assert_eq!(after.blobs - before.blobs, 1);
    assert_eq!(after.blob_stored_bytes - before.blob_stored_bytes, 7);
    let (mut position, mut seen) = (None, Vec::new());
    loop {
        let page = read(catalog.scan(position.as_ref(), 3).await);
        let Some(last) = page.last() else {
            break;
        };
        position = Some(last.reference());
        seen.extend(page.iter().map(|version| version.reference()));
    }
    assert!(seen.is_sorted(), "by key and seq");
    assert_eq!(seen.len() as u64, after.versions, "every version, dropped or not");
}
