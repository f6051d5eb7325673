//! Answers.

use std::borrow::Cow;
use std::sync::Arc;

use number8_proto::headers::{FieldError, Fields};
use number8_proto::http1::{self, BodySize, Method, Prepared};
use number8_proto::syntax::is_field_value;

use crate::body::{Body, Kind};
use crate::caller::Caller;
use crate::session::{Raw, Session};

/// An answer: a value that a handler returns, and that nobody changes behind its back.
///
/// ```
/// use number8::Response;
/// let response = Response::new(200, "Hello, world.").with("Cache-Control", "no-store")?;
/// assert_eq!(response.status(), 200);
/// # Ok::<(), number8::FieldError>(())
/// ```
#[derive(Debug)]
pub struct Response {
    status: u16,
    /// The head of that status, encoded before, to which the fields were added since.
    prepared: Option<Arc<Prepared>>,
    pub(crate) fields: Fields,
    pub(crate) body: Body,
    /// The connection ends after this answer.
    pub(crate) close: bool,
    /// A page of our own, with nothing of anybody else's in it but names.
    pub(crate) is_ours: bool,
    rare: Option<Box<Rare>>,
}

/// What few answers have: each is handed on by value, from room to connection, and so is small.
#[derive(Debug, Default)]
struct Rare {
    explanation: Option<Cow<'static, str>>,
    reason: Option<Box<[u8]>>,
    stands_in: Option<Box<[u8]>>,
    caller: Option<Box<Caller>>,
}

impl Response {
    /// An answer with that status and content, and no fields but those that frame it.
    ///
    /// A status that ends no exchange (below 200, RFC 9110 §15.2) or has not three digits is a mistake in
    /// the program: it becomes 500.
    pub fn new(status: u16, body: impl Into<Body>) -> Self {
        Self::from_fields(status, Fields::new(), body.into())
    }

    pub(crate) fn from_fields(status: u16, fields: Fields, body: Body) -> Self {
        let status = final_status(status);
        Self { status, prepared: None, fields, body, close: false, is_ours: false, rare: None }
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Whether the app writes the content: an error page of the user's, or its own.
    #[inline]
    pub(crate) fn is_explained(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.explanation.is_some())
    }

