//! The fjall database: its keyspaces, how it is opened and locked, and what its errors become.

use std::io;
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use floret_model::TimestampMs;

use super::keys;
use crate::{Clock, Error, SystemClock};

/// Format of the rows; see keys.rs, head.rs and record.rs.
pub(super) const FORMAT: u32 = 1;
/// Beside fjall's folder: who has the store open.
const HOLDER: &str = "holder";
const DATABASE: &str = "catalog";
/// Blocks kept in memory; heads and records of some 30,000 versions of 1 KB.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// One keyspace of the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Table {
    Meta,
    Heads,
    Versions,
    Created,
    Edges,
    References,
    Blobs,
    BlobRefs,
    Memos,
    Reports,
    ReportsByKey,
    Access,
}

impl Table {
    pub const ALL: [(Self, &str); 12] = [
        (Self::Meta, "meta"),
        (Self::Heads, "heads"),
        (Self::Versions, "versions"),
        (Self::Created, "created"),
        (Self::Edges, "edges"),
        (Self::References, "references"),
        (Self::Blobs, "blobs"),
        (Self::BlobRefs, "blob_refs"),
        (Self::Memos, "memos"),
        (Self::Reports, "reports"),
        (Self::ReportsByKey, "reports_by_key"),
        (Self::Access, "access"),
    ];
}

/// The open database. The lock goes with it.
pub(super) struct Tables {
    keyspaces: Vec<Keyspace>,
    pub database: Database,
    pub folder: PathBuf,
    holder: PathBuf,
}

impl Tables {
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let io = |action| move |source| Error::Io { action, path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(io("create"))?;
        let holder = folder.join(HOLDER);
        let opened = Database::builder(folder.join(DATABASE)).cache_size(CACHE_BYTES).open();
        let database = opened.map_err(|error| match error {
            fjall::Error::Locked => Error::InUse {
                path: folder.to_owned(),
                holder: std::fs::read_to_string(&holder).ok().map(|text| text.trim().to_owned()),
            },
            error => failure("open the catalog in", folder, &error),
        })?;
        let keyspace = |name: &str| {
            let options = KeyspaceCreateOptions::default;
            let keyspace = database.keyspace(name, options);
            keyspace.map_err(|error| failure("open the catalog in", folder, &error))
        };
        let meta = keyspace(Table::ALL[0].1)?;
        check_format(&meta, folder)?;
        let mut keyspaces = vec![meta];
        for (_, name) in &Table::ALL[1..] {
            keyspaces.push(keyspace(name)?);
        }
        let text = format!("pid {} since {}\n", std::process::id(), now());
        std::fs::write(&holder, text).map_err(io("write to"))?;
        let tables = Self { keyspaces, database, folder: folder.to_owned(), holder };
        tables.write_format()?;
        Ok(tables)
    }

    pub fn keyspace(&self, table: Table) -> &Keyspace {
        &self.keyspaces[table as usize]
    }

    pub fn failure(&self, action: &'static str, error: &fjall::Error) -> Error {
        failure(action, &self.folder, error)
    }

    pub fn read_failure(&self, error: &fjall::Error) -> Error {
        self.failure("read", error)
    }

    fn write_format(&self) -> Result<(), Error> {
        let meta = self.keyspace(Table::Meta);
        let present = meta.get(keys::FORMAT);
        if present.map_err(|error| self.read_failure(&error))?.is_some() {
            return Ok(());
        }
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(meta, keys::FORMAT, FORMAT.to_le_bytes());
        batch.commit().map_err(|error| self.failure("write to", &error))
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        // Left behind by a crash it is harmless: the lock decides, this only tells.
        let _ = std::fs::remove_file(&self.holder);
    }
}

fn now() -> TimestampMs {
    // The one place that reads the machine's clock by itself: the text is for people, no rule depends on it.
    SystemClock.now()
}

fn check_format(meta: &Keyspace, folder: &Path) -> Result<(), Error> {
    let row = meta.get(keys::FORMAT).map_err(|error| failure("read", folder, &error))?;
    let Some(row) = row else {
        return Ok(());
    };
    let bytes = <[u8; 4]>::try_from(&*row).map_err(|_| Error::Integrity {
        what: format!("the format of {}", folder.display()),
        problem: format!("it takes {} bytes; expected 4", row.len()),
    })?;
    match u32::from_le_bytes(bytes) {
        FORMAT => Ok(()),
        found if found > FORMAT => {
            Err(Error::NewerFormat { path: folder.to_owned(), found, supported: FORMAT })
        }
        found => Err(Error::Integrity {
            what: format!("the format of {}", folder.display()),
            problem: format!("it is {found}, which was never used; expected {FORMAT}"),
        }),
    }
}

/// What a fjall error is to a caller: trouble with the folder, or with the backend.
pub(super) fn failure(action: &'static str, folder: &Path, error: &fjall::Error) -> Error {
    let source = match error {
        fjall::Error::Io(source) => source,
        fjall::Error::Storage(fjall::LsmError::Io(source)) => source,
        other => {
            return Error::Backend {
                catalog: format!("the catalog in {}", folder.display()),
                problem: other.to_string(),
            };
        }
    };
    Error::Io { action, path: folder.to_owned(), source: same(source) }
}

/// `io::Error` cannot be cloned; all that anyone reacts to is kept.
pub(super) fn same(source: &io::Error) -> io::Error {
    match source.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(source.kind(), source.to_string()),
    }
}
