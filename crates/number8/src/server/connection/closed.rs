//! Why connections end, for whoever runs the server.

use std::fmt;
use std::io::ErrorKind;

use number8_proto::{CloseReason, Error};

/// Why a connection ended. As text: what stands after "closed:" in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// The client closed it between two requests, or with its request unfinished.
    ByClient,
    /// An answer was the last one, for this reason.
    Answered(CloseReason),
    /// The request was at fault.
    Fault(Error),
    /// There were too many connections; it was told so.
    TooMany,
    /// It came from a trusted proxy and did not begin with a PROXY header
    /// ([`Proxies::announce`](crate::layers::proxies::Proxies::announce)).
    NotAnnounced,
    /// Nothing came ([`Timeouts::first_byte`](crate::server::Timeouts::first_byte)).
    FirstByteTimeout,
    /// TLS was not agreed on in time ([`Timeouts::handshake`](crate::server::Timeouts::handshake)).
    HandshakeTimeout,
    /// TLS was not agreed on, for this reason.
    NotSecured(&'static str),
    /// No next request came ([`Timeouts::idle`](crate::server::Timeouts::idle)).
    Idle,
    /// The head came too slowly ([`Timeouts::head`](crate::server::Timeouts::head)).
    HeadTimeout,
    /// The content came too slowly ([`Timeouts::body`](crate::server::Timeouts::body)).
    BodyTimeout,
    /// It was ended by the rules of HTTP/2, and the client told so with this code (RFC 9113 §7).
    Protocol(u32),
    /// The client took no more of an answer ([`Timeouts::write`](crate::server::Timeouts::write)).
    WriteTimeout,
    /// The client took what is sent to many so slowly that what comes next is not kept any more.
    Behind,
    /// The session ended in which a stream was asked for ([`sessions`](crate::layers)).
    LoggedOut,
    /// Nothing was being answered, and descriptors were short.
    Evicted,
    /// The server stops, and nothing was being answered.
    Stopping,
    /// The server ended while an answer was not complete.
    Cut,
    /// Reading, writing or the content of an answer failed.
    Broken(ErrorKind),
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByClient => "the client closed it",
            Self::Answered(CloseReason::ClientAsked) => "the client asked for it",
            Self::Answered(CloseReason::ServerAsked) => "the answer was the last one",
            Self::Answered(CloseReason::LengthUnknown) => "the end marks the end of the answer",
            Self::Answered(CloseReason::BodyUnread) => "the content was not worth reading",
            Self::Answered(CloseReason::HandedOver) => "the session is over",
            Self::Answered(CloseReason::Fault) => "the request was at fault",
            Self::Fault(error) => return write!(f, "the request was at fault: {error}"),
            Self::TooMany => "there are too many connections",
            Self::NotAnnounced => "it did not begin with a PROXY header",
            Self::FirstByteTimeout => "nothing came",
            Self::HandshakeTimeout => "the TLS handshake took too long",
            Self::NotSecured(why) => return write!(f, "the TLS handshake failed: {why}"),
            Self::Idle => "no next request came",
            Self::HeadTimeout => "the request head came too slowly",
            Self::BodyTimeout => "the content came too slowly",
            Self::Protocol(code) => return write!(f, "it broke the rules of HTTP/2: code {code}"),
            Self::WriteTimeout => "the client took no more of the answer",
            Self::Behind => "the client was too slow for what is sent to many",
            Self::LoggedOut => "the session of its client has ended",
            Self::Evicted => "nothing was being answered, and descriptors are short",
            Self::Stopping => "the server stops",
            Self::Cut => "the server ended before the answer did",
            Self::Broken(kind) => return write!(f, "it broke: {kind}"),
        })
    }
}
