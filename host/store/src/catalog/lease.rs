use std::collections::HashMap;

use floret_model::TimestampMs;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Somebody's right to do something alone, for a while.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// To do what, e.g. `build/<recipe>` or `cleanup`.
    pub name: String,
    /// Who: a name that no other holder has.
    pub holder: String,
    /// Until when, unless it is extended.
    pub until: TimestampMs,
}

/// Answer to somebody who wants a lease.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Leased {
    /// It is theirs, until its end.
    Granted,
    /// It is another's.
    Held(Lease),
}

/// Leases among the tasks of one process.
#[derive(Debug, Default)]
pub(super) struct LocalLeases(Mutex<HashMap<String, Lease>>);

impl LocalLeases {
    pub fn acquire(&self, lease: &Lease, now: TimestampMs) -> Leased {
        let mut leases = self.0.lock();
        if let Some(held) = leases.get(&lease.name)
            && held.holder != lease.holder
            && held.until > now
        {
            return Leased::Held(held.clone());
        }
        leases.insert(lease.name.clone(), lease.clone());
        Leased::Granted
    }

    pub fn release(&self, lease: &Lease) {
        let mut leases = self.0.lock();
        if leases.get(&lease.name).is_some_and(|held| held.holder == lease.holder) {
            leases.remove(&lease.name);
        }
    }
}
