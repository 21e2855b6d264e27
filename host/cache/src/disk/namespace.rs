//! One namespace on disk: read, write, remove, make room.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::directory::write_private;
use super::engine::Engine;
use super::graves::Graves;
use super::index::{Index, Meta};
use super::{INLINE_READ_BYTES_MAX, SMALL_BYTES_MAX};
use crate::clock::{Clock, Millis};
use crate::config::Compression;
use crate::entry;
use crate::key::{DISK_KEY_BYTES_MAX, Key};
use crate::stats::{Counters, count, count_many};

/// Up to this many are removed at once rather than in a grave.
const BURIED_AT_ONCE_MAX: usize = 64;

pub(crate) struct DiskNamespace {
    engine: Arc<Engine>,
    name: Arc<str>,
    budget_bytes: u64,
    compression: Compression,
    index: RwLock<Index>,
    /// Locked only while holding the engine's writer.
    graves: Mutex<Graves>,
    counters: Arc<Counters>,
    /// Makes every write fail, to test what then happens.
    #[cfg(test)]
    pub(crate) fail_writes: std::sync::atomic::AtomicBool,
}

/// What a read found.
pub(crate) struct DiskEntry {
    pub(crate) raw: Bytes,
    pub(crate) meta: Meta,
}

/// How a read ended.
pub(crate) enum DiskRead {
    Hit(DiskEntry),
    /// Torn or damaged: to be deleted with `remove_damaged`.
    Damaged(Meta),
    /// Removed meanwhile, or the disk failed, which is counted.
    Gone,
}

/// What is to be written.
pub(crate) struct DiskWrite {
    pub(crate) key: Key,
    pub(crate) raw: Bytes,
    pub(crate) deadline: Millis,
    pub(crate) order: u64,
    pub(crate) own_ttl: bool,
}

impl DiskNamespace {
    /// Takes over what was found at open, as far as it is alive and fits.
    pub(crate) fn new(
        engine: Arc<Engine>,
        name: Arc<str>,
        budget_bytes: u64,
        compression: Compression,
        counters: Arc<Counters>,
        rows: Vec<(Key, Meta)>,
    ) -> Self {
        let mut index = Index::new(4 + name.len());
        for (key, meta) in rows {
            index.insert(key, meta);
        }
        let namespace = Self {
            engine,
            name,
            budget_bytes,
            compression,
            index: RwLock::new(index),
            graves: Mutex::default(),
            counters,
            #[cfg(test)]
            fail_writes: std::sync::atomic::AtomicBool::new(false),
        };
        let _writer = namespace.engine.begin_write();
        let victims = namespace.index.write().make_room(budget_bytes, b"");
        namespace.discard(&victims);
        drop(_writer);
        namespace
    }

    /// Where the key's live entry is. No I/O.
    pub(crate) fn find(&self, key: &[u8], clock: &dyn Clock) -> Option<Meta> {
        let meta = self.index.read().touch(key)?;
        let live = meta.deadline == Millis::NEVER || clock.now() < meta.deadline;
        live.then_some(meta)
    }

    /// The order of the key's live entry, without marking it as used. No I/O.
    pub(crate) fn order(&self, key: &[u8], clock: &dyn Clock) -> Option<u64> {
        let meta = self.index.read().get(key)?;
        let live = meta.deadline == Millis::NEVER || clock.now() < meta.deadline;
        live.then_some(meta.order)
    }

