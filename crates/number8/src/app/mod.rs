//! What is served: routes, layers, mounts, error pages and the log, as one immutable value.

mod answer;
mod asked;
mod mounts;
mod nested;
mod pages;
mod spans;

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use number8_proto::headers::{FieldError, Fields};
use number8_proto::http1::{Head, Method, Stamp};

pub(crate) use answer::log_fields;
pub(crate) use asked::Asked;
use mounts::Mounts;
use nested::Nested;
#[cfg_attr(not(feature = "accounts"), allow(unused_imports, reason = "a page for logging in"))]
pub(crate) use pages::Escaped;
pub(crate) use pages::readiness;
pub(crate) use spans::are_wanted;

use crate::access::Access;
use crate::handler::{Call, Handler, IntoHandler, Needs};
use crate::layer::{Ahead, Behind, Layer};
use crate::layers::access_log::{Format, Sink};
use crate::layers::proxies::Proxies;
use crate::metrics::Sheet;
use crate::response::Response;
use crate::router::{self, RouteError, Router};
use crate::routes::Routes;
use crate::server::Options;
use crate::server::testing::TestServer;
use crate::state::States;

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
    router: Router,
    states: Arc<States>,
    /// States that handlers need, with the routes of the handlers.
    needed: Vec<(String, TypeId, &'static str)>,
    /// The first mistake made in building this.
    mistake: Option<RouteError>,
    access: Arc<Access>,
    /// Somebody has given the rules.
    has_rules: bool,
    layers: Vec<Box<dyn Layer>>,
    /// By prefix; the longest first.
    mounts: Mounts,
    error_pages: HashMap<u16, ErrorPage>,
    hosts: Vec<String>,
    hosts_hint: String,
    proxies: Proxies,
    health: Option<Vec<u8>>,
    ready: Option<Vec<u8>>,
    server_name: Option<String>,
    fields: Fields,
    access_log: Option<AccessLog>,
    slow_log: Option<SlowLog>,
    /// Answers tell what their requests are called.
    request_ids: bool,
    /// Somebody wants to know what requests are called.
    names_requests: bool,
    dump: Option<Arc<Sink>>,
}

/// Where a line for each request goes, and what it looks like.
#[derive(Debug, Clone)]
pub struct AccessLog {
    /// The looks.
    pub format: Format,
    /// The destination.
    pub sink: Arc<Sink>,
}

/// Which requests are slow, and where they are told of.
#[derive(Debug, Clone)]
pub struct SlowLog {
    /// Those that have waited for the beginning of their answer for so long.
    pub after: Duration,
    /// What their lines look like and where they go; `$duration_ms` is that wait.
    pub log: AccessLog,
}

