//! How an app comes to an answer: host, health, layers, routes, mounts; then the layers again.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use number8_proto::headers::Known;
use number8_proto::host::{is_literal_or_localhost, name_of};
use number8_proto::http1::{Head, HeadParser, Method};

use super::App;
use super::pages::{WayOn, explained, health};
use super::spans::{self, Next};
use crate::body::Body;
use crate::caller::Caller;
use crate::handler::{Answer, Call};
use crate::layer::{Before, Waited};
use crate::layers::proxies;
use crate::request_id::RequestId;
use crate::response::{Response, failed};

/// How the answer to a request begins.
pub(super) enum Begun {
    Answer(Answer),
    /// A layer has to wait.
    Wait(Waiting),
}

/// A request that a layer has not let through yet.
pub(crate) struct Waiting {
    pub(crate) waited: Pin<Box<dyn Future<Output = Waited> + Send>>,
    /// Where the request goes on.
    pub(crate) next: Next,
    pub(crate) body: Body,
}

/// Tells the client what its request is called.
const REQUEST_ID: &str = "X-Request-Id";

impl App {
    /// Answers one request, from that layer on: host, health, layers, routes, mounts, in this order.
    #[inline]
    pub(super) fn begin(&self, call: &mut Call<'_>, next: Next) -> Begun {
        match spans::are_wanted() {
            true => self.begin_in_span(call, next),
            false => self.begin_at(call, next.layer),
        }
    }

    #[inline]
    pub(super) fn begin_at(&self, call: &mut Call<'_>, layer: usize) -> Begun {
        if layer == 0
            && self.may_answer_itself(call)
            && let Some(response) = self.answer_itself(call)
        {
            return Begun::Answer(response.into());
        }
        self.pass_layers(call, layer)
    }

    /// Goes through the layers from that one on, then to the handler.
    #[inline]
    pub(super) fn pass_layers(&self, call: &mut Call<'_>, layer: usize) -> Begun {
        for (index, layer) in self.layers.iter().enumerate().skip(layer) {
            match layer.before(call) {
                Before::Go => {}
                Before::Answer(response) => return Begun::Answer(response.into()),
                Before::Wait(waited) => {
                    let next = Next::from(index + 1);
                    return Begun::Wait(Waiting {
                        waited,
                        next,
                        body: std::mem::take(&mut call.body),
                    });
                }
            }
        }
        Begun::Answer(self.handle(call))
    }

    /// Whether a connection from there has to begin with a PROXY header.
    pub(crate) fn expects_header(&self, peer: Option<SocketAddr>) -> bool {
        self.proxies.have_to_announce(peer)
    }

    /// Finds out which host is meant, and who a client is that comes by a proxy; answers where that cannot be. What others
    /// say of themselves is taken away.
    #[inline]
    pub(crate) fn identify(
        &self,
        parser: &mut HeadParser,
        head: &[u8],
        caller: &mut Caller,
    ) -> Option<Response> {
        parser.settle_host();
        if !parser.head(head).has_any(&proxies::FIELDS) {
            self.name_request(caller);
            return None;
        }
        let refusal = self.hear_proxy(parser, head, caller);
        self.name_request(caller);
        refusal
    }

    #[inline]
    fn name_request(&self, caller: &mut Caller) {
        if self.names_requests && caller.request_id.is_none() {
            caller.request_id = Some(RequestId::next());
        }
    }

    /// Hears or forgets what only a proxy may say.
    fn hear_proxy(
        &self,
        parser: &mut HeadParser,
        head: &[u8],
        caller: &mut Caller,
    ) -> Option<Response> {
        let head = parser.head(head);
        if !self.proxies.speak_in_fields(caller.peer) {
            parser.forget(&proxies::FIELDS);
            return None;
        }
        if let Err(disagreement) = self.proxies.identify(&head, caller) {
            return Some(Response::error(400, disagreement.to_string()).closing());
        }
        if proxies::is_made_up(&head, caller) {
            parser.forget(&[Known::XRealIp]);
        }
        None
    }

    /// Whether any of what [`App::answer_itself`] looks for is possible.
    #[inline]
    fn may_answer_itself(&self, call: &Call<'_>) -> bool {
        // `*` is a target of OPTIONS alone.
        !self.hosts.is_empty() || self.health.is_some() || call.head.method() == Method::Options
    }

    /// What no layer is asked about: another's host, the server as a whole, its health.
    fn answer_itself(&self, call: &Call<'_>) -> Option<Response> {
        if !self.hosts.is_empty() && !self.is_for_us(call) {
            let why = "this server does not answer for that host";
            return Some(Response::refusal(421, why, &self.hosts_hint));
        }
        if call.head.path() == b"*" {
            return Some(Response::options("GET, HEAD, OPTIONS"));
        }
        self.is_health(call.head).then(|| health(call.head.method()))
    }

