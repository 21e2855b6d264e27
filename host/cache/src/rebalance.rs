//! Memory moves to where it makes hits.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::namespace::NamespaceHandle;
use crate::value::CacheValue;

/// The cap is moved in this many steps.
const STEPS: u64 = 16;
/// A namespace always keeps one of this many parts of what the configuration gave it.
const KEPT_PART: u64 = 8;
/// Fewer ghost hits than this since the last step are chance.
const GHOST_HITS_MIN: u64 = 16;
/// How many times the donor's ghost hits the receiver must have, so that memory does not go to and fro.
const ADVANTAGE: u64 = 2;

/// Memory that moved to another namespace.
///
/// Each namespace remembers the keys that it evicted for want of bytes. A miss of such a key is a *ghost hit*: a hit that
/// more memory would have made. The namespace with the most ghost hits since the last step gets one sixteenth of the
/// cap: first from what nobody has, then from the namespace with the fewest, if it has less than half as many. Nobody
/// falls below an eighth of what the configuration gave it. The sum of all budgets never exceeds the cap, not even while
/// memory moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Who gave it; `None`: it had not been given to anybody.
    pub from: Option<String>,
    /// Who got it.
    pub to: String,
    /// How much.
    pub bytes: u64,
}

/// What the last step saw.
#[derive(Default)]
pub(crate) struct Rebalancer {
    ghost_hits: BTreeMap<String, u64>,
    /// Budgets before the first step: the configured ones.
    configured_bytes: BTreeMap<String, u64>,
}

#[derive(Clone, Debug)]
struct Load {
    name: String,
    ghost_hits: u64,
    used_bytes: u64,
    budget_bytes: u64,
    configured_bytes: u64,
}

impl Load {
    fn unused_bytes(&self) -> u64 {
        self.budget_bytes.saturating_sub(self.used_bytes)
    }

    fn spare_bytes(&self) -> u64 {
        self.budget_bytes.saturating_sub(self.configured_bytes / KEPT_PART)
    }
}

impl Rebalancer {
    pub(crate) async fn step<V: CacheValue>(
        &mut self,
        namespaces: &BTreeMap<String, NamespaceHandle<V>>,
        cap_bytes: u64,
    ) -> Option<Move> {
        let loads = self.observe(namespaces);
        let step = choose(&loads, cap_bytes)?;
        // The donor shrinks before the receiver grows, so that the sum stays under the cap.
        if let Some(from) = &step.from {
            let donor = &namespaces.get(from)?.0;
            let (_, _, budget_bytes) = donor.memory.held();
            donor.resize(budget_bytes - step.bytes).await;
        }
        let receiver = &namespaces.get(&step.to)?.0;
        let (_, _, budget_bytes) = receiver.memory.held();
        receiver.resize(budget_bytes + step.bytes).await;
        Some(step)
    }

    fn observe<V: CacheValue>(&mut self, namespaces: &BTreeMap<String, NamespaceHandle<V>>) -> Vec<Load> {
        let on = namespaces.iter().filter(|(_, space)| space.0.memory.is_on());
        on.map(|(name, space)| {
            let stats = space.stats();
            let before = self.ghost_hits.insert(name.clone(), stats.ghost_hits);
            let configured = self.configured_bytes.entry(name.clone());
            Load {
                name: name.clone(),
                ghost_hits: stats.ghost_hits - before.unwrap_or(0),
                used_bytes: stats.memory_bytes,
                budget_bytes: stats.memory_budget_bytes,
                configured_bytes: *configured.or_insert(stats.memory_budget_bytes),
            }
        })
        .collect()
    }
}

fn choose(loads: &[Load], cap_bytes: u64) -> Option<Move> {
    let receiver = loads.iter().max_by_key(|load| load.ghost_hits)?;
    if receiver.ghost_hits < GHOST_HITS_MIN {
        return None;
    }
    let step_bytes = cap_bytes / STEPS;
    let given: u64 = loads.iter().map(|load| load.budget_bytes).sum();
    let free_bytes = cap_bytes.saturating_sub(given).min(step_bytes);
    if free_bytes > 0 {
        return Some(Move { from: None, to: receiver.name.clone(), bytes: free_bytes });
    }
    let donor = (loads.iter())
        .filter(|load| load.name != receiver.name && load.spare_bytes() > 0)
        .filter(|load| load.ghost_hits * ADVANTAGE < receiver.ghost_hits)
        // Of those that miss little, the one with the most unused.
        .min_by_key(|load| (load.ghost_hits, Reverse(load.unused_bytes())))?;
    let bytes = donor.spare_bytes().min(step_bytes);
    (bytes > 0).then(|| Move { from: Some(donor.name.clone()), to: receiver.name.clone(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, ghost_hits: u64, budget_bytes: u64) -> Load {
        Load {
            name: name.to_owned(),
            ghost_hits,
            used_bytes: budget_bytes,
            budget_bytes,
            configured_bytes: 800,
        }
    }

    fn check(loads: &[Load], expected: Option<(Option<&str>, &str, u64)>) {
        let step = choose(loads, 1600);
        let found = step.as_ref().map(|m| (m.from.as_deref(), m.to.as_str(), m.bytes));
        assert_eq!(found, expected, "{loads:?}");
    }

    #[test]
    fn o7_memory_goes_where_the_ghost_hits_are() {
        check(&[], None);
        check(&[load("a", 15, 800), load("b", 0, 800)], None);
        check(&[load("a", 100, 800), load("b", 0, 800)], Some((Some("b"), "a", 100)));
        check(&[load("a", 100, 800), load("b", 50, 800)], None);
        check(&[load("a", 100, 800), load("b", 49, 800)], Some((Some("b"), "a", 100)));
        // What nobody has comes first.
        check(&[load("a", 100, 800), load("b", 0, 760)], Some((None, "a", 40)));
        // The donor keeps an eighth of what it was given.
        check(&[load("a", 100, 1470), load("b", 0, 130)], Some((Some("b"), "a", 30)));
        check(&[load("a", 100, 1500), load("b", 0, 100)], None);
    }
}
