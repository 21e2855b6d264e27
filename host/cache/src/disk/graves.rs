//! Removing many entries at once: said in one row, done bit by bit.
//!
//! Two tombstones for each of 10,000 entries take fjall tens of milliseconds, and so do 10,000 unlinks. So a mass removal
//! writes one row to fjall's `graves` keyspace that names the dead, and returns; later writes each bury a few, at least
//! twice the bytes that they add, so that dead and living together never exceed the bound. What a crash leaves unburied is
//! buried at the next open.
//!
//! ```text
//! key := grave number u64, big-endian (from the sequence numbers)
//! row := sequence u64 *      the dead entries, little-endian
//! ```

use std::collections::{HashSet, VecDeque};

use fjall::OwnedWriteBatch;

use super::engine::Engine;
use super::index::Meta;
use crate::key::Key;

/// A write buries at least this many, if so many are dead.
const BURIED_PER_WRITE: usize = 32;

/// The dead of one namespace that are not buried yet. Changed only while holding the engine's writer.
#[derive(Default)]
pub(crate) struct Graves {
    /// In the order of their graves.
    dead: VecDeque<(Key, Meta)>,
    /// Number and remaining dead of each grave, in the same order.
    graves: VecDeque<(u64, usize)>,
}

impl Graves {
    /// Writes the row that names the dead.
    pub(crate) fn dig(&mut self, engine: &Engine, batch: &mut OwnedWriteBatch, dead: Vec<(Key, Meta)>) {
        let number = engine.next_sequence();
        let mut row = Vec::with_capacity(dead.len() * 8);
        for (_, meta) in &dead {
            row.extend_from_slice(&meta.sequence.to_le_bytes());
        }
        batch.insert(&engine.graves, number.to_be_bytes(), row);
        self.graves.push_back((number, dead.len()));
        self.dead.extend(dead);
    }

    /// Takes out the next ones to bury, with at least `bytes` or until none is left, and closes the graves that are empty
    /// then. The caller removes them in the same batch.
    pub(crate) fn next(
        &mut self,
        engine: &Engine,
        batch: &mut OwnedWriteBatch,
        bytes: u64,
    ) -> Vec<(Key, Meta)> {
        let mut freed_bytes = 0_u64;
        let mut taken = Vec::new();
        while freed_bytes < bytes || taken.len() < BURIED_PER_WRITE {
            let Some((key, meta)) = self.dead.pop_front() else {
                break;
            };
            freed_bytes = freed_bytes.saturating_add(meta.stored_bytes);
            taken.push((key, meta));
            if let Some((number, left)) = self.graves.front_mut() {
                *left -= 1;
                if *left == 0 {
                    batch.remove(&engine.graves, number.to_be_bytes());
                    self.graves.pop_front();
                }
            }
        }
        taken
    }
}

/// At open: what all graves name. Their rows and values are removed in `batch`; the caller removes the index rows.
pub(crate) fn bury_all(engine: &Engine, batch: &mut OwnedWriteBatch) -> fjall::Result<HashSet<u64>> {
    let mut dead = HashSet::new();
    for grave in engine.graves.iter() {
        let (number, row) = grave.into_inner()?;
        let (sequences, _) = row.as_chunks::<8>();
        for sequence in sequences {
            let sequence = u64::from_le_bytes(*sequence);
            // For a large one there is no such row; its file goes because no row names it.
            batch.remove(&engine.values, sequence.to_be_bytes());
            dead.insert(sequence);
        }
        batch.remove(&engine.graves, number);
    }
    Ok(dead)
}
