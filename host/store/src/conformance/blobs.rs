use std::sync::Arc;

use floret_model::{Digest, Memo};
use serde_json::json;

use super::{HOUR_MS, NOW, blob_record, draft, key, publish, read, save, stored_blob, with_blob};
use crate::Error;
use crate::catalog::{BlobRecord, BlobState, Catalog, Claim, Draft};

fn lease() -> floret_model::TimestampMs {
    NOW.plus_ms(HOUR_MS)
}

async fn put_claim(catalog: &dyn Catalog, digest: &Digest) -> u64 {
    match read(catalog.claim_blob(digest, lease()).await) {
        Claim::Put { generation } => generation,
        Claim::Present(record) => panic!("a claim to put was expected, got {record:?}"),
    }
}

/// V8: a version is committed only when its content is there: inline, or stored as the generation that it names.
pub async fn v8_a_version_needs_its_blob(catalog: Arc<dyn Catalog>) {
    let key = key("v8-blobs", "x");
    let refused = async |draft: Draft, why: &str| {
        let result = publish(&*catalog, vec![draft]).await;
        let missing = matches!(result, Err(Error::MissingBlob { .. }));
        assert!(missing, "{why}: {result:?}");
    };
    let unknown = blob_record("v8 unknown", 1, lease());
    refused(with_blob(&key, &unknown), "never claimed").await;
    let text = "v8 content";
    let digest = Digest::of(text.as_bytes());
    let generation = put_claim(&*catalog, &digest).await;
    let record = blob_record(text, generation, lease());
    refused(with_blob(&key, &record), "claimed, not settled").await;
    let record = read(catalog.settle_blob(&record).await);
    let other = blob_record(text, generation + 1, lease());
    refused(with_blob(&key, &other), "another generation").await;
    let hollow = Draft { content_inline: None, ..draft(&key, "inline") };
    refused(hollow, "inline, and not there").await;
    let saved = save(&*catalog, with_blob(&key, &record)).await;
    assert_eq!(saved.version().content_location, record.location);
    assert!(read(catalog.blob_is_referenced(&digest).await));
    assert!(!read(catalog.condemn_blob(&digest, lease()).await), "a version refers to it");
}

/// R2: claimed, settled, condemned when nothing holds it, and forgotten; then it begins anew.
pub async fn r2_a_blob_lives_from_claim_to_oblivion(catalog: Arc<dyn Catalog>) {
    let text = "r2 life";
    let digest = Digest::of(text.as_bytes());
    assert_eq!(read(catalog.blob(&digest).await), None);
    assert!(!read(catalog.condemn_blob(&digest, lease()).await), "there is nothing to condemn");
    let first = stored_blob(&*catalog, text, lease()).await;
    assert_eq!(read(catalog.blob(&digest).await).as_ref(), Some(&first));
    assert!(!read(catalog.condemn_blob(&digest, NOW).await), "its lease holds it");
    let longer = lease().plus_ms(1);
    match read(catalog.claim_blob(&digest, longer).await) {
        Claim::Present(record) => {
            let lease_until = longer;
            assert_eq!(record.state, BlobState::Stored { lease_until }, "extended");
        }
        Claim::Put { .. } => panic!("it is stored"),
    }
    match read(catalog.claim_blob(&digest, NOW).await) {
        Claim::Present(record) => {
            let lease_until = longer;
            assert_eq!(record.state, BlobState::Stored { lease_until }, "never cut short");
        }
        Claim::Put { .. } => panic!("it is stored"),
    }
    assert!(!read(catalog.condemn_blob(&digest, lease()).await), "nor by the old end");
    assert!(read(catalog.condemn_blob(&digest, longer).await), "its lease is over");
    assert!(read(catalog.condemn_blob(&digest, longer).await), "it is condemned still");
    let generation = put_claim(&*catalog, &digest).await;
    assert!(generation > first.generation, "a condemned generation is never revived");
    read(catalog.forget_blob(&digest, first.generation).await);
    let row = read(catalog.blob(&digest).await).expect("a newer generation stays");
    assert_eq!(row.generation, generation);
    assert!(read(catalog.condemn_blob(&digest, lease()).await), "a writer that never settled");
    let late = catalog.settle_blob(&blob_record(text, generation, lease())).await;
    assert!(matches!(late, Err(Error::LeaseLost { .. })), "too late: {late:?}");
    read(catalog.forget_blob(&digest, generation).await);
    assert_eq!(read(catalog.blob(&digest).await), None);
    let late = catalog.settle_blob(&blob_record(text, generation, lease())).await;
    assert!(matches!(late, Err(Error::LeaseLost { .. })), "forgotten: {late:?}");
    let anew = put_claim(&*catalog, &digest).await;
    assert!(anew > generation, "generations are never used again");
    let late = catalog.settle_blob(&blob_record(text, generation, lease())).await;
    assert!(matches!(late, Err(Error::LeaseLost { .. })), "of a life before: {late:?}");
    page_through(&*catalog, &digest).await;
}

