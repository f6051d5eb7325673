//! What answers a request: a function of the user's, or a room.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use number8_proto::http1::Head;

use crate::body::Body;
use crate::request::Request;
use crate::response::{IntoResponse, Response};
use crate::server::clock;
use crate::server::lane::Lane;

/// One request on its way to a handler, borrowed from the connection: looking at it copies nothing.
pub struct Call<'a> {
    /// Method, target, version and fields.
    pub head: &'a Head<'a>,
    /// The path that is left for this handler, still percent-encoded; begins with `/`.
    pub path: &'a [u8],
    /// The address of the client; `None` over a Unix socket.
    pub peer: Option<SocketAddr>,
    /// The content.
    pub body: Body,
    /// Where work goes that may have to wait.
    pub lane: &'a Lane,
    /// The time, as of when the request was taken up.
    pub now: Now,
}

/// The time, read once for all requests that came together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds on a clock that never goes back, coarse.
    pub monotonic_ms: u64,
    /// Seconds since 1970-01-01T00:00Z: what the Date field of the answer says.
    pub unix_seconds: i64,
}

impl Now {
    /// The time now, for those who come back later.
    #[must_use]
    pub fn read() -> Self {
        Self { monotonic_ms: clock::monotonic_ms(), unix_seconds: clock::unix_seconds() }
    }
}

/// An answer, now or later.
pub enum Answer {
    /// It is here.
    Ready(Response),
    /// It has to be waited for.
    Later(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl Answer {
    /// An answer that a future gives.
    pub fn later(answer: impl Future<Output = Response> + Send + 'static) -> Self {
        Self::Later(Box::pin(answer))
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self::Ready(response)
    }
}

/// Answers requests.
///
/// It is called where the request was parsed, so it must not wait: what waits goes into
/// [`Answer::later`], what blocks into the lane.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, call: Call<'_>) -> Answer;
}

/// A function that can be made a handler: `async fn() -> impl IntoResponse`, or the same with a
/// [`Request`].
///
/// `Args` only tells the implementations apart.
pub trait IntoHandler<Args> {
    /// The handler that calls this function.
    fn into_handler(self) -> impl Handler;
}

struct Called<F>(F);

impl<F> Handler for Called<F>
where
    F: Fn(Call<'_>) -> Answer + Send + Sync + 'static,
{
    fn handle(&self, call: Call<'_>) -> Answer {
        (self.0)(call)
    }
}

impl<F, R> IntoHandler<()> for F
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    fn into_handler(self) -> impl Handler {
        Called(move |_: Call<'_>| {
            let answer = self();
            Answer::later(async { answer.await.into_response() })
        })
    }
}

impl<F, R> IntoHandler<(Request,)> for F
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output: IntoResponse> + Send + 'static,
{
    fn into_handler(self) -> impl Handler {
        Called(move |call: Call<'_>| {
            let answer = self(Request::new(call.head, call.peer, call.body));
            Answer::later(async { answer.await.into_response() })
        })
    }
}
