//! What the writer of the crash test does, and what it acknowledges: known to it and to the test that kills it.

use std::fmt;
use std::str::FromStr;

use floret_model::{ResourceKey, Seq};

/// Texts that are saved in turn, one for each base corpus.
pub const TEXTS: [&str; 4] = ["a", "b", "c", "d"];
/// Entries that are always saved as one batch.
pub const TRIPLE: [&str; 3] = ["dictionary/one", "dictionary/two", "dictionary/three"];

/// The content of one save, which follows from its number: some lie in the log, some are blobs.
pub fn content(number: u64) -> String {
    let words = if number.is_multiple_of(3) { 1_500 } else { 20 };
    (0..words).map(|word| format!("w{} ", (number * 31 + word * 7) % 2_003)).collect::<String>()
        + &number.to_string()
}

/// One line of the journal, written after the call that it tells of returned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// The host is open.
    Open,
    /// A version was acknowledged.
    Saved {
        /// Of which resource.
        key: ResourceKey,
        /// Which.
        seq: Seq,
        /// The number of its content.
        number: u64,
    },
    /// A cascade published this version.
    Built {
        /// Of which resource.
        key: ResourceKey,
        /// Which.
        seq: Seq,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::Saved { key, seq, number } => write!(f, "saved {key} {seq} {number}"),
            Self::Built { key, seq } => write!(f, "built {key} {seq}"),
        }
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let line = || format!("no line of the journal: {text:?}");
        let key = |text: &str| text.parse::<ResourceKey>().map_err(|_| line());
        let number = |text: &str| text.parse::<u64>().map_err(|_| line());
        match text.split(' ').collect::<Vec<_>>()[..] {
            ["open"] => Ok(Self::Open),
            ["saved", name, seq, n] => {
                Ok(Self::Saved { key: key(name)?, seq: Seq(number(seq)?), number: number(n)? })
            }
            ["built", name, seq] => Ok(Self::Built { key: key(name)?, seq: Seq(number(seq)?) }),
            _ => Err(line()),
        }
    }
}

/// SplitMix64: the same numbers for the same seed.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
