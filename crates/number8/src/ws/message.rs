//! What goes to and fro.

use std::fmt;

use bytes::Bytes;
use number8_proto::ws::{CloseCode, Fault, Frame};

/// A whole message.
///
/// ```
/// use number8::Message;
/// assert_eq!(Message::from("hello"), Message::Text("hello".to_owned()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// Bytes of content.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    pub(super) fn frame(&self) -> Frame<'_> {
        match self {
            Self::Text(text) => Frame::Text(text),
            Self::Binary(bytes) => Frame::Binary(bytes),
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

/// Why nothing more can be received or sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketError {
    /// It is closed: by the client, by this side, or because the server stops.
    Closed,
    /// The client is gone without closing, or did not answer a ping.
    Lost,
    /// The client did not keep to the protocol; it has been told so.
    Fault(Fault),
    /// As much waits to be sent as may ([`SocketSender::try_send`](super::SocketSender::try_send)).
    Full,
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the WebSocket is closed"),
            Self::Lost => f.write_str("the client of the WebSocket is gone"),
            Self::Fault(fault) => write!(f, "the client of the WebSocket is at fault: {fault}"),
            Self::Full => f.write_str("the client of the WebSocket is too slow"),
        }
    }
}

impl std::error::Error for SocketError {}

/// What a function that talks may return: nothing, or a result, whose error closes the WebSocket with 1011.
pub trait Outcome {
    /// The code that the WebSocket closes with, if it is still open.
    fn code(&self) -> CloseCode;
}

impl Outcome for () {
    fn code(&self) -> CloseCode {
        CloseCode::NORMAL
    }
}

impl<E> Outcome for Result<(), E> {
    fn code(&self) -> CloseCode {
        match self {
            Ok(()) => CloseCode::NORMAL,
            Err(_) => CloseCode::INTERNAL,
        }
    }
}
