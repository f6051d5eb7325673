//! What answers a request: a function of the user's, or a room.

mod argument;
mod function;
pub(crate) mod values;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use number8_proto::http1::Head;

pub use argument::{Argument, Arguments, Needs, Taken};
pub use function::{
    AsyncFunction, Inline, InlineFunction, IntoHandler, PlainFunction, Ready, inline,
};

use crate::body::Body;
use crate::caller::Caller;
use crate::response::Response;
use crate::server::lane::Lane;
use crate::state::States;
use values::Values;

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
    pub(crate) values: Values,
    pub(crate) states: &'a Arc<States>,
}

impl Call<'_> {
    /// What a placeholder of the route stands for, decoded: `value("id")` for `/users/{id}`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name)
    }

    /// What was given to the app with [`App::state`](crate::App::state).
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.states.find()
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

impl<H: Handler + ?Sized> Handler for Arc<H> {
    fn handle(&self, call: Call<'_>) -> Answer {
        (**self).handle(call)
    }
}
