//! Long work: cascades, builds, verifications. Each is a job, whether its client waits for it or not: it can be looked at,
//! its events can be followed from any of them on, and it can be cancelled. Jobs are of this process, and are forgotten
//! with it; what they built is remembered by the store.

mod answers;
mod job;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use floret_model::ResourceKey;
use floret_pipeline::Progress;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use self::answers::{LAST_EVENT_ID, PREFER, Wants, cancel, events, list, one, stream_turn};
use self::job::{Job, Unfinished};
pub(crate) use self::job::{JobDocument, Told};
use crate::fairness::may_take_long;
use crate::problem::Problem;

/// Jobs at once; each may hold a builder's memory.
const RUNNING_MAX: usize = 32;
/// Jobs that have ended and are still known: with all of their events some 110 MB at the very most.
const ENDED_MAX: usize = 50;
/// Resources that a job's subject names.
const NAMED_MAX: usize = 3;

/// The jobs of a server, the newest last.
#[derive(Default)]
pub(crate) struct Jobs {
    held: Mutex<Held>,
    /// Whether the server was asked to end.
    stopping: watch::Sender<bool>,
}

#[derive(Default)]
struct Held {
    jobs: VecDeque<Arc<Job>>,
    tasks: JoinSet<()>,
}

impl Jobs {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begin some work. `work` gets what tells of it and may stop it.
    fn begin<T, F>(
        &self,
        wants: Wants,
        kind: Kind,
        subject: String,
        work: impl FnOnce(Progress) -> F,
    ) -> Result<Arc<Job>, Problem>
    where
        T: Serialize,
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let mut held = self.held();
        while held.tasks.try_join_next().is_some() {}
        if *self.stopping.borrow() {
            return Err(Problem::unavailable("this host is about to end; ask another one".to_owned()));
        }
        let running = held.jobs.iter().filter(|job| job.is_running()).count();
        if running >= RUNNING_MAX {
            return Err(Problem::unavailable(format!(
                "{RUNNING_MAX} jobs are at work here, the most at once; send it again"
            )));
        }
        let mut ended = held.jobs.len() - running;
        held.jobs.retain(|job| {
            let is_kept = job.is_running() || ended < ENDED_MAX;
            ended -= usize::from(!is_kept);
            is_kept
        });
        let job = Job::new(wants, kind, subject);
        let work = work(job.progress());
        let unfinished = Unfinished::of(&job);
        let handle = held.tasks.spawn(async move {
            let ended = work.await;
            unfinished
                .end(ended.and_then(|result| serde_json::to_value(result).map_err(Problem::unwritable)));
        });
        job.runs_as(handle);
        held.jobs.push_back(Arc::clone(&job));
        Ok(job)
    }

    /// Do some work, and answer with its result; with 202 and where the job is found, if that is preferred. Who waits and
    /// goes away cancels it.
    pub(crate) async fn answer<T, F>(
        &self,
        wants: Wants,
        kind: Kind,
        subject: String,
        work: impl FnOnce(Progress) -> F,
    ) -> Result<Response, Problem>
    where
        T: Serialize,
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let job = self.begin(wants, kind, subject, work)?;
        if wants == Wants::Job {
            let location = [(LOCATION, format!("/v1/jobs/{}", job.id()))];
            return Ok((StatusCode::ACCEPTED, location, Json(job.document(true))).into_response());
        }
        let awaited = Awaited(job);
        may_take_long();
        awaited.0.ended().await.map(|result| Json(result).into_response())
    }

    /// Begin some work that no client waits for; answers the id of its job.
    pub(crate) fn start<T, F>(
        &self,
        kind: Kind,
        subject: String,
        work: impl FnOnce(Progress) -> F,
    ) -> Result<String, Problem>
    where
        T: Serialize,
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        Ok(self.begin(Wants::Job, kind, subject, work)?.id().to_owned())
    }

    /// The jobs that are known, newest first, without their results.
    pub(crate) fn documents(&self) -> Vec<JobDocument> {
        self.held().jobs.iter().rev().map(|job| job.document(false)).collect()
    }

    /// A job with its result, and what it told as far as that is kept.
    pub(crate) fn told(&self, id: &str) -> Result<(JobDocument, Vec<Told>), Problem> {
        let job = self.find(id)?;
        Ok((job.document(true), job.since(0).0))
    }

    /// Have a job end soon; one that has ended stays as it is.
    pub(crate) fn cancel(&self, id: &str) -> Result<JobDocument, Problem> {
        let job = self.find(id)?;
        job.cancel();
        Ok(job.document(false))
    }

    fn find(&self, id: &str) -> Result<Arc<Job>, Problem> {
        let found = self.held().jobs.iter().find(|job| job.id() == id).cloned();
        found.ok_or_else(|| {
            Problem::not_found(format!(
                "there is no job {id:?} here; those that ended long ago are forgotten"
            ))
        })
    }

    /// Take no more work, and cancel what no client waits for: the server was asked to end.
    pub(crate) fn stop(&self) {
        let held = self.held();
        self.stopping.send_replace(true);
        held.jobs.iter().filter(|job| !job.is_awaited()).for_each(|job| job.cancel());
    }

    /// How many are at work.
    pub(crate) fn running(&self) -> usize {
        self.held().jobs.iter().filter(|job| job.is_running()).count()
    }

    /// Told when the server was asked to end.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// End what still runs.
    pub(crate) async fn end(&self) {
        let mut tasks = std::mem::take(&mut self.held().tasks);
        tasks.shutdown().await;
    }
}

