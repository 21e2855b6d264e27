//! Work that takes long: the server does it as a job, which is followed by its events, or else looked at now and then, and
//! cancelled by Ctrl-C.

use std::time::Duration;

use anyhow::{Result, anyhow};
use floret_pipeline::Error;
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Client;
use super::events::Events;
use crate::work::Work;

/// Between two looks at a job whose events cannot be followed.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long Ctrl-C may wait.
const STOP_WITHIN: Duration = Duration::from_millis(20);

/// A job, as far as it is of interest here.
#[derive(Deserialize)]
struct Job {
    state: State,
    #[serde(default)]
    steps_planned: Option<u64>,
    #[serde(default)]
    steps_done: Option<u64>,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    problem: Value,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Running,
    Done,
    Failed,
    Cancelled,
}

impl Client {
    /// Have something done, and wait for what comes of it.
    ///
    /// # Errors
    /// As [`get`](Client::get); [`Error::Interrupted`] after Ctrl-C.
    pub async fn long<T: DeserializeOwned>(&self, url: &Url, asked: &Value, work: &Work) -> Result<T> {
        let request = self.posted(url, asked).header("prefer", "respond-async");
        // Ctrl-C is heard once it is known which job to cancel.
        let answer = self.send(request).await?;
        if answer.status() != StatusCode::ACCEPTED {
            return self.document(answer).await;
        }
        let job = self.follow(&self.job(&answer)?, work).await?;
        match job.state {
            State::Done => serde_json::from_value(job.result)
                .map_err(|error| self.unavailable(&format!("the result of its job cannot be read: {error}"))),
            State::Cancelled if job.problem.is_null() => Err(anyhow!(Error::Interrupted)),
            _ => {
                let status = job.problem["status"].as_u64().and_then(|status| u16::try_from(status).ok());
                let status = status.and_then(|status| StatusCode::from_u16(status).ok());
                Err(self.told(&job.problem, status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)))
            }
        }
    }

    /// Where the job is that an answer names: on the same server.
    fn job(&self, answer: &Response) -> Result<Url> {
        let location = answer.headers().get("location").and_then(|location| location.to_str().ok());
        let id = location.and_then(|location| location.rsplit_once("/v1/jobs/")).map(|(_, id)| id);
        match id.filter(|id| !id.is_empty() && !id.contains(['/', '?', '#', '%'])) {
            Some(id) => self.at(&["jobs", id]),
            None => Err(self.unavailable("it accepts the work, and does not say which job does it")),
        }
    }

    /// Follow a job until it has ended.
    async fn follow(&self, job: &Url, work: &Work) -> Result<Job> {
        let mut is_cancelled = false;
        if let Err(error) = self.listen(job, work, &mut is_cancelled).await {
            tracing::debug!(%error, "the events of a job cannot be followed; it is looked at instead");
        }
        self.look(job, work, is_cancelled).await
    }

    /// Hear what a job tells, until it has ended.
    async fn listen(&self, job: &Url, work: &Work, is_cancelled: &mut bool) -> Result<()> {
        let mut url = job.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("events");
        }
        let mut told = self.send(self.http.get(url)).await?;
        let mut events = Events::default();
        let (mut done, mut of) = (0, 0);
        loop {
            let piece = tokio::select! {
                piece = told.chunk() => piece.map_err(|error| self.silent(error))?,
                () = stopped(work), if !*is_cancelled => {
                    self.send(self.http.delete(job.clone())).await?;
                    *is_cancelled = true;
                    continue;
                }
            };
            let Some(piece) = piece else { return Ok(()) };
            let read = events.read(&piece).ok_or_else(|| self.unavailable("its events cannot be read"))?;
            for (name, data) in read {
                match name.as_str() {
                    "planned" => {
                        (done, of) = (0, data["steps"].as_array().map_or(0, |steps| steps.len() as u64))
                    }
                    "step_finished" => done += 1,
                    "ended" => return Ok(()),
                    _ => continue,
                }
                work.is_at(done, of);
            }
        }
    }

    /// Look at a job until it has ended.
    async fn look(&self, job: &Url, work: &Work, mut is_cancelled: bool) -> Result<Job> {
        loop {
            let now: Job = self.get(job, &[]).await?;
            if !matches!(now.state, State::Running) {
                return Ok(now);
            }
            if let (Some(done), Some(of)) = (now.steps_done, now.steps_planned) {
                work.is_at(done, of);
            }
            if work.is_stopped() && !is_cancelled {
                self.send(self.http.delete(job.clone())).await?;
                is_cancelled = true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Until the work is to stop.
pub(super) async fn stopped(work: &Work) {
    while !work.is_stopped() {
        tokio::time::sleep(STOP_WITHIN).await;
    }
}
