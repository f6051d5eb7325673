//! The content of a request as a whole, and how much of it one handler takes.

use std::ops::Deref;

use bytes::Bytes;

use crate::body::Body;
use crate::error::Error;
use crate::handler::{Answer, Argument, Call, Handler, IntoHandler, Needs, Taken};

/// The whole content of a request, as an argument: bytes, whatever its type.
///
/// ```
/// use number8::{App, Content};
///
/// fn size(content: Content) -> String {
///     content.len().to_string()
/// }
///
/// let app = App::new().post("/size", size);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(pub Bytes);

impl Deref for Content {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.0
    }
}

impl Argument for Content {
    const TAKES_CONTENT: bool = true;

    fn take(call: &mut Call<'_>) -> Result<Taken<Self>, Error> {
        let content = std::mem::take(&mut call.body);
        if content.is_empty() {
            return Ok(Taken::Now(Self(Bytes::new())));
        }
        Ok(Taken::later(async { Ok(Self(content.bytes().await?)) }))
    }
}

/// A handler that takes so many bytes of content, more or fewer than the server gives to others
/// (`Limits::body_bytes_max`); what is larger is a 413.
///
/// ```
/// use number8::{App, Content, content_limit};
///
/// let app = App::new()
///     .post("/picture", content_limit(16 << 20, async |picture: Content| picture.len().to_string()));
/// ```
///
/// What is mounted, such as a service of tower, gets its limit by a hook around it:
///
/// ```
/// use number8::{App, Handler};
///
/// fn limited(bytes: u64, handler: impl Handler) -> App {
///     App::new().mount("/", handler).before(move |call| {
///         call.body = std::mem::take(&mut call.body).limit(bytes);
///         None
///     })
/// }
/// # struct Service;
/// # impl Handler for Service {
/// #     fn handle(&self, _: number8::Call<'_>) -> number8::Answer {
/// #         number8::Response::new(204, "").into()
/// #     }
/// # }
///
/// let app = App::new().nest("/pictures", limited(16 << 20, Service));
/// ```
pub fn content_limit<H>(bytes: u64, handler: H) -> ContentLimit<H> {
    ContentLimit { bytes, handler }
}

/// See [`content_limit`].
#[derive(Debug, Clone, Copy)]
pub struct ContentLimit<H> {
    bytes: u64,
    handler: H,
}

/// A handler of that kind, with a limit of its own.
pub struct Limited<Kind>(std::marker::PhantomData<Kind>);

impl<Kind, H: IntoHandler<Kind>> IntoHandler<Limited<Kind>> for ContentLimit<H> {
    fn into_handler(self, route: &str) -> Box<dyn Handler> {
        Box::new(WithLimit { bytes: self.bytes, handler: self.handler.into_handler(route) })
    }

    fn needs() -> Needs {
        H::needs()
    }
}

struct WithLimit {
    bytes: u64,
    handler: Box<dyn Handler>,
}

impl Handler for WithLimit {
    fn measure(&self, sheet: &mut crate::metrics::Sheet) {
        self.handler.measure(sheet);
    }

    fn handle(&self, mut call: Call<'_>) -> Answer {
        let body: Body = std::mem::take(&mut call.body);
        call.body = body.limit(self.bytes);
        self.handler.handle(call)
    }
}
