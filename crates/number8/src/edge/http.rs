//! Conversions to and from the types of the crate `http`, and content as an `http_body::Body`.

use std::any::Any;
use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use number8_proto::headers::{FieldError, Fields};
use number8_proto::http1::{BodySize, Head, Prepared, Version};

use crate::body::Body;
use crate::error::Error;
use crate::request::Request;
use crate::response::{Response, final_status};
use crate::results::IntoResponse;

/// Content in frames. Parts of files cannot be read this way, nor can what takes over a connection.
impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.get_mut().poll_chunk(cx).map(|chunk| Some(chunk.transpose()?.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.len().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A request that the crate `http` cannot express: its method, target or a field is not what that crate takes.
#[derive(Debug)]
pub struct IntoHttpError(http::Error);

impl std::fmt::Display for IntoHttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the request cannot be handed on: {}", self.0)
    }
}

impl StdError for IntoHttpError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// Who asks is an extension of the type [`Caller`](crate::Caller).
///
/// ```
/// use number8::{App, Body, Error, Request};
///
/// async fn agent(request: Request) -> Result<String, Error> {
///     let request = http::Request::<Body>::try_from(request)?;
///     Ok(format!("{:?}", request.headers().get(http::header::USER_AGENT)))
/// }
///
/// let app = App::new().get("/", agent);
/// ```
impl TryFrom<Request> for http::Request<Body> {
    type Error = IntoHttpError;

    fn try_from(request: Request) -> Result<Self, IntoHttpError> {
        let caller = request.caller().clone();
        let mut converted = self::request(&request.head(), request.head().target(), Body::empty())?;
        converted.extensions_mut().insert(caller);
        *converted.body_mut() = request.into_body();
        Ok(converted)
    }
}

/// The request with that target and content.
pub(super) fn request(
    head: &Head<'_>,
    target: &[u8],
    body: Body,
) -> Result<http::Request<Body>, IntoHttpError> {
    let version = match head.version() {
        Version::Http10 => http::Version::HTTP_10,
        Version::Http2 => http::Version::HTTP_2,
        _ => http::Version::HTTP_11,
    };
    let builder = http::Request::builder().method(head.method_bytes()).uri(target).version(version);
    let builder = head.fields().fold(builder, |builder, (name, value)| builder.header(name, value));
    builder.body(body).map_err(IntoHttpError)
}

impl IntoResponse for IntoHttpError {
    fn into_response(self) -> Response {
        Response::error(400, "this request cannot be understood here")
    }
}

/// The status with its reason phrase for content, as a `u16`.
impl IntoResponse for http::StatusCode {
    fn into_response(self) -> Response {
        self.as_u16().into_response()
    }
}

/// The same content with another status.
impl<T: IntoResponse> IntoResponse for (http::StatusCode, T) {
    fn into_response(self) -> Response {
        (self.0.as_u16(), self.1).into_response()
    }
}

/// The same content with these fields, in place of those of their names; 500 where one cannot be sent.
impl<T: IntoResponse> IntoResponse for (http::HeaderMap, T) {
    fn into_response(self) -> Response {
        let (headers, content) = self;
        replaced(content.into_response(), &headers).into_response()
    }
}

/// The same content with another status and these fields.
impl<T: IntoResponse> IntoResponse for (http::StatusCode, http::HeaderMap, T) {
    fn into_response(self) -> Response {
        let (status, headers, content) = self;
        (status, (headers, content)).into_response()
    }
}

fn replaced(response: Response, headers: &http::HeaderMap) -> Result<Response, FieldError> {
    headers.keys().try_fold(response, |mut response, name| {
        for (index, value) in headers.get_all(name).iter().enumerate() {
            response = match index {
                0 => response.replacing(name.as_str(), value)?,
                _ => response.with(name.as_str(), value)?,
            };
        }
        Ok(response)
    })
}

/// Status, fields and content. Fields that frame the message are written anew.
///
/// ```
/// use number8::App;
///
/// async fn tea() -> http::Response<String> {
///     let mut response = http::Response::new("I am a teapot.".to_owned());
///     *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
///     response
/// }
///
/// let app = App::new().get("/tea", tea);
/// ```
impl<B> IntoResponse for http::Response<B>
where
    B: HttpBody<Data: Buf, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
{
    fn into_response(self) -> Response {
        response(self, false)
    }
}

/// The answer; to HEAD, where the content is left out already, with the length that the fields tell.
pub(super) fn response<B>(response: http::Response<B>, to_head: bool) -> Response
where
    B: HttpBody<Data: Buf, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
{
    let (parts, body) = response.into_parts();
    if parts.status.is_informational() {
        return Error::new(500, "the handler failed")
            .because("a service answered with an interim status, or wanted to take the connection")
            .into_response();
    }
    let mut fields = Fields::new();
    for (name, value) in &parts.headers {
        match fields.push(name.as_str(), value.as_bytes()) {
            // The encoder writes those.
            Ok(()) | Err(FieldError::Framing) => {}
            Err(error) => {
                return Error::new(500, "the handler failed").because(error).into_response();
            }
        }
    }
    let status = final_status(parts.status.as_u16());
    if !to_head && status != 304 {
        return Response::from_fields(status, fields, content(body));
    }
    // RFC 9110 §8.6: how much the content would be that is left out is what the service tells, or not known.
    let told = parts.headers.get(http::header::CONTENT_LENGTH);
    let told = told.and_then(|length| length.to_str().ok()?.parse().ok());
    let size = match told.or_else(|| body.size_hint().exact().filter(|&length| length > 0)) {
        Some(length) => BodySize::Known(length),
        None => BodySize::Unknown,
    };
    let frames = Body::stream(Frames(Box::pin(body)));
    Response::prepared(Arc::new(Prepared::new(status, &fields, size)), frames)
}

/// Content of ours stays what it is: only so are files sent, and the fields behind a stream.
fn content<B>(body: B) -> Body
where
    B: HttpBody<Data: Buf, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
{
    let length = body.size_hint().exact();
    let mut body = Some(body);
    if let Some(ours) = (&mut body as &mut dyn Any).downcast_mut::<Option<Body>>() {
        return ours.take().unwrap_or_default();
    }
    let frames = body.map(|body| Frames(Box::pin(body)));
    match (frames, length) {
        (Some(frames), Some(length)) => Body::sized_stream(length, frames),
        (Some(frames), None) => Body::stream(frames),
        (None, _) => Body::empty(),
    }
}

/// The data of a body's frames; trailers are left out.
pub(super) struct Frames<B>(pub(super) Pin<Box<B>>);

impl<B> Stream for Frames<B>
where
    B: HttpBody<Data: Buf, Error: Into<Box<dyn StdError + Send + Sync>>>,
{
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            return Poll::Ready(match ready!(self.0.as_mut().poll_frame(cx)) {
                None => None,
                Some(Err(error)) => Some(Err(io::Error::other(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(mut data) => Some(Ok(data.copy_to_bytes(data.remaining()))),
                    Err(_) => continue,
                },
            });
        }
    }
}
