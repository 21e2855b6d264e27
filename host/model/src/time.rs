use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A moment in UTC, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(extend("examples" = [1_772_366_400_000_i64]))]
pub struct TimestampMs(pub i64);

impl TimestampMs {
    /// The moment `duration_ms` later; saturates.
    pub fn plus_ms(self, duration_ms: u64) -> Self {
        Self(self.0.saturating_add_unsigned(duration_ms))
    }

    /// The moment `duration_ms` earlier; saturates.
    pub fn minus_ms(self, duration_ms: u64) -> Self {
        Self(self.0.saturating_sub_unsigned(duration_ms))
    }
}

/// RFC 3339 with milliseconds, e.g. `2026-03-01T12:00:00.000Z`.
impl fmt::Display for TimestampMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m4_moments_are_written_in_utc() {
        assert_eq!(TimestampMs(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(TimestampMs(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
    }
}
