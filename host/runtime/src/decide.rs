//! Decisions of a policy.
//!
//! A batch gets a fresh store, like a builder's job. A decision alone, one for every save, would pay more for
//! that store than for everything else (10 µs to make, 12 to drop, 15 of page faults, against 2 to decide), so
//! it borrows an instance that waits warm. What that gives up is small: within one policy, decisions can see
//! what earlier ones left in its memory, as those of a batch can, a choice names nothing and is recorded, and an
//! instance is thrown away after [`DECISIONS_MAX`] decisions or any trap. Nothing is shared between policies.
//!
//! A warm decision runs on the thread that asks, once such decisions have proven to take less than 50 µs (see
//! `pace.rs`): handing it to another thread and back costs more than that. It is bounded there by
//! `Limits::inline_timeout`, after which it is stopped and asked again on a thread that may block; a policy is
//! a pure function, so asking twice does no harm.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use wasmtime::Store;

use crate::answers::check_choice;
use crate::component::Loaded;
use crate::contract::policy::{self, Guest, Proposal};
use crate::contract::{Choice, PolicyProfile, Said};
use crate::error::{Error, Site};
use crate::instance::{Deadline, Job, renew, store};
use crate::job::on_query_thread;
use crate::limits::LimitKind;
use crate::pace::Pace;
use crate::stopped::{said, stopped};
use crate::wasi;

/// Decisions of one warm instance: as many as a batch may well have.
const DECISIONS_MAX: u32 = 1_000;

/// Warm instances of a policy, and how quick they are.
#[derive(Default)]
pub(crate) struct Deciders {
    idle: Mutex<Vec<Decider>>,
    pace: Pace,
}

/// One warm instance.
struct Decider {
    store: Store<Job>,
    guest: Guest,
    decisions: u32,
}

pub(crate) async fn choose(
    loaded: &Arc<Loaded>,
    profiles: &[PolicyProfile],
    config: &str,
) -> Result<Vec<Choice>, Error> {
    loaded.policy()?;
    if profiles.is_empty() {
        return Ok(Vec::new());
    }
    let limits = &loaded.limits;
    let site = Arc::new(loaded.site("choose"));
    let deciders = &loaded.deciders;
    if let [profile] = profiles
        && deciders.pace.is_quick()
        && let Some(decider) = { deciders.idle.lock().pop() }
    {
        let timeout = limits.inline_timeout.min(limits.query_timeout);
        let deadline = Deadline::after(timeout, LimitKind::QueryTime, None);
        match loaded.decide(decider, &site, profile, config, deadline) {
            Err(error) if error.is_limit(LimitKind::QueryTime) => {}
            decided => return decided.map(|choice| vec![choice]),
        }
    }
    let (theirs, profiles, config) = (loaded.clone(), profiles.to_vec(), config.to_owned());
    on_query_thread(loaded, &site.clone(), move |cancelled| {
        let timeout = theirs.limits.query_timeout;
        let deadline = Deadline::after(timeout, LimitKind::QueryTime, Some(cancelled));
        match &profiles[..] {
            [profile] => {
                let idle = theirs.deciders.idle.lock().pop();
                let decider = idle.map_or_else(|| theirs.decider(&site, deadline.clone()), Ok)?;
                let choice = theirs.decide(decider, &site, profile, &config, deadline)?;
                Ok(vec![choice])
            }
            _ => theirs.decide_all(&site, profiles, &config, deadline),
        }
    })
    .await
}

impl Loaded {
    fn decider(&self, site: &Arc<Site>, deadline: Deadline) -> Result<Decider, Error> {
        let pre = self.policy()?;
        let limits = &self.limits;
        let _ticking = self.shared.engines.ticker.in_flight();
        let world = wasi::world(self, site, "", &[]);
        let job = Job::new(site.clone(), Vec::new(), limits, deadline).in_world(world);
        let mut store = store(pre.engine(), limits, job);
        let guest =
            pre.instantiate(&mut store).map_err(|error| stopped(&error, site, limits, store.data_mut()))?;
        Ok(Decider { store, guest, decisions: 0 })
    }

    /// One decision on this thread, then keep the instance if it is still good.
    fn decide(
        &self,
        mut decider: Decider,
        site: &Arc<Site>,
        profile: &PolicyProfile,
        config: &str,
        deadline: Deadline,
    ) -> Result<Choice, Error> {
        let Decider { store, guest, .. } = &mut decider;
        let _ticking = self.shared.engines.ticker.in_flight();
        let started = Instant::now();
        renew(store, site.clone(), deadline);
        let answer = policy::choose(guest, store, profile, config);
        self.deciders.pace.learn(started.elapsed());
        // A trap leaves an instance in no known state: it is dropped here.
        let answer = answer.map_err(|error| stopped(&error, site, &self.limits, store.data_mut()))?;
        decider.decisions += 1;
        let mut idle = self.deciders.idle.lock();
        if decider.decisions < DECISIONS_MAX && idle.len() < self.limits.instances_max {
            idle.push(decider);
        }
        drop(idle);
        checked(answer.map(|proposal| vec![proposal]), 1, site).map(|mut choices| choices.remove(0))
    }

    /// A batch in a fresh store, on this thread.
    fn decide_all(
        &self,
        site: &Arc<Site>,
        profiles: Vec<PolicyProfile>,
        config: &str,
        deadline: Deadline,
    ) -> Result<Vec<Choice>, Error> {
        let asked = profiles.len();
        let mut decider = self.decider(site, deadline)?;
        let _ticking = self.shared.engines.ticker.in_flight();
        let answer = policy::choose_many(&decider.guest, &mut decider.store, profiles, config);
        let job = decider.store.data_mut();
        let answer = answer.map_err(|error| stopped(&error, site, &self.limits, job))?;
        checked(answer, asked, site)
    }
}

fn checked(answer: Result<Vec<Proposal>, Said>, profiles: usize, site: &Site) -> Result<Vec<Choice>, Error> {
    let proposals = answer.map_err(|text| said(text, site))?;
    let malformed = |text| Error::Malformed { at: Box::new(site.clone()), text };
    if proposals.len() != profiles {
        let text = format!("{} choices for {profiles} profiles", proposals.len());
        return Err(malformed(text));
    }
    let choices = proposals.into_iter().map(check_choice);
    choices.collect::<Result<_, _>>().map_err(malformed)
}
