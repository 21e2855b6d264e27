//! What a group of writes will have done: the committed rows and, over them, those staged.

use std::collections::{BTreeMap, BTreeSet};

use fjall::{PersistMode, Readable, Snapshot};

use super::tables::{Table, Tables};
use crate::Error;

/// What a row is to be; `None`: removed.
type Value = Option<Vec<u8>>;
/// Staged rows of a table.
type Rows = BTreeMap<Vec<u8>, Value>;

/// Rows staged over a committed state. Reads see both. Undone back to a mark, or committed as one batch.
pub(super) struct Staged<'a> {
    pub tables: &'a Tables,
    base: Snapshot,
    rows: Vec<Rows>,
    /// Table, row, and what was staged of it before, if anything was.
    undo: Vec<(Table, Vec<u8>, Option<Value>)>,
    sync: bool,
    bytes: usize,
}

/// A place to undo back to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(usize);

impl<'a> Staged<'a> {
    pub fn new(tables: &'a Tables) -> Self {
        Self {
            tables,
            base: tables.database.snapshot(),
            rows: Table::ALL.iter().map(|_| Rows::new()).collect(),
            undo: Vec::new(),
            sync: false,
            bytes: 0,
        }
    }

    /// A row as it will be.
    pub fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if let Some(staged) = self.rows[table as usize].get(row) {
            return Ok(staged.clone());
        }
        let committed = self.base.get(self.tables.keyspace(table), row);
        committed
            .map(|value| value.map(|value| value.to_vec()))
            .map_err(|error| self.tables.read_failure(&error))
    }

    /// Keys of all rows with a prefix, sorted.
    pub fn keys(&self, table: Table, prefix: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mut found = BTreeSet::new();
        for guard in self.base.prefix(self.tables.keyspace(table), prefix) {
            let key = guard.key();
            found.insert(key.map_err(|error| self.tables.read_failure(&error))?.to_vec());
        }
        for (key, value) in self.staged_with(table, prefix) {
            match value {
                Some(_) => found.insert(key.clone()),
                None => found.remove(key),
            };
        }
        Ok(found.into_iter().collect())
    }

    /// Whether any row has a prefix.
    pub fn any(&self, table: Table, prefix: &[u8]) -> Result<bool, Error> {
        if self.staged_with(table, prefix).any(|(_, value)| value.is_some()) {
            return Ok(true);
        }
        for guard in self.base.prefix(self.tables.keyspace(table), prefix) {
            let key = guard.key().map_err(|error| self.tables.read_failure(&error))?;
            if !self.rows[table as usize].contains_key(&*key) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn staged_with(&self, table: Table, prefix: &[u8]) -> impl Iterator<Item = (&Vec<u8>, &Value)> {
        let prefix = prefix.to_vec();
        self.rows[table as usize].range(prefix.clone()..).take_while(move |(key, _)| key.starts_with(&prefix))
    }

    pub fn put(&mut self, table: Table, row: Vec<u8>, value: Vec<u8>) {
        self.stage(table, row, Some(value));
    }

    pub fn remove(&mut self, table: Table, row: Vec<u8>) {
        self.stage(table, row, None);
    }

    fn stage(&mut self, table: Table, row: Vec<u8>, value: Value) {
        self.bytes += row.len() + value.as_ref().map_or(0, Vec::len);
        let before = self.rows[table as usize].insert(row.clone(), value);
        self.undo.push((table, row, before));
    }

    /// Bytes staged so far, undone ones included: what a group is bounded by.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn mark(&self) -> Mark {
        Mark(self.undo.len())
    }

    pub fn undo_to(&mut self, mark: Mark) {
        while self.undo.len() > mark.0 {
            let Some((table, row, before)) = self.undo.pop() else {
                return;
            };
            let rows = &mut self.rows[table as usize];
            match before {
                Some(value) => rows.insert(row, value),
                None => rows.remove(&row),
            };
        }
    }

    /// Have the commit be durable before anybody sees it.
    pub fn require_sync(&mut self) {
        self.sync = true;
    }

    /// Write everything staged, at once.
    pub fn commit(self) -> Result<(), fjall::Error> {
        let mode = if self.sync { PersistMode::SyncData } else { PersistMode::Buffer };
        let count = self.rows.iter().map(BTreeMap::len).sum();
        let mut batch =
            fjall::OwnedWriteBatch::with_capacity(self.tables.database.clone(), count).durability(Some(mode));
        for ((table, _), rows) in Table::ALL.into_iter().zip(self.rows) {
            let keyspace = self.tables.keyspace(table);
            for (row, value) in rows {
                match value {
                    Some(value) => batch.insert(keyspace, row, value),
                    None => batch.remove(keyspace, row),
                }
            }
        }
        batch.commit()
    }
}
