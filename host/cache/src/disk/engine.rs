//! What all namespaces share on disk: fjall, the folder of large files, the sequence numbers, the one writer.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use parking_lot::{Mutex, MutexGuard};

use super::directory::Directory;
use super::graves;
use super::index::Meta;
use crate::error::{Error, io};
use crate::key::{Key, parse_disk_key};

/// fjall's block cache: index blocks and hot values, beside what the page cache holds.
const BLOCK_CACHE_BYTES: u64 = 16 << 20;
/// The least that fjall allows; what its journals may take beside the bound on the entries.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
const VALUES_MEMTABLE_BYTES: u64 = 16 << 20;
const INDEX_MEMTABLE_BYTES: u64 = 4 << 20;

/// Rows found at open, by namespace and in the order they were written.
pub(crate) type Rows = HashMap<String, Vec<(Key, Meta)>>;

pub(crate) struct Engine {
    pub(crate) directory: Directory,
    pub(crate) index: Keyspace,
    pub(crate) values: Keyspace,
    pub(crate) graves: Keyspace,
    database: Database,
    /// Held over "commit to fjall, then change the index in memory", so that both happen in one order.
    writer: Mutex<()>,
    next_sequence: AtomicU64,
    complained: Once,
}

impl Engine {
    /// Opens fjall, reads every row, and removes large files that no row names. If fjall says that its files make no
    /// sense (a crash at the wrong moment), they are wiped: they are only a cache.
    pub(crate) fn open(directory: Directory) -> Result<(Self, Rows), Error> {
        let engine = match Self::open_database(&directory) {
            Ok(parts) => Ok(parts),
            Err(fjall::Error::Locked) => Err(Error::Locked { path: directory.path.clone() }),
            Err(fjall::Error::Io(source)) => Err(io(directory.path.join("small"))(source)),
            Err(error) => {
                tracing::warn!(directory = %directory.path.display(), %error, "cache on disk is damaged; starting empty");
                directory.wipe_engine()?;
                Self::open_database(&directory).map_err(|source| Error::Engine {
                    path: directory.path.join("small"),
                    source: Box::new(source),
                })
            }
        };
        let (database, [index, values, graves]) = engine?;
        let mut engine = Self {
            directory,
            index,
            values,
            graves,
            database,
            writer: Mutex::new(()),
            next_sequence: AtomicU64::new(1),
            complained: Once::new(),
        };
        let rows = engine.read_rows()?;
        Ok((engine, rows))
    }

    fn open_database(directory: &Directory) -> fjall::Result<(Database, [Keyspace; 3])> {
        let database = Database::builder(directory.path.join("small"))
            .cache_size(BLOCK_CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(1)
            .open()?;
        let with_memtable = |bytes| move || KeyspaceCreateOptions::default().max_memtable_size(bytes);
        let index = database.keyspace("index", with_memtable(INDEX_MEMTABLE_BYTES))?;
        let values = database.keyspace("values", with_memtable(VALUES_MEMTABLE_BYTES))?;
        let graves = database.keyspace("graves", with_memtable(INDEX_MEMTABLE_BYTES))?;
        Ok((database, [index, values, graves]))
    }

    fn read_rows(&mut self) -> Result<Rows, Error> {
        let mut rows = Rows::new();
        let mut large = HashMap::new();
        let mut sequence_max = 0;
        let mut burial = self.database.batch();
        let dead = graves::bury_all(self, &mut burial).map_err(|error| self.engine_error(error))?;
        for row in self.index.iter() {
            let (disk_key, row) = row.into_inner().map_err(|error| self.engine_error(error))?;
            let (Some((namespace, key)), Some(meta)) = (parse_disk_key(&disk_key), Meta::from_row(&row))
            else {
                continue;
            };
            sequence_max = sequence_max.max(meta.sequence);
            if dead.contains(&meta.sequence) {
                burial.remove(&self.index, disk_key);
                continue;
            }
            if meta.large {
                large.insert(meta.sequence, meta.stored_bytes);
            }
            rows.entry(namespace.to_owned()).or_default().push((Key::new(key), meta));
        }
        sequence_max = dead.into_iter().fold(sequence_max, u64::max);
        burial.commit().map_err(|error| self.engine_error(error))?;
        let present = self.sweep_large(&large, &mut sequence_max)?;
        for entries in rows.values_mut() {
            entries.retain(|(_, meta)| !meta.large || present.contains_key(&meta.sequence));
            entries.sort_unstable_by_key(|(_, meta)| meta.sequence);
        }
        *self.next_sequence.get_mut() = sequence_max + 1;
        Ok(rows)
    }

    /// Removes files that no row names or that are cut short, and returns the others.
    fn sweep_large(
        &self,
        named: &HashMap<u64, u64>,
        sequence_max: &mut u64,
    ) -> Result<HashMap<u64, u64>, Error> {
        let folder = self.directory.path.join("large");
        let mut present = HashMap::new();
        for file in fs::read_dir(&folder).map_err(io(&folder))? {
            let file = file.map_err(io(&folder))?;
            let name = file.file_name();
            let sequence = name.to_str().and_then(|name| u64::from_str_radix(name, 16).ok());
            *sequence_max = (*sequence_max).max(sequence.unwrap_or(0));
            let length = file.metadata().map_err(io(file.path()))?.len();
            match sequence {
                Some(sequence) if named.get(&sequence) == Some(&length) => {
                    present.insert(sequence, length);
                }
                _ => fs::remove_file(file.path()).map_err(io(file.path()))?,
            }
        }
        Ok(present)
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.next_sequence.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn large_path(&self, sequence: u64) -> PathBuf {
        self.directory.path.join("large").join(format!("{sequence:016x}"))
    }

    pub(crate) fn begin_write(&self) -> MutexGuard<'_, ()> {
        self.writer.lock()
    }

    pub(crate) fn batch(&self) -> fjall::OwnedWriteBatch {
        self.database.batch()
    }

    /// Says once that the disk fails; the statistics count the rest.
    pub(crate) fn complain(&self, error: &dyn std::fmt::Display) {
        self.complained.call_once(|| {
            tracing::warn!(
                directory = %self.directory.path.display(), %error,
                "the disk cache fails; reads and writes go on without it, later failures are only counted"
            );
        });
    }

    /// Hands everything written so far to the operating system.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.database.persist(PersistMode::Buffer).map_err(|error| self.engine_error(error))
    }

    fn engine_error(&self, source: fjall::Error) -> Error {
        Error::Engine { path: self.directory.path.join("small"), source: Box::new(source) }
    }
}
