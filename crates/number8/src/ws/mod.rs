//! WebSocket (RFC 6455) for the rooms that talk it: who may open one, the handshake, and the conversation as a function
//! that is polled where the frames are read.

mod message;
mod socket;
mod talk;

use std::future::Future;
use std::sync::Arc;

use number8_proto::headers::Known;
use number8_proto::http1::Head;
use number8_proto::limits::WebSocketLimits;
use number8_proto::ws::{Accept, Refusal, handshake, offered_protocols};

use crate::caller::Caller;
use crate::error::Error;
use crate::response::Response;
use crate::results::IntoResponse;
pub use message::{Message, Outcome, SocketError};
pub use number8_proto::ws::CloseCode;
use socket::Pipe;
pub use socket::{Socket, SocketReceiver, SocketSender};
pub(crate) use talk::Talking;
use talk::{Patience, Talk};

/// The methods of what opens a WebSocket, as the Allow field lists them.
pub(crate) const ALLOW: &str = "GET, OPTIONS";

/// How a room talks.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) limits: WebSocketLimits,
    pub(crate) patience: Patience,
    pub(crate) protocols: Vec<&'static str>,
    pub(crate) origins: Origins,
}

/// Whose pages may open a WebSocket; programs may in any case.
#[derive(Debug, Clone)]
pub(crate) enum Origins {
    Any,
    /// Our own, and these.
    Ours(Vec<String>),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: WebSocketLimits::default(),
            patience: Patience::default(),
            protocols: Vec::new(),
            origins: Origins::Ours(Vec::new()),
        }
    }
}

/// A request for a WebSocket that was found to be in order and has no answer yet
/// ([`WebSocket::opening`](crate::WebSocket::opening)): for handlers that think about it before they open one.
#[derive(Debug, Clone)]
pub struct Opening {
    accept: Accept,
    limits: WebSocketLimits,
    patience: Patience,
    offered: Vec<Arc<str>>,
}

impl Opening {
    /// Whether a request asks for a WebSocket. Whether it does so in the right way is another question.
    #[must_use]
    pub fn is_asked_for(head: &Head<'_>) -> bool {
        head.has(Known::Upgrade) && !matches!(handshake(head, true), Err(Refusal::Upgrade))
    }

    /// The protocols that the client offers, the one it likes best first.
    #[must_use]
    pub fn protocols(&self) -> &[Arc<str>] {
        &self.offered
    }

    /// Opens it and lets a function talk. Fields of one's own may be added to the answer; the protocol is one of those
    /// that the client offers, since it goes away after any other.
    pub fn open<R>(self, protocol: Option<&str>, talk: impl FnOnce(Socket) -> R) -> Response
    where
        R: Future<Output: Outcome> + Send + 'static,
    {
        self.open_boxed(protocol, |socket| {
            let talking = talk(socket);
            Box::pin(async { talking.await.code() })
        })
    }

    fn open_boxed(self, protocol: Option<&str>, talk: impl FnOnce(Socket) -> Talking) -> Response {
        let protocol = protocol.and_then(|ours| self.offered.iter().find(|it| &***it == ours));
        let pipe = Arc::new(Pipe::default());
        let talking = talk(Socket::new(&pipe, protocol.cloned()));
        let session = Talk::new(self.patience, self.limits, pipe, talking);
        let response =
            Response::upgrade("websocket", session).with_known("Sec-WebSocket-Accept", self.accept);
        match protocol {
            Some(protocol) => response.with_known("Sec-WebSocket-Protocol", protocol.as_bytes()),
            None => response,
        }
    }
}

/// Answers a request for a WebSocket whose caller may open one: 101 and the conversation, or why not.
pub(crate) fn open(
    settings: &Settings,
    head: &Head<'_>,
    caller: &Caller,
    talk: impl FnOnce(Socket) -> Talking,
) -> Response {
    match opening(settings, head, caller) {
        Ok(opening) => {
            let mut offered = opening.offered.iter();
            let protocol =
                offered.find_map(|it| settings.protocols.iter().find(|ours| ***ours == **it));
            let protocol = protocol.copied();
            opening.open_boxed(protocol, talk)
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Looks whether a request opens a WebSocket; the answer to one that does not.
pub(crate) fn opening(
    settings: &Settings,
    head: &Head<'_>,
    caller: &Caller,
) -> Result<Opening, Error> {
    if !settings.origins.include(head, caller) {
        let why = "a page of another site may not open this WebSocket";
        return Err(Error::new(403, why));
    }
    let accept = handshake(head, settings.limits.lenient).map_err(|refusal| match refusal {
        Refusal::Method => Response::not_allowed(ALLOW).into(),
        Refusal::Version => {
            let response = Response::error(refusal.status(), refusal.to_string());
            response.with_known("Sec-WebSocket-Version", "13").into()
        }
        _ => Error::new(refusal.status(), refusal.to_string()),
    })?;
    let offered = offered_protocols(head).map(Arc::from).collect();
    let Settings { limits, patience, .. } = *settings;
    Ok(Opening { accept, limits, patience, offered })
}

impl Origins {
    /// SECURITY: browsers open WebSockets to any site for any page, and say whose page it is (RFC 6455 §10.2).
    fn include(&self, head: &Head<'_>, caller: &Caller) -> bool {
        let Self::Ours(others) = self else { return true };
        let Some(origin) = head.get(Known::Origin) else { return true };
        let told = caller.host.as_deref().map(str::as_bytes);
        let host = told.or_else(|| head.host()).unwrap_or_default();
        caller.is_of_page_of(origin, host)
            || others.iter().any(|other| origin.eq_ignore_ascii_case(other.as_bytes()))
    }
}
