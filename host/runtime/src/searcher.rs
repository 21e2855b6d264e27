use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Store;

use crate::answers::check_hits;
use crate::component::Loaded;
use crate::contract::{HITS_MAX, Hit, Mode, Query, WORD_BYTES_MAX, index};
use crate::error::{Error, Site};
use crate::input::Input;
use crate::instance::{Cancelled, Deadline, Job, renew, store};
use crate::job::on_query_thread;
use crate::limits::LimitKind;
use crate::pace::Pace;
use crate::stopped::{said, stopped};
use crate::wasi;

/// An opened index, for many searches from many tasks at once. Cheap to clone.
///
/// It holds instances of the component that have read the index: one at first, more when searches come at
/// once, up to [`Limits::searchers_max`](crate::Limits::searchers_max). An instance that trapped or was stopped
/// is thrown away, and one that has taken most of the memory it may have is retired; a new one takes its place
/// at the next search.
#[derive(Clone)]
pub struct Searcher {
    shared: Arc<Opened>,
}

struct Opened {
    loaded: Arc<Loaded>,
    index: Input,
    site: Arc<Site>,
    /// Instances that wait for work; the one used last is on top, its memory warm.
    idle: Mutex<Vec<Instance>>,
    /// Turns, one for each instance that may exist.
    turns: Arc<Semaphore>,
    /// How quick the searches of each mode are, by the mode's place.
    paces: [Pace; 4],
}

/// One store that has the index open.
struct Instance {
    store: Store<Job>,
    opened: index::Opened,
}

impl Searcher {
    pub(crate) async fn open(loaded: Arc<Loaded>, index: Input) -> Result<Self, Error> {
        loaded.index()?;
        let searchers_max = loaded.limits.searchers_max.min(Semaphore::MAX_PERMITS);
        let opened = Arc::new(Opened {
            site: Arc::new(loaded.site("search")),
            index,
            idle: Mutex::new(Vec::new()),
            turns: Arc::new(Semaphore::new(searchers_max)),
            paces: Default::default(),
            loaded,
        });
        let theirs = opened.clone();
        on_query_thread(&opened.loaded, &opened.site, move |cancelled| {
            let instance = theirs.instance(Some(cancelled))?;
            theirs.idle.lock().push(instance);
            Ok(())
        })
        .await?;
        Ok(Self { shared: opened })
    }

    /// The modes that it answers.
    pub fn modes(&self) -> &[Mode] {
        &self.shared.loaded.modes
    }

    /// Instances that wait for work just now.
    pub fn idle_instances(&self) -> usize {
        self.shared.idle.lock().len()
    }

    /// Most linear memory that any waiting instance has, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let idle = self.shared.idle.lock();
        idle.iter().map(|instance| instance.store.data().memory_bytes()).max().unwrap_or(0)
    }

    /// The best answers, best first, at most `limit` (1 to 10,000).
    ///
    /// Runs on the calling thread if searches of its mode have proven to take less than 50 µs here (see
    /// `pace.rs`), else on one that may block.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] for a text, distance or limit outside the contract; [`Error::Unsupported`] for
    /// a mode that the component does not answer; what the guest says; traps and limits;
    /// [`Error::Malformed`].
    pub async fn search(&self, query: Query, limit: u32) -> Result<Vec<Hit>, Error> {
        let shared = &self.shared;
        shared.check(&query, limit)?;
        let turn = shared.turns.clone().acquire_owned().await.expect("the semaphore is never closed");
        let limits = &shared.loaded.limits;
        let pace = &shared.paces[query.mode() as usize];
        let warm = pace.is_quick().then(|| shared.idle.lock().pop()).flatten();
        if let Some(instance) = warm {
            let timeout = limits.inline_timeout.min(limits.query_timeout);
            let answer = shared.search(instance, &query, limit, timeout, None);
            match answer {
                Err(error) if error.is_limit(LimitKind::QueryTime) => {}
                answer => return answer,
            }
        }
        let theirs = shared.clone();
        let timeout = limits.query_timeout;
        on_query_thread(&shared.loaded, &shared.site, move |cancelled| {
            theirs.search_anyhow(turn, &query, limit, timeout, Some(cancelled))
        })
        .await
    }
}

