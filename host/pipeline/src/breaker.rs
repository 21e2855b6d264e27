//! Circuit breakers: a bound component that breaks again and again is not asked for a while.
//!
//! A trap, a limit or a malformed answer counts; what a component says of its input in an orderly way does not, and
//! an answer begins the count anew. Each host counts for itself. When a breaker opens, the host says so in a version of
//! `plugins:breaker/<what is bound>`: so every host hears of it as it hears of a binding, and people see it. When its time
//! is over one call is let through; it closes the breaker, or opens it for as long again. Another version of the
//! component or of the binding begins with a closed one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use floret_model::{Digest, ResourceType, Seq, TimestampMs, Version, VersionRef};
use floret_runtime::Error as Runtime;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lease::milliseconds;
use crate::meters;
use crate::plugins::{Bound, plugin_key};
use crate::save::SaveRequest;
use crate::{Content, Error, Floret, Freshness, Selector};

/// The type of the resources that say which breakers are open.
pub(crate) const BREAKER_TYPE: &str = "breaker";

/// Longest text of an error that is kept.
const ERROR_CHARS_MAX: usize = 500;

/// What is known of a breaker: the content of its resource.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// Whether the component is not asked.
    pub is_open: bool,
    /// The version of the binding.
    pub binding: Seq,
    /// SHA-256 of the component.
    pub component: Digest,
    /// Failures on end when it opened.
    pub failures: u32,
    /// The last of them.
    pub last_error: String,
    /// When it opened or closed, in milliseconds since 1970.
    pub at: TimestampMs,
}

impl Breaker {
    fn is_of(&self, binding: &Version, component: Digest) -> bool {
        self.binding == binding.seq && self.component == component
    }
}

/// The state of one binding's component in this process.
#[derive(Default)]
pub(crate) struct Gate {
    failures: AtomicU32,
    /// Until when nothing is let through; 0 while it is closed.
    closed_until: AtomicI64,
}

/// The gates of this process, by binding and component.
#[derive(Default)]
pub(crate) struct Gates(Mutex<HashMap<(VersionRef, Digest), Arc<Gate>>>);

impl Gate {
    /// Whether a call may go through at `now`. The one that comes when the time is over keeps others waiting for
    /// `cooldown_ms` more: it is the trial.
    fn admits(&self, now: TimestampMs, cooldown_ms: u64) -> Result<(), TimestampMs> {
        let until = self.closed_until.load(Relaxed);
        if until == 0 {
            return Ok(());
        }
        let next = now.plus_ms(cooldown_ms).0;
        if now.0 < until || self.closed_until.compare_exchange(until, next, Relaxed, Relaxed).is_err() {
            return Err(TimestampMs(until));
        }
        Ok(())
    }

    /// Take over what a host has said.
    fn set(&self, breaker: Option<&Breaker>, cooldown_ms: u64) {
        match breaker.filter(|breaker| breaker.is_open) {
            Some(breaker) => self.closed_until.store(breaker.at.plus_ms(cooldown_ms).0.max(1), Relaxed),
            // Closed by whichever host: the count begins anew here, too.
            None if self.closed_until.swap(0, Relaxed) != 0 => self.failures.store(0, Relaxed),
            None => {}
        }
    }
}

/// Whether a failure is the component's own.
fn counts(error: &Runtime) -> bool {
    matches!(error, Runtime::Trap { .. } | Runtime::Limit { .. } | Runtime::Malformed { .. })
}

impl Floret {
    /// Make a call of what is bound, unless its breaker is open, and count how it ends.
    pub(crate) async fn guarded<T>(
        &self,
        bound: &Bound,
        call: impl Future<Output = Result<T, Runtime>>,
    ) -> Result<T, Error> {
        let gate = &*bound.gate;
        let cooldown_ms = milliseconds(self.options.breaker_cooldown);
        // The clock is read only where it matters: most calls find the gate open.
        let is_trial = gate.closed_until.load(Relaxed) != 0;
        let kind = bound.component.contract().kind;
        if is_trial && let Err(until) = gate.admits(self.now(), cooldown_ms) {
            meters::refused(kind);
            return Err(Error::BreakerOpen {
                id: bound.id().to_owned(),
                component: bound.component.label(),
                until: until.to_string(),
            });
        }
        let began = Instant::now();
        let done = call.await;
        meters::called(kind, &done, began.elapsed());
        match &done {
            Ok(_) => {
                if gate.failures.load(Relaxed) != 0 {
                    gate.failures.store(0, Relaxed);
                }
                if is_trial {
                    self.tell_breaker(bound, false, 0, "").await;
                }
            }
            Err(error) if counts(error) => {
                let failures = gate.failures.fetch_add(1, Relaxed).saturating_add(1);
                // Those that were under way when it opened need not open it again.
                if is_trial || failures == self.options.breaker_failures_max {
                    self.tell_breaker(bound, true, failures, &error.to_string()).await;
                }
            }
            Err(_) => {}
        }
        Ok(done?)
    }

