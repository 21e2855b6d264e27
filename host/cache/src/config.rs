//! What a caller decides: namespaces, bounds, lifetimes, compression.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;

/// How values are compressed on disk. Every entry carries its codec, so a change of this setting keeps old
/// entries readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// Zstandard, level 1 (fast) to 22.
    Zstd {
        /// 1 to 22; outside of it, the nearest.
        level: i32,
    },
    /// LZ4 blocks.
    Lz4,
    /// Deflate with a gzip header, level 0 to 9. For comparison only: zstd is better at every point.
    Gzip {
        /// 0 to 9; above it, 9.
        level: u32,
    },
}

/// Who leaves a full memory tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Eviction {
    /// The entry that was used longest ago. A value that was just put is always there.
    #[default]
    Lru,
    /// The entry that is used least (moka's TinyLFU). Better hit rates on skewed traffic and resists scans; a value
    /// that was just put may be turned away while older ones are used more.
    TinyLfu,
}

/// Bounds and lifetimes of one namespace. A bound of 0 turns its tier off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceConfig {
    /// Entries in memory, at most. Default 100.
    pub memory_items_max: u64,
    /// Bytes in memory, at most: key, value and [`ENTRY_OVERHEAD_BYTES`](crate::ENTRY_OVERHEAD_BYTES) per entry.
    /// The starting point only: `Cache::rebalance` moves it. Default 16 MiB.
    pub memory_bytes_max: u64,
    /// How long an entry lives in memory. Default: no limit.
    pub memory_ttl: Option<Duration>,
    /// Bytes on disk, at most: keys and stored (compressed) values with their headers. Default 256 MiB.
    pub disk_bytes_max: u64,
    /// How long an entry lives on disk. Default: no limit.
    pub disk_ttl: Option<Duration>,
    /// How values are compressed on disk. Default: not.
    pub compression: Compression,
    /// Who leaves the memory tier when it is full.
    pub eviction: Eviction,
}

impl Default for NamespaceConfig {
    fn default() -> Self {
        Self {
            memory_items_max: 100,
            memory_bytes_max: 16 << 20,
            memory_ttl: None,
            disk_bytes_max: 256 << 20,
            disk_ttl: None,
            compression: Compression::None,
            eviction: Eviction::Lru,
        }
    }
}

/// The whole cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Namespaces by name. A name is 1 to 255 bytes of any UTF-8.
    pub namespaces: BTreeMap<String, NamespaceConfig>,
    /// Where the disk tier lives; `None`: memory only. Made with mode 0700 if it is missing.
    pub directory: Option<PathBuf>,
    /// Hard cap on the bytes in memory over all namespaces. If the namespaces ask for more, each gets its share of
    /// it in proportion. Default 256 MiB.
    pub memory_bytes_max: u64,
    /// Hard cap on the bytes on disk over all namespaces, shared out in the same way. Default 4 GiB.
    pub disk_bytes_max: u64,
    /// Keys kept per namespace in the access log that warming reads. 0 keeps none. Default 1,024.
    pub access_log_keys_max: usize,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            namespaces: BTreeMap::new(),
            directory: None,
            memory_bytes_max: 256 << 20,
            disk_bytes_max: 4 << 30,
            access_log_keys_max: 1024,
        }
    }
}

impl CacheConfig {
    pub(crate) fn check(&self) -> Result<(), Error> {
        for name in self.namespaces.keys() {
            if name.is_empty() || name.len() > 255 {
                return Err(Error::Configuration(format!(
                    "a namespace name has 1 to 255 bytes, {name:?} has {}",
                    name.len()
                )));
            }
        }
        Ok(())
    }
}

/// What each of `wanted` gets of `cap`: all of it, or its proportion if the sum is above `cap`.
pub(crate) fn share_out(wanted: &[u64], cap: u64) -> Vec<u64> {
    let sum: u128 = wanted.iter().map(|&bytes| u128::from(bytes)).sum();
    if sum <= u128::from(cap) {
        return wanted.to_vec();
    }
    wanted
        .iter()
        // wanted ≤ sum, so the quotient is ≤ cap and fits.
        .map(|&bytes| (u128::from(bytes) * u128::from(cap) / sum) as u64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_shares_never_exceed_the_cap() {
        assert_eq!(share_out(&[10, 20], 30), vec![10, 20]);
        assert_eq!(share_out(&[10, 30], 20), vec![5, 15]);
        assert_eq!(share_out(&[u64::MAX, u64::MAX], 10), vec![5, 5]);
        assert_eq!(share_out(&[7, 0], 0), vec![0, 0]);
    }
}
