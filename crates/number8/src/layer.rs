//! What stands around every handler of an app: looks at requests before, and at answers after.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use number8_proto::http1::Head;

use crate::caller::Caller;
use crate::handler::Call;
use crate::response::Response;

/// Looks at each request before it is handled and at each answer before it is sent.
///
/// Layers see requests in the order in which they were added to the [`App`](crate::App), and answers in the
/// opposite order. An answer passes every layer, wherever it comes from: a handler, a room, a layer, a
/// path that does not exist. Only what is refused before there is a request (a head that is not valid) does
/// not.
///
/// ```
/// use number8::{App, Call, Caller, Head, Layer, Response};
///
/// struct Frameless;
///
/// impl Layer for Frameless {
///     fn after(&self, _: &Head<'_>, _: &Caller, response: Response) -> Response {
///         response.with("X-Frame-Options", "DENY").unwrap_or_else(|_| Response::error(500, "a layer failed"))
///     }
/// }
/// let app = App::new().get("/", async || "Hello, world.").layer(Frameless);
/// ```
pub trait Layer: Send + Sync + 'static {
    /// Looks at a request; may answer it, and may change what is known of its sender. It runs where the
    /// request was parsed, so what has to wait goes into [`Before::Wait`].
    fn before(&self, call: &mut Call<'_>) -> Before {
        let _ = call;
        Before::Go
    }

    /// Looks at an answer, and gives back that or another.
    fn after(&self, head: &Head<'_>, caller: &Caller, response: Response) -> Response {
        let _ = (head, caller);
        response
    }
}

/// What becomes of a request that a layer has seen.
#[non_exhaustive]
pub enum Before {
    /// It goes on.
    Go,
    /// It is answered.
    Answer(Response),
    /// That turns out later.
    Wait(Pin<Box<dyn Future<Output = Waited> + Send>>),
}

impl Before {
    /// What a future says.
    pub fn wait(future: impl Future<Output = Waited> + Send + 'static) -> Self {
        Self::Wait(Box::pin(future))
    }
}

/// What a layer says when it has waited.
#[non_exhaustive]
pub enum Waited {
    /// The request goes on, from that user ([`Waited::go`]).
    #[non_exhaustive]
    Go {
        /// Takes the place of [`Caller::user`].
        user: Option<Arc<str>>,
    },
    /// The request is answered.
    Answer(Response),
}

impl Waited {
    /// The request goes on, from that user: in place of the one that was known before, or of none.
    #[must_use]
    pub fn go(user: Option<Arc<str>>) -> Self {
        Self::Go { user }
    }
}

/// A layer behind a pointer is the same layer.
macro_rules! behind_pointers {
    ($($pointer:ident),*) => {$(
        impl<L: Layer + ?Sized> Layer for $pointer<L> {
            fn before(&self, call: &mut Call<'_>) -> Before {
                (**self).before(call)
            }

            fn after(&self, head: &Head<'_>, caller: &Caller, response: Response) -> Response {
                (**self).after(head, caller, response)
            }
        }
    )*};
}

behind_pointers!(Arc, Box);

/// Calls a function before each request: an answer ends it there.
pub(crate) struct Ahead<F>(pub(crate) F);

impl<F> Layer for Ahead<F>
where
    F: Fn(&mut Call<'_>) -> Option<Response> + Send + Sync + 'static,
{
    fn before(&self, call: &mut Call<'_>) -> Before {
        (self.0)(call).map_or(Before::Go, Before::Answer)
    }
}

/// Calls a function with each answer.
pub(crate) struct Behind<F>(pub(crate) F);

impl<F> Layer for Behind<F>
where
    F: Fn(&Head<'_>, Response) -> Response + Send + Sync + 'static,
{
    fn after(&self, head: &Head<'_>, _: &Caller, response: Response) -> Response {
        (self.0)(head, response)
    }
}