async fn page_through(catalog: &dyn Catalog, digest: &Digest) {
    for number in 0..5 {
        stored_blob(catalog, &format!("r2 page {number}"), lease()).await;
    }
    let (mut after, mut seen): (Option<Digest>, Vec<BlobRecord>) = (None, Vec::new());
    loop {
        let page = read(catalog.blobs(after.as_ref(), 2).await);
        let Some(last) = page.last() else {
            break;
        };
        after = Some(last.digest);
        seen.extend(page);
    }
    assert!(seen.is_sorted_by_key(|record| record.digest), "by digest");
    assert!(seen.iter().any(|record| record.digest == *digest), "every row");
    assert!(seen.len() >= 6);
}

/// R2: writers of one blob have an object each; the first to settle wins, and all learn where it is.
pub async fn r2_the_first_settlement_stays(catalog: Arc<dyn Catalog>) {
    let text = "r2 settle";
    let digest = Digest::of(text.as_bytes());
    let one = put_claim(&*catalog, &digest).await;
    let two = put_claim(&*catalog, &digest).await;
    assert_ne!(one, two, "no two writers write one object");
    let first = read(catalog.settle_blob(&blob_record(text, one, lease())).await);
    assert_eq!(first.generation, one, "an earlier claim may settle first");
    let second = read(catalog.settle_blob(&blob_record(text, two, lease())).await);
    assert_eq!(second, first, "the later one learns of it");
    let again = read(catalog.settle_blob(&blob_record(text, one, lease())).await);
    assert_eq!(again, first, "settling twice is settling once");
}

/// R2: a memo keeps its output until it is forgotten, and stays while a version has that output.
pub async fn r2_memos_keep_their_outputs(catalog: Arc<dyn Catalog>) {
    let record = stored_blob(&*catalog, "r2 memo", NOW).await;
    let kept = stored_blob(&*catalog, "r2 memo kept", NOW).await;
    let memo = |recipe: &str, output: Digest, age_ms| Memo {
        recipe: Digest::of(recipe.as_bytes()),
        output,
        output_bytes: 7,
        statistics: json!({"words": 3, "mean": 1.5, "top": ["a"]}),
        build_time_ms: 0.25,
        created_at: NOW.minus_ms(age_ms),
    };
    let old = memo("r2 old", record.digest, HOUR_MS);
    let used = memo("r2 used", kept.digest, HOUR_MS);
    let young = memo("r2 young", kept.digest, 0);
    for memo in [&old, &used, &young] {
        read(catalog.put_memo(memo).await);
    }
    save(&*catalog, with_blob(&key("r2-memos", "x"), &kept)).await;
    let asked = [young.recipe, Digest::of(b"r2 no such recipe"), old.recipe];
    let found = read(catalog.memos(&asked).await);
    assert_eq!(found, [Some(young.clone()), None, Some(old.clone())], "in the order asked");
    assert!(!read(catalog.condemn_blob(&record.digest, lease()).await), "a memo refers to it");
    let forgotten = read(catalog.forget_memos(NOW).await);
    assert_eq!(forgotten, 1, "old, and no version has its output");
    let found = read(catalog.memos(&[old.recipe, used.recipe, young.recipe]).await);
    assert_eq!(found, [None, Some(used), Some(young)]);
    assert!(read(catalog.condemn_blob(&record.digest, lease()).await), "nothing refers to it now");
    // Remembered anew with another output, a recipe lets the old output go.
    let [one, two] =
        [stored_blob(&*catalog, "r2 memo one", NOW).await, stored_blob(&*catalog, "r2 memo two", NOW).await];
    read(catalog.put_memo(&memo("r2 twice", one.digest, 0)).await);
    read(catalog.put_memo(&memo("r2 twice", two.digest, 0)).await);
    assert!(!read(catalog.blob_is_referenced(&one.digest).await));
    assert!(read(catalog.blob_is_referenced(&two.digest).await));
}
