//! What is done around every request, one thing in another: a span, a count, a line for the audit, a look at where it comes
//! from, a limit of its time. For what is routed, `gate` does it in its own layer: each layer of a router costs every request
//! copies of all that is behind it, and futures in boxes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use crate::audit::Audited;
use crate::fairness::in_time;
use crate::meters::Meters;
use crate::origin::Names;
use crate::traces::{self, Parenting};

/// What it is done with.
pub(crate) struct Around {
    pub parenting: Option<Parenting>,
    pub meters: Meters,
    pub names: Names,
    pub request_timeout: Duration,
}

/// Around what is found at no route.
pub(crate) async fn unrouted(State(around): State<Arc<Around>>, request: Request, next: Next) -> Response {
    around.answer(request, |request| next.run(request)).await
}

impl Around {
    /// Answer a request with all of it around.
    pub async fn answer<F: Future<Output = Response>>(
        &self,
        request: Request,
        answer: impl FnOnce(Request) -> F,
    ) -> Response {
        let span = self.parenting.as_ref().and_then(|parenting| traces::begun(parenting, &request));
        let Some(span) = span else { return self.counted(request, answer).await };
        // In a box: so who collects no spans has no room made for it.
        let response = Box::pin(self.counted(request, answer)).instrument(span.clone()).await;
        traces::ended(&span, &response);
        response
    }

    async fn counted<F: Future<Output = Response>>(
        &self,
        request: Request,
        answer: impl FnOnce(Request) -> F,
    ) -> Response {
        let counted = self.meters.begun(&request);
        let audited = Audited::begun(&request);
        let mut response = match self.names.check(&request) {
            Ok(()) => in_time(self.request_timeout, answer(request)).await,
            Err(problem) => problem.into_response(),
        };
        audited.ended(&mut response);
        counted.ended(&response);
        response
    }
}
