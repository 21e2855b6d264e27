//! Keys in memory, short ones without an allocation, and their unambiguous form on disk.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A key of at most this many bytes is kept inside its map's table, without a pointer to follow.
const INLINE_BYTES_MAX: usize = 46;

/// The longest key that is kept on disk: fjall takes 65,536 bytes, of which the namespace and its length take up to 259.
pub(crate) const DISK_KEY_BYTES_MAX: usize = 65_536 - 4 - 255;

/// A cache key: any bytes. It hashes and compares as its bytes.
#[derive(Clone)]
pub(crate) enum Key {
    Inline { len: u8, bytes: [u8; INLINE_BYTES_MAX] },
    Heap(Box<[u8]>),
}

impl Key {
    pub(crate) fn new(key: &[u8]) -> Self {
        if key.len() <= INLINE_BYTES_MAX {
            let mut bytes = [0; INLINE_BYTES_MAX];
            bytes[..key.len()].copy_from_slice(key);
            Self::Inline { len: key.len() as u8, bytes }
        } else {
            Self::Heap(key.into())
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }

    /// Its form on disk, see [`disk_key`].
    pub(crate) fn on_disk(&self, namespace: &str) -> Vec<u8> {
        let mut encoded = disk_prefix(namespace);
        encoded.extend_from_slice(self.as_bytes());
        encoded
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

/// `namespace length (u32, big-endian) · namespace · key`. The length makes it unambiguous: ("a", "b:c") and
/// ("a:b", "c") differ in their first four bytes.
fn disk_prefix(namespace: &str) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(4 + namespace.len() + INLINE_BYTES_MAX);
    // Names have at most 255 bytes (CacheConfig::check).
    encoded.extend_from_slice(&(namespace.len() as u32).to_be_bytes());
    encoded.extend_from_slice(namespace.as_bytes());
    encoded
}

/// The namespace and key in a key on disk; `None` if nothing of ours wrote it.
pub(crate) fn parse_disk_key(encoded: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = encoded.split_first_chunk::<4>()?;
    let (namespace, key) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    Some((std::str::from_utf8(namespace).ok()?, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn c11_the_separator_trap() {
        let one = Key::new(b"b:c").on_disk("a");
        let other = Key::new(b"c").on_disk("a:b");
        assert_ne!(one, other);
    }

    proptest! {
        #[test]
        fn c11_disk_keys_round_trip(namespace in "\\PC{1,20}", key in proptest::collection::vec(any::<u8>(), 0..80)) {
            let encoded = Key::new(&key).on_disk(&namespace);
            prop_assert_eq!(parse_disk_key(&encoded), Some((namespace.as_str(), key.as_slice())));
            let kept = Key::new(&key);
            prop_assert_eq!(kept.as_bytes(), key.as_slice());
        }

        #[test]
        fn c11_two_names_never_share_a_disk_key(
            a in ("[ab:]{1,4}", "[ab:]{0,4}"), b in ("[ab:]{1,4}", "[ab:]{0,4}")
        ) {
            let same = Key::new(a.1.as_bytes()).on_disk(&a.0) == Key::new(b.1.as_bytes()).on_disk(&b.0);
            prop_assert_eq!(same, a == b);
        }
    }
}
