//! The way of an answer from the application to the connection that waits for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use number8::Response;

use super::hub::Hub;
use crate::lock::lock;

/// One connection's wait for one answer.
pub(super) struct Line {
    pub(super) hub: Arc<Hub>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    response: Option<Response>,
    connection: Option<Waker>,
    /// Nobody waits any more: the connection has taken the answer, or is gone.
    is_over: bool,
    /// Who is told of that.
    exchange: Option<Waker>,
}

impl Line {
    pub(super) fn new(hub: &Arc<Hub>) -> Arc<Self> {
        Arc::new(Self { hub: Arc::clone(hub), state: Mutex::default() })
    }

    /// Gives the answer; false when nobody waits for one any more.
    pub(super) fn answer(&self, response: Response) -> bool {
        let mut state = lock(&self.state);
        if state.is_over || state.response.is_some() {
            return false;
        }
        state.response = Some(response);
        let connection = state.connection.take();
        drop(state);
        if let Some(connection) = connection {
            self.hub.wake(connection);
        }
        true
    }

    /// Wakes this once nobody waits any more.
    pub(super) fn tell_when_over(&self, exchange: Waker) {
        let mut state = lock(&self.state);
        match state.is_over {
            true => exchange.wake(),
            false => state.exchange = Some(exchange),
        }
    }

    /// True when the connection has the answer, or has gone without one.
    pub(super) fn is_over(&self) -> bool {
        lock(&self.state).is_over
    }
}

/// What the connection waits with.
pub(super) struct Waiting(pub(super) Arc<Line>);

impl Future for Waiting {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let mut state = lock(&self.0.state);
        if let Some(response) = state.response.take() {
            return Poll::Ready(response);
        }
        if !state.connection.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.connection = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.is_over = true;
        let exchange = state.exchange.take();
        // What nobody takes any more ends here: the application, which holds the other end of it, may wait for room in it.
        let response = state.response.take();
        drop(state);
        drop(response);
        if let Some(exchange) = exchange {
            exchange.wake();
        }
    }
}
