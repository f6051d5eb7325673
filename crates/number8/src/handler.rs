//! What answers a request: a function of the user's, or a room.

use std::future::Future;
use std::pin::Pin;

use number8_proto::http1::Head;

use crate::body::Body;
use crate::caller::Caller;
use crate::request::Request;
use crate::response::{IntoResponse, Response};
use crate::server::lane::Lane;

/// One request on its way to a handler, borrowed from the connection: looking at it copies nothing.
pub struct Call<'a> {
    /// Method, target, version and fields.
    pub head: &'a Head<'a>,
    /// The path that is left for this handler, still percent-encoded. It begins with `/`, or is empty where
    /// the request names the very place where the handler is mounted, without a slash.
    pub path: &'a [u8],
    /// Who asks.
    pub caller: &'a mut Caller,
    /// The content.
    pub body: Body,
    /// Where work goes that may have to wait.
    pub lane: &'a Lane,
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
            let answer = self(Request::new(call.head, call.caller, call.body));
            Answer::later(async { answer.await.into_response() })
        })
    }
}
