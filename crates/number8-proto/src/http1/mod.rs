//! HTTP/1.0 and HTTP/1.1, the server's side (RFC 9112).
//!
//! [`Conn`] is one connection as two small state machines, one for what is received and one for what
//! is sent, and the flag that says whether the connection goes on:
//!
//! ```text
//! receive:  Head ──head──▶ Body ──end──▶ Done ─┐        Failed: nothing is read any more
//!            ▲                                 │
//!            └──────────── next ◀──────────────┤
//! send:     Idle ──respond──▶ Body ──finish──▶ Done
//! ```
//!
//! The caller reads the socket, hands its bytes to [`Conn::receive`] until it needs more, answers with
//! [`Conn::respond`], [`Conn::send_body`] and [`Conn::finish`], and goes on with [`Conn::advance`].
//!
//! ```
//! use number8_proto::headers::Fields;
//! use number8_proto::http1::{BodySize, Conn, Event, HeadParser, Next, Prepared, Stamp};
//! use number8_proto::Limits;
//!
//! let limits = Limits::default();
//! let (mut conn, mut parser, mut out) = (Conn::new(), HeadParser::new(), Vec::new());
//! let input = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
//!
//! let (used, event) = conn.receive(&mut parser, input, &limits)?;
//! let Event::Head(head) = event else { panic!("the head is whole") };
//! assert_eq!((used, head.path()), (input.len(), &b"/hello"[..]));
//!
//! let answer = Prepared::new(200, &Fields::new(), BodySize::Known(2));
//! conn.respond((&answer).into(), &Stamp::default(), &limits, &mut out);
//! conn.send_body(b"hi", &mut out);
//! conn.finish(&Fields::new(), &mut out);
//! assert_eq!(out, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
//! assert_eq!(conn.advance(), Next::Request);
//! # Ok::<(), number8_proto::Error>(())
//! ```

mod again;
mod body;
mod encode;
mod framing;
mod head;
mod line;

use alloc::vec::Vec;

pub use body::{Decoder, Piece, is_forbidden_in_trailers};
pub use encode::{BodySize, Prepared, ResponseHead, Stamp, is_without_content, put_chunk, reason};
pub use framing::{BodyLength, Framing, framing};
pub use head::{Head, HeadParser, Method, OwnedHead, Version};

use crate::error::{CloseReason, Error};
use crate::headers::Fields;
use crate::limits::Limits;

/// What the bytes received so far amount to.
#[derive(Debug, Clone, Copy)]
pub enum Event<'b> {
    /// More bytes are needed.
    NeedMore,
    /// A whole head; how long the body is, is in [`Conn::body`].
    Head(Head<'b>),
    /// Bytes of the body; never empty.
    Data(&'b [u8]),
    /// A trailer field.
    Trailer {
        /// The name as sent.
        name: &'b [u8],
        /// The value without white space around it.
        value: &'b [u8],
    },
    /// The request is over.
    End,
}

/// How the content of an answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendBody {
    /// Not at all: the answer to HEAD, or a status without content.
    Omit,
    /// As it is: the caller may also send it past this crate, with [`Conn::sent`].
    Plain,
    /// In chunks, by [`Conn::send_body`], or past this crate between what [`Conn::send_apart`] gives.
    Chunked,
}

