//! What is served: routes, mounts, error pages and the log, as one immutable value.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use number8_proto::headers::{FieldError, Fields, Known};
use number8_proto::http1::{Head, Method, Stamp, reason};

use crate::body::Body;
use crate::caller::Caller;
use crate::handler::{Answer, Call, Handler, IntoHandler};
use crate::layer::{Ahead, Before, Behind, Layer, Waited};
use crate::layers::access_log::{Format, Sink};
use crate::response::Response;
use crate::server::Options;
use crate::server::testing::TestServer;

/// Everything that answers requests. Build it, hand it to a [`Server`](crate::Server); to change it while
/// it is served, replace the whole of it ([`Handle::replace`](crate::Handle::replace)).
///
/// ```
/// use number8::App;
/// let app = App::new().get("/", async || "Hello, world.");
/// ```
pub struct App {
    /// Tells this app from any other of this process.
    id: u64,
    /// By exact path.
    routes: HashMap<Vec<u8>, Methods>,
    layers: Vec<Box<dyn Layer>>,
    /// By prefix; the longest first.
    mounts: Vec<(Vec<u8>, Box<dyn Handler>)>,
    error_pages: HashMap<u16, ErrorPage>,
    hosts: Vec<String>,
    health: Option<Vec<u8>>,
    server_name: Option<String>,
    fields: Fields,
    access_log: Option<AccessLog>,
    dump: Option<Arc<Sink>>,
}

/// The handlers of one path.
type Methods = Vec<(Method, Box<dyn Handler>)>;

/// Where a line for each request goes, and what it looks like.
#[derive(Debug, Clone)]
pub struct AccessLog {
    /// The looks.
    pub format: Format,
    /// The destination.
    pub sink: Arc<Sink>,
}

/// The content of the answers with one status.
#[derive(Debug, Clone)]
pub struct ErrorPage {
    /// The media type, such as `text/html; charset=utf-8`.
    pub content_type: String,
    /// The content.
    pub content: Bytes,
}

/// How the answer to a request begins.
pub(crate) enum Begun {
    Answer(Answer),
    /// A layer has to wait.
    Wait(Waiting),
}