impl Opened {
    fn check(&self, query: &Query, limit: u32) -> Result<(), Error> {
        let fault = |text: String| Error::InvalidQuery { at: Box::new(Site::clone(&self.site)), text };
        let mode = query.mode();
        if !self.loaded.modes.contains(&mode) {
            let modes: Vec<_> = self.loaded.modes.iter().map(|mode| mode.name()).collect();
            return Err(Error::Unsupported {
                at: Box::new(Site::clone(&self.site)),
                text: format!("it does not search by {mode}, only by {}", modes.join(", ")),
            });
        }
        let bytes = query.text().len();
        if bytes > WORD_BYTES_MAX {
            return Err(fault(format!("the text has {bytes} bytes: at most {WORD_BYTES_MAX} are taken")));
        }
        if let Query::Fuzzy { distance, .. } = query
            && !(1..=2).contains(distance)
        {
            return Err(fault(format!("the distance is {distance}: expected 1 or 2")));
        }
        if !(1..=HITS_MAX).contains(&limit) {
            return Err(fault(format!("the limit is {limit}: expected 1 to {HITS_MAX}")));
        }
        Ok(())
    }

    /// A new instance that has read the index. Reading takes time: only on threads that may block.
    fn instance(&self, cancelled: Option<Cancelled>) -> Result<Instance, Error> {
        let shared = &self.loaded.shared;
        let limits = &self.loaded.limits;
        let (_, pre) = self.loaded.index()?;
        let site = Arc::new(self.loaded.site("open"));
        let deadline = Deadline::after(limits.query_timeout, LimitKind::QueryTime, cancelled);
        let inputs = vec![self.index.clone()];
        let world = wasi::world(&self.loaded, &site, "", &inputs);
        let job = Job::new(site.clone(), inputs, limits, deadline).in_world(world);
        let mut store = store(pre.engine(), limits, job);
        let _ticking = shared.engines.ticker.in_flight();
        let opened = index::open(pre, &mut store)
            .map_err(|error| stopped(&error, &site, limits, store.data_mut()))?
            .map_err(|text| said(text, &site))?;
        store.data_mut().take_log();
        Ok(Instance { store, opened })
    }

    fn search_anyhow(
        &self,
        turn: OwnedSemaphorePermit,
        query: &Query,
        limit: u32,
        timeout: Duration,
        cancelled: Option<Cancelled>,
    ) -> Result<Vec<Hit>, Error> {
        let _turn = turn; // kept until the guest has ended, even if nobody waits for it
        let idle = self.idle.lock().pop();
        let instance = match idle {
            Some(instance) => instance,
            None => self.instance(cancelled.clone())?,
        };
        self.search(instance, query, limit, timeout, cancelled)
    }

    /// Search, then keep the instance if it is still good.
    fn search(
        &self,
        mut instance: Instance,
        query: &Query,
        limit: u32,
        timeout: Duration,
        cancelled: Option<Cancelled>,
    ) -> Result<Vec<Hit>, Error> {
        let shared = &self.loaded.shared;
        let started = Instant::now();
        let _ticking = shared.engines.ticker.in_flight();
        let Instance { store, opened } = &mut instance;
        let deadline = Deadline::after(timeout, LimitKind::QueryTime, cancelled);
        renew(store, self.site.clone(), deadline);
        let answer = index::search(opened, store, query, limit);
        self.paces[query.mode() as usize].learn(started.elapsed());
        let answer = match answer {
            Ok(answer) => answer,
            // A trap leaves an instance in no known state: it is dropped here.
            Err(error) => {
                return Err(stopped(&error, &self.site, &self.loaded.limits, store.data_mut()));
            }
        };
        // One that grows with every question would end at the limit: retire it at three quarters, between
        // two questions.
        if store.data().memory_bytes() < self.loaded.limits.memory_bytes_max / 4 * 3 {
            self.idle.lock().push(instance);
        }
        let hits = answer.map_err(|text| said(text, &self.site))?;
        check_hits(&hits, limit)
            .map_err(|text| Error::Malformed { at: Box::new(Site::clone(&self.site)), text })?;
        Ok(hits)
    }
}