/// The content of the answers with one status.
#[derive(Debug, Clone)]
pub struct ErrorPage {
    /// The media type, such as `text/html; charset=utf-8`.
    pub content_type: String,
    /// The content.
    pub content: Bytes,
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
            router: Router::default(),
            states: Arc::default(),
            needed: Vec::new(),
            mistake: None,
            access: Arc::default(),
            has_rules: false,
            layers: Vec::new(),
            mounts: Mounts::default(),
            error_pages: HashMap::new(),
            hosts: Vec::new(),
            hosts_hint: String::new(),
            proxies: Proxies::default(),
            health: None,
            ready: None,
            server_name: Some("number8".to_owned()),
            fields: Fields::new(),
            access_log: None,
            slow_log: None,
            request_ids: false,
            names_requests: false,
            dump: None,
        }
    }

    /// Answers GET, and HEAD, of this path; see [`App::route`].
    #[must_use]
    pub fn get<Kind>(self, path: &str, handler: impl IntoHandler<Kind>) -> Self {
        self.route(Method::Get, path, handler)
    }

    /// Answers POST of this path; see [`App::route`].
    #[must_use]
    pub fn post<Kind>(self, path: &str, handler: impl IntoHandler<Kind>) -> Self {
        self.route(Method::Post, path, handler)
    }

    /// Answers PUT of this path; see [`App::route`].
    #[must_use]
    pub fn put<Kind>(self, path: &str, handler: impl IntoHandler<Kind>) -> Self {
        self.route(Method::Put, path, handler)
    }

    /// Answers PATCH of this path; see [`App::route`].
    #[must_use]
    pub fn patch<Kind>(self, path: &str, handler: impl IntoHandler<Kind>) -> Self {
        self.route(Method::Patch, path, handler)
    }

    /// Answers DELETE of this path; see [`App::route`].
    #[must_use]
    pub fn delete<Kind>(self, path: &str, handler: impl IntoHandler<Kind>) -> Self {
        self.route(Method::Delete, path, handler)
    }

    /// Answers a method of a path.
    ///
    /// In the path, `{name}` stands for the text of one segment and `{*rest}` for all that is left, slashes too; the
    /// handler's arguments take them by position. The most specific route wins: literal text before `{name}`
    /// before `{*rest}`. Two routes that no request can tell apart are a mistake, which [`App::check`] finds.
    /// HEAD is answered by way of GET, OPTIONS with what may be asked; any other method gets 405 with Allow.
    ///
    /// ```
    /// use number8::{App, Method};
    ///
    /// let app = App::new()
    ///     .get("/users/{id}", async |id: u32| format!("user {id}"))
    ///     .get("/users/me", async || "you")
    ///     .route(Method::Delete, "/users/{id}", async |id: u32| format!("user {id} is gone"))
    ///     .get("/docs/{*page}", async |page: String| page);
    /// ```
    #[must_use]
    pub fn route<Kind>(self, method: Method, path: &str, handler: impl IntoHandler<Kind>) -> Self {
        self.add_route(Some(method), path, handler)
    }

    /// Answers every method of a path that no other handler of the path answers.
    #[must_use]
    pub fn any<Kind>(self, path: &str, handler: impl IntoHandler<Kind>) -> Self {
        self.add_route(None, path, handler)
    }

    /// Adds routes: functions with an attribute such as `#[get("/")]`, one or several.
    ///
    /// ```
    /// # #[cfg(feature = "macros")] {
    /// use number8::{App, Content, get, post};
    ///
    /// #[get("/songs/{id}")]
    /// async fn song(id: u32) -> String {
    ///     format!("song {id}")
    /// }
    ///
    /// #[post("/songs")]
    /// async fn add_song(title: Content) -> (u16, Vec<u8>) {
    ///     (201, title.to_vec())
    /// }
    ///
    /// let app = App::new().add((song, add_song));
    /// assert!(app.check().is_ok());
    /// # }
    /// ```
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "nobody reads an app as a number")]
    pub fn add(self, routes: impl Routes) -> Self {
        routes.add_to(self)
    }

    /// Answers these methods of every path that fits a pattern, in which `*` stands for any text, slashes too. The
    /// first pattern added that fits path and method wins (rows U11, U12 and U14); routes come before patterns.
    /// What the stars stand for are the path's values.
    ///
    /// ```
    /// use number8::{App, Method};
    ///
    /// let app = App::new()
    ///     .pattern(&[Method::Get, Method::Post], "/api/*", async |rest: String| rest)
    ///     .pattern(&[Method::Get], "*", async || "everything else");
    /// ```
    #[must_use]
    pub fn pattern<Kind, H: IntoHandler<Kind>>(
        mut self,
        methods: &[Method],
        pattern: &str,
        handler: H,
    ) -> Self {
        self.note_needs(pattern, pattern.matches('*').count(), H::needs());
        let added = self.router.add_pattern(methods, pattern, handler.into_handler(pattern));
        self.note(added)
    }

    /// Shares a value with all handlers, which take it as a [`State`](crate::State) of its type. One value of each
    /// type; a later one takes the place of an earlier one.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        // Nobody else has it before the app is built.
        Arc::make_mut(&mut self.states).insert(value);
        self
    }

    /// Finds mistakes in the routes: it is called before an app is served, and by tests.
    ///
    /// # Errors
    /// The first mistake.
    ///
    /// ```
    /// use number8::App;
    ///
    /// let app = App::new()
    ///     .get("/users/{id}", async |id: u32| format!("user {id}"))
    ///     .get("/users/{name}", async |name: String| name);
    /// assert!(app.check().unwrap_err().to_string().contains("never be told apart"));
    /// ```
    pub fn check(&self) -> Result<(), RouteError> {
        if let Some(mistake) = &self.mistake {
            return Err(mistake.clone());
        }
        match self.needed.iter().find(|(_, state, _)| !self.states.has(*state)) {
            Some((route, _, type_name)) => {
                Err(RouteError::State { route: route.clone(), type_name })
            }
            None => Ok(()),
        }
    }

    fn add_route<Kind, H: IntoHandler<Kind>>(
        mut self,
        method: Option<Method>,
        path: &str,
        handler: H,
    ) -> Self {
        let route = format!("{} {path}", method.map_or("*", router::name));
        // The path first: what its placeholders are is nothing to count before they are understood.
        let added = self.router.add(method, path, handler.into_handler(&route));
        let mut app = self.note(added);
        app.note_needs(&route, Router::placeholders(path), H::needs());
        app
    }

    fn note_needs(&mut self, route: &str, has: usize, needs: Needs) {
        let Needs { path_values: takes, contents, states } = needs;
        if takes != has && takes > 0 {
            self.mistake.get_or_insert(RouteError::Values { route: route.to_owned(), takes, has });
        }
        if contents > 1 {
            self.mistake.get_or_insert(RouteError::Contents(route.to_owned()));
        }
        self.needed.extend(states.into_iter().map(|(id, name)| (route.to_owned(), id, name)));
    }

    fn note(mut self, added: Result<(), RouteError>) -> Self {
        if let Err(mistake) = added {
            self.mistake.get_or_insert(mistake);
        }
        self
    }

    /// Hands every request below `prefix` to another app, which sees the rest of the path: its routes, mounts, layers,
    /// states and pages for errors. Its route `/` answers `prefix` with and without a slash at the end; a prefix with a placeholder
    /// is a mistake. What belongs to the server is the outer app's: log, hosts, fields of every answer ([`App::header`]), the paths of
    /// [`App::health`] and [`App::ready`], [`App::proxies`], [`App::request_ids`] and [`App::server_name`]; what the inner one says of
    /// them does not count. So are the access rules, with paths from the root of the server: an app with rules of its own
    /// ([`App::access`]) cannot be nested, and [`App::check`] says so.
    ///
    /// ```
    /// use number8::App;
    ///
    /// let users = App::new()
    ///     .get("/", async || "all users")
    ///     .get("/{id}", async |id: u32| format!("user {id}"));
    /// let app = App::new().nest("/users", users);
    /// ```
    #[must_use]
    pub fn nest(mut self, prefix: &str, app: App) -> Self {
        if let Err(mistake) = app.check() {
            self.mistake.get_or_insert(mistake);
        }
        if Router::placeholders(prefix) > 0 {
            self.mistake.get_or_insert(RouteError::Prefix(prefix.to_owned()));
        }
        if app.has_rules {
            self.mistake.get_or_insert(RouteError::Rules(prefix.to_owned()));
        }
        self.mount(prefix, Nested(Arc::new(app)))
    }

    /// Hands every request below `prefix`, however that is spelled in it, to a handler, with the rest of the path as it stands
    /// there; the longest prefix decides. Escapes are undone in both; a slash that is escaped, or one too many, leads into no mount
    /// and past none: 404. Routes come first. Of two at one prefix, however spelled, the second is a mistake, which [`App::check`]
    /// finds.
    #[must_use]
    pub fn mount(mut self, prefix: &str, handler: impl Handler) -> Self {
        let added = self.mounts.add(prefix, Box::new(handler));
        self.note(added)
    }

    /// Who may do what with which path. Rooms ask for it; an app that says nothing lets everyone list and read. Functions
    /// answer whoever calls them, unless they ask with [`Call::may`].
    ///
    /// ```
    /// use number8::App;
    /// use number8::access::{Access, Rights, Rule};
    ///
    /// let app = App::new().access(Access::new([Rule::everyone("/", Rights::UP)?]));
    /// # Ok::<(), number8::access::RuleError>(())
    /// ```
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = Arc::new(access.apart());
        self.has_rules = true;
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

    /// What the page of that 421 says behind it, such as how a name is added.
    #[must_use]
    pub fn hosts_hint(mut self, hint: impl Into<String>) -> Self {
        self.hosts_hint = hint.into();
        self
    }

    /// Believes these proxies what they say of the client: its address, its scheme, its host. From anybody else the
    /// fields Forwarded, X-Forwarded-For, -Host and -Proto, X-Real-IP and X-Request-Id are taken away before anything sees them.
    ///
    /// ```
    /// use number8::{App, layers::proxies::Proxies};
    ///
    /// let app = App::new().proxies(Proxies::new(["127.0.0.1".parse()?]));
    /// # Ok::<(), number8::layers::proxies::ProxyError>(())
    /// ```
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Answers this path with 200 as long as the server lives; such requests are not logged.
    #[must_use]
    pub fn health(mut self, path: impl Into<Option<String>>) -> Self {
        self.health = path.into().map(String::into_bytes);
        self
    }

    /// Answers this path with 200 where a new request is welcome, and with 503 and the reason while the server starts or stops,
    /// and where it has as many connections, as much to hold or as many calls waiting as it may; such requests are not
    /// logged. For whoever sends requests to one of several servers: a server that is alive need not be ready.
    #[must_use]
    pub fn ready(mut self, path: impl Into<Option<String>>) -> Self {
        self.ready = path.into().map(String::into_bytes);
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
        self.names_requests |= self.access_log.as_ref().is_some_and(|log| log.format.tells_id());
        self
    }

    /// Writes a line for each request whose answer takes long to begin, whatever the access log does. What the client's
    /// line takes for it does not count, so event streams and long downloads are not slow.
    #[must_use]
    pub fn slow_log(mut self, log: impl Into<Option<SlowLog>>) -> Self {
        self.slow_log = log.into();
        self.names_requests |= self.slow_log.as_ref().is_some_and(|it| it.log.format.tells_id());
        self
    }

    /// Whether every answer tells in X-Request-Id what its request is called: what a trusted proxy
    /// ([`App::proxies`]) says in that field, or else [`RequestId::next`](crate::RequestId::next). Handlers find it in
    /// [`Caller::request_id`](crate::Caller::request_id). An answer that has the field already keeps it. Default no.
    ///
    /// ```
    /// use number8::{App, Call, Response};
    ///
    /// let app = App::new().request_ids(true).before(|call: &mut Call<'_>| {
    ///     let id = call.caller.request_id.as_ref()?;
    ///     println!("{id} has come");
    ///     None
    /// });
    /// ```
    #[must_use]
    pub fn request_ids(mut self, answered: bool) -> Self {
        self.request_ids = answered;
        self.names_requests |= answered;
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

    /// It takes the place of that one, under whose rules something may go on.
    pub(crate) fn succeed(&mut self, before: &Self) {
        self.access.succeed(&before.access);
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn log(&self) -> Option<&AccessLog> {
        self.access_log.as_ref()
    }

    /// True when the log tells how long requests take.
    pub(crate) fn is_timed(&self) -> bool {
        self.slow_log.is_some()
            || self.access_log.as_ref().is_some_and(|log| log.format.tells_duration())
    }

    pub(crate) fn slow(&self) -> Option<&SlowLog> {
        self.slow_log.as_ref()
    }

    pub(crate) fn dump_sink(&self) -> Option<&Sink> {
        self.dump.as_deref()
    }

    /// What every answer of this second has.
    pub(crate) fn stamp(&self, unix_seconds: i64) -> Stamp {
        Stamp::new(unix_seconds, self.server_name.as_deref()).with(&self.fields)
    }

    /// What every answer has besides its own fields.
    #[cfg_attr(not(feature = "tower"), allow(dead_code, reason = "a server has them in its stamp"))]
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// Whether somebody asks there how the server is, which is no news for the log.
    #[inline]
    pub(crate) fn is_probe(&self, head: &Head<'_>) -> bool {
        self.is_health(head) || self.is_readiness(head)
    }

    #[inline]
    pub(crate) fn is_readiness(&self, head: &Head<'_>) -> bool {
        self.ready.as_deref().is_some_and(|ready| ready == head.path())
    }

    /// Adds what its mounts have counted to the sheet.
    pub(crate) fn measure(&self, sheet: &mut Sheet) {
        self.mounts.handlers().for_each(|handler| handler.measure(sheet));
        if let Some(log) = self.log() {
            let help = "Lines of the access log that could not be written.";
            let lost = log.sink.lost() as f64;
            sheet.counter("number8_log_lines_lost_total", help, &[], lost);
        }
    }

    #[inline]
    pub(crate) fn is_health(&self, head: &Head<'_>) -> bool {
        self.health.as_deref().is_some_and(|health| health == head.path())
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("layers", &self.layers.len())
            .field("mounts", &self.mounts.len())
            .finish_non_exhaustive()
    }
}