    /// What is wrong, for whoever writes the content; then it has been written.
    #[inline]
    pub(crate) fn take_explanation(&mut self) -> Option<Cow<'static, str>> {
        self.rare.as_mut()?.explanation.take()
    }

    /// The path below the mount of the file that answers, where another one leads to it.
    pub(crate) fn stands_in(&self) -> Option<&[u8]> {
        self.rare.as_ref()?.stands_in.as_deref()
    }

    #[cfg_attr(not(feature = "files"), allow(dead_code, reason = "a room has files"))]
    pub(crate) fn standing_in(mut self, path: &[u8]) -> Self {
        self.rare().stands_in = Some(path.into());
        self
    }

    /// Who asks, where that was found out behind a wait: the connection has not seen it ([`Caller::learn`]).
    #[inline]
    pub(crate) fn take_caller(&mut self) -> Option<Box<Caller>> {
        self.rare.as_mut()?.caller.take()
    }

    /// Whether its head was encoded before ([`Response::prepared`]).
    pub(crate) fn is_prepared(&self) -> bool {
        self.prepared.is_some()
    }

    /// The same answer with these fields alone, and other content.
    #[cfg_attr(not(feature = "compression"), allow(dead_code, reason = "a layer changes content"))]
    pub(crate) fn remade(mut self, fields: Fields, body: Body) -> Self {
        (self.prepared, self.fields, self.body) = (None, fields, body);
        self
    }

    pub(crate) fn tell_caller(&mut self, caller: Caller) {
        self.rare().caller = Some(Box::new(caller));
    }

    /// The same answer with a reason phrase that was checked before.
    pub(crate) fn with_known_reason(mut self, reason: Option<Box<[u8]>>) -> Self {
        if let Some(reason) = reason {
            self.rare().reason = Some(reason);
        }
        self
    }

    /// An answer whose head was encoded before, for those who send the same one many times. Content whose
    /// length is not the one that the head announces is a mistake in the program: the answer is a 500.
    #[must_use]
    pub fn prepared(head: Arc<Prepared>, body: Body) -> Self {
        // SECURITY: a client would take what is too much for the next answer.
        let agrees = match (head.size(), body.len()) {
            (BodySize::Known(announced), Some(length)) => announced == length,
            (BodySize::Unknown, Some(length)) => length == 0,
            // A stream is cut where the head says that it ends.
            (_, None) => true,
        };
        if !agrees {
            return Self::error(500, "the handler failed");
        }
        Self { status: head.status(), prepared: Some(head), ..Self::new(200, body) }
    }

    /// An answer that says what is wrong: the status, and a sentence for the person at the other end. The
    /// app turns it into an error page.
    pub fn error(status: u16, explanation: impl Into<Cow<'static, str>>) -> Self {
        let mut response = Self::new(status, Body::empty());
        response.rare().explanation = Some(explanation.into());
        response
    }

    /// The same with a hint behind it, where there is one, by which whoever runs the server mends that.
    pub(crate) fn refusal(status: u16, why: &'static str, hint: &str) -> Self {
        match hint {
            "" => Self::error(status, why),
            hint => Self::error(status, format!("{why}; {hint}")),
        }
    }

    /// 405 for a method that does nothing, with those that would do (RFC 9110 §15.5.6): `GET, HEAD, OPTIONS`. A text that cannot be
    /// sent is left out.
    #[must_use]
    pub fn not_allowed(allow: &str) -> Self {
        Self::error(405, "this method does nothing here").allowing(allow)
    }

    /// The answer to OPTIONS (RFC 9110 §9.3.7): which methods do something. A text that cannot be sent is left out.
    #[must_use]
    pub fn options(allow: &str) -> Self {
        Self::new(204, Body::empty()).allowing(allow)
    }

    fn allowing(mut self, allow: &str) -> Self {
        // What cannot be sent is left out, as promised.
        let _ = self.push("Allow", allow);
        self
    }

    /// Adds a field.
    ///
    /// # Errors
    /// The field cannot be sent ([`Fields::push`]).
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, FieldError> {
        self.push(name, value)?;
        Ok(self)
    }

    /// Adds a field that is known to be one, such as those the rooms write.
    #[must_use]
    pub(crate) fn with_known(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        let added = self.push(name, value);
        debug_assert!(added.is_ok(), "{name} cannot be sent");
        self
    }

    /// Adds a field in place of all of that name.
    ///
    /// # Errors
    /// The field cannot be sent ([`Fields::push`]).
    pub fn replacing(self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, FieldError> {
        self.without(name).with(name, value)
    }

    /// Takes all fields of that name away, in any case.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.choose(|other| !other.eq_ignore_ascii_case(name));
        self
    }

    /// Keeps the fields of those names, in a head that is encoded when it is sent.
    fn choose(&mut self, is_kept: impl Fn(&str) -> bool) {
        let mut fields = Fields::new();
        for (name, value) in self.fields().filter(|(name, _)| is_kept(name)) {
            let kept = fields.push(name, value);
            debug_assert!(kept.is_ok(), "{name} was a field before");
        }
        self.prepared = None;
        self.fields = fields;
    }

    /// Has the head encoded when it is sent.
    fn unprepare(&mut self) {
        if self.prepared.is_some() {
            self.choose(|_| true);
        }
    }

    /// Without what says how to read the content, which another takes the place of.
    pub(crate) fn without_content_fields(self) -> Self {
        const NAMES: [&str; 2] = ["Content-Type", "Content-Encoding"];
        NAMES.into_iter().fold(self, |response, name| match response.field(name) {
            Some(_) => response.without(name),
            None => response,
        })
    }

    /// The fields, but those that frame the message and Date, which are written when it is sent.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let prepared = self.prepared.iter().flat_map(|prepared| prepared.fields());
        prepared.chain(self.fields.iter())
    }

    /// The value of the first field of that name, in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether whoever gets this asks for it again where it ends, as `EventSource` does: events, with which a GET is answered.
    pub(crate) fn is_asked_for_again(&self, method: Method) -> bool {
        method == Method::Get
            && self.field("Content-Type").is_some_and(|value| {
                let media_type = value.split(|&byte| byte == b';').next().unwrap_or_default();
                media_type.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
            })
    }

    /// The same answer with other content; the length goes with it.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        self.unprepare();
        self.body = body.into();
        self.take_explanation();
        self
    }

    /// 101: the connection goes to another protocol, of that name (RFC 9110 §7.8). A request that does not ask for it by
    /// Upgrade and Connection, or cannot be upgraded (HTTP/1.0, or with content), gets 400 instead.
    pub fn upgrade(protocol: &'static str, session: impl Session + 'static) -> Self {
        Self::taken_over(101, Body::session(Some(protocol), Box::new(session)))
    }

    /// Bytes that go out as they are, without a head, and end the connection (row R12). The program writes
    /// status line and fields itself, so nothing here keeps it from writing what no client understands.
    ///
    /// The log shows status 0. Parts of files cannot be sent this way.
    pub fn raw(body: impl Into<Body>) -> Self {
        Self::taken_over(0, Body::session(None, Box::new(Raw(body.into()))))
    }

    fn taken_over(status: u16, body: Body) -> Self {
        Self { status, ..Self::new(200, body) }
    }

    pub(crate) fn push(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), FieldError> {
        self.fields.push(name, value.as_ref())
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The content alone.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The content.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The same answer with another status, and its reason phrase. One that ends no exchange becomes 500, as in
    /// [`Response::new`]; what would have taken over the connection does not.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        if matches!(self.body.kind, Kind::Session(_)) {
            self.body = Body::empty();
        }
        if let Some(rare) = &mut self.rare {
            rare.reason = None;
        }
        self.unprepare();
        self.status = final_status(status);
        self
    }

    /// The same answer with a reason phrase of the program's own in place of the registered one (RFC 9112 §4). HTTP/1.1
    /// clients show it at most; what they act on is the status.
    ///
    /// # Errors
    /// It holds what no reason phrase may: a line end, a control character.
    pub fn with_reason(mut self, reason: impl AsRef<[u8]>) -> Result<Self, FieldError> {
        let reason = reason.as_ref();
        if !is_field_value(reason) {
            return Err(FieldError::Value);
        }
        self.unprepare();
        self.rare().reason = Some(reason.into());
        Ok(self)
    }

    /// The same answer, after which the connection closes.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// How much content the head announces.
    pub(crate) fn size(&self) -> BodySize {
        match &self.prepared {
            Some(prepared) => prepared.size(),
            // RFC 9110 §8.6: it would be that of a 200, which is not known here.
            None if self.status == 304 && self.body.is_empty() => BodySize::Unknown,
            None => self.body.size(),
        }
    }

    /// The head for the encoder.
    pub(crate) fn head(&self) -> http1::ResponseHead<'_> {
        let fields = &self.fields;
        match &self.prepared {
            Some(prepared) => http1::ResponseHead::Prepared(prepared, fields),
            None => {
                let reason = self.rare.as_ref().and_then(|rare| rare.reason.as_deref());
                let (status, size) = (self.status, self.size());
                http1::ResponseHead::Fields { status, reason, fields, size }
            }
        }
    }
}

