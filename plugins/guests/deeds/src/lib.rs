//! What the misbehaving guests have in common: the deeds that a host must survive, each named by a mode.

use floret_sdk::{Error, Output, log};
use serde::Deserialize;

/// The configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What to do.
    pub mode: Mode,
}

/// JSON Schema of [`Config`]; the modes are those of [`Mode`].
pub const SCHEMA: &str = include_str!("schema.json");

/// What to do.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Behave.
    #[default]
    Ok,
    /// Never return.
    Loop,
    /// Take memory without end.
    Allocate,
    /// Write to the sink without end.
    Write,
    /// Execute `unreachable`.
    Trap,
    /// Panic with a text.
    Panic,
    /// Call itself without end.
    Recurse,
    /// Log without end a hundred thousand times, then behave.
    LogFlood,
    /// Log one line of 10 MiB, then behave.
    LogLong,
    /// Return `invalid-input`.
    InvalidInput,
    /// Return `invalid-config`.
    InvalidConfig,
    /// Return `unsupported`.
    Unsupported,
    /// Return `failed` with a text of 1 MiB.
    Failed,
    /// Corpus: lines out of order.
    Unsorted,
    /// Corpus: a word twice.
    Duplicate,
    /// Corpus: a line without a count.
    Malformed,
    /// Corpus: bytes that are not UTF-8.
    NotUtf8,
    /// Corpus and index: write nothing at all.
    Nothing,
    /// Corpus and index: statistics that do not fit what was written.
    WrongStatistics,
    /// Index: bytes that `open` refuses.
    BadIndex,
    /// Index: an index whose opening loops, whose opening traps …
    OpenLoop,
    /// See [`Mode::OpenLoop`].
    OpenTrap,
    /// An index whose searches loop.
    SearchLoop,
    /// An index whose searches trap.
    SearchTrap,
    /// An index that answers more hits than asked for.
    SearchTooMany,
    /// An index that answers with a score that is not a number.
    SearchNan,
    /// An index whose searches take memory without end.
    SearchAllocate,
    /// Index: split into four parts that say which they are; the whole says the same.
    Parts,
    /// Index: split into no parts at all.
    PartsNone,
    /// Index: split into five thousand parts.
    PartsMany,
    /// Index: parts that are not what the whole is.
    PartsDiffer,
    /// Index: four parts, of which the second traps and the others never end.
    PartTrap,
    /// Index: four parts, of which the second is `invalid-input` and the others never end.
    PartInvalidInput,
    /// Index: four parts that never end.
    PartLoop,
    /// Index: four parts that write without end.
    PartWrite,
    /// Index: four parts of 3 MiB each.
    PartLarge,
    /// Index: four parts whose merging traps.
    MergeTrap,
}

impl Mode {
    /// Find a mode by its name.
    pub fn named(name: &str) -> Option<Self> {
        use serde::de::{IntoDeserializer, value};
        let name: value::StrDeserializer<'_, value::Error> = name.into_deserializer();
        Self::deserialize(name).ok()
    }
}

/// Do what is the same in every contract. Returns if the mode is another, or only noisy.
pub fn commit(mode: Mode, out: &mut Output) -> Result<(), Error> {
    match mode {
        Mode::Loop => endless(),
        Mode::Allocate => allocate(),
        Mode::Write => loop {
            out.write(&[b'x'; 1 << 16]);
        },
        Mode::Trap => trap(),
        Mode::Panic => panic!("misbehaving as asked"),
        Mode::Recurse => log!(Info, "the bottom is {}", recurse(0)),
        Mode::LogFlood => (0..100_000).for_each(|line| log!(Info, "line {line} of a flood")),
        Mode::LogLong => log!(Info, "{}", "long ".repeat(2 << 20)),
        Mode::InvalidInput => {
            return Err(Error::InvalidInput("document 0 is refused as asked".into()));
        }
        Mode::InvalidConfig => return Err(Error::InvalidConfig("mode is refused as asked".into())),
        Mode::Unsupported => return Err(Error::Unsupported("not done, as asked".into())),
        Mode::Failed => return Err(Error::Failed("failed ".repeat(1 << 17))),
        _ => {}
    }
    Ok(())
}

/// Never return.
pub fn endless() -> ! {
    let mut turns = 0u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// Take memory until there is none.
pub fn allocate() -> ! {
    loop {
        // Written to, so that it is really taken.
        std::mem::forget(std::hint::black_box(vec![1u8; 1 << 20]));
    }
}

/// Trap without a panic.
pub fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

/// Deeper than any stack; the work after the call keeps it from becoming a loop.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX { 0 } else { recurse(depth + 1).rotate_left(depth as u32) ^ depth }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_of_the_schema_is_known() {
        let names = SCHEMA
            .split("\"enum\": [")
            .nth(1)
            .and_then(|rest| rest.split(']').next())
            .expect("the schema lists modes");
        let names: Vec<_> = names.split(',').map(|name| name.trim().trim_matches('"')).collect();
        assert_eq!(names.len(), 37);
        for name in names {
            assert!(Mode::named(name).is_some(), "{name}");
        }
    }
}
