//! Transactions, tried again until they are through: snapshot reads, majority writes.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use bson::doc;
use bson::oid::ObjectId;
use mongodb::ClientSession;
use mongodb::error::Error as Driver;
use mongodb::options::ReadConcern;

use super::failure;
use super::home::{Home, write_concern};
use crate::Error;

/// How long a write is tried, with its commit and the look at what became of it: an election takes some 10 s, a server
/// some seconds to come back.
const PATIENCE: Duration = Duration::from_secs(45);
const DELAY_MIN: Duration = Duration::from_millis(3);
const DELAY_MAX: Duration = Duration::from_secs(1);

/// Why an attempt did not end with a commit.
#[derive(Debug)]
pub(super) enum Failure {
    /// The driver or the server; perhaps worth another attempt.
    Driver(Driver),
    /// What was read has changed meanwhile: look again.
    Stale,
    /// An answer that no attempt changes.
    Final(Box<Error>),
}

impl From<Driver> for Failure {
    fn from(error: Driver) -> Self {
        Self::Driver(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(Box::new(error))
    }
}

/// What one transaction does. It may be attempted many times, each time from nothing.
#[async_trait]
pub(super) trait Work: Send {
    /// What it answers.
    type Done: Send;

    /// Read, decide and write within the session's transaction.
    async fn attempt(
        &mut self,
        home: &Home,
        session: &mut ClientSession,
    ) -> Result<Attempted<Self::Done>, Failure>;
}

/// An attempt that came to its end.
pub(super) struct Attempted<T> {
    pub done: T,
    /// Whether anything was written.
    pub wrote: bool,
    /// `_id` of a document of `publishes` that the attempt wrote: by it we learn what became of a commit whose
    /// answer was lost.
    pub mark: Option<ObjectId>,
}

impl Home {
    /// Carry a work through: exactly once if it leaves a mark, else at least once.
    pub async fn transact<W: Work>(&self, work: &mut W) -> Result<W::Done, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut delays = delays();
        loop {
            let failure = match self.attempt(work, deadline).await {
                Ok(done) => return Ok(done),
                Err(Failure::Final(error)) => return Err(*error),
                Err(Failure::Driver(error)) if !failure::is_transient(&error) => {
                    return Err(self.told(&error));
                }
                Err(failure) => failure,
            };
            let delay = delays.next().filter(|_| Instant::now() < deadline);
            match (delay, failure) {
                (Some(delay), failure) => {
                    tracing::debug!(?failure, ?delay, "a transaction is tried again");
                    tokio::time::sleep(delay).await;
                }
                (None, Failure::Driver(error)) => return Err(self.told(&error)),
                (None, _) => return Err(self.busy()),
            }
        }
    }

    async fn attempt<W: Work>(&self, work: &mut W, deadline: Instant) -> Result<W::Done, Failure> {
        let mut session = self.client.start_session().await?;
        session
            .start_transaction()
            .read_concern(ReadConcern::snapshot())
            .write_concern(write_concern())
            .await?;
        let attempted = match work.attempt(self, &mut session).await {
            Ok(attempted) => attempted,
            Err(failure) => {
                // A transaction that cannot be aborted is ended by the server, after its time.
                let _ = session.abort_transaction().await;
                return Err(failure);
            }
        };
        if !attempted.wrote {
            let _ = session.abort_transaction().await;
            return Ok(attempted.done);
        }
        let Err(error) = commit(&mut session, deadline).await else { return Ok(attempted.done) };
        match attempted.mark {
            Some(mark) if self.went_through(mark, &error, deadline).await? => Ok(attempted.done),
            // The commit may still come through: not to see the mark now says nothing.
            Some(_) if failure::is_commit_unknown(&error) => Err(self.unanswered(&error.to_string())),
            _ => Err(Failure::Driver(error)),
        }
    }

    /// Whether a commit that ended with an error went through. Not to know is an error of its own: to try again might
    /// publish twice.
    async fn went_through(
        &self,
        mark: ObjectId,
        commit: &Driver,
        deadline: Instant,
    ) -> Result<bool, Failure> {
        let mut delays = delays();
        loop {
            let error = match self.publishes.find_one(doc! { "_id": mark }).await {
                Ok(found) => return Ok(found.is_some()),
                Err(error) => error,
            };
            match delays.next() {
                Some(delay) if Instant::now() < deadline => tokio::time::sleep(delay).await,
                _ => return Err(self.unanswered(&format!("{commit}; then {error}"))),
            }
        }
    }

    fn unanswered(&self, problem: &str) -> Failure {
        Failure::from(Error::Unavailable {
            service: self.name.clone(),
            problem: format!("the answer to a commit was lost ({problem})"),
            remedy: "read again to see whether the versions are there, then repeat what is missing"
                .to_owned(),
        })
    }
}

/// Asks for the commit until its result is known. The server remembers a committed transaction, so asking again is
/// harmless; one that it does not know was not committed, or is told by its mark.
async fn commit(session: &mut ClientSession, deadline: Instant) -> Result<(), Driver> {
    let mut delays = delays();
    loop {
        let Err(error) = session.commit_transaction().await else { return Ok(()) };
        match delays.next() {
            Some(delay) if failure::is_commit_unknown(&error) && Instant::now() < deadline => {
                tokio::time::sleep(delay).await;
            }
            _ => return Err(error),
        }
    }
}

/// Make a call that is safe to repeat until a server takes it: while the old one is away and a new one is elected.
pub(super) async fn patiently<T, F>(mut call: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let deadline = Instant::now() + PATIENCE;
    let mut delays = delays();
    loop {
        let error = match call().await {
            Err(error @ Error::Unavailable { .. }) => error,
            done => return done,
        };
        match delays.next() {
            Some(delay) if Instant::now() < deadline => {
                tracing::debug!(%error, ?delay, "a call is made again");
                tokio::time::sleep(delay).await;
            }
            _ => return Err(error),
        }
    }
}

fn delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(DELAY_MIN)
        .with_max_delay(DELAY_MAX)
        .with_jitter()
        .without_max_times()
        .build()
}
