//! Reads: each sees one snapshot, so a publish whole or not at all.

use std::ops::Bound;
use std::sync::Arc;

use fjall::{Readable, Snapshot};
use floret_model::{
    CascadeReport, Digest, Memo, Namespace, ResourceKey, ResourceType, Seq, TimestampMs, Version, VersionRef,
};

use super::head::seq_of;
use super::keys;
use super::tables::{Table, Tables};
use super::upkeep::decode_access;
use crate::Error;
use crate::catalog::{Access, BlobRecord, ListQuery};
use crate::record::{blob_from_document, memo_from_document, report_from_document, version_from_document};

/// A committed state.
pub(super) struct Reader<'a> {
    tables: &'a Tables,
    snapshot: Snapshot,
}

type Pair = (fjall::Slice, fjall::Slice);

/// Rows passed over, one after the other, before an iterator is placed anew: placing one costs about as much.
const STEPS_MAX: usize = 8;
/// Heads that are worth more than one thread: some 10 ms of work, where starting one takes 50 µs.
const SHARED_MIN: usize = 2048;
/// Threads for one read.
const THREADS_MAX: usize = 4;

impl<'a> Reader<'a> {
    pub fn new(tables: &'a Tables) -> Self {
        Self { tables, snapshot: tables.database.snapshot() }
    }

    pub fn get(&self, table: Table, row: &[u8]) -> Result<Option<fjall::Slice>, Error> {
        let value = self.snapshot.get(self.tables.keyspace(table), row);
        value.map_err(|error| self.tables.read_failure(&error))
    }

    /// Rows from a bound on, in order.
    pub fn rows(
        &self,
        table: Table,
        from: Bound<Vec<u8>>,
        to: Bound<Vec<u8>>,
    ) -> impl DoubleEndedIterator<Item = Result<Pair, Error>> {
        let rows = self.snapshot.range(self.tables.keyspace(table), (from, to));
        rows.map(|guard| {
            let pair = guard.into_inner();
            pair.map_err(|error| self.tables.read_failure(&error))
        })
    }

    /// Rows of a prefix, in order.
    pub fn with_prefix(
        &self,
        table: Table,
        prefix: Vec<u8>,
    ) -> impl DoubleEndedIterator<Item = Result<Pair, Error>> {
        let to = keys::after_prefix(prefix.clone());
        self.rows(table, Bound::Included(prefix), Bound::Excluded(to))
    }

    pub fn version(&self, reference: &VersionRef) -> Result<Option<Arc<Version>>, Error> {
        let row = keys::version(&reference.key.encode(), reference.seq);
        let row = self.get(Table::Versions, &row)?;
        row.map(|row| version_from_document(&row).map(Arc::new)).transpose()
    }

    pub fn head(&self, key: &ResourceKey) -> Result<Option<Arc<Version>>, Error> {
        let key = key.encode();
        match self.get(Table::Heads, &key)? {
            Some(head) => self.latest(&key, &head).map(Some),
            None => Ok(None),
        }
    }

    /// Decoding is most of the work, so many are shared out among threads that end before this returns.
    pub fn heads(&self, keys: &[ResourceKey]) -> Result<Vec<Option<Arc<Version>>>, Error> {
        let some = |keys: &[ResourceKey]| keys.iter().map(|key| self.head(key)).collect();
        let threads = match keys.len() {
            ..SHARED_MIN => 1,
            _ => std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX),
        };
        if threads == 1 {
            return some(keys);
        }
        let shares = keys.chunks(keys.len().div_ceil(threads));
        std::thread::scope(|scope| {
            let working: Vec<_> =
                shares.map(|share| scope.spawn(move || some(share) as Result<Vec<_>, Error>)).collect();
            let mut heads = Vec::with_capacity(keys.len());
            for share in working {
                heads.extend(share.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            }
            Ok(heads)
        })
    }

    fn latest(&self, key: &[u8], head: &[u8]) -> Result<Arc<Version>, Error> {
        let row = keys::version(key, seq_of(head)?);
        let document = self.get(Table::Versions, &row)?;
        let document = document.ok_or_else(|| Error::Integrity {
            what: format!("the record of {}", row.escape_ascii()),
            problem: "it is the latest version, and has no record".to_owned(),
        })?;
        version_from_document(&document).map(Arc::new)
    }

