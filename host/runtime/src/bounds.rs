use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::component::{Component, Loaded};
use crate::limits::Limits;

/// Narrower bounds for one use of a component. What is `None` is the runtime's; what is wider than the runtime's
/// [`Limits`] has no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bounds {
    /// As [`Limits::call_timeout`].
    pub call_timeout: Option<Duration>,
    /// As [`Limits::query_timeout`].
    pub query_timeout: Option<Duration>,
    /// As [`Limits::memory_bytes_max`]. A part of the profile, so of every recipe.
    pub memory_bytes_max: Option<u64>,
    /// As [`Limits::output_bytes_max`].
    pub output_bytes_max: Option<u64>,
    /// As [`Limits::log_bytes_max`].
    pub log_bytes_max: Option<u64>,
    /// Builders of this use at once, and instances of each index that it opens; at least 1.
    pub instances_max: Option<usize>,
}

impl Bounds {
    fn within(&self, limits: &Limits) -> Limits {
        fn narrow<T: Ord + Copy>(limit: T, bound: Option<T>) -> T {
            bound.map_or(limit, |bound| bound.min(limit))
        }
        Limits {
            call_timeout: narrow(limits.call_timeout, self.call_timeout),
            query_timeout: narrow(limits.query_timeout, self.query_timeout),
            memory_bytes_max: narrow(limits.memory_bytes_max, self.memory_bytes_max),
            output_bytes_max: narrow(limits.output_bytes_max, self.output_bytes_max),
            log_bytes_max: narrow(limits.log_bytes_max, self.log_bytes_max),
            instances_max: narrow(limits.instances_max, self.instances_max),
            searchers_max: narrow(limits.searchers_max, self.instances_max),
            ..limits.clone()
        }
    }
}

impl Component {
    /// The same component, its compiled code shared, within narrower bounds and with turns of its own.
    pub fn bounded(&self, bounds: &Bounds) -> Self {
        let loaded = &self.loaded;
        let limits = bounds.within(&loaded.shared.limits);
        let turns = bounds.instances_max.map(|_| Arc::new(Semaphore::new(limits.instances_max.max(1))));
        Self::new(Loaded {
            shared: Arc::clone(&loaded.shared),
            limits: Arc::new(limits),
            turns,
            digest: loaded.digest,
            size_bytes: loaded.size_bytes,
            contract: loaded.contract.clone(),
            description: loaded.description.clone(),
            modes: loaded.modes.clone(),
            imports: loaded.imports.clone(),
            exports: loaded.exports.clone(),
            bound: loaded.bound.clone(),
            deciders: Default::default(),
            analyses: Default::default(),
        })
    }

    /// The bounds in force.
    pub fn limits(&self) -> &Limits {
        &self.loaded.limits
    }

    /// What of the build engine and its bounds can change a result of this component: a part of every recipe.
    pub fn profile(&self) -> String {
        crate::engine::profile(&self.loaded.limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_narrow_and_never_widen() {
        let limits =
            Limits { memory_bytes_max: 100, searchers_max: 4, instances_max: 2, ..Limits::default() };
        let narrow = Bounds { memory_bytes_max: Some(10), instances_max: Some(1), ..Bounds::default() };
        let within = narrow.within(&limits);
        assert_eq!((within.memory_bytes_max, within.instances_max, within.searchers_max), (10, 1, 1));
        assert_eq!(within.call_timeout, limits.call_timeout);
        let wide = Bounds { memory_bytes_max: Some(1000), ..Bounds::default() };
        assert_eq!(wide.within(&limits), limits);
    }
}