    /// Open or close a breaker, and tell everybody. A store that fails keeps nobody from the answer of the call.
    async fn tell_breaker(&self, bound: &Bound, is_open: bool, failures: u32, error: &str) {
        let breaker = Breaker {
            is_open,
            binding: bound.binding.seq,
            component: bound.component.digest(),
            failures,
            last_error: error.chars().take(ERROR_CHARS_MAX).collect(),
            at: self.now(),
        };
        bound.gate.set(Some(&breaker), milliseconds(self.options.breaker_cooldown));
        let (id, component) = (bound.id(), bound.component.label());
        match is_open {
            true => tracing::warn!(binding = id, component, failures, error, "a breaker opens"),
            false => tracing::info!(binding = id, component, "a breaker closes"),
        }
        if let Err(error) = self.put_breaker(id, &breaker).await {
            tracing::warn!(binding = id, %error, "the state of a breaker was not saved: only this host knows it");
        }
    }

    async fn put_breaker(&self, id: &str, breaker: &Breaker) -> Result<(), Error> {
        let key = plugin_key(breaker_type(), id)?;
        let content = serde_json::to_value(breaker).expect("a breaker has string keys");
        // As a future of its own on the heap: a save may ask a policy, which is guarded, too.
        Box::pin(self.save_any(SaveRequest::new(key, Content::Json(content)))).await?;
        Ok(())
    }

    /// The breaker of what is bound, as the last host that had to do with it said.
    async fn breaker(&self, id: &str) -> Result<Option<Breaker>, Error> {
        let found = self.get(&plugin_key(breaker_type(), id)?, &Selector::Latest, Freshness::Cached).await;
        let found = match found {
            Err(Error::NotFound { .. } | Error::Dropped(_)) => return Ok(None),
            found => found?,
        };
        serde_json::from_slice(&found.content).map(Some).map_err(|error| {
            let what = found.version.reference().to_string();
            floret_store::Error::Integrity { what, problem: format!("not a breaker: {error}") }.into()
        })
    }

    /// The gate of a binding's component, as it is known to stand.
    pub(crate) async fn gate(&self, binding: &Version, component: Digest) -> Result<Arc<Gate>, Error> {
        let name = (binding.reference(), component);
        let gate = Arc::clone(self.gates.0.lock().entry(name).or_default());
        let breaker = self.breaker(binding.key.resource_id.as_str()).await?;
        let breaker = breaker.filter(|breaker| breaker.is_of(binding, component));
        gate.set(breaker.as_ref(), milliseconds(self.options.breaker_cooldown));
        Ok(gate)
    }

    /// The breakers that are open, by what is bound.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn open_breakers(&self) -> Result<Vec<(String, Breaker)>, Error> {
        let mut open = Vec::new();
        for version in self.binding_versions().await? {
            let id = version.key.resource_id.to_string();
            let Ok(bound) = self.bound(&id).await else { continue };
            let breaker = self.breaker(&id).await?;
            let is_open = |breaker: &Breaker| {
                breaker.is_open && breaker.is_of(&bound.binding, bound.component.digest())
            };
            open.extend(breaker.filter(is_open).map(|breaker| (id, breaker)));
        }
        Ok(open)
    }

    /// Close the breaker of what is bound, and begin its count anew on every host that hears of it. Answers whether it was open.
    ///
    /// # Errors
    /// [`Error::NotFound`] when nothing is bound to `id`; a store that fails.
    pub async fn reset_breaker(&self, id: &str) -> Result<bool, Error> {
        let bound = self.bound(id).await?;
        bound.gate.failures.store(0, Relaxed);
        bound.gate.closed_until.store(0, Relaxed);
        match self.breaker(id).await?.filter(|breaker| breaker.is_open) {
            Some(breaker) => {
                self.put_breaker(id, &Breaker { is_open: false, at: self.now(), ..breaker }).await?;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

fn breaker_type() -> ResourceType {
    ResourceType::new(BREAKER_TYPE).expect("a valid name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trial_is_let_through_when_the_time_is_over() {
        let gate = Gate::default();
        assert!(gate.admits(TimestampMs(5), 100).is_ok());
        let breaker = Breaker {
            is_open: true,
            binding: Seq::FIRST,
            component: Digest::of(b"component"),
            failures: 5,
            last_error: "trapped".to_owned(),
            at: TimestampMs(1000),
        };
        gate.set(Some(&breaker), 100);
        assert_eq!(gate.admits(TimestampMs(1099), 100), Err(TimestampMs(1100)));
        assert!(gate.admits(TimestampMs(1100), 100).is_ok(), "the trial");
        assert_eq!(gate.admits(TimestampMs(1150), 100), Err(TimestampMs(1200)), "it is under way");
        assert!(gate.admits(TimestampMs(1200), 100).is_ok(), "it never came back");
        gate.failures.store(5, Relaxed);
        gate.set(Some(&Breaker { is_open: false, ..breaker }), 100);
        assert!(gate.admits(TimestampMs(1201), 100).is_ok());
        assert_eq!(gate.failures.load(Relaxed), 0, "another host closed it");
        gate.failures.store(2, Relaxed);
        gate.set(None, 100);
        assert_eq!(gate.failures.load(Relaxed), 2, "it was closed all the while");
    }
}