/// A job whose client waits: it is cancelled if the client goes away.
struct Awaited(Arc<Job>);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "JobKind")]
pub(crate) enum Kind {
    Cascade,
    Build,
    Corpus,
    Verification,
    Warming,
    Comparison,
    Cleanup,
}

impl Kind {
    /// Whether it ends by itself when its progress is stopped, and publishes nothing then; else it is broken off, which
    /// harms nothing.
    fn can_stop(self) -> bool {
        matches!(self, Self::Cascade | Self::Build | Self::Corpus)
    }
}

/// What a job is about: its first resources, and how many more.
pub(crate) fn subject(keys: &[ResourceKey]) -> String {
    let named: Vec<String> = keys.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    match keys.len().saturating_sub(NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use serde_json::Value;

    use super::job::State;
    use super::*;

    async fn until_ended(job: &Job) -> Result<Value, &'static str> {
        job.ended().await.map_err(|problem| problem.parts().0)
    }

    #[tokio::test]
    async fn work_ends_with_its_result_its_problem_or_by_being_cancelled() {
        let jobs = Jobs::default();
        let begin = |kind| jobs.begin(Wants::Job, kind, "a".to_owned(), |_| async { Ok(7) });
        let done = begin(Kind::Build).expect("it begins");
        assert_eq!(until_ended(&done).await, Ok(7.into()));
        assert_eq!(done.document(true).state, State::Done);
        done.cancel();
        assert_eq!(done.document(true).state, State::Done, "what has ended is not cancelled");
        let failed = jobs.begin(Wants::Job, Kind::Build, String::new(), |_| async {
            Err::<(), _>(Problem::invalid("no"))
        });
        let failed = failed.expect("it begins");
        assert_eq!(until_ended(&failed).await, Err("invalid_request"));
        assert!(failed.document(true).problem.is_some_and(|problem| problem.detail == "no"));
        let broken =
            jobs.begin(Wants::Job, Kind::Warming, String::new(), |_| pending::<Result<(), Problem>>());
        let broken = broken.expect("it begins");
        broken.cancel();
        assert_eq!(until_ended(&broken).await, Err("interrupted"));
        assert_eq!(broken.document(true).state, State::Cancelled);
        let panicked =
            jobs.begin(Wants::Job, Kind::Build, String::new(), |_| async { Err::<(), _>(panics()) });
        assert_eq!(until_ended(&panicked.expect("it begins")).await, Err("other"));
    }

    #[tokio::test]
    async fn a_client_that_goes_away_cancels_what_it_waits_for() {
        let jobs = Jobs::default();
        let work = |progress: Progress| async move {
            while !progress.is_stopped() {
                tokio::task::yield_now().await;
            }
            Err::<(), _>(Problem::invalid("stopped"))
        };
        let mut waiting = Box::pin(jobs.answer(Wants::Result, Kind::Cascade, String::new(), work));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        let job = Arc::clone(&jobs.held().jobs[0]);
        jobs.stop();
        assert_eq!(job.document(true).state, State::Running, "its client waits");
        drop(waiting);
        assert_eq!(until_ended(&job).await, Err("invalid_request"));
        assert_eq!(job.document(true).state, State::Cancelled);
    }

    fn panics() -> Problem {
        panic!("as it should")
    }

    #[tokio::test]
    async fn jobs_are_bounded_and_those_that_ended_first_are_forgotten_first() {
        let jobs = Jobs::default();
        let running: Vec<_> = (0..RUNNING_MAX)
            .map(|_| {
                jobs.begin(Wants::Job, Kind::Warming, String::new(), |_| pending::<Result<(), Problem>>())
            })
            .map(|job| job.expect("it begins"))
            .collect();
        let more = || jobs.begin(Wants::Job, Kind::Build, String::new(), |_| async { Ok(()) });
        assert_eq!(more().map(|_| ()).map_err(|problem| problem.parts().0), Err("unavailable"));
        running[0].cancel();
        let _ = running[0].ended().await;
        let mut ids = Vec::new();
        for _ in 0..=ENDED_MAX {
            let job = more().expect("it begins");
            let _ = job.ended().await;
            ids.push(job.id().to_owned());
        }
        assert!(jobs.find(running[0].id()).is_err() && jobs.find(running[1].id()).is_ok());
        assert!(jobs.find(&ids[ENDED_MAX]).is_ok());
        jobs.stop();
        assert!(more().is_err());
        jobs.end().await;
        assert!(running.iter().all(|job| !job.is_running()));
    }
}
