use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Digest;

/// A place where bytes can be. Only [`Database`](Self::Database), [`Disk`](Self::Disk) and [`S3`](Self::S3)
/// are durable, so only they are content locations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StorageType {
    /// The memory tier of the cache.
    Memory,
    /// The cache as a whole.
    Cache,
    /// Files of the local blob store.
    Disk,
    /// Inside the version's own record.
    Database,
    /// An S3-compatible object store.
    S3,
}

impl StorageType {
    /// Whether contents may live there.
    pub fn is_durable(self) -> bool {
        matches!(self, Self::Disk | Self::Database | Self::S3)
    }
}

/// How stored bytes are compressed. Each form is what the stock tools read: a Zstandard frame, an LZ4 frame, a
/// gzip member.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompressionType {
    /// As they are.
    #[default]
    None,
    /// Zstandard.
    Zstd,
    /// LZ4 frame.
    Lz4,
    /// gzip.
    Gzip,
}

/// A name that is none of those known.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[error("unknown {what} {got:?}: expected one of {expected}")]
pub struct UnknownName {
    /// What was named.
    pub what: &'static str,
    /// What came.
    pub got: String,
    /// What is known.
    pub expected: &'static str,
}

impl fmt::Display for CompressionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Gzip => "gzip",
        })
    }
}

impl FromStr for CompressionType {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Ok(match text {
            "none" => Self::None,
            "zstd" => Self::Zstd,
            "lz4" => Self::Lz4,
            "gzip" => Self::Gzip,
            _ => {
                let expected = "none, zstd, lz4, gzip";
                return Err(UnknownName { what: "codec", got: text.to_owned(), expected });
            }
        })
    }
}

/// A compression with its level. zstd takes 1 to 19, gzip 1 to 9; the others have no level (0).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Codec {
    /// Which.
    pub compression: CompressionType,
    /// How hard it tries.
    pub level: i32,
}

impl Codec {
    /// No compression.
    pub const NONE: Self = Self { compression: CompressionType::None, level: 0 };

    /// A codec, its level checked.
    ///
    /// # Errors
    /// A level outside the compression's range.
    pub fn new(compression: CompressionType, level: i32) -> Result<Self, UnknownName> {
        let (range, expected) = match compression {
            CompressionType::Zstd => (1..=19, "1 to 19 for zstd"),
            CompressionType::Gzip => (1..=9, "1 to 9 for gzip"),
            CompressionType::None | CompressionType::Lz4 => {
                return Ok(Self { compression, level: 0 });
            }
        };
        if range.contains(&level) {
            return Ok(Self { compression, level });
        }
        Err(UnknownName { what: "codec level", got: level.to_string(), expected })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            0 => self.compression.fmt(f),
            level => write!(f, "{}-{level}", self.compression),
        }
    }
}

/// Where a version's bytes are, and how to know that they are whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ContentLocation {
    /// The durable place.
    pub storage_type: StorageType,
    /// Namespace of the cache that keeps copies.
    pub cache_namespace: String,
    /// Key of those copies: the checksum, so never stale.
    pub cache_key: String,
    /// Path in the blob store; `None` when the content is inline.
    pub path: Option<String>,
    /// How the stored bytes are compressed.
    pub compression: CompressionType,
    /// The level used; 0 where the compression has none.
    pub compression_level: i32,
    /// Length of the raw bytes.
    pub size_bytes: u64,
    /// Length of the stored bytes.
    pub size_compressed: u64,
    /// SHA-256 of the raw bytes, verified on every read from a durable place.
    pub checksum: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m1_storage_types_round_trip_and_only_durable_ones_hold_content() {
        use StorageType::{Cache, Database, Disk, Memory, S3};
        for (storage, name, durable) in [
            (Memory, "memory", false),
            (Cache, "cache", false),
            (Disk, "disk", true),
            (Database, "database", true),
            (S3, "s3", true),
        ] {
            let text = serde_json::to_string(&storage).expect("serialises");
            assert_eq!(text, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<StorageType>(&text).expect("reads back"), storage);
            assert_eq!(storage.is_durable(), durable);
        }
    }

    #[test]
    fn m2_codecs_are_named_and_their_levels_checked() {
        for name in ["none", "zstd", "lz4", "gzip"] {
            assert_eq!(name.parse::<CompressionType>().expect("known").to_string(), name);
        }
        let message = "brotli".parse::<CompressionType>().expect_err("unknown").to_string();
        assert_eq!(message, "unknown codec \"brotli\": expected one of none, zstd, lz4, gzip");
        assert!(Codec::new(CompressionType::Zstd, 20).is_err());
        assert!(Codec::new(CompressionType::Gzip, 0).is_err());
        assert_eq!(Codec::new(CompressionType::Lz4, 7).expect("no level").level, 0);
    }
}
