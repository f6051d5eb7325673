//! The room that talks WebSocket (RFC 6455): messages to and fro, as long as both sides like.
//!
//! A request goes through these steps, and each may end it: its method; whether the caller may read here; whether
//! a page that sent it is one of ours; the handshake. Then the connection belongs to a function of the user's, which
//! runs where the frames are read: no task, no channel and no copy stand between the two.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use number8_proto::http1::{Head, Method};

use crate::access::Rights;
use crate::caller::Caller;
use crate::error::Error;
use crate::handler::{Answer, Call, Handler};
use crate::response::Response;
use crate::results::IntoResponse;
use crate::ws::{ALLOW, Opening, Origins, Outcome, Settings, Socket, Talking, open, opening};

/// Answers requests for a WebSocket with a function that talks. Mount it, or route a GET to it.
///
/// The right to read is asked for once, when it is opened: rules that take it away later do not end it.
///
/// ```
/// use number8::{App, SocketError, WebSocket};
///
/// let echo = WebSocket::new(async |mut socket| {
///     while let Some(message) = socket.receive().await? {
///         socket.send(message).await?;
///     }
///     Ok::<(), SocketError>(())
/// });
/// let app = App::new().mount("/echo", echo);
/// ```
#[derive(Clone)]
pub struct WebSocket {
    talk: Arc<dyn Fn(Socket) -> Talking + Send + Sync>,
    settings: Settings,
}

impl WebSocket {
    /// Calls `talk` with each WebSocket that is opened. When it returns, the WebSocket closes: with 1000, or with
    /// 1011 where it returns an error.
    pub fn new<F, R>(talk: F) -> Self
    where
        F: Fn(Socket) -> R + Send + Sync + 'static,
        R: Future<Output: Outcome> + Send + 'static,
    {
        let talk = move |socket| -> Talking {
            let talking = talk(socket);
            Box::pin(async { talking.await.code() })
        };
        Self { talk: Arc::new(talk), settings: Settings::default() }
    }

    /// A message has at most so many bytes (1 MiB); a larger one closes with 1009.
    #[must_use]
    pub fn message_bytes_max(mut self, bytes: u64) -> Self {
        self.settings.limits.message_bytes_max = bytes;
        self
    }

    /// A client that is silent for this time (30 s) is asked whether it is there; after as much silence again it is
    /// gone. `None` and zero are never.
    #[must_use]
    pub fn ping_every(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.settings.patience.ping_every = time.into().filter(|time| !time.is_zero());
        self
    }

    /// A function may go on for this time (5 s) after the end; one that is busy when the client leaves has messages that wait
    /// for it that long, and learns of the end then.
    #[must_use]
    pub fn after_end_max(mut self, time: Duration) -> Self {
        self.settings.patience.after_end_max = time;
        self
    }

    /// Speaks these protocols: the first that the client offers and is among them is agreed upon.
    #[must_use]
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = &'static str>) -> Self {
        self.settings.protocols = protocols.into_iter().collect();
        self
    }

    /// Lets pages of another site in, too, such as `https://app.example`.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        if let Origins::Ours(others) = &mut self.settings.origins {
            others.push(origin.into());
        }
        self
    }

    /// Lets pages of every site in.
    ///
    /// SECURITY: a browser sends the cookies and passwords of its user along, whatever page opens the WebSocket.
    #[must_use]
    pub fn any_origin(mut self) -> Self {
        self.settings.origins = Origins::Any;
        self
    }

    /// Takes what the clients of MicroPython's WebREPL send: frames without a mask, handshakes without a version.
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.settings.limits.lenient = true;
        self
    }

    /// Looks whether a request opens a WebSocket, for a handler of your own that decides later whether it does and what
    /// talks then: the function of this one is not asked. A page of another site is refused as ever.
    ///
    /// ```
    /// use number8::{Answer, App, Call, Handler, IntoResponse, Response, WebSocket};
    ///
    /// /// Lets in who is on the list, which has to be waited for.
    /// struct Door(WebSocket);
    ///
    /// impl Handler for Door {
    ///     fn handle(&self, call: Call<'_>) -> Answer {
    ///         let opening = match self.0.opening(call.head, call.caller) {
    ///             Ok(opening) => opening,
    ///             Err(refusal) => return refusal.into_response().into(),
    ///         };
    ///         Answer::later(async move {
    ///             let is_on_the_list = async { true };
    ///             match is_on_the_list.await {
    ///                 true => opening.open(None, async |mut socket| socket.send("welcome").await),
    ///                 false => Response::error(403, "this is a private party"),
    ///             }
    ///         })
    ///     }
    /// }
    ///
    /// let app = App::new().mount("/party", Door(WebSocket::new(async |_| {})));
    /// ```
    ///
    /// # Errors
    /// It opens none: the answer that says why.
    pub fn opening(&self, head: &Head<'_>, caller: &Caller) -> Result<Opening, Error> {
        opening(&self.settings, head, caller)
    }

    /// Answers a request for a WebSocket: for a handler of your own, which has decided that the caller may. A page of
    /// another site is still refused.
    #[must_use]
    pub fn open(&self, head: &Head<'_>, caller: &Caller) -> Response {
        open(&self.settings, head, caller, |socket| (self.talk)(socket))
    }
}

impl Handler for WebSocket {
    fn handle(&self, call: Call<'_>) -> Answer {
        if call.head.method() == Method::Options {
            return Response::options(ALLOW).into();
        }
        match call.may(Rights::READ) {
            Ok(()) => self.open(call.head, call.caller).into(),
            Err(refused) => refused.into_response().into(),
        }
    }

    fn allow(&self) -> &str {
        ALLOW
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("settings", &self.settings).finish_non_exhaustive()
    }
}
