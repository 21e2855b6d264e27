//! What every [`Catalog`] must do, as functions that panic with a readable message when it does not.
//!
//! Each takes a catalog that it may share with the others: it names its resources in a namespace of its own, and
//! its blobs by contents of its own. [`catalog_conformance!`](crate::catalog_conformance) makes a test of each.

mod blobs;
mod edges;
mod import;
mod leases;
mod log;
mod races;
mod scans;
mod upkeep;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use floret_model::{
    Bump, CompressionType, ContentLocation, Dependency, Digest, Metadata, ResourceKey, Seq, StorageType,
    TimestampMs, Version, VersionRef,
};

pub use blobs::*;
pub use edges::*;
pub use import::*;
pub use leases::*;
pub use log::*;
pub use races::*;
pub use scans::*;
pub use upkeep::*;

use crate::catalog::{
    BlobRecord, BlobState, Catalog, Claim, Draft, IfUnchanged, Outcome, Precondition, Publish,
};
use crate::{Error, blob_path};

/// When the suite's publishes happen: 2026-01-01.
pub(crate) const NOW: TimestampMs = TimestampMs(1_767_225_600_000);
const HOUR_MS: u64 = 60 * 60 * 1000;

/// One `#[tokio::test]` for each function of [`conformance`](crate::conformance), over the catalog that the given
/// async expression makes, an `Arc<dyn Catalog>` and whatever must live as long.
#[macro_export]
macro_rules! catalog_conformance {
    ($fresh:expr) => {
        $crate::catalog_conformance!(@each $fresh;
            v2_equal_saves_are_one_version_and_a_b_a_are_three
            v2_whatever_is_fingerprinted_makes_a_version
            v2_what_has_expired_is_saved_anew
            v3_preconditions_hold_or_conflict
            v4_namespaces_isolate
            m4_versions_say_what_the_log_implies
            m5_semantic_versions_grow_as_asked
            m6_every_field_reads_back
            m7_lists_come_in_pages_by_key
            m7_creation_times_are_a_range
            b1_drafts_of_one_publish_build_on_each_other
            b2_a_failed_publish_leaves_nothing
            k1_dependents_are_those_of_latest_versions
            k3_cycles_are_refused_when_the_edge_is_written
            k3_a_dependency_must_be_there
            v3_sixty_four_writers_leave_no_gap
            v3_compare_and_append_loses_nothing
            v5_a_publish_is_seen_whole
            b2_a_failed_publish_does_not_touch_its_neighbours
            r2_a_claim_and_a_condemnation_never_both_win
            v8_a_version_needs_its_blob
            r2_a_blob_lives_from_claim_to_oblivion
            r2_the_first_settlement_stays
            r2_memos_keep_their_outputs
            r1_only_what_nothing_needs_is_dropped
            v9_an_expired_latest_version_may_be_dropped
            k4_reports_are_found_by_every_step
            m6_accesses_add_up
            o3_a_sound_catalog_has_sound_indexes
            imported_versions_are_as_they_were
            imports_are_idempotent
            dropped_versions_are_imported_as_dropped
            imports_conflict_with_other_versions
            a_failed_import_leaves_nothing
            a_long_import_is_one
            memos_are_scanned_in_pages
            reports_are_scanned_in_pages
            accesses_are_scanned_in_pages
            a_lease_has_one_holder_at_a_time
            a_lease_is_given_back_by_its_holder_alone
            one_of_many_gets_a_lease
        );
    };
    (@each $fresh:expr; $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (catalog, _kept) = $fresh.await;
                $crate::conformance::$name(catalog).await;
            }
        )*
    };
}

fn key(namespace: &str, id: &str) -> ResourceKey {
    ResourceKey::parse(namespace, "corpus", id).expect("the suite's keys are valid")
}

fn on(key: &ResourceKey, seq: u64) -> Dependency {
    Dependency { role: "part".to_owned(), on: VersionRef { key: key.clone(), seq: Seq(seq) } }
}

