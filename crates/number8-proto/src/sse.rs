//! Server-sent events (the HTML standard, "Server-sent events"): one event to bytes.
//!
//! A stream is lines, and what a line means stands before its first colon; so nothing that is written may
//! hold a line end that its author did not see. Data and comments of several lines become several fields,
//! which a client joins again; a name or an id with a line end is refused.

use alloc::vec::Vec;
use core::fmt;

use crate::decimal;

/// One event. What is left out is not sent; an event without data changes what a client knows (its last id,
/// when to try again) and calls none of its listeners.
///
/// ```
/// use number8_proto::sse::Event;
///
/// let mut out = Vec::new();
/// Event { name: Some("tick"), id: Some("7"), data: Some("one\ntwo"), ..Event::default() }.put(&mut out)?;
/// assert_eq!(out, b"event: tick\nid: 7\ndata: one\ndata: two\n\n");
/// # Ok::<(), number8_proto::sse::FieldError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// Which listeners are called; without it those of `message`.
    pub name: Option<&'a str>,
    /// What the client sends as `Last-Event-ID` when it comes back; empty makes it forget its last one.
    pub id: Option<&'a str>,
    /// Milliseconds that a client waits before it comes back.
    pub retry_ms: Option<u64>,
    /// What the listeners get. CR, LF and CRLF all arrive as LF.
    pub data: Option<&'a str>,
    /// What no client shows: something for people who look at the stream, or a sign of life.
    pub comment: Option<&'a str>,
}

impl Event<'_> {
    /// Appends the event.
    ///
    /// # Errors
    /// The name or the id cannot be sent ([`is_sendable`]); then nothing is appended.
    pub fn put(&self, out: &mut Vec<u8>) -> Result<(), FieldError> {
        if !self.name.is_none_or(is_sendable) {
            return Err(FieldError::Name);
        }
        if !self.id.is_none_or(is_sendable) {
            return Err(FieldError::Id);
        }
        if let Some(comment) = self.comment {
            lines(comment).for_each(|line| put_field(out, "", line));
        }
        if let Some(name) = self.name {
            put_field(out, "event", name);
        }
        if let Some(id) = self.id {
            put_field(out, "id", id);
        }
        if let Some(retry_ms) = self.retry_ms {
            out.extend_from_slice(b"retry: ");
            decimal::push(retry_ms, out);
            out.push(b'\n');
        }
        if let Some(data) = self.data {
            lines(data).for_each(|line| put_field(out, "data", line));
        }
        out.push(b'\n');
        Ok(())
    }
}

/// True when a name or an id arrives as it is: it holds no CR and no LF, which would begin another field, and
/// no NUL, for which clients drop an id.
#[must_use]
pub fn is_sendable(text: &str) -> bool {
    !text.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0))
}

/// A part of an event that must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// The name holds a line end or NUL.
    Name,
    /// The id holds a line end or NUL.
    Id,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of an event must not hold a line end or NUL",
            Self::Id => "the id of an event must not hold a line end or NUL",
        })
    }
}

impl core::error::Error for FieldError {}

/// The space belongs to the field: a client takes one away, and the text's own first one stays.
fn put_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

/// The lines of a text, whose ends are CRLF, CR or LF; one more than there are ends.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.bytes().position(|b| b == b'\r' || b == b'\n') else {
            rest = None;
            return Some(text);
        };
        let width = if text[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = Some(&text[end + width..]);
        Some(&text[..end])
    })
}
