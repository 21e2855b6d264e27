//! What the hosts of the chaos test do, and what they acknowledge: known to them and to the test that kills them.

use std::fmt;
use std::str::FromStr;

use floret_model::{ResourceKey, Seq};

use crate::key;

/// Resources of which every version is kept.
pub const KEPT: u64 = 40;
/// Resources of which cleanup keeps the newest versions only.
pub const SCRAPS: u64 = 10;
/// Versions of each that it keeps.
pub const SCRAPS_KEPT: usize = 3;
/// Numbers below this are saved again and again, so that contents are shared; those above are saved once each.
pub const SHARED_NUMBERS: u64 = 24;
/// How long a blob is held for its writer, in milliseconds: short, so that the sweep has something to do.
pub const LEASE_MS: u64 = 8_000;
/// How long condemned blobs stay, in milliseconds: longer than a lease.
pub const GRACE_MS: u64 = 10_000;

/// A resource of which every version is kept.
pub fn kept(number: u64) -> ResourceKey {
    key(&format!("note/kept-{}", number % KEPT))
}

/// A resource of which only the newest versions are.
pub fn scrap(number: u64) -> ResourceKey {
    key(&format!("scrap/{}", number % SCRAPS))
}

/// One line of a host's journal, written after the call that it tells of returned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// The host is open.
    Open,
    /// A version was appended.
    Appended {
        /// Of which resource.
        key: ResourceKey,
        /// Which.
        seq: Seq,
        /// The number of its content.
        number: u64,
    },
    /// The latest version was equal.
    Unchanged {
        /// Of which resource.
        key: ResourceKey,
        /// Which.
        seq: Seq,
        /// The number of its content.
        number: u64,
    },
    /// Something else was done, e.g. a read.
    Done {
        /// What.
        what: String,
    },
    /// A call failed as it may; it is open whether it was done.
    Failed {
        /// With what.
        how: String,
    },
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::Appended { key, seq, number } => write!(f, "appended {key} {seq} {number}"),
            Self::Unchanged { key, seq, number } => write!(f, "unchanged {key} {seq} {number}"),
            Self::Done { what } => write!(f, "done {what}"),
            Self::Failed { how } => write!(f, "failed {how}"),
        }
    }
}

impl FromStr for Entry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unreadable = || format!("no line of a journal: {text:?}");
        let place = |words: &str| -> Option<(ResourceKey, Seq, u64)> {
            let mut words = words.split(' ');
            let key = words.next()?.parse().ok()?;
            let seq = Seq(words.next()?.parse().ok()?);
            Some((key, seq, words.next()?.parse().ok()?))
        };
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb {
            "open" => Ok(Self::Open),
            "appended" => place(rest)
                .map(|(key, seq, number)| Self::Appended { key, seq, number })
                .ok_or_else(unreadable),
            "unchanged" => place(rest)
                .map(|(key, seq, number)| Self::Unchanged { key, seq, number })
                .ok_or_else(unreadable),
            "done" => Ok(Self::Done { what: rest.to_owned() }),
            "failed" => Ok(Self::Failed { how: rest.to_owned() }),
            _ => Err(unreadable()),
        }
    }
}