    pub fn log(
        &self,
        key: &ResourceKey,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>, Error> {
        let key = key.encode();
        let from = keys::version(&key, Seq(0));
        let to = keys::version(&key, before.unwrap_or(Seq(u64::MAX)));
        self.rows(Table::Versions, Bound::Included(from), Bound::Excluded(to))
            .rev()
            .take(limit)
            .map(|row| version_from_document(&row?.1).map(Arc::new))
            .collect()
    }

    pub fn list(&self, query: &ListQuery) -> Result<Vec<Arc<Version>>, Error> {
        let prefix = match (&query.namespace, &query.resource_type) {
            (Some(namespace), Some(resource_type)) => {
                let mut prefix = keys::type_prefix(namespace, resource_type);
                if let Some(id) = &query.id_prefix {
                    prefix.extend_from_slice(id.as_bytes());
                }
                prefix
            }
            (Some(namespace), None) => keys::prefix(namespace.as_str().as_bytes()),
            (None, _) => Vec::new(),
        };
        let to = match &*prefix {
            [] => Bound::Unbounded,
            prefix => Bound::Excluded(keys::after_prefix(prefix.to_vec())),
        };
        let from = match query.after.as_ref().map(ResourceKey::encode) {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        if let (Bound::Excluded(from), Bound::Excluded(to)) = (&from, &to)
            && from >= to
        {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for row in self.rows(Table::Heads, from, to) {
            if found.len() >= query.limit {
                break;
            }
            let (key, head) = row?;
            if matches(query, &keys::parse_key(&key)?) {
                found.push(self.latest(&key, &head)?);
            }
        }
        Ok(found)
    }

    pub fn created_between(
        &self,
        namespace: &Namespace,
        resource_type: &ResourceType,
        (from, to): (TimestampMs, TimestampMs),
        limit: usize,
    ) -> Result<Vec<VersionRef>, Error> {
        if from >= to {
            return Ok(Vec::new());
        }
        let prefix = keys::type_prefix(namespace, resource_type);
        let from = Bound::Included(keys::created_from(&prefix, from));
        let to = Bound::Excluded(keys::created_from(&prefix, to));
        self.rows(Table::Created, from, to)
            .take(limit)
            .map(|row| keys::parse_created(&row?.0, prefix.len()))
            .collect()
    }

    /// One pass over the edges for all keys, sorted, as far as they lie close together.
    pub fn dependents(&self, keys: &[ResourceKey]) -> Result<Vec<Vec<ResourceKey>>, Error> {
        let mut order: Vec<(Vec<u8>, usize)> =
            keys.iter().enumerate().map(|(index, key)| (keys::prefix(&key.encode()), index)).collect();
        order.sort_unstable();
        let mut found = vec![Vec::new(); keys.len()];
        let mut rows = None;
        let mut at: Option<fjall::Slice> = None;
        for (prefix, index) in &order {
            let mut steps = 0;
            while rows.is_some() && at.as_ref().is_some_and(|row| **row < **prefix) {
                if steps == STEPS_MAX {
                    rows = None;
                    break;
                }
                steps += 1;
                at = next_key(&mut rows)?;
            }
            if rows.is_none() {
                let from = Bound::Included(prefix.clone());
                rows = Some(self.keys(Table::Edges, from));
                at = next_key(&mut rows)?;
            }
            while let Some(row) = at.as_ref().filter(|row| row.starts_with(prefix)) {
                found[*index].push(keys::parse_key(&row[prefix.len()..])?);
                at = next_key(&mut rows)?;
            }
        }
        // A key asked twice has its rows passed already.
        for pair in order.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            found[pair[1].1] = found[pair[0].1].clone();
        }
        Ok(found)
    }

    fn keys(&self, table: Table, from: Bound<Vec<u8>>) -> impl Iterator<Item = Result<fjall::Slice, Error>> {
        let range = (from, Bound::<Vec<u8>>::Unbounded);
        let rows = self.snapshot.range(self.tables.keyspace(table), range);
        rows.map(|guard| guard.key().map_err(|error| self.tables.read_failure(&error)))
    }

    pub fn referrers(&self, reference: &VersionRef) -> Result<Vec<VersionRef>, Error> {
        let prefix = keys::version(&reference.key.encode(), reference.seq);
        let length = prefix.len();
        self.with_prefix(Table::References, prefix)
            .map(|row| keys::parse_version(&row?.0[length..]))
            .collect()
    }

    pub fn cascades_of(&self, key: &ResourceKey, limit: usize) -> Result<Vec<CascadeReport>, Error> {
        let prefix = keys::prefix(&key.encode());
        let id_from = prefix.len() + 8;
        self.with_prefix(Table::ReportsByKey, prefix)
            .rev()
            .take(limit)
            .map(|row| {
                let (row, _) = row?;
                let id = row.get(id_from..).unwrap_or_default();
                let report = self.get(Table::Reports, id)?;
                let report = report.ok_or_else(|| keys::damaged("a stored report", &row))?;
                report_from_document(&report)
            })
            .collect()
    }

    pub fn memos(&self, recipes: &[Digest]) -> Result<Vec<Option<Memo>>, Error> {
        let memo = |recipe: &Digest| {
            let row = self.get(Table::Memos, recipe.as_bytes())?;
            row.map(|row| memo_from_document(&row)).transpose()
        };
        recipes.iter().map(memo).collect()
    }

    /// Recipes of memos made before a moment, whose output no version refers to.
    pub fn stale_memos(&self, before: TimestampMs) -> Result<Vec<Digest>, Error> {
        let mut stale = Vec::new();
        for row in self.rows(Table::Memos, Bound::Unbounded, Bound::Unbounded) {
            let memo = memo_from_document(&row?.1)?;
            let referred = keys::blob_refs(&memo.output, b'v');
            if memo.created_at < before && self.with_prefix(Table::BlobRefs, referred).next().is_none() {
                stale.push(memo.recipe);
            }
        }
        Ok(stale)
    }

    pub fn scan_memos(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<Memo>, Error> {
        let from = after.map_or(Bound::Unbounded, |recipe| Bound::Excluded(recipe.as_bytes().to_vec()));
        let rows = self.rows(Table::Memos, from, Bound::Unbounded);
        rows.take(limit).map(|row| memo_from_document(&row?.1)).collect()
    }

    pub fn scan_reports(&self, after: Option<&str>, limit: usize) -> Result<Vec<CascadeReport>, Error> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes().to_vec()));
        let rows = self.rows(Table::Reports, from, Bound::Unbounded);
        rows.take(limit).map(|row| report_from_document(&row?.1)).collect()
    }