fn inline(text: &str) -> (ContentLocation, Bytes) {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let digest = Digest::of(&bytes);
    let location = ContentLocation {
        storage_type: StorageType::Database,
        cache_namespace: "content".to_owned(),
        cache_key: digest.to_string(),
        path: None,
        compression: CompressionType::None,
        compression_level: 0,
        size_bytes: bytes.len() as u64,
        size_compressed: bytes.len() as u64,
        checksum: digest,
    };
    (location, bytes)
}

/// A draft with an inline text.
pub(crate) fn draft(key: &ResourceKey, text: &str) -> Draft {
    let (content_location, bytes) = inline(text);
    Draft {
        key: key.clone(),
        bump: Bump::Patch,
        precondition: Precondition::Any,
        if_unchanged: IfUnchanged::Deduplicate,
        data_hash: content_location.checksum,
        media_type: "text/plain".to_owned(),
        content_location,
        content_inline: Some(bytes),
        dependencies: Vec::new(),
        metadata: Metadata::default(),
        tags: BTreeSet::new(),
        ttl_ms: None,
        spec: None,
        build: None,
        policy: None,
    }
}

fn depending(mut draft: Draft, dependencies: &[Dependency]) -> Draft {
    draft.dependencies = dependencies.to_vec();
    draft
}

/// A draft whose content is a stored blob.
fn with_blob(key: &ResourceKey, record: &BlobRecord) -> Draft {
    Draft {
        data_hash: record.digest,
        content_location: record.location.clone(),
        content_inline: None,
        ..draft(key, "")
    }
}

/// Publish drafts at a moment.
pub(crate) async fn publish_at(
    catalog: &dyn Catalog,
    at: TimestampMs,
    drafts: Vec<Draft>,
) -> Result<Vec<Outcome>, Error> {
    let publish = Publish { id: format!("publish at {at}"), at, drafts, report: None };
    catalog.publish(publish).await
}

async fn publish(catalog: &dyn Catalog, drafts: Vec<Draft>) -> Result<Vec<Outcome>, Error> {
    publish_at(catalog, NOW, drafts).await
}

/// Publish one draft that must succeed.
pub(crate) async fn save(catalog: &dyn Catalog, draft: Draft) -> Outcome {
    let what = draft.key.to_string();
    let mut outcomes =
        publish(catalog, vec![draft]).await.unwrap_or_else(|error| panic!("saving {what} failed: {error}"));
    assert_eq!(outcomes.len(), 1, "one draft of {what} has one outcome");
    outcomes.remove(0)
}

async fn head(catalog: &dyn Catalog, key: &ResourceKey) -> Option<Arc<Version>> {
    let mut heads = read(catalog.heads(std::slice::from_ref(key)).await);
    heads.pop().expect("as many heads as keys")
}

async fn seqs(catalog: &dyn Catalog, key: &ResourceKey) -> Vec<u64> {
    let log = read(catalog.log(key, None, usize::MAX).await);
    log.iter().map(|version| version.seq.0).collect()
}

fn read<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("a call that must succeed failed: {error}"))
}

/// Claim and settle a blob without an object; the lease ends at `lease_until`.
async fn stored_blob(catalog: &dyn Catalog, text: &str, lease_until: TimestampMs) -> BlobRecord {
    let digest = Digest::of(text.as_bytes());
    match read(catalog.claim_blob(&digest, lease_until).await) {
        Claim::Present(record) => record,
        Claim::Put { generation } => {
            read(catalog.settle_blob(&blob_record(text, generation, lease_until)).await)
        }
    }
}

fn blob_record(text: &str, generation: u64, lease_until: TimestampMs) -> BlobRecord {
    let (location, _) = inline(text);
    BlobRecord {
        digest: location.checksum,
        generation,
        state: BlobState::Stored { lease_until },
        location: ContentLocation {
            storage_type: StorageType::Disk,
            path: Some(blob_path(&location.checksum, generation)),
            ..location
        },
    }
}