/// The answer of a handler that panicked: the hook has printed why, and the client learns no more than that it was not
/// its fault.
pub(crate) fn failed() -> Response {
    Response::error(500, "the handler failed")
}

/// 503 with a time to try again, and the end of the connection: it may be what is too much.
pub(crate) fn busy(why: impl Into<Cow<'static, str>>) -> Response {
    try_again(why).closing()
}

/// 503 with a time to try again.
pub(crate) fn try_again(why: impl Into<Cow<'static, str>>) -> Response {
    Response::error(503, why).with_known("Retry-After", "1")
}

/// SECURITY: after an interim status a client waits for another head, and would take the next answer for it.
pub(crate) fn final_status(status: u16) -> u16 {
    if (200..1000).contains(&status) { status } else { 500 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_head_goes_out_only_with_content_of_its_length() {
        let head = |size| Arc::new(Prepared::new(200, &Fields::new(), size));
        for (size, content, status) in [
            (BodySize::Known(2), "hi", 200),
            (BodySize::Known(1), "hi", 500),
            (BodySize::Known(3), "hi", 500),
            (BodySize::Unknown, "", 200),
            (BodySize::Unknown, "hi", 500),
        ] {
            assert_eq!(Response::prepared(head(size), content.into()).status(), status, "{size:?}");
        }
    }
}
