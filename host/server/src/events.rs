//! What is published, as server-sent events for as long as a client listens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use floret_pipeline::{Floret, Publication};
use futures::stream;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{SemaphorePermit, watch};
use tokio::time::Instant;

use crate::fairness::Place;
use crate::gate::Turn;
use crate::given::{Parameters, header_text};
use crate::jobs::{Jobs, LAST_EVENT_ID, stream_turn};
use crate::problem::Problem;
use crate::versions::Nothing;

/// How long a stream lasts: then whoever listens shows his token anew, and goes on behind what he heard last.
const LASTS: Duration = Duration::from_secs(600);
/// Longest id of a publish that is looked for.
const ID_BYTES_MAX: usize = 128;

/// What this host publishes and hears that others do, from now on or behind `last-event-id`, until the client goes away, the
/// host ends or it has lasted 10 minutes.
pub(crate) async fn follow(
    State(host): State<Arc<Floret>>,
    State(jobs): State<Arc<Jobs>>,
    Extension(turn): Extension<Turn>,
    _: Parameters<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = header_text(&headers, &LAST_EVENT_ID)?.filter(|id| !id.is_empty());
    if after.is_some_and(|id| id.len() > ID_BYTES_MAX) {
        let problem =
            format!("{LAST_EVENT_ID} is longer than {ID_BYTES_MAX} bytes: expected the id of a publish");
        return Err(Problem::invalid(problem));
    }
    let stream_turn = stream_turn("read /v1/resources")?;
    let found = host.publications(after);
    let mut waiting: VecDeque<Told> = found.before.into_iter().map(Told::Published).collect();
    if found.is_broken {
        waiting.push_front(Told::Missed(None));
    }
    let until = Instant::now() + LASTS;
    let (live, stopping) = (found.live, jobs.stopping());
    let listener = Listener { waiting, live, stopping, until, _turn: stream_turn, _place: turn.place() };
    let stream = stream::unfold(listener, |mut listener| async move {
        let told = listener.next().await?;
        Some((written(told), listener))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
}

enum Told {
    Published(Arc<Publication>),
    /// So many publications are not kept any more; nobody knows how many where the client named one that is unknown.
    Missed(Option<u64>),
}

struct Listener {
    waiting: VecDeque<Told>,
    live: Receiver<Arc<Publication>>,
    stopping: watch::Receiver<bool>,
    until: Instant,
    _turn: SemaphorePermit<'static>,
    _place: Option<Arc<Place>>,
}

impl Listener {
    async fn next(&mut self) -> Option<Told> {
        if let Some(told) = self.waiting.pop_front() {
            return Some(told);
        }
        tokio::select! {
            next = self.live.recv() => match next {
                Ok(publication) => Some(Told::Published(publication)),
                Err(RecvError::Lagged(count)) => Some(Told::Missed(Some(count))),
                Err(RecvError::Closed) => None,
            },
            // A stream without an end would keep the server from ending.
            _ = self.stopping.wait_for(|is_stopping| *is_stopping) => None,
            () = tokio::time::sleep_until(self.until) => None,
        }
    }
}

fn written(told: Told) -> Result<Event, axum::Error> {
    match told {
        Told::Published(publication) => {
            Event::default().id(publication.id.clone()).event("published").json_data(&*publication)
        }
        Told::Missed(count) => Event::default().event("missed").json_data(json!({ "count": count })),
    }
}
