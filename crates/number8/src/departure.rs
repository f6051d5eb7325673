//! Whether the client of a request is still there.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, lock};

/// Tells when the client of a request leaves before its answer is complete, to whatever works for it: a task, a thread.
///
/// A client that has ended its sending direction counts as one that leaves, since most have gone then; one that still
/// reads gets its answer all the same. Where the server stops, it tells so of an answer to GET that is a stream of events: that ends there,
/// since whoever listens asks for it again. The clones of a departure tell the same. Behind the server of somebody else
/// ([`AppService`](crate::AppService)) nothing is known of it.
///
/// ```
/// use number8::{App, Departure};
///
/// /// Searches for as long as somebody waits for the result.
/// async fn search(departure: Departure) -> String {
///     for candidate in 0.. {
///         if departure.is_known() || candidate == 8 {
///             return candidate.to_string();
///         }
///         tokio::task::yield_now().await;
///     }
///     String::new()
/// }
///
/// let app = App::new().get("/search", search);
/// ```
#[derive(Clone, Default)]
pub struct Departure(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_known: bool,
    is_of_server: bool,
    waiting: Vec<Waker>,
}

impl Departure {
    /// True when the client is known to have left.
    #[must_use]
    pub fn is_known(&self) -> bool {
        lock(&self.0).is_known
    }

    /// True when it is not the client that has left: the server stops, and has ended the stream of events that was the answer.
    #[must_use]
    pub fn is_of_server(&self) -> bool {
        lock(&self.0).is_of_server
    }

    /// Waits until the client leaves; for ever, where its answer is complete first.
    pub async fn wait(&self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    /// As [`Departure::wait`], for those who poll.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.0);
        if state.is_known {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(crate) fn tell(&self, is_of_server: bool) {
        let mut state = lock(&self.0);
        state.is_of_server |= is_of_server && !state.is_known;
        state.is_known = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The same is the one of the same request.
impl PartialEq for Departure {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Departure {}

impl fmt::Debug for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Departure").field("is_known", &self.is_known()).finish()
    }
}
