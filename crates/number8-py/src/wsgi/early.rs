//! An answer that begins before the application returns.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use number8::Response;

use crate::lock::lock;

/// Where such an answer goes. To drop it tells nobody: a call that is over is told of anyway, together with others, and a channel
/// would wake the thread that serves for each.
pub(super) struct Early(Arc<Slot>);

/// Waits for such an answer; for ever, where there is none.
pub(super) struct Begun(Arc<Slot>);

/// What there is to send.
pub(super) enum Answered<T> {
    /// An answer that has begun, whatever its call gives.
    Early(Response),
    /// What the call gives, which has begun none.
    Result(T),
}

/// Nobody else's code runs under this lock.
#[derive(Default)]
struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    answer: Option<Response>,
    waiting: Option<Waker>,
}

/// Both ends of one.
pub(super) fn early() -> (Early, Begun) {
    let slot = Arc::<Slot>::default();
    (Early(Arc::clone(&slot)), Begun(slot))
}

impl Early {
    /// Has the answer begin now. Nobody takes that of a client that is gone: it is dropped.
    pub(super) fn send(self, answer: Response) {
        let waiting = {
            let mut state = lock(&self.0.0);
            state.answer = Some(answer);
            state.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl Begun {
    /// The answer that begins, or what the call gives where that is over and has begun none.
    pub(super) async fn or<T>(mut self, call: impl Future<Output = T>) -> Answered<T> {
        let result = tokio::select! {
            biased;
            answer = &mut self => return Answered::Early(answer),
            result = call => result,
        };
        // It may have begun after the look, and be over as well.
        let answer = lock(&self.0.0).answer.take();
        answer.map_or(Answered::Result(result), Answered::Early)
    }
}

impl Future for Begun {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let mut state = lock(&self.0.0);
        if let Some(answer) = state.answer.take() {
            return Poll::Ready(answer);
        }
        if !state.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(cx.waker())) {
            state.waiting = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
