//! What a binding allows its component, where that is less than the host allows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use floret_runtime::{Bounds, Component, Limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of one binding; what is absent is the host's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BindingLimits {
    /// Longest time of one build, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_timeout_ms: Option<u64>,
    /// Longest time of one search, decision, analysis or opening, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_timeout_ms: Option<u64>,
    /// Bytes of linear memory of one job. Another value makes other recipes, so that what is bound is built anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes_max: Option<u64>,
    /// Bytes that one build may write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bytes_max: Option<u64>,
    /// Bytes of log text kept of one call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_bytes_max: Option<u64>,
    /// Builds at once, and instances of each open index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances_max: Option<u64>,
}

impl BindingLimits {
    /// Whether it is bounded by the host alone.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Each that is given, with the host's.
    fn given(&self, host: &Limits) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let given = [
            self.call_timeout_ms,
            self.query_timeout_ms,
            self.memory_bytes_max,
            self.output_bytes_max,
            self.log_bytes_max,
            self.instances_max,
        ];
        amounts(host).into_iter().zip(given).filter_map(|((name, host), given)| Some((name, given?, host)))
    }

    /// Why these cannot be a binding's: a zero, or more than the host allows.
    pub(crate) fn check(&self, host: &Limits) -> Result<(), String> {
        for (name, given, allowed) in self.given(host) {
            if name != "log_bytes_max" && given == 0 {
                return Err(format!("the limit {name} is 0: nothing could run; expected 1 to {allowed}"));
            }
            if given > allowed {
                return Err(format!(
                    "the limit {name} is {given}, and this host allows {allowed}: a binding narrows the limits of the \
                     configuration ([limits]) and cannot widen them"
                ));
            }
        }
        Ok(())
    }

    /// The component within them.
    pub(crate) fn apply(&self, component: Arc<Component>) -> Arc<Component> {
        if self.is_empty() {
            return component;
        }
        Arc::new(component.bounded(&Bounds {
            call_timeout: self.call_timeout_ms.map(Duration::from_millis),
            query_timeout: self.query_timeout_ms.map(Duration::from_millis),
            memory_bytes_max: self.memory_bytes_max,
            output_bytes_max: self.output_bytes_max,
            log_bytes_max: self.log_bytes_max,
            instances_max: self.instances_max.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
        }))
    }
}

/// A limit as it is in force for a binding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LimitInForce {
    /// Bytes, milliseconds or a count, as its name says. Of `instances_max` one component has at most all but one.
    pub value: u64,
    /// Whose it is.
    pub set_by: LimitSource,
}

/// Whose limit it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitSource {
    /// The binding's, narrower than the host's.
    Binding,
    /// The host's: its default, or what its configuration says.
    Host,
}

/// The limits that a binding may narrow, as they are in force.
pub(crate) fn in_force(limits: &Limits, host: &Limits) -> BTreeMap<String, LimitInForce> {
    let pairs = amounts(limits).into_iter().zip(amounts(host));
    let limit = |((name, value), (_, allowed)): ((&str, u64), (&str, u64))| {
        let set_by = if value < allowed { LimitSource::Binding } else { LimitSource::Host };
        (name.to_owned(), LimitInForce { value, set_by })
    };
    pairs.map(limit).collect()
}

/// What of the limits a binding may narrow, by name.
fn amounts(limits: &Limits) -> [(&'static str, u64); 6] {
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    [
        ("call_timeout_ms", ms(limits.call_timeout)),
        ("query_timeout_ms", ms(limits.query_timeout)),
        ("memory_bytes_max", limits.memory_bytes_max),
        ("output_bytes_max", limits.output_bytes_max),
        ("log_bytes_max", limits.log_bytes_max),
        ("instances_max", limits.instances_max as u64),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_binding_are_within_those_of_the_host() {
        let host = Limits { memory_bytes_max: 1 << 20, ..Limits::default() };
        let limits = |memory| BindingLimits { memory_bytes_max: Some(memory), ..BindingLimits::default() };
        assert_eq!(BindingLimits::default().check(&host), Ok(()));
        assert_eq!(limits(1 << 20).check(&host), Ok(()));
        for (memory, expected) in [(0, "memory_bytes_max is 0"), ((1 << 20) + 1, "this host allows 1048576")]
        {
            let problem = limits(memory).check(&host).expect_err("it does not fit");
            assert!(problem.contains(expected), "{problem}");
        }
        let unknown = serde_json::from_str::<BindingLimits>(r#"{"memory": 5}"#);
        assert!(unknown.is_err_and(|error| error.to_string().contains("memory_bytes_max")));
    }

    #[test]
    fn limits_in_force_are_the_hosts_unless_the_binding_narrows_them() {
        let host = Limits::default();
        let narrow = Limits { call_timeout: Duration::from_millis(1500), ..host.clone() };
        let limits = in_force(&narrow, &host);
        let expected = LimitInForce { value: 1500, set_by: LimitSource::Binding };
        assert_eq!(limits["call_timeout_ms"], expected);
        let expected = LimitInForce { value: 1 << 30, set_by: LimitSource::Host };
        assert_eq!(limits["memory_bytes_max"], expected);
        assert_eq!(limits.len(), 6);
    }
}
