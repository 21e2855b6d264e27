//! What is published, told as it happens: by this host at once, by the hosts that it follows when it hears of it.

use std::collections::VecDeque;
use std::sync::Arc;

use floret_model::{TimestampMs, VersionRef};
use floret_store::Change;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::Floret;

/// Publications that are kept for who comes back, and for a reader that is slow.
const KEPT: usize = 256;
/// Versions that one publication names.
const VERSIONS_MAX: usize = 256;

/// Versions that became visible in one commit. A large one of another host may be told in several, all of its name.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Publication {
    /// Names the publish, on every host.
    pub id: String,
    /// When it was made; of another host's, when this one heard of it. In milliseconds since 1970.
    pub at: TimestampMs,
    /// Whether this host made it.
    pub is_own: bool,
    /// The versions, at most 256.
    pub versions: Vec<VersionRef>,
    /// How many versions there are beside.
    pub more: usize,
}

/// Publications from a place on.
#[derive(Debug)]
pub struct Publications {
    /// Those behind the one that was named, oldest first.
    pub before: Vec<Arc<Publication>>,
    /// Whether the one that was named is not known here any longer: what came behind it may be missing.
    pub is_broken: bool,
    /// Those that follow. A reader that is 256 behind loses the oldest, and is told how many.
    pub live: broadcast::Receiver<Arc<Publication>>,
}

/// The last publications, and who waits for the next.
pub(crate) struct Announcer {
    recent: Mutex<VecDeque<Arc<Publication>>>,
    live: broadcast::Sender<Arc<Publication>>,
}

impl Default for Announcer {
    fn default() -> Self {
        Self { recent: Mutex::default(), live: broadcast::Sender::new(KEPT) }
    }
}

impl Announcer {
    /// Tell of versions that became visible, if there are any.
    pub fn announce(
        &self,
        id: String,
        at: TimestampMs,
        is_own: bool,
        mut versions: impl Iterator<Item = VersionRef>,
    ) {
        let named: Vec<VersionRef> = versions.by_ref().take(VERSIONS_MAX).collect();
        if !named.is_empty() {
            self.tell(Publication { id, at, is_own, versions: named, more: versions.count() });
        }
    }

    fn tell(&self, publication: Publication) {
        let publication = Arc::new(publication);
        let mut recent = self.recent.lock();
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(&publication));
        // Under the lock, so that who asks for what was before misses nothing. Nobody need be there to hear it.
        let _ = self.live.send(publication);
    }

    fn after(&self, id: Option<&str>) -> Publications {
        let recent = self.recent.lock();
        let place = id.map(|id| recent.iter().position(|publication| publication.id == id));
        let skipped = match place {
            None => recent.len(),
            Some(place) => place.map_or(0, |place| place + 1),
        };
        Publications {
            before: recent.iter().skip(skipped).cloned().collect(),
            is_broken: place == Some(None),
            live: self.live.subscribe(),
        }
    }
}

impl Floret {
    /// What this host publishes, and what it hears that others do (see [`follow`](Self::follow)), from now on, or behind the
    /// publish of this id. What others published while no stream of changes stood is not told.
    pub fn publications(&self, after: Option<&str>) -> Publications {
        self.announcer.after(after)
    }

    /// Tell of what another host published. What this one did comes back in the stream of changes, too.
    pub(crate) fn heard_of(&self, change: &Change) {
        if !self.is_own_publish(&change.publish_id) {
            let versions = change.heads.iter().cloned();
            self.announcer.announce(change.publish_id.clone(), self.now(), false, versions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(number: usize) -> Publication {
        let id = number.to_string();
        Publication { id, at: TimestampMs(0), is_own: true, versions: Vec::new(), more: 0 }
    }

    fn ids(publications: &[Arc<Publication>]) -> Vec<&str> {
        publications.iter().map(|publication| publication.id.as_str()).collect()
    }

    #[tokio::test]
    async fn who_comes_back_gets_what_was_missed_as_far_as_it_is_kept() {
        let announcer = Announcer::default();
        assert!(announcer.after(Some("0")).is_broken, "nothing is known yet");
        (0..3).for_each(|number| announcer.tell(publication(number)));
        let fresh = announcer.after(None);
        assert!(fresh.before.is_empty() && !fresh.is_broken);
        let mut back = announcer.after(Some("0"));
        assert_eq!((ids(&back.before), back.is_broken), (vec!["1", "2"], false));
        assert!(announcer.after(Some("2")).before.is_empty());
        announcer.tell(publication(3));
        assert_eq!(back.live.recv().await.expect("it is told").id, "3");
        (4..4 + KEPT).for_each(|number| announcer.tell(publication(number)));
        let gone = announcer.after(Some("3"));
        assert_eq!((gone.before.len(), gone.is_broken, gone.before[0].id.as_str()), (KEPT, true, "4"));
    }

    #[tokio::test]
    async fn a_reader_that_is_slow_loses_the_oldest_and_is_told_how_many() {
        let announcer = Announcer::default();
        let mut slow = announcer.after(None).live;
        (0..KEPT + 5).for_each(|number| announcer.tell(publication(number)));
        let missed = slow.recv().await.expect_err("it fell behind");
        assert_eq!(missed, broadcast::error::RecvError::Lagged(5));
        assert_eq!(slow.recv().await.expect("the oldest that is kept").id, "5");
    }
}
