//! WebSocket (RFC 6455), the server's side: a handshake, then frames.
//!
//! [`handshake()`] looks at the request and has the answer's fields; [`Decoder`] turns what a client sends into
//! messages, piece by piece and in place; [`Frame::put`] appends what the server sends. When to answer, ping and
//! close is the caller's.
//!
//! ```
//! use number8_proto::limits::WebSocketLimits;
//! use number8_proto::ws::{Decoder, Event, Frame, Kind};
//!
//! let mut decoder = Decoder::new(WebSocketLimits::default());
//! // FIN and text, mask and length, the mask, "Hi" under it.
//! let mut input = [0x81, 0x82, 1, 2, 3, 4, b'H' ^ 1, b'i' ^ 2];
//! let (used, event) = decoder.decode(&mut input)?;
//! assert_eq!((used, event), (8, Event::Data { kind: Kind::Text, bytes: b"Hi", is_last: true }));
//!
//! let mut out = Vec::new();
//! Frame::Text("Hello").put(&mut out);
//! assert_eq!(out, b"\x81\x05Hello");
//! # Ok::<(), number8_proto::ws::Fault>(())
//! ```

mod close;
mod decode;
mod encode;
mod handshake;
mod mask;
mod utf8;

pub use close::{CloseCode, Fault};
pub use decode::{Decoder, Event};
pub use encode::Frame;
pub use handshake::{Accept, Refusal, handshake, offered_protocols};

/// What a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

// RFC 6455 §5.2: the first byte of a frame.
const FIN: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Bytes that a control frame holds at most (RFC 6455 §5.5).
const CONTROL_BYTES_MAX: usize = 125;
