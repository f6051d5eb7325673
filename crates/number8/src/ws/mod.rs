//! WebSocket (RFC 6455) for the rooms that talk it: who may open one, the handshake, and the conversation as a function
//! that is polled where the frames are read.

mod message;
mod socket;
mod talk;

use std::sync::Arc;
use std::time::Duration;

use number8_proto::headers::Known;
use number8_proto::host::is_origin_of;
use number8_proto::http1::Head;
use number8_proto::limits::WebSocketLimits;
use number8_proto::ws::{Refusal, handshake, offered_protocols};

use crate::app::not_allowed;
use crate::caller::Caller;
use crate::response::Response;
pub use message::{Message, Outcome, SocketError};
pub use number8_proto::ws::CloseCode;
use socket::Pipe;
pub use socket::{Socket, SocketReceiver, SocketSender};
use talk::Talk;
pub(crate) use talk::Talking;

/// The methods of what opens a WebSocket, as the Allow field lists them.
pub(crate) const ALLOW: &str = "GET, OPTIONS";

/// How a room talks.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) limits: WebSocketLimits,
    pub(crate) ping_every: Option<Duration>,
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
            ping_every: Some(Duration::from_secs(30)),
            protocols: Vec::new(),
            origins: Origins::Ours(Vec::new()),
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
    if !settings.origins.include(head, caller) {
        return Response::error(403, "a page of another site may not open this WebSocket");
    }
    let accept = match handshake(head, settings.limits.lenient) {
        Ok(accept) => accept,
        Err(Refusal::Method) => return not_allowed(ALLOW),
        Err(refusal) => {
            let response = Response::error(refusal.status(), refusal.to_string());
            return match refusal {
                Refusal::Version => response.with_known("Sec-WebSocket-Version", "13"),
                _ => response,
            };
        }
    };
    let protocol = offered_protocols(head)
        .find_map(|offered| settings.protocols.iter().find(|ours| **ours == offered));
    let pipe = Arc::new(Pipe::default());
    let talking = talk(Socket::new(&pipe, protocol.copied()));
    let Settings { limits, ping_every, .. } = *settings;
    let response = Response::upgrade("websocket", Talk::new(limits, pipe, talking, ping_every))
        .with_known("Sec-WebSocket-Accept", accept);
    match protocol {
        Some(protocol) => response.with_known("Sec-WebSocket-Protocol", protocol),
        None => response,
    }
}

impl Origins {
    /// SECURITY: browsers open WebSockets to any site for any page, and say whose page it is (RFC 6455 §10.2).
    fn include(&self, head: &Head<'_>, caller: &Caller) -> bool {
        let Self::Ours(others) = self else { return true };
        let Some(origin) = head.get(Known::Origin) else { return true };
        let told = caller.host.as_deref().map(str::as_bytes);
        let host = told.or_else(|| head.host()).unwrap_or_default();
        is_origin_of(origin, host)
            || others.iter().any(|other| origin.eq_ignore_ascii_case(other.as_bytes()))
    }
}
