//! An app as a tower service, for whoever serves HTTP already.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use http_body::Body as HttpBody;
use number8_proto::http1::{BodySize, HeadParser, is_without_content};
use tower_service::Service;

use super::http::Frames;
use super::pieces::Pieces;
use crate::app::App;
use crate::body::{Body, Kind};
use crate::caller::Caller;
use crate::response::Response;
use crate::router::RouteError;
use crate::server::lane::Lane;
use crate::server::{Limits, Options};

/// An [`App`] as a tower service, which hyper, axum and others serve; clones share the app and its lane.
///
/// ```
/// use number8::App;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = App::new().get("/users/{id}", async |id: u32| format!("user {id}")).into_service()?;
/// let router = axum::Router::new().nest_service("/ours", service);
/// let request = http::Request::get("/ours/users/8").body(axum::body::Body::empty())?;
/// assert_eq!(router.oneshot(request).await?.status(), 200);
/// # Ok(())
/// # }
/// ```
///
/// Paths in its answers and its access rules are those that the service sees: to see the whole path, as with `route_service` of axum,
/// suits uploads, which say where they are.
///
/// What belongs to the server is the other server's: time-outs, limits of heads and connections, the access log, the fields
/// Date and Server, compression on the wire. Files go out in pieces that the lane has read, not by the kernel. What needs
/// the connection itself, a WebSocket, an event stream or raw bytes, is answered with 501.
///
/// Who asks is taken from an extension of the request, a [`Caller`] or a [`SocketAddr`]; without one it is unknown.
#[derive(Clone)]
pub struct AppService(Arc<Inner>);

struct Inner {
    app: App,
    lane: Lane,
    limits: Limits,
}

impl App {
    /// This app as a tower service, with the default [`Options`] of the lane and of content.
    ///
    /// # Errors
    /// The app has a mistake ([`App::check`]).
    pub fn into_service(self) -> Result<AppService, RouteError> {
        self.into_service_with(Options::default())
    }

    /// As [`App::into_service`], with other limits of content and another lane; the rest of the options is for servers.
    ///
    /// # Errors
    /// As for [`App::into_service`].
    pub fn into_service_with(self, options: Options) -> Result<AppService, RouteError> {
        self.check()?;
        let (lane, limits) = (Lane::new(options.lane), options.limits);
        Ok(AppService(Arc::new(Inner { app: self, lane, limits })))
    }
}

impl fmt::Debug for AppService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppService").field(&self.0.app).finish()
    }
}

impl<B> Service<http::Request<B>> for AppService
where
    B: HttpBody<Data: Buf, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        let request = Request::new(request, &inner.limits);
        Box::pin(async move { Ok(inner.answer(request).await) })
    }
}

/// A request as the app sees it.
struct Request {
    head: Vec<u8>,
    parser: HeadParser,
    caller: Caller,
    body: Body,
    /// Answered without the app: the head is none for it.
    refusal: Option<Response>,
    is_head: bool,
}

impl Request {
    fn new<B>(request: http::Request<B>, limits: &Limits) -> Self
    where
        B: HttpBody<Data: Buf, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
    {
        let (parts, body) = request.into_parts();
        let head = head(&parts);
        let mut parser = HeadParser::new();
        let refusal = match parser.parse(&head, &limits.http) {
            Ok(Some(length)) if length == head.len() => None,
            Ok(_) => Some(Response::error(400, "the request is not valid")),
            Err(error) => Some(Response::error(error.status(), error.to_string())),
        };
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller =
            caller.unwrap_or_else(|| Caller::new(parts.extensions.get::<SocketAddr>().copied()));
        let body = match body.is_end_stream() {
            true => Body::empty(),
            false => {
                let length = body.size_hint().exact();
                Body::limited(Box::pin(Frames(Box::pin(body))), length, limits.body_bytes_max)
            }
        };
        let is_head = parts.method == http::Method::HEAD;
        Self { head, parser, caller, body, refusal, is_head }
    }
}

/// The head as it would come over HTTP/1: so it is checked and read as any other.
fn head(parts: &http::request::Parts) -> Vec<u8> {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    // HTTP/2 has the host in the target, where it goes before the field (RFC 9112 §3.2.2). Without any, only HTTP/1.0 will do.
    let authority = parts.uri.authority();
    let has_host = authority.is_some() || parts.headers.contains_key(HOST);
    let is_old = parts.version <= http::Version::HTTP_10 || !has_host;
    let version: &[u8] = if is_old { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" };
    let mut head = [parts.method.as_str().as_bytes(), b" ", target.as_bytes(), version].concat();
    let mut put = |name: &str, value: &[u8]| {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    if let Some(authority) = authority {
        let host = authority.as_str();
        put("host", host.rsplit('@').next().unwrap_or(host).as_bytes());
    }
    for (name, value) in
        parts.headers.iter().filter(|(name, _)| authority.is_none() || *name != HOST)
    {
        put(name.as_str(), value.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// 501 in place of what needs the connection.
fn in_place_of_connection(response: &Response) -> Option<Response> {
    let why = "this needs the connection itself, which the server in front keeps";
    let needs_it = matches!(response.body.kind, Kind::Session(_) | Kind::Broadcast(_));
    needs_it.then(|| Response::error(501, why))
}

impl Inner {
    async fn answer(&self, mut request: Request) -> http::Response<Body> {
        let response = match request.refusal.take() {
            Some(refusal) => self.app.explain(None, refusal),
            None => {
                let response = self.ask(&mut request).await;
                let asked = || Some((request.parser.head(&request.head), &request.caller));
                self.app.finish(asked, response, in_place_of_connection)
            }
        };
        self.converted(response, request.is_head)
    }

    async fn ask(&self, request: &mut Request) -> Response {
        let Request { head, parser, caller, body, .. } = request;
        if let Some(refusal) = self.app.identify(parser, head, caller) {
            return refusal;
        }
        let head = parser.head(head);
        let asked = poll_fn(|cx| {
            let call = self.app.call(&head, caller, std::mem::take(body), &self.lane);
            Poll::Ready(self.app.ask(call, cx))
        });
        match asked.await {
            Ok(response) => response,
            Err(mut asked) => {
                poll_fn(|cx| self.app.poll(&mut asked, &head, caller, &self.lane, cx)).await
            }
        }
    }

    fn converted(&self, response: Response, is_head: bool) -> http::Response<Body> {
        let mut converted = http::Response::new(Body::empty());
        let status = response.status();
        *converted.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        for (name, value) in response.fields().chain(self.app.fields()) {
            // What may be sent was checked when it was added.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
            {
                converted.headers_mut().append(name, value);
            }
        }
        let size = match response.size() {
            BodySize::Known(length) if !is_without_content(status) => Some(length),
            _ => None,
        };
        if let Some(length) = size {
            converted.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        if !is_head && !is_without_content(status) {
            *converted.body_mut() = match response.body.kind {
                Kind::Parts(parts) => Body::stream(Pieces::new(parts, self.lane.clone())),
                kind => Body { kind },
            };
        }
        converted
    }
}
