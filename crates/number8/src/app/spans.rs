//! A span of `tracing` for each request, for those who listen: from the moment at which the app is asked until it has an
//! answer.
//!
//! Where nobody listens a request costs one look at the level, and nothing else of this is reached.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tracing::field::Empty;
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
use tracing::{Level, Span};

use super::App;
use super::answer::{Begun, Waiting};
use crate::handler::{Answer, Call};
use crate::layer::Waited;
use crate::response::Response;

/// Where a request goes on that a layer has let through.
#[derive(Default)]
pub(crate) struct Next {
    /// The layer that comes next.
    pub(crate) layer: usize,
    /// What the request has told so far.
    span: Option<Box<Span>>,
}

impl From<usize> for Next {
    fn from(layer: usize) -> Self {
        Self { layer, span: None }
    }
}

/// Whether anybody may listen: one relaxed load.
pub(crate) fn are_wanted() -> bool {
    Level::INFO <= STATIC_MAX_LEVEL && Level::INFO <= LevelFilter::current()
}

impl App {
    /// As [`App::begin_at`], with all that happens inside of a span.
    #[cold]
    pub(super) fn begin_in_span(&self, call: &mut Call<'_>, next: Next) -> Begun {
        let span = next.span.map_or_else(|| self.span_of(call), |span| *span);
        if span.is_disabled() {
            return self.begin_at(call, next.layer);
        }
        let entered = span.enter();
        let begun = self.begin_at(call, next.layer);
        drop(entered);
        match begun {
            Begun::Answer(Answer::Ready(response)) => {
                note_status(&span, &response);
                Begun::Answer(Answer::Ready(response))
            }
            Begun::Answer(Answer::Later(answer)) => Begun::Answer(Answer::later(async move {
                let response = Inside { future: answer, span: span.clone() }.await;
                note_status(&span, &response);
                response
            })),
            Begun::Wait(Waiting { waited, next, body }) => {
                let of_answer = span.clone();
                let waited = Inside { future: waited, span: span.clone() };
                let waited = Box::pin(async move {
                    let waited = waited.await;
                    if let Waited::Answer(response) = &waited {
                        note_status(&of_answer, response);
                    }
                    waited
                });
                let next = Next { span: Some(Box::new(span)), ..next };
                Begun::Wait(Waiting { waited, next, body })
            }
        }
    }

    fn span_of(&self, call: &Call<'_>) -> Span {
        let (head, caller) = (call.head, &call.caller);
        let span = tracing::info_span!(
            target: "number8",
            "http.request",
            method = %String::from_utf8_lossy(head.method_bytes()),
            path = %String::from_utf8_lossy(head.path()),
            route = Empty,
            client = Empty,
            request_id = Empty,
            status = Empty,
        );
        if span.is_disabled() {
            return span;
        }
        if let Some(route) = self.route_of(call) {
            span.record("route", route);
        }
        if let Some(id) = &caller.request_id {
            span.record("request_id", tracing::field::display(id));
        }
        if let Some(client) = caller.ip {
            span.record("client", tracing::field::display(client));
        }
        span
    }

    /// The route or the mount that a request leads to, as it was given to the app.
    fn route_of(&self, call: &Call<'_>) -> Option<&str> {
        if let Some(found) = self.router.find(call.path, call.head.method()) {
            return Some(found.methods.path());
        }
        let (mount, _) = self.mounts.find(call.path)?;
        std::str::from_utf8(&mount.prefix).ok()
    }
}

fn note_status(span: &Span, response: &Response) {
    span.record("status", response.status());
}

/// A future that is polled inside of a span.
struct Inside<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    span: Span,
}

impl<T> Future for Inside<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Self { future, span } = &mut *self;
        span.in_scope(|| future.as_mut().poll(cx))
    }
}
