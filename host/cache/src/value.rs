//! What the cache can hold.

use bytes::Bytes;

/// A value that the cache can hold. `Clone` must be cheap (an `Arc` inside), because every hit clones.
pub trait CacheValue: Clone + Send + Sync + 'static {
    /// What it weighs in memory, in bytes, without its key. Must not change while it is cached.
    fn weight_bytes(&self) -> u64;

    /// Its form on disk; `None` keeps it in memory only.
    fn encode(&self) -> Option<Bytes>;

    /// Reads what [`CacheValue::encode`] wrote. `None` says that it is damaged: the entry is deleted and is a miss.
    /// The bytes passed a checksum, but may come from another version of the program.
    fn decode(bytes: Bytes) -> Option<Self>;

    /// Which of two values of one key is newer: the higher order. `put_if_newer` compares with it. Heads return
    /// their sequence number; values that never change, the default of 0.
    fn order(&self) -> u64 {
        0
    }
}

impl CacheValue for Bytes {
    fn weight_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn encode(&self) -> Option<Bytes> {
        Some(self.clone())
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        Some(bytes)
    }
}
