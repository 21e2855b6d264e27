//! Jobs over HTTP: listed, looked at, followed by server-sent events, cancelled.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::stream;
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Jobs;
use super::job::{JobDocument, Told};
use crate::gate::Turn;
use crate::given::{Parameters, Part, header_text};
use crate::problem::Problem;
use crate::versions::Nothing;

pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Streams of events at once: each keeps a connection and nothing else.
const STREAMS_MAX: usize = 256;
static STREAMS: Semaphore = Semaphore::const_new(STREAMS_MAX);

/// What a client waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wants {
    /// The result.
    Result,
    /// Only to know which job will have it: `prefer: respond-async` (RFC 7240).
    Job,
}

impl<S: Send + Sync> FromRequestParts<S> for Wants {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let preferences = parts.headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        let mut preferences = preferences.flat_map(|value| value.split(','));
        let is_async = preferences.any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"));
        Ok(if is_async { Self::Job } else { Self::Result })
    }
}

/// The jobs that are known, newest first, without their results.
pub(crate) async fn list(State(jobs): State<Arc<Jobs>>, _: Parameters<Nothing>) -> Json<Vec<JobDocument>> {
    Json(jobs.documents())
}

/// A job, with its result or its problem when it has ended.
pub(crate) async fn one(
    State(jobs): State<Arc<Jobs>>,
    Part(id): Part,
    _: Parameters<Nothing>,
) -> Result<Json<JobDocument>, Problem> {
    Ok(Json(jobs.find(&id)?.document(true)))
}

/// Have a job end soon; one that has ended stays as it is.
pub(crate) async fn cancel(
    State(jobs): State<Arc<Jobs>>,
    Part(id): Part,
    _: Parameters<Nothing>,
) -> Result<(StatusCode, Json<JobDocument>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(jobs.cancel(&id)?)))
}

/// What a job tells, from the beginning or behind `last-event-id`, until it has ended.
pub(crate) async fn events(
    State(jobs): State<Arc<Jobs>>,
    Extension(turn): Extension<Turn>,
    Part(id): Part,
    _: Parameters<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after: u64 = match header_text(&headers, &LAST_EVENT_ID)? {
        None | Some("") => 0,
        Some(text) => text.parse().map_err(|_| {
            Problem::invalid(format!("{LAST_EVENT_ID}: {text} cannot be used: expected the id of an event"))
        })?,
    };
    let job = jobs.find(&id)?;
    let held = (stream_turn(&format!("look at /v1/jobs/{id}"))?, turn.place());
    let news = job.news();
    let begun = (job, news, after, VecDeque::new(), held);
    let stream = stream::unfold(begun, |(job, mut news, mut after, mut waiting, held)| async move {
        loop {
            if let Some(event) = waiting.pop_front() {
                return Some((event, (job, news, after, waiting, held)));
            }
            // Before it is looked at, so that nothing is missed between.
            news.borrow_and_update();
            let (events, missed, is_all) = job.since(after);
            if missed > 0 {
                let told = Event::default().event("missed").json_data(json!({ "count": missed }));
                waiting.push_back(told);
            }
            if let Some(last) = events.last() {
                after = last.id;
                waiting.extend(events.into_iter().map(written));
            } else if is_all || news.changed().await.is_err() {
                return None;
            }
        }
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
}

/// The place of a stream of events among those that are open; `remedy` is what a client does without one.
pub(crate) fn stream_turn(remedy: &str) -> Result<SemaphorePermit<'static>, Problem> {
    STREAMS.try_acquire().map_err(|_| {
        Problem::unavailable(format!(
            "{STREAMS_MAX} streams of events are open here, the most at once; {remedy} instead"
        ))
    })
}

fn written(told: Told) -> Result<Event, axum::Error> {
    Event::default().id(told.id.to_string()).event(told.name).json_data(&*told.data)
}
