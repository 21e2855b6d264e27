//! `--limit NAME=AMOUNT`: what a binding allows its component.

use std::str::FromStr;

use floret_pipeline::BindingLimits;

use crate::config::amount::{ByteSize, Span};

const NAMES: &str =
    "call_timeout, query_timeout, memory_bytes_max, output_bytes_max, log_bytes_max or instances_max";

/// One limit as it was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    set: fn(&mut BindingLimits, u64),
    amount: u64,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, amount) =
            text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=AMOUNT: NAME is {NAMES}"))?;
        let set: fn(&mut BindingLimits, u64) = match name {
            "call_timeout" => |limits, ms| limits.call_timeout_ms = Some(ms),
            "query_timeout" => |limits, ms| limits.query_timeout_ms = Some(ms),
            "memory_bytes_max" => |limits, bytes| limits.memory_bytes_max = Some(bytes),
            "output_bytes_max" => |limits, bytes| limits.output_bytes_max = Some(bytes),
            "log_bytes_max" => |limits, bytes| limits.log_bytes_max = Some(bytes),
            "instances_max" => |limits, count| limits.instances_max = Some(count),
            _ => return Err(format!("there is no limit {name:?} of a binding: expected {NAMES}")),
        };
        let amount = match name {
            "call_timeout" | "query_timeout" => {
                u64::try_from(amount.parse::<Span>()?.0.as_millis()).unwrap_or(u64::MAX)
            }
            "instances_max" => amount.parse().map_err(|_| format!("{amount:?} is not a whole number"))?,
            _ => amount.parse::<ByteSize>()?.0,
        };
        Ok(Self { set, amount })
    }
}

/// All of them together; of two for one name the later.
pub(super) fn limits(given: &[Limit]) -> BindingLimits {
    let mut limits = BindingLimits::default();
    given.iter().for_each(|limit| (limit.set)(&mut limits, limit.amount));
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_with_their_units() {
        let given = ["memory_bytes_max=64MiB", "call_timeout=1m 30s", "instances_max=2", "instances_max=1"];
        let given: Vec<Limit> = given.map(|text| text.parse().expect(text)).into();
        let expected = BindingLimits {
            memory_bytes_max: Some(64 << 20),
            call_timeout_ms: Some(90_000),
            instances_max: Some(1),
            ..BindingLimits::default()
        };
        assert_eq!(limits(&given), expected);
        for (text, expected) in [
            ("memory", "NAME=AMOUNT"),
            ("memory=1", "memory_bytes_max"),
            ("memory_bytes_max=much", "is not a size"),
            ("call_timeout=soon", "soon"),
            ("instances_max=1.5", "whole number"),
        ] {
            let problem = text.parse::<Limit>().expect_err(text);
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
