//! What a handler may return.

use std::borrow::Cow;
use std::io;

use bytes::Bytes;
use number8_proto::headers::{FieldError, Fields};
use number8_proto::http1::{is_without_content, reason};

use crate::body::Body;
use crate::error::Error;
use crate::response::{Response, final_status};
use crate::store::File;

/// What a handler may return: text, bytes, a status, a tuple with fields, a [`Result`] and more.
///
/// ```
/// use number8::{Html, IntoResponse, Redirect};
///
/// assert_eq!("text".into_response().status(), 200);
/// assert_eq!(Html("<p>text").into_response().field("content-type"), Some(&b"text/html; charset=utf-8"[..]));
/// assert_eq!((201, [("Location", "/songs/8")], "made").into_response().field("location"), Some(&b"/songs/8"[..]));
/// assert_eq!(Redirect::to("/").into_response().status(), 303);
/// assert_eq!(None::<&str>.into_response().status(), 404);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the answer to a request",
    label = "not a response",
    note = "an answer is text, bytes, `Html`, `Json`, a status, a tuple `(status, fields, answer)` or parts of it, `Redirect`, `Response`, a `Result` or `Option` of answers, or a type of yours that is `IntoResponse`"
)]
pub trait IntoResponse {
    /// The answer that this value stands for.
    fn into_response(self) -> Response;
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

/// 204 No Content.
impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::new(204, Body::empty())
    }
}

/// A status code with its reason phrase for content.
impl IntoResponse for u16 {
    fn into_response(self) -> Response {
        match final_status(self) {
            status @ 400.. => Response::error(status, reason(status)),
            // RFC 9110 §15.3.6: none with 205, either.
            _ if is_without_content(self) || self == 205 => Response::new(self, Body::empty()),
            _ => (self, reason(self)).into_response(),
        }
    }
}

macro_rules! content {
    ($($from:ty: $mime:literal;)*) => {$(
        impl IntoResponse for $from {
            #[doc = concat!("200 with `Content-Type: ", $mime, "`.")]
            fn into_response(self) -> Response {
                const FIELDS: Fields = Fields::fixed(concat!("Content-Type: ", $mime, "\r\n"));
                Response::from_fields(200, FIELDS, self.into())
            }
        }
    )*};
}

content! {
    &'static str: "text/plain; charset=utf-8";
    String: "text/plain; charset=utf-8";
    Vec<u8>: "application/octet-stream";
    &'static [u8]: "application/octet-stream";
    Bytes: "application/octet-stream";
}

/// 200 with `Content-Type: application/octet-stream`, such as what `include_bytes!` gives.
impl<const N: usize> IntoResponse for &'static [u8; N] {
    fn into_response(self) -> Response {
        self.as_slice().into_response()
    }
}

/// Whichever of the two it is.
impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

/// 500: the program tried to send what cannot be sent.
impl IntoResponse for FieldError {
    fn into_response(self) -> Response {
        Error::from(self).into_response()
    }
}

/// 413, 408 or 400 where the body of the request is at fault ([`BodyError`](crate::BodyError)), else 500. What went wrong inside the
/// server is not told to the client.
impl IntoResponse for io::Error {
    fn into_response(self) -> Response {
        Error::from(self).into_response()
    }
}

/// The same content with another status.
impl<T: IntoResponse> IntoResponse for (u16, T) {
    fn into_response(self) -> Response {
        let (status, content) = self;
        content.into_response().with_status(status)
    }
}

/// The value, or 404.
impl<T: IntoResponse> IntoResponse for Option<T> {
    fn into_response(self) -> Response {
        match self {
            Some(value) => value.into_response(),
            None => Response::error(404, "there is nothing at this address"),
        }
    }
}

impl IntoResponse for Cow<'static, str> {
    /// 200 with `Content-Type: text/plain; charset=utf-8`.
    fn into_response(self) -> Response {
        match self {
            Cow::Borrowed(text) => text.into_response(),
            Cow::Owned(text) => text.into_response(),
        }
    }
}

/// 200 with the content of unknown type.
impl IntoResponse for Body {
    fn into_response(self) -> Response {
        Response::new(200, self)
    }
}

/// 200 with the whole file, sent without a copy where the system can.
impl IntoResponse for File {
    fn into_response(self) -> Response {
        Response::new(200, self)
    }
}

/// The same content with these fields, each in place of one of that name; 500 where one cannot be sent.
impl<V: AsRef<[u8]>, const N: usize, T: IntoResponse> IntoResponse for ([(&str, V); N], T) {
    fn into_response(self) -> Response {
        let (fields, content) = self;
        let replaced =
            fields.into_iter().try_fold(content.into_response(), |response, (name, value)| {
                response.replacing(name, value)
            });
        replaced.into_response()
    }
}

/// The same content with another status and these fields.
impl<V: AsRef<[u8]>, const N: usize, T: IntoResponse> IntoResponse for (u16, [(&str, V); N], T) {
    fn into_response(self) -> Response {
        let (status, fields, content) = self;
        (fields, content).into_response().with_status(status)
    }
}

/// A page: 200 with `Content-Type: text/html; charset=utf-8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Html<T>(pub T);

impl<T: Into<Body>> IntoResponse for Html<T> {
    fn into_response(self) -> Response {
        const FIELDS: Fields = Fields::fixed("Content-Type: text/html; charset=utf-8\r\n");
        Response::from_fields(200, FIELDS, self.0.into())
    }
}

/// Sends the client elsewhere (RFC 9110 §15.4). An address that cannot be sent in a field becomes a 500.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    status: u16,
    location: String,
}

impl Redirect {
    /// 303: look there with GET, as after a form.
    pub fn to(location: impl Into<String>) -> Self {
        Self { status: 303, location: location.into() }
    }

    /// 307: the same request, there, this time.
    pub fn temporary(location: impl Into<String>) -> Self {
        Self { status: 307, location: location.into() }
    }

    /// 308: the same request, there, from now on.
    pub fn permanent(location: impl Into<String>) -> Self {
        Self { status: 308, location: location.into() }
    }
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Response {
        Response::new(self.status, Body::empty()).with("Location", self.location).into_response()
    }
}