    pub fn scan_accesses(
        &self,
        after: Option<&ResourceKey>,
        limit: usize,
    ) -> Result<Vec<(ResourceKey, Access)>, Error> {
        let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.encode()));
        let rows = self.rows(Table::Access, from, Bound::Unbounded);
        rows.take(limit)
            .map(|row| {
                let (key, row) = row?;
                Ok((keys::parse_key(&key)?, decode_access(&row)?))
            })
            .collect()
    }

    pub fn blob(&self, digest: &Digest) -> Result<Option<BlobRecord>, Error> {
        let row = self.get(Table::Blobs, digest.as_bytes())?;
        row.map(|row| blob_from_document(&row).map(|(record, _)| record)).transpose()
    }

    pub fn blobs(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<BlobRecord>, Error> {
        let from = after.map_or(Bound::Unbounded, |digest| Bound::Excluded(digest.as_bytes().to_vec()));
        self.rows(Table::Blobs, from, Bound::Unbounded)
            .take(limit)
            .map(|row| blob_from_document(&row?.1).map(|(record, _)| record))
            .collect()
    }

    pub fn is_referenced(&self, digest: &Digest) -> Result<bool, Error> {
        let prefix = digest.as_bytes().to_vec();
        let first = self.with_prefix(Table::BlobRefs, prefix).next();
        first.transpose().map(|row| row.is_some())
    }

    pub fn scan(&self, after: Option<&VersionRef>, limit: usize) -> Result<Vec<Arc<Version>>, Error> {
        let from = after
            .map_or(Bound::Unbounded, |after| Bound::Excluded(keys::version(&after.key.encode(), after.seq)));
        self.rows(Table::Versions, from, Bound::Unbounded)
            .take(limit)
            .map(|row| version_from_document(&row?.1).map(Arc::new))
            .collect()
    }

    pub fn access(&self, key: &ResourceKey) -> Result<Access, Error> {
        let row = self.get(Table::Access, &key.encode())?;
        row.map_or(Ok(Access::default()), |row| decode_access(&row))
    }
}

fn next_key<I>(rows: &mut Option<I>) -> Result<Option<fjall::Slice>, Error>
where
    I: Iterator<Item = Result<fjall::Slice, Error>>,
{
    rows.as_mut().and_then(Iterator::next).transpose()
}

/// What the range of keys does not say already.
fn matches(query: &ListQuery, key: &ResourceKey) -> bool {
    let of_type = query.resource_type.as_ref();
    let id = query.id_prefix.as_deref();
    of_type.is_none_or(|of_type| *of_type == key.resource_type)
        && id.is_none_or(|id| key.resource_id.as_str().starts_with(id))
}
