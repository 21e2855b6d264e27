use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Turns of which nobody takes all: of `count` at once one `K` has at most all but one, unless there is only one. So who
/// keeps his turns, e.g. a component that loops until its deadline, keeps no other from getting one.
pub struct Turns<K> {
    all: Arc<Semaphore>,
    /// What one may have of them.
    share: usize,
    shares: Mutex<HashMap<K, Weak<Semaphore>>>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _share: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl<K: Clone + Eq + Hash> Turns<K> {
    /// So many turns, at least 1.
    pub fn new(count: usize) -> Self {
        let count = count.clamp(1, Semaphore::MAX_PERMITS);
        let share = count.saturating_sub(1).max(1);
        Self { all: Arc::new(Semaphore::new(count)), share, shares: Mutex::default() }
    }

    /// The next turn of `of`, in the order of asking among its own and then among all. Dropping the future gives up the place.
    pub async fn take(&self, of: &K) -> Turn {
        // Within its share first, so that who waits for that stands in nobody's way.
        let share = next(self.share_of(of)).await;
        Turn { _share: share, _all: next(Arc::clone(&self.all)).await }
    }

    fn share_of(&self, of: &K) -> Arc<Semaphore> {
        let mut shares = self.shares.lock();
        if let Some(share) = shares.get(of).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.share));
        shares.insert(of.clone(), Arc::downgrade(&share));
        share
    }
}

async fn next(turns: Arc<Semaphore>) -> OwnedSemaphorePermit {
    turns.acquire_owned().await.expect("the semaphore is never closed")
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll(turn: Pin<&mut impl Future<Output = Turn>>) -> Option<Turn> {
        match turn.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    /// A turn that is to be had at once.
    fn at_once(turns: &Turns<&str>, of: &'static str) -> Option<Turn> {
        poll(pin!(turns.take(&of)))
    }

    #[test]
    fn nobody_takes_all_turns_unless_there_is_only_one() {
        for (count, share) in [(0, 1), (1, 1), (2, 1), (3, 2), (8, 7)] {
            let turns = Turns::new(count);
            let held: Vec<Turn> = std::iter::from_fn(|| at_once(&turns, "loops")).collect();
            assert_eq!(held.len(), share, "of {count}");
            assert_eq!(at_once(&turns, "other").is_some(), count > 1, "of {count}");
            drop(held);
            assert!(at_once(&turns, "other").is_some(), "of {count}");
        }
    }

    #[test]
    fn who_waits_for_his_share_stands_in_nobodys_way() {
        let turns = Turns::new(2);
        let held = at_once(&turns, "loops").expect("the first");
        let mut second = pin!(turns.take(&"loops"));
        let mut third = pin!(turns.take(&"loops"));
        assert!(poll(second.as_mut()).is_none() && poll(third.as_mut()).is_none());
        for _ in 0..3 {
            assert!(at_once(&turns, "other").is_some());
        }
        drop(held);
        let second = poll(second.as_mut()).expect("its turn");
        assert!(poll(third.as_mut()).is_none(), "it came later");
        drop(second);
        assert!(poll(third.as_mut()).is_some());
    }

    #[test]
    fn all_together_have_no_more_than_there_are() {
        let turns = Turns::new(3);
        let held = ["a", "a", "b"].map(|of| at_once(&turns, of).expect("there are three"));
        let mut waits = pin!(turns.take(&"c"));
        assert!(poll(waits.as_mut()).is_none());
        drop(held);
        assert!(poll(waits.as_mut()).is_some());
    }

    #[test]
    fn who_has_no_turn_is_forgotten() {
        let turns = Turns::new(4);
        for number in 0..1000 {
            drop(poll(pin!(turns.take(&number))).expect("there are four"));
        }
        assert_eq!(turns.shares.lock().len(), 1, "the last one");
    }
}
