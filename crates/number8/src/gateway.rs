//! Answers in the words of programs that were written for another server: those behind CGI, WSGI or ASGI.

use bytes::Bytes;
use futures_core::Stream;
use number8_proto::headers::{FieldError, Fields};
use number8_proto::http1::reason;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::body::Body;
use crate::response::Response;

/// The head of an answer as programs behind a gateway interface write it: every field in the program's own words, the length
/// of the content among them.
///
/// The server still frames the message. It takes what the program says of the length as a promise: what is beyond it is not
/// sent, and an answer whose content is shorter is cut, so that no client takes a part for the whole.
///
/// ```
/// use number8::{Body, GatewayHead};
///
/// let mut head = GatewayHead::new(200);
/// head.push("Content-Type", b"text/plain")?;
/// head.push("Content-Length", b"13")?;
/// assert_eq!(head.length(), Some(13));
/// assert_eq!(head.answer("Hello, world.").body().len(), Some(13));
/// # Ok::<(), number8::FieldError>(())
/// ```
#[derive(Debug, Clone)]
pub struct GatewayHead {
    status: u16,
    /// Where it is not the registered one.
    reason: Option<Box<[u8]>>,
    fields: Fields,
    length: Option<u64>,
}

impl GatewayHead {
    /// A head with that status and no fields. A status that ends no exchange becomes 500, as in [`Response::new`].
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, reason: None, fields: Fields::new(), length: None }
    }

    /// Gives the status that reason phrase.
    ///
    /// # Errors
    /// It holds what no reason phrase may: a line end, a control character.
    pub fn reason(&mut self, phrase: &[u8]) -> Result<(), FieldError> {
        if phrase == reason(self.status).as_bytes() {
            // What nearly every program says, and costs nothing.
            self.reason = None;
            return Ok(());
        }
        if !number8_proto::syntax::is_field_value(phrase) {
            return Err(FieldError::Value);
        }
        self.reason = Some(phrase.into());
        Ok(())
    }

    /// Adds a field. Content-Length is taken as a promise; Date is left out, as the server writes it.
    ///
    /// # Errors
    /// The field cannot be sent, or frames the message or belongs to the connection, which are the server's
    /// ([`Fields::push`]); or it is a Content-Length that is no number, or another one than before.
    pub fn push(&mut self, name: &str, value: &[u8]) -> Result<(), FieldError> {
        match self.fields.push(name, value) {
            Err(FieldError::Framing) if name.eq_ignore_ascii_case("Content-Length") => {
                self.promise(value)
            }
            Err(FieldError::Framing) if name.eq_ignore_ascii_case("Date") => Ok(()),
            result => result,
        }
    }

    fn promise(&mut self, value: &[u8]) -> Result<(), FieldError> {
        let value = number8_proto::syntax::trim_ows(value);
        let length = number8_proto::syntax::decimal(value).ok_or(FieldError::Value)?;
        if self.length.is_some_and(|before| before != length) {
            return Err(FieldError::Framing);
        }
        self.length = Some(length);
        Ok(())
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The length that the program promises, if it does.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The answer with that content, of the length that was promised. Content that is not sent anyway, as for HEAD or with
    /// status 304, may be shorter.
    #[must_use]
    pub fn answer(self, content: impl Into<Body>) -> Response {
        let Self { status, reason, fields, length } = self;
        let content = content.into();
        let content = match length {
            Some(length) if content.len() != Some(length) => content.promised(length),
            // Of a length that nobody has told nothing is said (RFC 9110 §8.6).
            None if status == 304 => Body::stream(Nothing),
            _ => content,
        };
        Response::from_fields(status, fields, content).with_known_reason(reason)
    }
}

impl Body {
    /// The same content, as one of that length: cut where it is longer, an error where it is shorter.
    fn promised(self, length: u64) -> Self {
        Self::sized_stream(length, Chunks(self))
    }
}

/// Content as a stream.
struct Chunks(Body);

impl Stream for Chunks {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(ready!(self.0.poll_chunk(cx)).transpose())
    }
}

struct Nothing;

impl Stream for Nothing {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}