/// A request that a layer has not let through yet.
pub(crate) struct Waiting {
    pub(crate) waited: Pin<Box<dyn Future<Output = Waited> + Send>>,
    /// The layer that comes next.
    pub(crate) next: usize,
    pub(crate) body: Body,
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl App {
    /// An app that answers 404 to everything.
    #[must_use]
    pub fn new() -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            routes: HashMap::new(),
            layers: Vec::new(),
            mounts: Vec::new(),
            error_pages: HashMap::new(),
            hosts: Vec::new(),
            health: None,
            server_name: Some("number8".to_owned()),
            fields: Fields::new(),
            access_log: None,
            dump: None,
        }
    }

    /// Answers GET, and HEAD, of exactly this path with a function.
    #[must_use]
    pub fn get<Args>(self, path: &str, function: impl IntoHandler<Args>) -> Self {
        self.route(Method::Get, path, function.into_handler())
    }

    /// Answers POST of exactly this path with a function.
    #[must_use]
    pub fn post<Args>(self, path: &str, function: impl IntoHandler<Args>) -> Self {
        self.route(Method::Post, path, function.into_handler())
    }

    /// Answers a method of exactly this path, as it stands in the request; a later handler for the same
    /// two takes the place of an earlier one.
    #[must_use]
    pub fn route(mut self, method: Method, path: &str, handler: impl Handler) -> Self {
        let methods = self.routes.entry(path.as_bytes().to_vec()).or_default();
        methods.retain(|(other, _)| *other != method);
        methods.push((method, Box::new(handler)));
        self
    }

    /// Hands every request below `prefix`, as it stands in the request, to a handler, with the rest of the
    /// path; the longest prefix decides. Routes come first.
    #[must_use]
    pub fn mount(mut self, prefix: &str, handler: impl Handler) -> Self {
        let prefix = prefix.trim_end_matches('/').as_bytes().to_vec();
        self.mounts.retain(|(other, _)| *other != prefix);
        self.mounts.push((prefix, Box::new(handler)));
        self.mounts.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        self
    }

    /// Adds a layer inside those that are there: it sees requests after them and answers before them.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// Calls a function before each request, whatever answers it; the answer that it gives ends the request
    /// there (row N2).
    ///
    /// ```
    /// use number8::{App, Response};
    ///
    /// let app = App::new()
    ///     .before(|call| (call.head.path() == b"/old").then(|| Response::error(410, "it is gone")));
    /// ```
    #[must_use]
    pub fn before(
        self,
        function: impl Fn(&mut Call<'_>) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        self.layer(Ahead(function))
    }

    /// Calls a function with each answer, whatever gave it; what it returns is sent.
    ///
    /// ```
    /// use number8::{App, Response};
    ///
    /// let app = App::new().after(|_, response| {
    ///     response.with("X-Farm", "8").unwrap_or_else(|_| Response::error(500, "no field"))
    /// });
    /// ```
    #[must_use]
    pub fn after(
        self,
        function: impl Fn(&Head<'_>, Response) -> Response + Send + Sync + 'static,
    ) -> Self {
        self.layer(Behind(function))
    }

    /// The content of answers with this status that nothing else gives content (row H10).
    #[must_use]
    pub fn error_page(mut self, status: u16, page: ErrorPage) -> Self {
        self.error_pages.insert(status, page);
        self
    }

    /// Answers only requests for these hosts, for localhost and for IP literals; others get 421. With no
    /// name, every host is answered.
    ///
    /// SECURITY: a page of another site that rebinds its own name to this machine's address keeps its name
    /// in Host, so this is what keeps it out.
    #[must_use]
    pub fn hosts(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.hosts = names.into_iter().collect();
        self
    }

    /// Answers this path with 200 as long as the server lives; such requests are not logged.
    #[must_use]
    pub fn health(mut self, path: impl Into<Option<String>>) -> Self {
        self.health = path.into().map(String::into_bytes);
        self
    }

    /// The value of the Server field (RFC 9110 §10.2.4); `None` leaves it out.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<Option<String>>) -> Self {
        self.server_name = name.into();
        self
    }

    /// Adds a field to every answer, also to those that refuse a request.
    ///
    /// # Errors
    /// The field cannot be sent.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, FieldError> {
        self.fields.push(name, value.as_bytes())?;
        Ok(self)
    }

    /// Writes a line for each request.
    #[must_use]
    pub fn access_log(mut self, log: impl Into<Option<AccessLog>>) -> Self {
        self.access_log = log.into().filter(|log| log.format != Format::Off);
        self
    }

    /// Writes the head of each request, marked `<`, and of each answer, marked `>` (rows W6 and H4).
    #[must_use]
    pub fn dump(mut self, sink: impl Into<Option<Arc<Sink>>>) -> Self {
        self.dump = sink.into();
        self
    }

    /// Serves this app in memory, for tests: with the default options, in the tokio runtime that calls this.
    ///
    /// # Panics
    /// Outside a tokio runtime with time enabled.
    #[must_use]
    pub fn test(self) -> TestServer {
        TestServer::new(self, Options::default())
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn log(&self) -> Option<&AccessLog> {
        self.access_log.as_ref()
    }

    /// True when the log tells how long requests take.
    pub(crate) fn is_timed(&self) -> bool {
        self.access_log.as_ref().is_some_and(|log| log.format.tells_duration())
    }

    pub(crate) fn dump_sink(&self) -> Option<&Sink> {
        self.dump.as_deref()
    }

    /// What every answer of this second has.
    pub(crate) fn stamp(&self, unix_seconds: i64) -> Stamp {
        Stamp::new(unix_seconds, self.server_name.as_deref()).with(&self.fields)
    }

    pub(crate) fn is_health(&self, path: &[u8]) -> bool {
        self.health.as_deref() == Some(path)
    }

    /// Answers one request, from that layer on: host, health, layers, routes, mounts, in this order.
    pub(crate) fn begin(&self, mut call: Call<'_>, layer: usize) -> Begun {
        if layer == 0
            && let Some(response) = self.answer_itself(&call)
        {
            return Begun::Answer(response.into());
        }
        for (index, layer) in self.layers.iter().enumerate().skip(layer) {
            match layer.before(&mut call) {
                Before::Go => {}
                Before::Answer(response) => return Begun::Answer(response.into()),
                Before::Wait(waited) => {
                    let next = index + 1;
                    return Begun::Wait(Waiting { waited, next, body: call.body });
                }
            }
        }
        Begun::Answer(self.handle(call))
    }

    /// What no layer is asked about: another's host, the server as a whole, its health.
    fn answer_itself(&self, call: &Call<'_>) -> Option<Response> {
        if !self.hosts.is_empty() && !call.head.host().is_none_or(|host| self.is_ours(host)) {
            let explanation = "this server does not answer for that host; --host NAME adds one";
            return Some(Response::error(421, explanation));
        }
        let path = call.head.path();
        if path == b"*" {
            return Some(options("GET, HEAD, OPTIONS"));
        }
        self.is_health(path).then(|| health(call.head.method()))
    }

    fn handle(&self, mut call: Call<'_>) -> Answer {
        let path = call.head.path();
        if let Some(methods) = self.routes.get(path) {
            return routed(methods, call);
        }
        for (prefix, handler) in &self.mounts {
            let Some(rest) = path.strip_prefix(prefix.as_slice()) else { continue };
            if rest.is_empty() || rest[0] == b'/' {
                call.path = rest;
                return handler.handle(call);
            }
        }
        Response::error(404, "there is nothing at this address").into()
    }

    /// What is sent in the end: an answer that only says what is wrong gets its content, and layers see it.
    pub(crate) fn finish(
        &self,
        request: Option<(&Head<'_>, &Caller)>,
        response: Response,
    ) -> Response {
        let response = self.explain(response);
        let Some((head, caller)) = request else { return response };
        // A layer may put an error in its place.
        self.explain(
            self.layers
                .iter()
                .rev()
                .fold(response, |response, layer| layer.after(head, caller, response)),
        )
    }

    fn explain(&self, mut response: Response) -> Response {
        let Some(explanation) = response.explanation.take() else { return response };
        let status = response.status();
        match self.error_pages.get(&status) {
            Some(page) => {
                response.body = Body::from(page.content.clone());
                // A page with a type that cannot be sent goes out without one.
                let _ = response.push("Content-Type", &page.content_type);
                response
            }
            None => {
                response.body = Body::from(plain_page(status, &explanation));
                response.with_known("Content-Type", "text/html; charset=utf-8")
            }
        }
    }

    fn is_ours(&self, host: &[u8]) -> bool {
        let name = match host.iter().rposition(|&b| b == b':') {
            // A colon inside brackets belongs to an IPv6 literal.
            Some(colon) if !host.ends_with(b"]") => &host[..colon],
            _ => host,
        };
        let name = name.strip_suffix(b".").unwrap_or(name);
        name.starts_with(b"[")
            || name.eq_ignore_ascii_case(b"localhost")
            || std::str::from_utf8(name)
                .is_ok_and(|name| name.parse::<std::net::Ipv4Addr>().is_ok())
            || self.hosts.iter().any(|ours| name.eq_ignore_ascii_case(ours.as_bytes()))
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("routes", &self.routes.len())
            .field("mounts", &self.mounts.len())
            .finish_non_exhaustive()
    }
}

/// The handler of one path for the method, HEAD by way of GET; else what may be asked.
fn routed(methods: &[(Method, Box<dyn Handler>)], call: Call<'_>) -> Answer {
    let find = |wanted| methods.iter().find(|(method, _)| *method == wanted);
    let method = call.head.method();
    let found =
        find(method).or_else(|| if method == Method::Head { find(Method::Get) } else { None });
    if let Some((_, handler)) = found {
        return handler.handle(call);
    }
    let mut allow = Vec::new();
    for (method, _) in methods {
        allow.extend_from_slice(match method {
            Method::Get => &["GET", "HEAD"],
            Method::Head => &["HEAD"],
            Method::Post => &["POST"],
            Method::Put => &["PUT"],
            Method::Delete => &["DELETE"],
            Method::Patch => &["PATCH"],
            Method::Trace => &["TRACE"],
            Method::Options | Method::Connect | Method::Other => &[],
        });
    }
    allow.push("OPTIONS");
    // GET brings HEAD, which may have a handler of its own too.
    allow.sort_unstable();
    allow.dedup();
    let allow = allow.join(", ");
    match method {
        Method::Options => options(&allow).into(),
        _ => not_allowed(&allow).into(),
    }
}

fn health(method: Method) -> Response {
    match method {
        Method::Get | Method::Head => Response::new(200, "ok\n")
            .with_known("Content-Type", "text/plain; charset=utf-8")
            .with_known("Cache-Control", "no-store"),
        Method::Options => options("GET, HEAD, OPTIONS"),
        _ => not_allowed("GET, HEAD, OPTIONS"),
    }
}

/// The answer to OPTIONS (RFC 9110 §9.3.7).
pub(crate) fn options(allow: &str) -> Response {
    Response::new(204, Body::empty()).with_known("Allow", allow)
}

/// 405 with the methods that would do (RFC 9110 §15.5.6).
pub(crate) fn not_allowed(allow: &str) -> Response {
    Response::error(405, "this method does nothing here").with_known("Allow", allow)
}

/// A page that stands alone: no script, no outside part, readable in the light and in the dark.
fn plain_page(status: u16, explanation: &str) -> String {
    let reason = reason(status);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{status} {reason}</title>\n\
         <h1>{status} {reason}</h1>\n<p>{}.</p>\n</html>\n",
        Escaped(explanation)
    )
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The user agent and the referring page, for the log.
pub(crate) fn log_fields<'a>(head: &Head<'a>) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    (head.get(Known::Referer), head.get(Known::UserAgent))
}