    fn handle(&self, call: &mut Call<'_>) -> Answer {
        let Call { head, path, .. } = *call;
        // The place itself that this app is nested at.
        let routed = if path.is_empty() { b"/" } else { path };
        if !self.router.is_empty()
            && let Some(found) = self.router.find(routed, head.method())
        {
            call.caller.story.tell("route", || found.methods.path().to_owned());
            let handler = match call.caller.asks_first {
                true => found.methods.own(Method::Options),
                false => found.methods.handler(head.method()),
            };
            let Some(handler) = handler else {
                return other_method(&self.router.allowed(routed), head.method());
            };
            return handler.handle(call.handed_on(found.values));
        }
        let Some((mount, rest)) = self.mounts.find(path) else {
            call.caller.story.tell("mount", || "none".to_owned());
            return Response::error(404, "there is nothing at this address").into();
        };
        call.caller.story.tell("mount", || format!("{}/", String::from_utf8_lossy(&mount.prefix)));
        if call.caller.asks_first && !mount.handler.allow().contains("OPTIONS") {
            return Response::new(204, Body::empty()).into();
        }
        let outer = head.path().strip_suffix(path).unwrap_or_default();
        let is_here = |other: &[u8]| {
            let Some(other) = other.strip_prefix(outer) else { return false };
            self.router.find(other, head.method()).is_none()
                && self.mounts.find(other).is_some_and(|(found, _)| std::ptr::eq(found, mount))
        };
        let values = std::mem::take(&mut call.values);
        let mut call = call.handed_on(values);
        call.path = rest;
        call.is_here = Some(&is_here);
        mount.handler.handle(call)
    }

    /// What is sent in the end: an answer that only says what is wrong gets its content, and layers see it. `instead` gives an
    /// error where the client's protocol cannot send an answer.
    #[inline]
    pub(crate) fn finish<'a>(
        &self,
        request: impl FnOnce() -> Option<(Head<'a>, &'a Caller)>,
        mut response: Response,
        instead: impl Fn(&Response) -> Option<Response>,
    ) -> Response {
        // Layers see what is sent, so what cannot be is refused before.
        if let Some(error) = instead(&response) {
            response = error;
        }
        if self.leaves(&response) {
            return response;
        }
        let mut response = self.pass_to_layers(request(), response);
        // A layer may have put in its place what cannot be sent.
        if let Some(error) = instead(&response) {
            response = error;
        }
        self.explain(None, response)
    }

    /// Whether nothing of this app is about to change an answer.
    #[inline]
    pub(crate) fn leaves(&self, response: &Response) -> bool {
        !response.is_explained() && self.layers.is_empty() && !self.request_ids
    }

    fn pass_to_layers(&self, request: Option<(Head<'_>, &Caller)>, response: Response) -> Response {
        let Some((head, caller)) = &request else { return self.explain(None, response) };
        let response = self.explain(Some((head, caller)), response);
        let response = match self.layers.is_empty() {
            true => response,
            // A layer may put an error in its place. One that panics takes the answer with it, and no other is asked.
            false => {
                let passed = AssertUnwindSafe(|| self.pass_layers_back(head, caller, response));
                self.explain(
                    Some((head, caller)),
                    catch_unwind(passed).unwrap_or_else(|_| failed()),
                )
            }
        };
        match &caller.request_id {
            Some(id) if self.request_ids && response.field(REQUEST_ID).is_none() => {
                response.with_known(REQUEST_ID, id.to_string())
            }
            _ => response,
        }
    }

    pub(super) fn pass_layers_back(
        &self,
        head: &Head<'_>,
        caller: &Caller,
        response: Response,
    ) -> Response {
        let back = self.layers.iter().rev();
        back.fold(response, |response, layer| layer.after(head, caller, response))
    }

    /// Gives an answer that only says what is wrong its content: a page of the user's, or what its client
    /// asks for.
    pub(crate) fn explain(
        &self,
        request: Option<(&Head<'_>, &Caller)>,
        response: Response,
    ) -> Response {
        if !response.is_explained() {
            return response;
        }
        let mut response = self.put_page(response);
        let Some(explanation) = response.take_explanation() else { return response };
        let accept = request.and_then(|(head, _)| head.joined(Known::Accept)).unwrap_or_default();
        let way_on = request.filter(|_| response.status() == 403).and_then(WayOn::of);
        let (media_type, content) = explained(&accept, response.status(), &explanation, way_on);
        response.body = Body::from(content);
        let response = response.without_content_fields().with_known("Content-Type", media_type);
        match response.field("Vary") {
            Some(_) => response,
            None => response.with_known("Vary", "Accept"),
        }
    }

    /// Gives an answer that only says what is wrong the user's page for it, if there is one.
    pub(super) fn put_page(&self, mut response: Response) -> Response {
        if response.is_explained()
            && let Some(page) = self.error_pages.get(&response.status())
        {
            response = response.without_content_fields();
            response.take_explanation();
            response.body = Body::from(page.content.clone());
            // A page with a type that cannot be sent goes out without one.
            let _ = response.push("Content-Type", &page.content_type);
        }
        response
    }

    /// What a proxy tells may be what its client has sent: few set X-Forwarded-Host or drop it.
    fn is_for_us(&self, call: &Call<'_>) -> bool {
        let told = call.caller.host.as_deref().map(str::as_bytes);
        call.head.host().into_iter().chain(told).all(|host| self.is_ours(host))
    }

    fn is_ours(&self, host: &[u8]) -> bool {
        let name = name_of(host);
        is_literal_or_localhost(host)
            || self.hosts.iter().any(|ours| name.eq_ignore_ascii_case(ours.as_bytes()))
    }
}

/// No handler of the path answers the method: says which methods would do.
fn other_method(allowed: &str, method: Method) -> Answer {
    match method {
        Method::Options => Response::options(allowed).into(),
        _ => Response::not_allowed(allowed).into(),
    }
}

/// The user agent and the referring page, for the log.
pub(crate) fn log_fields<'a>(head: &Head<'a>) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    (head.get(Known::Referer), head.get(Known::UserAgent))
}
