//! Cleanup by the clock, by one host at a time.

use std::time::Duration;

use floret_store::{CleanupReport, RetentionPolicy};

use crate::lease::{Asked, milliseconds};
use crate::pause::Pauses;
use crate::{Error, Floret};

/// The right to clean up.
const LEASE: &str = "cleanup";
/// A host looks at least so often whose turn it is: a machine that slept, or a clock that was set, delays no more.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(3600);
/// Before another try after a pass that could not begin.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// When and how to clean up.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// From the beginning of a pass to that of the next, whichever hosts make them.
    pub every: Duration,
    /// What stays.
    pub policy: RetentionPolicy,
    /// How long condemned bytes stay, in milliseconds.
    pub grace_ms: u64,
}

/// What came of looking whether it is time to clean up.
#[derive(Clone, PartialEq, Debug)]
pub enum Tended {
    /// This host did it.
    Cleaned(Box<CleanupReport>),
    /// Another host is at it, or did it not long ago: look again after so many milliseconds.
    NotYet {
        /// Until the lease runs out.
        wait_ms: u64,
    },
}

impl Floret {
    /// Clean up by a schedule, for as long as the host runs: drop the future to stop, which is safe in the middle of a
    /// pass. The first look is a tenth of the interval away at most, and each later one is jittered by as
    /// much, so that hosts which start together do not look together. A pass that fails is logged, and tried again.
    pub async fn tend(&self, schedule: &Schedule) {
        let mut random = Pauses::between(Duration::ZERO, Duration::ZERO, self.seed());
        let mut wait = Duration::ZERO;
        loop {
            wait = wait.min(LOOK_EVERY_MAX) + random.part_of((schedule.every / 10).min(LOOK_EVERY_MAX));
            tokio::time::sleep(wait).await;
            wait = match self.clean_up_if_due(schedule).await {
                Ok(Tended::Cleaned(report)) => {
                    log(&report);
                    schedule.every
                }
                Ok(Tended::NotYet { wait_ms }) => Duration::from_millis(wait_ms),
                Err(error) => {
                    tracing::warn!(%error, "cleanup could not be carried out; it is tried again");
                    RETRY_AFTER.min(schedule.every)
                }
            };
        }
    }

    /// Clean up, unless a host did within the interval or is at it. The lease is held by a heartbeat during the pass and
    /// kept for the rest of the interval after it, so that it tells every host when the next pass is due; of a host
    /// that dies in between another takes over as soon as the heartbeat is missed.
    ///
    /// # Errors
    /// A store that cannot be read at all; the pass is due at once then. Errors on the way are in the report, and do
    /// not end the pass.
    pub async fn clean_up_if_due(&self, schedule: &Schedule) -> Result<Tended, Error> {
        let started = self.now();
        let held = match self.ask_for_lease(LEASE.to_owned()).await? {
            Asked::Granted(held) => held,
            Asked::Taken(until) => {
                let wait_ms = u64::try_from(until.0.saturating_sub(started.0)).unwrap_or(0);
                return Ok(Tended::NotYet { wait_ms });
            }
        };
        match self.cleanup(&schedule.policy, schedule.grace_ms, false).await {
            Ok(report) => {
                held.keep_until(started.plus_ms(milliseconds(schedule.every))).await;
                Ok(Tended::Cleaned(Box::new(report)))
            }
            Err(error) => {
                held.end().await;
                Err(error)
            }
        }
    }
}

fn log(report: &CleanupReport) {
    let sweep = &report.sweep;
    let (dropped, freed_bytes) = (report.dropped.len(), sweep.freed_bytes);
    tracing::info!(examined = report.examined, dropped, freed_bytes, "cleaned up");
    for error in report.errors.iter().chain(&sweep.errors) {
        tracing::warn!(%error, "cleanup went on after an error");
    }
}
