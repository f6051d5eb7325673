//! What answers a request: a function of the user's, or a room.

mod argument;
mod function;
mod kept;
pub(crate) mod path;
pub(crate) mod values;

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use number8_proto::http1::Head;

pub use argument::{Argument, Arguments, Needs, Taken};
pub use function::{
    AsyncFunction, Inline, InlineFunction, IntoHandler, PlainFunction, Ready, inline,
};
pub(crate) use kept::Kept;

use crate::access::{Access, Refusal, Rights};
use crate::body::Body;
use crate::caller::Caller;
use crate::error::Error;
use crate::metrics::Sheet;
use crate::response::Response;
use crate::server::lane::Lane;
use crate::standing::Standing;
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
    pub(crate) access: &'a Arc<Access>,
    /// Whether another path, from the root of the server, leads to the same mount.
    pub(crate) is_here: Option<IsHere<'a>>,
}

/// Whether a path leads to the same handler as that of the request.
pub(crate) type IsHere<'a> = &'a dyn Fn(&[u8]) -> bool;

impl Call<'_> {
    /// The path of the target from the root of the server, decoded, with one slash where there are several: what rules
    /// are about. An escape that is none stands for itself.
    #[must_use]
    pub fn url_path(&self) -> Cow<'_, [u8]> {
        path::url_path(self.head.path())
    }

    /// The decoded path that the handler is mounted at, as rules know it.
    pub(crate) fn mount(&self) -> Cow<'_, [u8]> {
        path::undone(self.head.path().strip_suffix(self.path).unwrap_or_default())
    }

    /// Whether the caller may do all of this with the path of the target.
    ///
    /// # Errors
    /// The caller may not: the answer that says so, 401 with a challenge where logging in could help, else 403.
    pub fn may(&self, rights: Rights) -> Result<(), Error> {
        // Most apps say the same of every path.
        if self.access.everywhere().contains(rights) {
            return Ok(());
        }
        let path = self.url_path();
        self.allowed(self.access.decide(self.caller.user.as_deref(), rights, &path))
    }

    /// As [`may`](Self::may), for what goes on after the answer has begun: it ends when other rules take that away.
    ///
    /// # Errors
    /// As for [`may`](Self::may).
    #[cfg_attr(
        not(any(feature = "events", feature = "repl", feature = "runner")),
        allow(dead_code, reason = "what goes on after its answer")
    )]
    pub(crate) fn may_go_on(&mut self, rights: Rights) -> Result<(), Error> {
        self.may(rights)?;
        let granted = self.access.granted_for(self.caller.user.as_ref(), rights, &self.url_path());
        if let Some(granted) = granted {
            self.caller.standing = Some(Standing::and(self.caller.standing.take(), granted));
        }
        Ok(())
    }

    /// Who may do what.
    #[must_use]
    pub fn access(&self) -> &Arc<Access> {
        self.access
    }

    /// What a decision of [`Call::access`] means for the client.
    ///
    /// # Errors
    /// As for [`Call::may`].
    pub fn allowed(&self, decision: Result<(), Refusal>) -> Result<(), Error> {
        decision.map_err(|refusal| refused(&refusal).into())
    }

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

/// One challenge alone: some clients cannot read two (RFC 9110 §11.6.1).
pub(crate) const CHALLENGE: &str = "Basic realm=\"number8\", charset=\"UTF-8\"";

/// The answer to a refusal: 401 with a challenge (RFC 7617 §2), 403, or what a function of the user's chose.
pub(crate) fn refused(refusal: &Refusal) -> Response {
    let response = Response::error(refusal.status(), refusal.to_string());
    match refusal.status() {
        401 => response.with_known("WWW-Authenticate", CHALLENGE),
        _ => response,
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

    /// The response, when it is there.
    pub(crate) async fn wait(self) -> Response {
        match self {
            Self::Ready(response) => response,
            Self::Later(answer) => answer.await,
        }
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

    /// The methods that it answers, as the Allow field lists them, for a [`ByMethod`](crate::ByMethod); one that does not
    /// say is only asked where it stands alone.
    fn allow(&self) -> &str {
        ""
    }

    /// Adds what it has counted to the sheet, which somebody looks at ([`Handle::measure`](crate::Handle::measure)). A
    /// handler around others asks those.
    fn measure(&self, sheet: &mut Sheet) {
        let _ = sheet;
    }
}

/// A handler behind a pointer is the same handler.
macro_rules! behind_pointers {
    ($($pointer:ident),*) => {$(
        impl<H: Handler + ?Sized> Handler for $pointer<H> {
            fn handle(&self, call: Call<'_>) -> Answer {
                (**self).handle(call)
            }

            fn allow(&self) -> &str {
                (**self).allow()
            }

            fn measure(&self, sheet: &mut Sheet) {
                (**self).measure(sheet);
            }
        }
    )*};
}

behind_pointers!(Arc, Box);
