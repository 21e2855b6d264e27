//! How much one client takes of a server: requests at work at once, and the time of one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use foldhash::fast::RandomState;

use crate::problem::Problem;

/// Whose requests are counted together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Client {
    /// By the id of a token.
    Token(String),
    /// Who shows none; behind a proxy all of them are one.
    Address(Option<IpAddr>),
}

/// Requests at work, by client. How many come in a time is not bounded: only how many of all places one may have.
pub(crate) struct Clients {
    requests_max: usize,
    at_work: Mutex<HashMap<Client, usize, RandomState>>,
}

/// The place of a request among those of its client, until it is dropped.
pub(crate) struct Place {
    clients: Arc<Clients>,
    client: Client,
}

impl Clients {
    pub(crate) fn new(requests_max: usize) -> Arc<Self> {
        Arc::new(Self { requests_max, at_work: Mutex::default() })
    }

    fn at_work(&self) -> MutexGuard<'_, HashMap<Client, usize, RandomState>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(self: &Arc<Self>, client: Client) -> Result<Place, Problem> {
        let mut at_work = self.at_work();
        let count = at_work.entry(client.clone()).or_default();
        if *count >= self.requests_max {
            return Err(Problem::too_many_requests(self.requests_max));
        }
        *count += 1;
        drop(at_work);
        Ok(Place { clients: Arc::clone(self), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut at_work = self.clients.at_work();
        if let Some(count) = at_work.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                at_work.remove(&self.client);
            }
        }
    }
}

tokio::task_local! {
    /// Whether the request at work may take as long as it takes.
    static IS_LONG: Arc<AtomicBool>;
}

/// The request at work is one that may take long: a job that its client waits for, a content on its way in or out of a large
/// file. These have bounds of their own.
pub(crate) fn may_take_long() {
    // Outside a request there is nothing to be lifted.
    let _ = IS_LONG.try_with(|is_long| is_long.store(true, Relaxed));
}

/// Give a request up that is not answered within a time, unless it said that it may take long.
pub(crate) async fn in_time(limit: Duration, answering: impl Future<Output = Response>) -> Response {
    let is_long = Arc::new(AtomicBool::new(false));
    let mut answering = pin!(IS_LONG.scope(Arc::clone(&is_long), answering));
    // Most are answered at once, and need no clock.
    if let Poll::Ready(response) = futures::poll!(&mut answering) {
        return response;
    }
    // In a box: a timer is large, and aligned so that it would make room in memory hard to find for all that holds it.
    if let Ok(response) = Box::pin(tokio::time::timeout(limit, &mut answering)).await {
        return response;
    }
    match is_long.load(Relaxed) {
        true => answering.await,
        false => Problem::took_too_long(limit).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn a_client_has_so_many_places_and_others_have_theirs() {
        let clients = Clients::new(2);
        let ada = || clients.enter(Client::Token("ada".to_owned()));
        let (first, second) = (ada().expect("a place"), ada().expect("a place"));
        let refused = ada().err().map(Problem::parts).expect("there are two");
        assert_eq!(refused.0, "too_many_requests");
        let other = clients.enter(Client::Address(None)).expect("it is another client");
        drop(first);
        let third = ada().expect("one has gone");
        assert!(ada().is_err());
        drop((second, third, other));
        assert!(clients.at_work().is_empty(), "who has gone is forgotten");
    }

    /// What a request is answered whose handler does this under a limit of no time at all.
    async fn status(handler: impl AsyncFnOnce() -> &'static str) -> StatusCode {
        in_time(Duration::ZERO, async { handler().await.into_response() }).await.status()
    }

    async fn long_enough() -> &'static str {
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(20) {
            tokio::task::yield_now().await;
        }
        "done"
    }

    #[tokio::test]
    async fn what_takes_too_long_is_given_up_unless_it_may() {
        assert_eq!(status(std::future::pending).await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(long_enough).await, StatusCode::SERVICE_UNAVAILABLE);
        let long = || async {
            may_take_long();
            long_enough().await
        };
        assert_eq!(status(long).await, StatusCode::OK);
        assert_eq!(status(|| async { "at once" }).await, StatusCode::OK);
        may_take_long();
    }
}
