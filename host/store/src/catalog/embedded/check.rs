//! Whole passes: statistics, and whether what is derived agrees with the log.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use floret_model::{Seq, StorageType, Version};

use super::head::Head;
use super::keys;
use super::reads::Reader;
use super::tables::Table;
use crate::Error;
use crate::catalog::{BlobState, CatalogStatistics};
use crate::record::{blob_from_document, memo_from_document, version_from_document};

/// Problems told of one pass; more say nothing new.
const LINES_MAX: usize = 1000;

pub(super) fn statistics(reader: &Reader<'_>) -> Result<CatalogStatistics, Error> {
    let all = |table| reader.rows(table, Bound::Unbounded, Bound::Unbounded);
    let mut sum = CatalogStatistics::default();
    for row in all(Table::Heads) {
        row?;
        sum.resources += 1;
    }
    for row in all(Table::Versions) {
        let version = version_from_document(&row?.1)?;
        sum.versions += 1;
        if version.dropped_at.is_none() {
            sum.raw_bytes += version.content_location.size_bytes;
            sum.inline_bytes += version.content_inline.map_or(0, |bytes| bytes.len() as u64);
        }
    }
    for row in all(Table::Blobs) {
        let (record, _) = blob_from_document(&row?.1)?;
        if matches!(record.state, BlobState::Stored { .. }) {
            sum.blobs += 1;
            sum.blob_raw_bytes += record.location.size_bytes;
            sum.blob_stored_bytes += record.location.size_compressed;
        }
    }
    for row in all(Table::Memos) {
        row?;
        sum.memos += 1;
    }
    Ok(sum)
}

/// Every derived row that the log and the memos imply is made again and compared with what is there: memory grows with the
/// rows of the tables, some 100 bytes each.
pub(super) fn verify_indexes(reader: &Reader<'_>) -> Result<Vec<String>, Error> {
    let mut expected = Expected::default();
    let mut lines = Vec::new();
    for row in reader.rows(Table::Versions, Bound::Unbounded, Bound::Unbounded) {
        let (row, document) = row?;
        match version_from_document(&document) {
            Ok(version) => expected.add(&row, version, &mut lines),
            Err(error) => lines.push(format!("version {}: {error}", row.escape_ascii())),
        }
    }
    expected.finish_resource();
    for row in reader.rows(Table::Memos, Bound::Unbounded, Bound::Unbounded) {
        let (row, document) = row?;
        match memo_from_document(&document) {
            Ok(memo) if memo.recipe.as_bytes() == &*row => {
                let reference = keys::blob_memo(&memo.output, &memo.recipe);
                expected.insert(Table::BlobRefs, reference, Vec::new());
            }
            Ok(memo) => lines.push(format!("memo {} has another's key", memo.recipe)),
            Err(error) => lines.push(format!("memo {}: {error}", row.escape_ascii())),
        }
    }
    for (table, name) in Table::ALL {
        if let Some(rows) = expected.rows.get_mut(&(table as usize)) {
            compare(reader, (table, name), rows, &mut lines)?;
        }
    }
    check_reports(reader, &mut lines)?;
    lines.truncate(LINES_MAX);
    Ok(lines)
}

fn compare(
    reader: &Reader<'_>,
    (table, name): (Table, &str),
    expected: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    lines: &mut Vec<String>,
) -> Result<(), Error> {
    for row in reader.rows(table, Bound::Unbounded, Bound::Unbounded) {
        let (row, value) = row?;
        match expected.remove(&*row) {
            None => lines.push(format!("{name}: nothing implies {}", row.escape_ascii())),
            Some(right) if right == *value => {}
            Some(_) => lines.push(format!("{name}: wrong value at {}", row.escape_ascii())),
        }
    }
    for row in expected.keys() {
        lines.push(format!("{name}: {} is missing", row.escape_ascii()));
    }
    Ok(())
}

fn check_reports(reader: &Reader<'_>, lines: &mut Vec<String>) -> Result<(), Error> {
    let mut ids = BTreeSet::new();
    for row in reader.rows(Table::Reports, Bound::Unbounded, Bound::Unbounded) {
        ids.insert(row?.0.to_vec());
    }
    for row in reader.rows(Table::ReportsByKey, Bound::Unbounded, Bound::Unbounded) {
        let (row, _) = row?;
        // key has two NULs, a third ends it, and a time of 8 bytes follows.
        let ends: Vec<_> = (0..row.len()).filter(|at| row[*at] == 0).take(3).collect();
        let id = ends.get(2).and_then(|end| row.get(end + 9..));
        if !id.is_some_and(|id| ids.contains(id)) {
            lines.push(format!("reports_by_key: no report for {}", row.escape_ascii()));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Expected {
    rows: BTreeMap<usize, BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Encoded key and newest version of the resource that is being read.
    newest: Option<(Vec<u8>, Version)>,
}

impl Expected {
    fn insert(&mut self, table: Table, row: Vec<u8>, value: Vec<u8>) {
        self.rows.entry(table as usize).or_default().insert(row, value);
    }

    fn add(&mut self, row: &[u8], version: Version, lines: &mut Vec<String>) {
        let key = version.key.encode();
        if keys::version(&key, version.seq) != row {
            lines.push(format!("version {} has another's key", version.reference()));
        }
        let same = self.newest.as_ref().filter(|(newest, _)| *newest == key);
        let expected_seq = same.map_or(Seq::FIRST, |(_, newest)| newest.seq.next());
        if version.seq != expected_seq {
            let problem = format!("{} follows where @{expected_seq} should", version.reference());
            lines.push(problem);
        }
        if same.is_none() {
            self.finish_resource();
        }
        let created = keys::created(&version.key, version.created_at, version.seq);
        self.insert(Table::Created, created, Vec::new());
        if version.dropped_at.is_none() {
            if version.content_location.storage_type != StorageType::Database {
                let digest = &version.content_location.checksum;
                self.insert(Table::BlobRefs, keys::blob_version(digest, row), Vec::new());
            }
            for dependency in &version.dependencies {
                let reference = keys::reference(&dependency.on, row);
                self.insert(Table::References, reference, Vec::new());
            }
        }
        self.newest = Some((key, version));
    }

    fn finish_resource(&mut self) {
        // Tables without a row that is expected are compared too.
        for table in [Table::Heads, Table::Created, Table::Edges, Table::References, Table::BlobRefs] {
            self.rows.entry(table as usize).or_default();
        }
        if let Some((key, newest)) = self.newest.take() {
            let head = Head::of(&newest, newest.fingerprint());
            for dependency in &head.dependencies {
                self.insert(Table::Edges, keys::edge(dependency, &key), Vec::new());
            }
            self.insert(Table::Heads, key, head.encode());
        }
    }
}
