//! Floret's cache: values by namespace and key, in memory and on disk, with one load per missing key.
//!
//! The crate knows nothing of resources, versions, stores or components: it holds any [`CacheValue`]. Deleting it would
//! leave a correct, slower system. What is in it may vanish at any time, and is never stale once an invalidation
//! returned.
//!
//! Entry point: [`Cache::open`], then [`Cache::namespace`] for the [`NamespaceHandle`] with which everything is done.
//!
//! ```
//! use std::{collections::BTreeMap, sync::Arc};
//! use bytes::Bytes;
//! use floret_cache::{Cache, CacheConfig, NamespaceConfig, PutOptions, SystemClock};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = CacheConfig {
//!     namespaces: BTreeMap::from([("words".to_owned(), NamespaceConfig::default())]),
//!     ..CacheConfig::default()
//! };
//! let cache = Cache::<Bytes>::open(config, Arc::new(SystemClock::new()))?;
//! let words = cache.namespace("words")?;
//! let load = || async { Ok::<_, std::io::Error>(Bytes::from_static(b"a small flower")) };
//! let value = words.get_or_load("floret", PutOptions::default(), load).await?;
//! assert_eq!(words.get_memory("floret"), Some(value));
//! # Ok(())
//! # }
//! ```
//!
//! Where to look: `namespace` says how the tiers, loads and invalidations work together, and why nothing stale comes back;
//! `memory` how both bounds hold; `disk` where bytes go, `entry` and `disk::index` in which format; `flight` single flight;
//! `rebalance` how memory moves.
//!
//! What is absent, on purpose: background tasks and threads (beside those that fjall owns and joins), a clock of its own,
//! fsync (it is a cache), and any environment variable.

mod access_log;
mod cache;
mod clock;
mod config;
mod disk;
mod entry;
mod error;
mod flight;
mod ghosts;
mod key;
mod memory;
mod namespace;
mod pattern;
mod policy;
mod rebalance;
mod stats;
mod value;

pub use cache::{Cache, HotKey, Warmed};
pub use clock::{Clock, ManualClock, Millis, SystemClock};
pub use config::{CacheConfig, Compression, Eviction, NamespaceConfig};
pub use error::{Error, LoadError};
pub use memory::ENTRY_OVERHEAD_BYTES;
pub use namespace::{Invalidated, Lookup, NamespaceHandle, Put, PutOptions, Ticket};
pub use pattern::Pattern;
pub use rebalance::Move;
pub use stats::{CacheStats, DiskState, Latency, NamespaceStats};
pub use value::CacheValue;
