//! The disk tier: small values in fjall, large ones as files, all bounded, all checksummed. Every call here blocks.

mod directory;
mod engine;
mod graves;
mod index;
mod namespace;

pub(crate) use directory::{Directory, write_private};
pub(crate) use engine::{Engine, Rows};
pub(crate) use index::Meta;
pub(crate) use namespace::{DiskEntry, DiskNamespace, DiskRead, DiskWrite};

/// Values above this are files of their own: fjall rewrites what it holds as it compacts, and a file frees its space at
/// once. Below it, a file costs more than its value (4 KiB blocks, 78 µs to write).
pub(crate) const SMALL_BYTES_MAX: u64 = 64 << 10;

/// Entries up to this size are read on the calling worker thread: at most one block or file of this size, 25 µs from the
/// page cache, about a millisecond from an SSD. A detour over a blocking thread costs 5–20 µs and two wake-ups.
pub(crate) const INLINE_READ_BYTES_MAX: u64 = 128 << 10;
