use std::sync::Arc;

use floret_model::{Digest, Memo, ResourceKey, TimestampMs};
use serde_json::json;

use super::upkeep::report;
use super::{NOW, key, read, stored_blob};
use crate::Error;
use crate::catalog::{Access, Catalog};

/// Page through a scan, three rows at a time, and check that it is in order.
async fn all<T, K: Ord + Clone>(
    position: impl Fn(&T) -> K,
    page: impl AsyncFn(Option<&K>) -> Result<Vec<T>, Error>,
) -> Vec<T> {
    let (mut after, mut rows) = (None, Vec::new());
    loop {
        let some = read(page(after.as_ref()).await);
        assert!(some.len() <= 3, "at most the limit");
        let Some(last) = some.last() else {
            break;
        };
        after = Some(position(last));
        rows.extend(some);
    }
    assert!(rows.is_sorted_by(|one, other| position(one) < position(other)), "in order, once each");
    rows
}

/// Every memo, by recipe.
pub async fn memos_are_scanned_in_pages(catalog: Arc<dyn Catalog>) {
    let output = stored_blob(&*catalog, "scan memos", NOW).await.digest;
    let memo = |number: u32| Memo {
        recipe: Digest::of(format!("scan memo {number}").as_bytes()),
        output,
        output_bytes: 10,
        statistics: json!({"number": number}),
        build_time_ms: 0.5,
        created_at: NOW,
    };
    let mut memos: Vec<Memo> = (0..8).map(memo).collect();
    for memo in &memos {
        read(catalog.put_memo(memo).await);
    }
    let scan = async |after: Option<&Digest>| catalog.scan_memos(after, 3).await;
    let mut found = all(|memo: &Memo| memo.recipe, scan).await;
    found.retain(|memo| memo.output == output);
    memos.sort_by_key(|memo| memo.recipe);
    assert_eq!(found, memos);
}

/// Every report, by id; one that is put twice is there once.
pub async fn reports_are_scanned_in_pages(catalog: Arc<dyn Catalog>) {
    let key = key("scan-reports", "x");
    let reports: Vec<_> =
        (0..8).map(|number| report(&format!("scan {number}"), 100 - number, &[&key])).collect();
    for report in reports.iter().rev().chain(&reports[..2]) {
        read(catalog.put_report(report).await);
    }
    let scan = async |after: Option<&String>| catalog.scan_reports(after.map(String::as_str), 3).await;
    let mut found = all(|report: &floret_model::CascadeReport| report.id.clone(), scan).await;
    found.retain(|report| report.roots == [key.clone()]);
    assert_eq!(found, reports);
    assert_eq!(read(catalog.cascades_of(&key, 99).await).len(), reports.len());
}

/// Every access count, by key.
pub async fn accesses_are_scanned_in_pages(catalog: Arc<dyn Catalog>) {
    let ids = ["a", "a/b", "aa", "b", "ß", "😀", "B", "~"];
    let access = |(number, id): (usize, &&str)| {
        let count = number as u64 + 1;
        (key("scan-accesses", id), Access { count, last_at: TimestampMs(50) })
    };
    let mut accesses: Vec<_> = ids.iter().enumerate().map(access).collect();
    read(catalog.add_accesses(&accesses).await);
    let scan = async |after: Option<&ResourceKey>| catalog.scan_accesses(after, 3).await;
    let mut found = all(|(key, _): &(ResourceKey, Access)| key.clone(), scan).await;
    found.retain(|(key, _)| key.namespace.as_str() == "scan-accesses");
    accesses.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(found, accesses);
}