/// What to do when an answer has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Receive the next request; it may already be in the buffer.
    Request,
    /// First receive and drop the rest of this request's body.
    Drain,
    /// Close the connection.
    Close(CloseReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receive {
    Head,
    Body(Decoder),
    Done,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Send {
    Idle,
    /// So many bytes are announced and not yet sent; 0 too for an answer without content.
    Length(u64),
    Chunks,
    UntilClose,
    /// Finished; all that is read of the request's body from now on is dropped.
    Done,
}

/// One connection.
#[derive(Debug, Clone)]
pub struct Conn {
    receive: Receive,
    send: Send,
    close: Option<CloseReason>,
    version: Version,
    body: BodyLength,
    is_head: bool,
    /// The client waits for 100 and has not been told to go on.
    awaits_continue: bool,
    /// HTTP/1.0 with keep-alive: the answer has to say that it is granted.
    says_keep_alive: bool,
    /// Bytes of the body that were taken after the answer.
    drained: u64,
}

impl Default for Conn {
    fn default() -> Self {
        Self::new()
    }
}

impl Conn {
    /// A connection on which nothing has happened.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            receive: Receive::Head,
            send: Send::Idle,
            close: None,
            version: Version::Http11,
            body: BodyLength::None,
            is_head: false,
            awaits_continue: false,
            says_keep_alive: false,
            drained: 0,
        }
    }

    /// Reads what stands next in `input`; returns how many bytes it took, for the caller to drop.
    ///
    /// `parser` holds the head between calls: the same one has to come until the head is whole.
    ///
    /// After an answer at most `drain_bytes_max` bytes are taken to reach the end of the request's body;
    /// when that does not reach it, the event is [`Event::End`] too, and [`Conn::advance`] closes.
    ///
    /// # Errors
    /// The peer is at fault. From now on nothing is received, and [`Conn::advance`] closes. If
    /// [`Conn::may_respond`], one answer with [`Error::status`] is due before that.
    #[inline]
    pub fn receive<'b>(
        &mut self,
        parser: &'b mut HeadParser,
        input: &'b [u8],
        limits: &Limits,
    ) -> Result<(usize, Event<'b>), Error> {
        let result = match self.receive {
            Receive::Head => self.receive_head(parser, input, limits),
            Receive::Body(_) => self.receive_body(input, limits),
            Receive::Done => Ok((0, Event::End)),
            Receive::Failed => Ok((0, Event::NeedMore)),
        };
        if result.is_err() {
            self.fail();
        }
        result
    }

    fn receive_head<'b>(
        &mut self,
        parser: &'b mut HeadParser,
        input: &'b [u8],
        limits: &Limits,
    ) -> Result<(usize, Event<'b>), Error> {
        let length = match parser.parse(input, limits) {
            Ok(Some(length)) => length,
            Ok(None) => return Ok((0, Event::NeedMore)),
            Err(error) => return Err(error),
        };
        let head = parser.head(input);
        // Known before the framing is: a refusal must not send content to HEAD either.
        self.is_head = head.method() == Method::Head;
        self.version = head.version();
        let framing = framing(&head)?;
        self.body = framing.body;
        self.awaits_continue = framing.expect_continue;
        self.says_keep_alive = framing.keep_alive && head.version() == Version::Http10;
        if !framing.keep_alive {
            self.close = Some(CloseReason::ClientAsked);
        }
        self.receive = match framing.body {
            BodyLength::None => Receive::Done,
            body => Receive::Body(Decoder::new(body)),
        };
        Ok((length, Event::Head(head)))
    }

    fn receive_body<'b>(
        &mut self,
        input: &'b [u8],
        limits: &Limits,
    ) -> Result<(usize, Event<'b>), Error> {
        let Receive::Body(mut decoder) = self.receive else { return Ok((0, Event::End)) };
        let is_draining = self.send == Send::Done;
        let left = match is_draining {
            true => limits.drain_bytes_max.saturating_sub(self.drained),
            false => u64::MAX,
        };
        let (used, piece) = decoder.decode(body::at_most(input, left), limits)?;
        if is_draining {
            self.drained += used as u64;
            if piece == Piece::NeedMore && input.len() as u64 >= left {
                self.close = self.close.or(Some(CloseReason::BodyUnread));
                self.receive = Receive::Done;
                return Ok((used, Event::End));
            }
        }
        if used > 0 {
            // A client that sends its body without being asked no longer waits for 100.
            self.awaits_continue = false;
        }
        self.receive = if decoder.is_done() { Receive::Done } else { Receive::Body(decoder) };
        Ok((
            used,
            match piece {
                Piece::NeedMore => Event::NeedMore,
                Piece::Data(data) => Event::Data(data),
                Piece::Trailer { name, value } => Event::Trailer { name, value },
                Piece::End => Event::End,
            },
        ))
    }

    /// Bytes of the request's body that are content whatever they are, once all that was received is used: the caller may
    /// read so many past this crate, to where they are needed, and then says so with [`Conn::received`]. 0 where framing
    /// stands first, and once the request has its answer.
    #[must_use]
    pub fn content_ahead(&self) -> u64 {
        match self.receive {
            Receive::Body(decoder) if self.send != Send::Done => decoder.ahead(),
            _ => 0,
        }
    }

    /// Counts content that the caller read itself: no more than [`Conn::content_ahead`] says.
    pub fn received(&mut self, count: u64) {
        let Receive::Body(mut decoder) = self.receive else { return };
        debug_assert!(count <= self.content_ahead(), "what follows is not content");
        if count > 0 {
            decoder.took_data(count);
            self.awaits_continue = false;
        }
        self.receive = if decoder.is_done() { Receive::Done } else { Receive::Body(decoder) };
    }

    /// The peer has closed its half: returns the fault if that cuts a request, given whether bytes of
    /// the next one have been received.
    #[must_use]
    pub fn receive_eof(&mut self, pending: bool) -> Option<Error> {
        let cut = match self.receive {
            Receive::Head => pending,
            Receive::Body(_) => true,
            Receive::Done | Receive::Failed => false,
        };
        if self.close.is_none() {
            self.close = Some(CloseReason::ClientAsked);
        }
        if cut {
            self.fail();
        }
        cut.then_some(Error::Truncated)
    }

    fn fail(&mut self) {
        self.receive = Receive::Failed;
        self.close = Some(CloseReason::Fault);
    }

    /// How long the body of the request is.
    #[must_use]
    pub fn body(&self) -> BodyLength {
        self.body
    }

    /// True when an answer to the request may still begin.
    #[must_use]
    pub fn may_respond(&self) -> bool {
        self.send == Send::Idle
    }

    /// True while the request's body has not been read to its end.
    #[must_use]
    pub fn is_receiving(&self) -> bool {
        matches!(self.receive, Receive::Body(_))
    }

    /// The connection will close after the current answer.
    pub fn close_after(&mut self) {
        if self.close.is_none() {
            self.close = Some(CloseReason::ServerAsked);
        }
    }

    /// Writes `100 Continue` if the client waits for it (RFC 9110 §10.1.1).
    pub fn send_continue(&mut self, out: &mut Vec<u8>) {
        if self.awaits_continue && self.may_respond() && self.is_receiving() {
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            self.awaits_continue = false;
        }
    }

    /// Begins the answer: writes its head.
    ///
    /// The answer to a request whose body has not been read says `Connection: close` if reading the
    /// rest of it is not worth the connection.
    pub fn respond(
        &mut self,
        head: ResponseHead<'_>,
        stamp: &Stamp,
        limits: &Limits,
        out: &mut Vec<u8>,
    ) -> SendBody {
        debug_assert!(self.may_respond(), "a request has one answer");
        let names_server = head.names_server();
        let (status, size) = head.put(out);
        let omit = self.is_head || is_without_content(status);
        self.plan(size, omit, limits);
        stamp.put(names_server, out);
        if size == BodySize::Unknown
            && !is_without_content(status)
            && self.version == Version::Http11
        {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if self.close.is_some() {
            out.extend_from_slice(b"Connection: close\r\n");
        } else if self.says_keep_alive {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
        match self.send {
            Send::Chunks => SendBody::Chunked,
            Send::Length(0) => SendBody::Omit,
            _ => SendBody::Plain,
        }
    }

    /// True when another protocol may take over: the request is HTTP/1.1, whole, and not answered
    /// (RFC 9110 §7.8: an upgrade comes after the whole request).
    #[must_use]
    pub fn may_upgrade(&self) -> bool {
        self.may_respond() && self.version == Version::Http11 && self.receive == Receive::Done
    }

    /// Answers with 101: what follows on the connection is the other protocol's ([`Conn::may_upgrade`]).
    pub fn upgrade(&mut self, protocol: &str, fields: &Fields, stamp: &Stamp, out: &mut Vec<u8>) {
        debug_assert!(self.may_upgrade() && crate::syntax::is_token(protocol.as_bytes()));
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        fields.put(out);
        stamp.put(fields.names_server(), out);
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: ");
        out.extend_from_slice(protocol.as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        self.hand_over();
    }

    /// Leaves the connection to somebody else: nothing is received or sent here any more.
    pub fn hand_over(&mut self) {
        self.receive = Receive::Failed;
        self.send = Send::Done;
        self.close = self.close.or(Some(CloseReason::HandedOver));
    }

    /// Decides how the content goes out and whether the connection goes on.
    fn plan(&mut self, size: BodySize, omit: bool, limits: &Limits) {
        self.send = match size {
            _ if omit => Send::Length(0),
            BodySize::Known(length) => Send::Length(length),
            BodySize::Unknown if self.version == Version::Http11 => Send::Chunks,
            BodySize::Unknown => Send::UntilClose,
        };
        let close = if self.send == Send::UntilClose {
            Some(CloseReason::LengthUnknown)
        } else if !self.is_worth_draining(limits) {
            Some(CloseReason::BodyUnread)
        } else {
            None
        };
        self.close = self.close.or(close);
    }

    /// A client that waits for 100 may or may not send its body after a final answer, so the next bytes
    /// could be either: the connection ends. A long rest is not worth reading; of a rest of unknown
    /// length as much is read as of a short one.
    fn is_worth_draining(&self, limits: &Limits) -> bool {
        match self.receive {
            Receive::Body(decoder) => {
                !self.awaits_continue
                    && decoder.left().unwrap_or(limits.drain_bytes_max) <= limits.drain_bytes_max
            }
            _ => true,
        }
    }

    /// Writes content, framed as the head announced. More than was announced is cut off.
    pub fn send_body(&mut self, data: &[u8], out: &mut Vec<u8>) {
        match self.send {
            Send::Length(left) => {
                let length = usize::try_from(left).map_or(data.len(), |left| left.min(data.len()));
                out.extend_from_slice(&data[..length]);
                self.sent(length as u64);
            }
            Send::Chunks => put_chunk(data, out),
            Send::UntilClose => out.extend_from_slice(data),
            Send::Idle | Send::Done => {}
        }
    }

    /// Writes what stands before a piece of content that the caller sends itself, from where it is. Returns how many of its
    /// bytes are to be sent, and what stands behind them.
    #[must_use]
    pub fn send_apart(&mut self, length: usize, out: &mut Vec<u8>) -> (usize, &'static [u8]) {
        match self.send {
            Send::Length(left) => {
                let length = usize::try_from(left).map_or(length, |left| left.min(length));
                self.sent(length as u64);
                (length, b"")
            }
            // A chunk without content would be the last one.
            Send::Chunks if length > 0 => {
                encode::put_chunk_size(out, length);
                (length, b"\r\n")
            }
            Send::UntilClose => (length, b""),
            Send::Chunks | Send::Idle | Send::Done => (0, b""),
        }
    }

    /// Counts content that the caller sends itself ([`SendBody::Plain`]).
    pub fn sent(&mut self, length: u64) {
        if let Send::Length(left) = self.send {
            self.send = Send::Length(left.saturating_sub(length));
        }
    }

    /// Ends the answer; chunked content ends with those trailers. Content shorter than announced cuts
    /// the connection, so that the client sees it.
    pub fn finish(&mut self, trailers: &Fields, out: &mut Vec<u8>) {
        match self.send {
            Send::Chunks => {
                out.extend_from_slice(b"0\r\n");
                trailers.put(out);
                out.extend_from_slice(b"\r\n");
            }
            Send::Length(1..) => self.close = Some(CloseReason::ServerAsked),
            Send::Idle | Send::Length(0) | Send::UntilClose | Send::Done => {}
        }
        self.send = Send::Done;
    }

    /// What to do after [`Conn::finish`]; when it is [`Next::Request`], the connection is ready for it.
    pub fn advance(&mut self) -> Next {
        if let Some(reason) = self.close {
            return Next::Close(reason);
        }
        match self.receive {
            Receive::Body(_) => Next::Drain,
            Receive::Failed => Next::Close(CloseReason::Fault),
            Receive::Head | Receive::Done => {
                *self = Self::new();
                Next::Request
            }
        }
    }
}
