//! What is done around every request, one thing in another: a span, a count, a line for the audit, a look at where it comes
//! from, a limit of its time. For what is routed, `gate` does it in its own layer: each layer of a router costs every request
//! copies of all that is behind it, and futures in boxes.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::{Instrument, Span};

use crate::audit::Audited;
use crate::fairness::in_time;
use crate::meters::{AtWork, Meters};
use crate::origin::Names;
use crate::problem::Problem;
use crate::traces::{self, Parenting};

/// What it is done with.
pub(crate) struct Around {
    pub parenting: Option<Parenting>,
    pub meters: Meters,
    pub names: Names,
    pub request_timeout: Duration,
}

/// A request that is being answered.
pub(crate) struct Begun<'a> {
    around: &'a Around,
    span: Span,
    counted: AtWork<'a>,
    audited: Audited,
    /// Whether it comes from where it may.
    checked: Result<(), Problem>,
}

impl Around {
    pub fn begin(&self, request: &Request) -> Begun<'_> {
        let span = self.parenting.as_ref().and_then(|parenting| traces::begun(parenting, request));
        Begun {
            around: self,
            span: span.unwrap_or_else(Span::none),
            counted: self.meters.begun(request),
            audited: Audited::begun(request),
            checked: self.names.check(request),
        }
    }
}

impl Begun<'_> {
    /// Answer it with all of it around. The answer comes in a box, or it would be in each of these futures, twice.
    pub async fn answer(self, answer: Pin<Box<impl Future<Output = Response>>>) -> Response {
        let Self { around, span, counted, audited, checked } = self;
        let mut response = match checked {
            Ok(()) => in_time(around.request_timeout, answer).instrument(span.clone()).await,
            Err(problem) => problem.into_response(),
        };
        let _within = span.enter();
        audited.ended(&mut response);
        counted.ended(&response);
        traces::ended(&span, &response);
        response
    }
}

/// Around what is found at no route.
pub(crate) async fn unrouted(State(around): State<Arc<Around>>, request: Request, next: Next) -> Response {
    let begun = around.begin(&request);
    begun.answer(Box::pin(next.run(request))).await
}