    /// True if there is an entry, live or not. No I/O.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.index.read().get(key).is_some()
    }

    /// True if reading this is short enough for a worker thread.
    pub(crate) fn is_short(meta: &Meta) -> bool {
        meta.stored_bytes <= INLINE_READ_BYTES_MAX
    }

    /// Reads what `find` found, or what replaced it meanwhile.
    pub(crate) fn read(&self, key: &Key, mut meta: Meta) -> DiskRead {
        let disk_key = key.on_disk(&self.name);
        loop {
            match self.read_stored(&meta) {
                Ok(stored) => {
                    if let Some(raw) = stored.and_then(|stored| entry::open(&disk_key, &stored)) {
                        return DiskRead::Hit(DiskEntry { raw, meta });
                    }
                }
                Err(error) => {
                    count(&self.counters.disk_errors);
                    self.engine.complain(&error);
                    return DiskRead::Gone;
                }
            }
            // An overwrite may have taken the value away between `find` and here: then there is a newer one.
            match self.index.read().get(key.as_bytes()) {
                Some(now) if now.sequence != meta.sequence => meta = now,
                Some(_) => return DiskRead::Damaged(meta),
                None => return DiskRead::Gone,
            }
        }
    }

    /// Deletes an entry that cannot be read, unless it was replaced meanwhile.
    pub(crate) fn remove_damaged(&self, key: &Key, meta: &Meta) {
        let _writer = self.engine.begin_write();
        let mut index = self.index.write();
        if index.get(key.as_bytes()).map(|now| now.sequence) != Some(meta.sequence) {
            return;
        }
        index.remove(key.as_bytes());
        drop(index);
        count(&self.counters.damaged);
        self.discard(&[(key.clone(), *meta)]);
    }

    /// Writes the entry, evicting others if there is no room. Whatever happens, an older entry of the key is gone
    /// afterwards. Returns whether it was taken.
    pub(crate) fn write(&self, write: DiskWrite) -> bool {
        let disk_key = write.key.on_disk(&self.name);
        let fits = write.key.as_bytes().len() <= DISK_KEY_BYTES_MAX
            && write.raw.len() as u64 <= entry::RAW_BYTES_MAX;
        if !fits {
            self.remove(&write.key);
            return false;
        }
        let sealed = entry::seal(&disk_key, &write.raw, self.compression);
        let meta = Meta {
            sequence: self.engine.next_sequence(),
            stored_bytes: sealed.len(),
            deadline: write.deadline,
            order: write.order,
            large: sealed.len() > SMALL_BYTES_MAX,
            own_ttl: write.own_ttl,
        };
        if meta.charge(disk_key.len()) > self.budget_bytes {
            self.remove(&write.key);
            return false;
        }
        let parts: [&[u8]; 2] = [&sealed.header, &sealed.payload];
        if meta.large
            && let Err(error) = write_private(&self.engine.large_path(meta.sequence), &parts)
        {
            count(&self.counters.disk_errors);
            self.engine.complain(&error);
            self.remove(&write.key);
            return false;
        }
        let small = (!meta.large).then(|| parts.concat());
        self.commit(write.key, &disk_key, meta, small)
    }

    /// Writes row and value, and takes out those who make room, in one commit.
    fn commit(&self, key: Key, disk_key: &[u8], meta: Meta, small: Option<Vec<u8>>) -> bool {
        let _writer = self.engine.begin_write();
        let (old, victims) = {
            let mut index = self.index.write();
            let old = index.get(key.as_bytes());
            let freed = old.map_or(0, |old| old.charge(disk_key.len()));
            let room = self.budget_bytes + freed - meta.charge(disk_key.len());
            (old, index.make_room(room, key.as_bytes()))
        };
        let mut batch = self.engine.batch();
        for (victim, meta) in &victims {
            self.add_removal(&mut batch, victim, meta);
        }
        let buried = self.bury(&mut batch, 2 * meta.charge(disk_key.len()));
        if let Some(old) = old.filter(|old| !old.large) {
            batch.remove(&self.engine.values, old.sequence.to_be_bytes());
        }
        batch.insert(&self.engine.index, disk_key, meta.to_row());
        if let Some(value) = small {
            batch.insert(&self.engine.values, meta.sequence.to_be_bytes(), value);
        }
        let committed = self.finish(batch);
        let mut index = self.index.write();
        if committed {
            index.insert(key, meta);
        } else {
            index.remove(key.as_bytes());
        }
        drop(index);
        count_many(&self.counters.disk_evictions, victims.len() as u64);
        let gone = victims.iter().map(|(_, meta)| meta);
        let failed = (!committed).then_some(&meta);
        let buried = buried.iter().map(|(_, meta)| meta);
        self.unlink(gone.chain(old.as_ref()).chain(failed).chain(buried));
        committed
    }

    /// Removes the key's entry; true if there was one.
    pub(crate) fn remove(&self, key: &Key) -> bool {
        let _writer = self.engine.begin_write();
        let removed = self.index.write().remove(key.as_bytes());
        removed.is_some_and(|meta| {
            self.discard(&[(key.clone(), meta)]);
            true
        })
    }

    /// Removes what `condemned` says and returns how many of them had not expired. O(entries), no reads.
    pub(crate) fn remove_where(&self, clock: &dyn Clock, condemned: impl Fn(&[u8], &Meta) -> bool) -> u64 {
        let _writer = self.engine.begin_write();
        let matching: Vec<(Key, Meta)> = self
            .index
            .read()
            .iter()
            .filter(|(key, meta)| condemned(key.as_bytes(), meta))
            .map(|(key, meta)| (key.clone(), meta))
            .collect();
        if matching.is_empty() {
            return 0;
        }
        let mut index = self.index.write();
        for (key, _) in &matching {
            index.remove(key.as_bytes());
        }
        drop(index);
        let now = clock.now();
        let is_live = |(_, meta): &&(Key, Meta)| now < meta.deadline;
        let live = matching.iter().filter(is_live).count() as u64;
        if matching.len() <= BURIED_AT_ONCE_MAX {
            self.discard(&matching);
        } else {
            let mut batch = self.engine.batch();
            self.graves.lock().dig(&self.engine, &mut batch, matching);
            self.finish(batch);
        }
        live
    }

    /// Frees all that mass removals left to later writes.
    pub(crate) fn bury_rest(&self) {
        let _writer = self.engine.begin_write();
        let mut batch = self.engine.batch();
        let buried = self.bury(&mut batch, u64::MAX);
        if !buried.is_empty() {
            self.finish(batch);
            self.unlink(buried.iter().map(|(_, meta)| meta));
        }
    }

    /// Adds the removal of some dead entries to the batch; the caller unlinks their files after it.
    fn bury(&self, batch: &mut fjall::OwnedWriteBatch, bytes: u64) -> Vec<(Key, Meta)> {
        let buried = self.graves.lock().next(&self.engine, batch, bytes);
        let index = self.index.read();
        for (key, meta) in &buried {
            // The row now belongs to whoever was written under the key since.
            if index.get(key.as_bytes()).is_none() {
                batch.remove(&self.engine.index, key.on_disk(&self.name));
            }
            if !meta.large {
                batch.remove(&self.engine.values, meta.sequence.to_be_bytes());
            }
        }
        buried
    }

    /// Makes the next process wipe the directory: this one could not remove what it had to.
    pub(crate) fn distrust(&self) {
        self.engine.directory.distrust();
    }

    /// Entries, bytes and the budget in bytes.
    pub(crate) fn held(&self) -> (u64, u64, u64) {
        let index = self.index.read();
        (index.len(), index.bytes(), self.budget_bytes)
    }

    /// Takes entries off the disk that the index in memory no longer has. The caller holds the writer.
    fn discard(&self, entries: &[(Key, Meta)]) {
        if entries.is_empty() {
            return;
        }
        let mut batch = self.engine.batch();
        for (key, meta) in entries {
            self.add_removal(&mut batch, key, meta);
        }
        self.finish(batch);
        self.unlink(entries.iter().map(|(_, meta)| meta));
    }

    fn add_removal(&self, batch: &mut fjall::OwnedWriteBatch, key: &Key, meta: &Meta) {
        batch.remove(&self.engine.index, key.on_disk(&self.name));
        if !meta.large {
            batch.remove(&self.engine.values, meta.sequence.to_be_bytes());
        }
    }

    /// Commits. If that fails, the disk may still hold entries that are replaced or invalidated: this process no
    /// longer serves them, and the next one is made to wipe them.
    fn finish(&self, batch: fjall::OwnedWriteBatch) -> bool {
        #[cfg(test)]
        let outcome = if self.fail_writes.load(std::sync::atomic::Ordering::SeqCst) {
            Err(fjall::Error::Io(ErrorKind::StorageFull.into()))
        } else {
            batch.commit()
        };
        #[cfg(not(test))]
        let outcome = batch.commit();
        let Err(error) = outcome else { return true };
        count(&self.counters.disk_errors);
        self.engine.complain(&error);
        self.engine.directory.distrust();
        false
    }

    /// Removes the files of large entries. One that stays behind is removed at the next open, since no row names it.
    fn unlink<'a>(&self, entries: impl Iterator<Item = &'a Meta>) {
        for meta in entries.filter(|meta| meta.large) {
            if let Err(error) = fs::remove_file(self.engine.large_path(meta.sequence))
                && error.kind() != ErrorKind::NotFound
            {
                count(&self.counters.disk_errors);
                self.engine.complain(&error);
            }
        }
    }

    /// The stored bytes; `None` if there are none.
    fn read_stored(&self, meta: &Meta) -> Result<Option<Bytes>, Box<dyn std::error::Error>> {
        if !meta.large {
            let value = self.engine.values.get(meta.sequence.to_be_bytes())?;
            return Ok(value.map(|value| Bytes::copy_from_slice(&value)));
        }
        let mut file = match File::open(self.engine.large_path(meta.sequence)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The length is the row's, which was compared with the file's at open; a file that was changed since is too short
        // or has another checksum. One read, into memory that the allocator zeroed: `read_to_end` would take several.
        let mut stored = vec![0; usize::try_from(meta.stored_bytes)?];
        match file.read_exact(&mut stored) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        Ok(Some(stored.into()))
    }
}
