//! Amounts as people write them: byte sizes and durations.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes: a number, or a number with a unit. `KiB`, `MiB`, `GiB`, `TiB` are powers of 1,024; `kB`, `MB`, `GB`, `TB`
/// powers of 1,000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ByteSize(pub u64);

const UNITS: [(&str, u64); 10] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
    ("", 1),
];

impl ByteSize {
    pub(crate) const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    pub(crate) const fn gib(count: u64) -> Self {
        Self(count << 30)
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is not a size: expected bytes, e.g. 65536, 64 KiB, 1.5 GB");
        let digits = text.trim().find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
        let (number, unit) = text.trim().split_at(digits.unwrap_or(text.trim().len()));
        let unit = unit.trim().to_ascii_lowercase();
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
        let number = number.replace('_', "");
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(*scale).map(Self).ok_or_else(expected);
        }
        let bytes = number.parse::<f64>().map_err(|_| expected())? * *scale as f64;
        // 2^53: whole numbers of bytes beyond it cannot be told apart in a float.
        if bytes.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&bytes) {
            Ok(Self(bytes as u64))
        } else {
            Err(expected())
        }
    }
}

/// The largest power of 1,024 that divides it, so that reading it gives the same number.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 > 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{} {unit}", self.0 >> shift);
            }
        }
        write!(f, "{} B", self.0)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size, e.g. 65536, \"64 KiB\" or \"1.5 GB\"")
    }

    fn visit_u64<E: serde::de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
        Ok(ByteSize(bytes))
    }

    fn visit_i64<E: serde::de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
        u64::try_from(bytes).map(ByteSize).map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

/// A duration, e.g. `500ms`, `10s`, `1h 30m`, `30days`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            |error| format!("{text:?} is not a duration ({error}): expected e.g. 500ms, 10s, 1h 30m, 30days");
        humantime::parse_duration(text).map(Self).map_err(expected)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// How long something lives: a duration, or `never` for what does not end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lifetime(pub Option<Duration>);

impl Lifetime {
    pub(crate) const NEVER: Self = Self(None);
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(duration) => Span(duration).fmt(f),
            None => f.write_str("never"),
        }
    }
}

impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "never" {
            return Ok(Self::NEVER);
        }
        let span: Span = text.parse().map_err(|error| D::Error::custom(format!("{error}, or never")))?;
        Ok(Self(Some(span.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("1_000", 1_000),
            ("64 KiB", 65_536),
            ("64kib", 65_536),
            ("1.5 GB", 1_500_000_000),
            ("0.5KiB", 512),
            ("7 B", 7),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "KiB", "-1", "1 XB", "1.0001 KiB", "99999999999999999999", "99999999 TiB"] {
            let error = text.parse::<ByteSize>().expect_err(text);
            assert!(error.contains("is not a size"), "{error}");
        }
    }

    #[test]
    fn sizes_are_written_so_that_they_read_back() {
        for bytes in [0, 1, 1023, 1024, 4096, 1_000_000, 1 << 20, 3 << 30, (1 << 40) + 1, u64::MAX] {
            let size = ByteSize(bytes);
            assert_eq!(size.to_string().parse(), Ok(size), "{size}");
        }
        assert_eq!(ByteSize(4 << 30).to_string(), "4 GiB");
    }

    #[test]
    fn durations_are_read_and_written() {
        assert_eq!("1h 30m".parse(), Ok(Span(Duration::from_secs(5400))));
        assert_eq!(Span(Duration::from_millis(1500)).to_string(), "1s 500ms");
        assert!("10".parse::<Span>().expect_err("no unit").contains("expected e.g."));
        let lifetime = |text: &str| serde_json::from_value::<Lifetime>(text.into());
        assert_eq!(lifetime("never").expect("never"), Lifetime::NEVER);
        assert_eq!(lifetime("10s").expect("10 s"), Lifetime(Some(Duration::from_secs(10))));
        assert!(lifetime("soon").expect_err("no duration").to_string().contains("or never"));
    }
}
