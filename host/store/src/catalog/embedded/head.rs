//! The row of a latest version: all that the committer needs to decide, at fixed places.
//!
//! ```text
//! head  := version:u8 = 1, flags:u8, seq:u64, major:u64, minor:u64, patch:u64, created_at:i64,
//!          ttl_ms:u64 (2^64 − 1: none), fingerprint:[u8; 32], data_hash:[u8; 32], count:u32, key*count
//! key   := length:u16, bytes     keys that the version depends on, sorted, once each
//! flags := 1: dropped
//! ```
//! Integers are little-endian. fjall checks the block or journal entry that it stands in.

use floret_model::{Digest, ResourceKey, Seq, TimestampMs, Version};

use crate::Error;

const LAYOUT: u8 = 1;
const DROPPED: u8 = 1;
const FIXED_BYTES: usize = 2 + 6 * 8 + 2 * 32 + 4;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub seq: Seq,
    pub version: [u64; 3],
    pub created_at: TimestampMs,
    pub ttl_ms: Option<u64>,
    pub fingerprint: Digest,
    pub data_hash: Digest,
    pub dropped: bool,
    /// Encoded keys, sorted, once each.
    pub dependencies: Vec<Vec<u8>>,
}

impl Head {
    pub fn of(version: &Version, fingerprint: Digest) -> Self {
        Self {
            seq: version.seq,
            version: [version.version.major, version.version.minor, version.version.patch],
            created_at: version.created_at,
            ttl_ms: version.ttl_ms,
            fingerprint,
            data_hash: version.data_hash,
            dropped: version.dropped_at.is_some(),
            dependencies: dependency_keys(version),
        }
    }

    pub fn semver(&self) -> semver::Version {
        let [major, minor, patch] = self.version;
        semver::Version::new(major, minor, patch)
    }

    pub fn is_expired(&self, now: TimestampMs) -> bool {
        self.ttl_ms.is_some_and(|ttl_ms| now >= self.created_at.plus_ms(ttl_ms))
    }

    pub fn encode(&self) -> Vec<u8> {
        let keys: usize = self.dependencies.iter().map(|key| key.len() + 2).sum();
        let mut row = Vec::with_capacity(FIXED_BYTES + keys);
        row.extend_from_slice(&[LAYOUT, if self.dropped { DROPPED } else { 0 }]);
        row.extend_from_slice(&self.seq.0.to_le_bytes());
        for part in self.version {
            row.extend_from_slice(&part.to_le_bytes());
        }
        row.extend_from_slice(&self.created_at.0.to_le_bytes());
        row.extend_from_slice(&self.ttl_ms.unwrap_or(u64::MAX).to_le_bytes());
        row.extend_from_slice(self.fingerprint.as_bytes());
        row.extend_from_slice(self.data_hash.as_bytes());
        let count = u32::try_from(self.dependencies.len())
            .expect("a record of 16 MiB holds fewer than 2^32 dependencies");
        row.extend_from_slice(&count.to_le_bytes());
        for key in &self.dependencies {
            let length = u16::try_from(key.len()).expect("a key has at most 642 bytes");
            row.extend_from_slice(&length.to_le_bytes());
            row.extend_from_slice(key);
        }
        row
    }

    pub fn decode(row: &[u8]) -> Result<Self, Error> {
        Reader(row).head().ok_or_else(|| Error::Integrity {
            what: "a head's record".to_owned(),
            problem: format!(
                "{} bytes that do not have layout {LAYOUT}; expected at least {FIXED_BYTES}",
                row.len()
            ),
        })
    }
}

/// Only the seq: what reading a latest version needs.
pub(super) fn seq_of(row: &[u8]) -> Result<Seq, Error> {
    match row.get(2..10).map(<[u8; 8]>::try_from) {
        Some(Ok(bytes)) if row[0] == LAYOUT => Ok(Seq(u64::from_le_bytes(bytes))),
        _ => Head::decode(row).map(|head| head.seq),
    }
}

/// Encoded keys that a version depends on, sorted, once each.
pub(super) fn dependency_keys(version: &Version) -> Vec<Vec<u8>> {
    let keys = version.dependencies.iter();
    let mut keys: Vec<_> = keys.map(|dependency| ResourceKey::encode(&dependency.on.key)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn head(&mut self) -> Option<Head> {
        let [layout, flags] = self.take()?;
        if layout != LAYOUT {
            return None;
        }
        let seq = Seq(self.number()?);
        let version = [self.number()?, self.number()?, self.number()?];
        let created_at = TimestampMs(self.take().map(i64::from_le_bytes)?);
        let ttl_ms = Some(self.number()?).filter(|ttl_ms| *ttl_ms != u64::MAX);
        let fingerprint = Digest::from_bytes(self.take()?);
        let data_hash = Digest::from_bytes(self.take()?);
        let count = u32::from_le_bytes(self.take()?) as usize;
        let mut dependencies = Vec::with_capacity(count.min(self.0.len() / 2));
        for _ in 0..count {
            let length = u16::from_le_bytes(self.take()?) as usize;
            let (key, rest) = self.0.split_at_checked(length)?;
            self.0 = rest;
            dependencies.push(key.to_vec());
        }
        self.0.is_empty().then_some(Head {
            seq,
            version,
            created_at,
            ttl_ms,
            fingerprint,
            data_hash,
            dropped: flags & DROPPED != 0,
            dependencies,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_read_back_and_torn_ones_are_refused() {
        let head = Head {
            seq: Seq(7),
            version: [1, 2, 3],
            created_at: TimestampMs(-9),
            ttl_ms: Some(5),
            fingerprint: Digest::of(b"f"),
            data_hash: Digest::of(b"d"),
            dropped: true,
            dependencies: vec![b"a".to_vec(), b"bc".to_vec()],
        };
        let row = head.encode();
        assert_eq!(Head::decode(&row).expect("whole"), head);
        assert_eq!(seq_of(&row).expect("whole"), Seq(7));
        for length in 0..row.len() {
            assert!(Head::decode(&row[..length]).is_err(), "{length}");
        }
        let mut longer = row.clone();
        longer.push(0);
        assert!(Head::decode(&longer).is_err());
        let mut other = row;
        other[0] = 2;
        assert!(seq_of(&other).is_err());
    }
}
