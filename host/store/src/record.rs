//! Records as BSON documents: what the embedded catalog keeps as bytes and MongoDB as documents.
//!
//! A version (fields in this order; those marked `?` are absent when empty):
//! ```text
//! version  := { namespace, resource_type, resource_id: string, seq: int64, version_info,
//!               publish_id: string, dropped_at?: datetime,
//!               media_type: string, content_location, content_inline?: binary(generic),
//!               metadata: { typed: { kind, … }, custom?: { … } }, tags?: [string], ttl_ms?: int64,
//!               spec?: { … }, build?: { … }, policy?: { … } }
//! version_info := { version: string, created_at: datetime, data_hash: string, dependencies?: [dependency] }
//! dependency   := { role, namespace, resource_type, resource_id: string, seq: int64 }
//! content_location := { storage_type, cache_namespace, cache_key: string, path?: string,
//!               compression: string, compression_level: int32, size_bytes, size_compressed: int64,
//!               checksum: string }
//! blob     := { digest: string, generation, since: int64, location: content_location,
//!               state: string, at: datetime }
//! ```
//! `metadata`, `spec`, `build`, `policy`, memos and reports are as their JSON, numbers as int64 or double. BSON has no
//! unsigned 64-bit integers, so a count of 2^63 or more is refused, as is a name that holds a NUL. `is_latest`,
//! `supersedes` and `superseded_by` are derived from the log and never stored. Field order is written so, and
//! read in any; unknown fields are skipped, so that a later minor format may add some.

mod elements;
mod fields;
mod read;
mod write;

pub use read::{blob_from_document, memo_from_document, report_from_document, version_from_document};
pub use write::{
    RECORD_BYTES_MAX, VersionBody, blob_to_document, memo_to_document, report_to_document,
    version_to_document,
};

#[cfg(test)]
mod tests;
