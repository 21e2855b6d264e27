//! Single flight: of all who ask for one missing key, one loads and the others wait.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::key::Key;

/// How a load ended, for those who wait.
#[derive(Clone)]
pub(crate) enum Outcome<V> {
    Pending,
    Value(V),
    /// An `Arc<E>` of the loader that ran.
    Failed(Arc<dyn Any + Send + Sync>),
    /// The loader was dropped or panicked: somebody else has to load.
    Abandoned,
}

struct Flight<V> {
    /// Set when the key was written or invalidated after the load began: its value must not be cached.
    overtaken: AtomicBool,
    outcome: watch::Sender<Outcome<V>>,
}

/// The loads that run for the keys of one stripe.
pub(crate) struct Flights<V>(Mutex<HashMap<Key, Arc<Flight<V>>, RandomState>>);

impl<V> Default for Flights<V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::default()))
    }
}

pub(crate) enum Role<V> {
    /// Has to load, and to tell.
    Leader(Leader<V>),
    /// Has to wait.
    Waiter(Waiter<V>),
}

impl<V: Clone> Flights<V> {
    /// Joins the load of this key, or begins one.
    pub(crate) fn join(self: &Arc<Self>, key: &Key) -> Role<V> {
        let mut flights = self.0.lock();
        if let Some(flight) = flights.get(key) {
            return Role::Waiter(Waiter(flight.outcome.subscribe()));
        }
        let flight = Arc::new(Flight {
            overtaken: AtomicBool::new(false),
            outcome: watch::Sender::new(Outcome::Pending),
        });
        flights.insert(key.clone(), Arc::clone(&flight));
        Role::Leader(Leader { flights: Arc::clone(self), key: key.clone(), flight })
    }

    /// The key was written or invalidated: who waits still gets what is being loaded, but it is not cached, and who
    /// comes from now on does not join. The caller holds the key's stripe.
    pub(crate) fn overtake(&self, key: &[u8]) {
        if let Some(flight) = self.0.lock().remove(key) {
            flight.overtaken.store(true, Ordering::Release);
        }
    }

    /// The same for every key that `condemned` says.
    pub(crate) fn overtake_where(&self, condemned: impl Fn(&[u8]) -> bool) {
        self.0.lock().retain(|key, flight| {
            let goes = condemned(key.as_bytes());
            if goes {
                flight.overtaken.store(true, Ordering::Release);
            }
            !goes
        });
    }

    #[cfg(test)]
    pub(crate) fn waiters(&self, key: &[u8]) -> usize {
        let flights = self.0.lock();
        flights.get(key).map_or(0, |flight| flight.outcome.receiver_count())
    }
}

/// The duty to load. Dropped without [`Leader::tell`], it lets a waiter take over.
pub(crate) struct Leader<V> {
    flights: Arc<Flights<V>>,
    key: Key,
    flight: Arc<Flight<V>>,
}

impl<V> Leader<V> {
    /// True if the key was written or invalidated since. Decisive only while holding the key's stripe.
    pub(crate) fn is_overtaken(&self) -> bool {
        self.flight.overtaken.load(Ordering::Acquire)
    }

    /// Wakes the waiters. Until the leader is dropped, who comes late gets the same outcome.
    pub(crate) fn tell(&self, outcome: Outcome<V>) {
        self.flight.outcome.send_replace(outcome);
    }
}

impl<V> Drop for Leader<V> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock();
        // After an overtake, another flight may be there under the same key.
        if (flights.get(&self.key)).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            flights.remove(&self.key);
        }
        drop(flights);
        self.flight.outcome.send_if_modified(|outcome| {
            let silent = matches!(outcome, Outcome::Pending);
            if silent {
                *outcome = Outcome::Abandoned;
            }
            silent
        });
    }
}

pub(crate) struct Waiter<V>(watch::Receiver<Outcome<V>>);

impl<V: Clone> Waiter<V> {
    /// Waits for the outcome; never [`Outcome::Pending`].
    pub(crate) async fn wait(mut self) -> Outcome<V> {
        match self.0.wait_for(|outcome| !matches!(outcome, Outcome::Pending)).await {
            Ok(outcome) => outcome.clone(),
            // A leader tells before its flight is dropped; if not, loading again is right.
            Err(_) => Outcome::Abandoned,
        }
    }
}
