//! A tower service as a handler.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::marker::PhantomData;

use bytes::Buf;
use number8_proto::http1::Method;
use tower_service::Service;

use super::http::{request, response};
use crate::body::Body;
use crate::error::Error;
use crate::handler::{Answer, Call, Handler};
use crate::results::IntoResponse;

/// A tower service, such as a Router of axum or anything behind layers of tower-http, as a handler.
///
/// Where it is mounted, it sees the rest of the path, as a nested router does, and who asks as an extension of the
/// type [`Caller`](crate::Caller). It is cloned for each request. It cannot take over a connection: an answer of 101 is a 500. How
/// much content it may be sent is the server's limit, unless a hook says otherwise ([`content_limit`](crate::content_limit)).
///
/// ```
/// use number8::{App, Body, Tower};
///
/// let service = tower::service_fn(async |request: http::Request<Body>| {
///     std::io::Result::Ok(http::Response::new(request.uri().to_string()))
/// });
/// let app = App::new().mount("/echo", Tower::new(service));
/// ```
#[derive(Debug, Clone)]
pub struct Tower<S, B> {
    service: S,
    body: PhantomData<fn() -> B>,
}

impl<S, B> Tower<S, B>
where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
{
    /// Hands requests to a service.
    pub fn new(service: S) -> Self {
        Self { service, body: PhantomData }
    }
}

impl<S, B> Handler for Tower<S, B>
where
    S: Service<http::Request<Body>, Response = http::Response<B>, Future: Send>,
    S: Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: http_body::Body<Data: Buf, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
{
    fn handle(&self, mut call: Call<'_>) -> Answer {
        let body = std::mem::take(&mut call.body);
        let mut request = match request(call.head, &rest_of_target(&call), body) {
            Ok(request) => request,
            Err(error) => return error.into_response().into(),
        };
        // The connection has to know it, too.
        call.caller.departure();
        request.extensions_mut().insert(call.caller.clone());
        let to_head = call.head.method() == Method::Head;
        let mut service = self.service.clone();
        Answer::later(async move {
            let answer = async {
                poll_fn(|cx| service.poll_ready(cx)).await?;
                service.call(request).await
            };
            match answer.await {
                Ok(answer) => response(answer, to_head),
                Err(error) => Error::new(500, "the handler failed").because(error).into_response(),
            }
        })
    }
}

/// What is left of the path, with the query.
fn rest_of_target(call: &Call<'_>) -> Vec<u8> {
    let path = if call.path.is_empty() { b"/" } else { call.path };
    match call.head.query() {
        Some(query) => [path, b"?", query].concat(),
        None => path.to_vec(),
    }
}
