//! Verdicts of a retention policy.
//!
//! Every resource is judged in a fresh store, on a thread that may block: cleanup is in no hurry, and one resource's
//! versions must not be judged by what the guest remembers of another's.

use std::sync::Arc;

use crate::component::Loaded;
use crate::contract::{RetentionSubject, RetentionVerdict, VersionFacts, retention_v0_2 as retention};
use crate::error::Error;
use crate::instance::{Deadline, Job, cut, store};
use crate::job::on_query_thread;
use crate::limits::LimitKind;
use crate::stopped::{said, stopped};
use crate::wasi;

const REASON_BYTES_MAX: usize = 256;

pub(crate) async fn keep(
    loaded: &Arc<Loaded>,
    subject: RetentionSubject,
    versions: Vec<VersionFacts>,
    config: &str,
) -> Result<Vec<RetentionVerdict>, Error> {
    loaded.retention()?;
    let site = Arc::new(loaded.site("keep"));
    let (theirs, config) = (loaded.clone(), config.to_owned());
    on_query_thread(loaded, &site.clone(), move |cancelled| {
        let limits = &theirs.limits;
        let pre = theirs.retention()?;
        let asked = versions.len();
        let deadline = Deadline::after(limits.query_timeout, LimitKind::QueryTime, Some(cancelled));
        let world = wasi::world(&theirs, &site, &config, &[]);
        let job = Job::new(site.clone(), Vec::new(), limits, deadline).in_world(world);
        let mut store = store(pre.engine(), limits, job);
        let _ticking = theirs.shared.engines.ticker.in_flight();
        let answer = retention::keep(pre, &mut store, subject, versions, &config);
        let answer = answer.map_err(|error| stopped(&error, &site, limits, store.data_mut()))?;
        let verdicts = answer.map_err(|text| said(text, &site))?;
        check(&verdicts, asked).map_err(|text| Error::Malformed { at: Box::new((*site).clone()), text })?;
        Ok(verdicts)
    })
    .await
}

fn check(verdicts: &[RetentionVerdict], asked: usize) -> Result<(), String> {
    if verdicts.len() != asked {
        return Err(format!("{} verdicts for {asked} versions: expected one for each", verdicts.len()));
    }
    let fits = |reason: &str| (1..=REASON_BYTES_MAX).contains(&reason.len());
    match verdicts.iter().find(|verdict| !fits(&verdict.reason)) {
        Some(verdict) => Err(format!(
            "a reason has {} bytes: expected 1 to {REASON_BYTES_MAX}; it begins {:?}",
            verdict.reason.len(),
            cut(&verdict.reason, 40),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_gets_a_verdict_with_a_reason() {
        let verdict = |reason: &str| RetentionVerdict { keep: true, reason: reason.to_owned() };
        assert_eq!(check(&[verdict("new"), verdict(&"x".repeat(256))], 2), Ok(()));
        let told = |verdicts: &[RetentionVerdict], asked| check(verdicts, asked).expect_err("refused");
        assert!(told(&[verdict("new")], 2).starts_with("1 verdicts for 2 versions"));
        assert!(told(&[verdict("")], 1).starts_with("a reason has 0 bytes"));
        assert!(told(&[verdict(&"x".repeat(257))], 1).starts_with("a reason has 257 bytes"));
    }
}
