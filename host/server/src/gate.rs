//! What a request passes before its handler: a place among all requests and among those of its client, and a token that has
//! the scope of the route and is for the namespaces that its path names.

use std::sync::Arc;

use axum::RequestExt;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::{Access, Grant, Scope, Token, Who};
use crate::audit::Peer;
use crate::fairness::{Client, Clients, Place};
use crate::middleware::Around;
use crate::problem::Problem;

/// Requests for versions at work at once, whether they send, wait or are sent to. Each may hold a small content of 8 MiB
/// in memory: 2 GiB at the very most. Probes are not counted, so that a busy host does not pass for a dead one.
const REQUESTS_MAX: usize = 256;

/// What a request that was let in has: its place among those at work, kept for as long as its answer is sent from a file, and
/// what it may touch.
#[derive(Clone)]
pub(crate) struct Turn(Arc<Held>);

struct Held {
    _permit: Option<OwnedSemaphorePermit>,
    place: Option<Arc<Place>>,
    grant: Option<Grant>,
}

impl Turn {
    /// The place among those of its client alone, for a stream of events, which does no work.
    pub fn place(self) -> Option<Arc<Place>> {
        self.0.place.clone()
    }
}

impl<S: Sync> FromRequestParts<S> for Grant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let turn = parts.extensions.get::<Turn>();
        turn.and_then(|turn| turn.0.grant.clone()).ok_or_else(Problem::unexpected)
    }
}

/// What all routes share.
pub(crate) struct Gate {
    around: Arc<Around>,
    access: Arc<Access>,
    clients: Arc<Clients>,
    turns: Arc<Semaphore>,
}

/// One route's.
#[derive(Clone)]
struct Guard {
    gate: Arc<Gate>,
    scope: Option<Scope>,
    is_counted: bool,
}

impl Gate {
    /// `client_requests_max` is how many requests one client may have at work.
    pub fn new(around: Arc<Around>, access: Arc<Access>, client_requests_max: usize) -> Arc<Self> {
        let turns = Arc::new(Semaphore::new(REQUESTS_MAX));
        Arc::new(Self { around, access, clients: Clients::new(client_requests_max), turns })
    }

    /// Handlers that only those may reach who show a token with this scope, where there is one. If the route is counted, it
    /// has its place among the requests at once. [`Around`] is around them.
    pub fn guarding<S: Clone + Send + Sync + 'static>(
        self: &Arc<Self>,
        scope: Option<Scope>,
        is_counted: bool,
        route: MethodRouter<S>,
    ) -> MethodRouter<S> {
        let guard = Guard { gate: Arc::clone(self), scope, is_counted };
        route.route_layer(from_fn_with_state(guard, passed))
    }
}

impl Guard {
    /// Refuse rather than queue: a balancer sends what is refused to another host.
    fn permit(&self) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        let permit = self.is_counted.then(|| Arc::clone(&self.gate.turns).try_acquire_owned()).transpose();
        permit.map_err(|_| Problem::busy(REQUESTS_MAX))
    }

    /// Let a request in, to its handler.
    async fn let_in(&self, mut request: Request, next: Next) -> Result<Response, Problem> {
        let mut held = Held { _permit: self.permit()?, place: None, grant: None };
        let mut shown = None;
        if let Some(scope) = self.scope {
            let (token, grant, place) = self.admit(scope, &mut request).await?;
            (held.place, held.grant, shown) = (Some(Arc::new(place)), Some(grant), token);
        }
        let turn = Turn(Arc::new(held));
        request.extensions_mut().insert(turn.clone());
        let mut response = next.run(request).await;
        // Until here, whatever became of the request's own: while its body is waited for, too.
        drop(turn);
        if let Some(token) = shown {
            response.extensions_mut().insert(Who(format!("{} ({})", token.id, token.name)));
        }
        Ok(response)
    }

    /// The token that a request shows, if any has to, and a place among the requests of its client.
    async fn admit(
        &self,
        scope: Scope,
        request: &mut Request,
    ) -> Result<(Option<Token>, Grant, Place), Problem> {
        let token = self.gate.access.admit(request.headers(), scope)?;
        let grant = token.as_ref().map_or_else(Grant::everything, Grant::of);
        if grant.is_limited() {
            // A path that cannot be decoded names nothing; its handler says so.
            let named = request.extract_parts::<RawPathParams>().await;
            grant.check_path(request.uri().path(), named.ok().as_ref())?;
        }
        let client = match &grant.id {
            Some(id) => Client::Token(id.clone()),
            None => {
                let peer = request.extensions().get::<Peer>();
                Client::Address(peer.map(|peer| peer.0.ip().to_canonical()))
            }
        };
        let place = self.gate.clients.enter(client)?;
        Ok((token, grant, place))
    }
}

async fn passed(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let begun = guard.gate.around.begin(&request);
    let answer = async { guard.let_in(request, next).await.unwrap_or_else(Problem::into_response) };
    begun.answer(Box::pin(answer)).await
}
