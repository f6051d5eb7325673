//! One span for each request, for those who listen.
//!
//! A binary of its own with one test: whether anybody listens, and at which level, is a matter of the whole process, and tests
//! beside this one would change it meanwhile.
#![allow(clippy::unwrap_used, reason = "a test stops where something is wrong")]

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::{fmt, mem};

use number8::server::lane::Lane;
use number8::server::transport::Transport;
use number8::{App, Before, Body, Call, Cookie, Layer, Redirect, Response, Waited};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Subscriber;
use tracing::{Event, Level, Metadata};
use tracing_core::span::Current;

/// Keeps what the spans say, and who enters them.
#[derive(Clone, Default)]
struct Listener(Arc<Heard>);

#[derive(Default)]
struct Heard {
    last: AtomicU64,
    spans: Mutex<HashMap<u64, Span>>,
    /// Those that have ended, in that order.
    ended: Mutex<Vec<Span>>,
    /// Who is inside of which.
    current: Mutex<Vec<(ThreadId, Id)>>,
    /// Errors, and what they are because of.
    errors: Mutex<Vec<HashMap<&'static str, String>>>,
}

#[derive(Default, Debug)]
struct Span {
    handles: usize,
    fields: HashMap<&'static str, String>,
    entered: Vec<ThreadId>,
    inside: usize,
    metadata: Option<&'static Metadata<'static>>,
}

impl Listener {
    fn with<T>(&self, id: &Id, change: impl FnOnce(&mut Span) -> T) -> T {
        change(self.0.spans.lock().unwrap().get_mut(&id.into_u64()).unwrap())
    }

    fn take(&self) -> Vec<Span> {
        assert!(self.0.spans.lock().unwrap().is_empty(), "a span has not ended");
        mem::take(&mut self.0.ended.lock().unwrap())
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_error = *metadata.level() == Level::ERROR;
        metadata.target() == "number8" || is_error && metadata.target().starts_with("number8::")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.0.last.fetch_add(1, Ordering::Relaxed) + 1;
        let metadata = span.metadata();
        let mut new = Span { handles: 1, metadata: Some(metadata), ..Span::default() };
        span.record(&mut Fields(&mut new.fields));
        self.0.spans.lock().unwrap().insert(id, new);
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        self.with(id, |span| values.record(&mut Fields(&mut span.fields)));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if *event.metadata().level() == Level::ERROR {
            let mut fields = HashMap::new();
            event.record(&mut Fields(&mut fields));
            self.0.errors.lock().unwrap().push(fields);
        }
    }

    fn enter(&self, id: &Id) {
        self.with(id, |span| {
            span.entered.push(thread::current().id());
            span.inside += 1;
        });
        self.0.current.lock().unwrap().push((thread::current().id(), id.clone()));
    }

    fn exit(&self, id: &Id) {
        self.with(id, |span| span.inside -= 1);
        let mut current = self.0.current.lock().unwrap();
        let here = (thread::current().id(), id.clone());
        let last = current.iter().rposition(|entry| *entry == here).unwrap();
        current.remove(last);
    }

    fn current_span(&self) -> Current {
        let current = self.0.current.lock().unwrap();
        let here = current.iter().rfind(|(thread, _)| *thread == thread::current().id());
        let Some((_, id)) = here else { return Current::none() };
        let metadata = self.with(id, |span| span.metadata.unwrap());
        Current::new(id.clone(), metadata)
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.with(id, |span| span.handles += 1);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let handles = self.with(&id, |span| {
            span.handles -= 1;
            span.handles
        });
        if handles == 0 {
            let span = self.0.spans.lock().unwrap().remove(&id.into_u64()).unwrap();
            assert_eq!(span.inside, 0, "{span:?}");
            self.0.ended.lock().unwrap().push(span);
        }
        handles == 0
    }
}

struct Fields<'a>(&'a mut HashMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.insert(field.name(), value.to_string());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// Lets everyone through, after a while, but for some.
struct Guard;

impl Layer for Guard {
    fn before(&self, call: &mut Call<'_>) -> Before {
        let is_refused = call.head.path() == b"/secret";
        Before::wait(async move {
            tokio::task::yield_now().await;
            match is_refused {
                true => Waited::Answer(Response::error(403, "no")),
                false => Waited::go(Some("ada".into())),
            }
        })
    }
}

fn app() -> App {
    App::new()
        .get("/users/{id}", async |id: u32| {
            tokio::task::yield_now().await;
            format!("user {id}")
        })
        .get("/blocking", || "blocking")
        .get("/broken", async || {
            tokio::task::yield_now().await;
            panic!("a test panics here");
            #[allow(unreachable_code, reason = "it says what the handler would return")]
            "never"
        })
        .pattern(&[number8::Method::Get], "/old/*", async |_: String| "old")
        .nest("/inner", App::new().get("/{name}", async |name: String| name))
}

#[tokio::test]
async fn each_request_has_a_span_where_somebody_listens() {
    let listener = Listener::default();
    tracing::subscriber::set_global_default(listener.clone()).unwrap();
    handlers_have_spans(&listener).await;
    a_layer_that_answers_after_a_while_says_so(&listener).await;
    each_mistake_of_a_handler_is_told_once(&listener).await;
}

async fn handlers_have_spans(listener: &Listener) {
    for (layers, app) in [(0, app()), (1, app().layer(Guard))] {
        let server = app.test();
        for (method, target, route, status) in [
            ("GET", "/users/8?key=secret", Some("/users/{id}"), Some("200")),
            ("GET", "/users/eight", Some("/users/{id}"), Some("404")),
            ("POST", "/users/8", Some("/users/{id}"), Some("405")),
            ("GET", "/blocking", Some("/blocking"), Some("200")),
            ("GET", "/old/page", Some("/old/*"), Some("200")),
            ("GET", "/inner/8", Some("/inner"), Some("200")),
            ("GET", "/nowhere", None, Some("404")),
            ("GET", "/broken", Some("/broken"), None),
        ] {
            server.request(method, target).send().await.unwrap();
            let spans = listener.take();
            assert_eq!(spans.len(), 1, "{target}: {spans:?}");
            let Span { metadata, fields, entered, .. } = &spans[0];
            let field = |name| fields.get(name).map(String::as_str);
            assert_eq!(metadata.unwrap().name(), "http.request");
            assert_eq!(field("method"), Some(method));
            assert_eq!(field("path"), target.split('?').next());
            assert_eq!(field("route"), route, "{target} {layers}");
            assert_eq!(field("status"), status, "{target} {layers}");
            assert!(!entered.is_empty(), "{target}");
            let is_elsewhere = entered.iter().any(|&id| id != thread::current().id());
            assert_eq!(is_elsewhere, target == "/blocking", "{target}");
        }
    }
}

async fn a_layer_that_answers_after_a_while_says_so(listener: &Listener) {
    let server = app().layer(Guard).test();
    server.get("/secret").send().await.unwrap();
    let spans = listener.take();
    assert_eq!(spans[0].fields.get("status").map(String::as_str), Some("403"));
}

async fn each_mistake_of_a_handler_is_told_once(listener: &Listener) {
    let cut =
        async |lane: Lane| Body::from_reader(io::Cursor::new("half of it").chain(Broken), &lane);
    let app = App::new()
        .get("/io", async || std::fs::read_to_string("/nowhere"))
        .get("/field", async || ([("X", "a\nb")], ""))
        .get("/redirect", async || Redirect::to("/a\nb"))
        .get("/cookie", async || Response::new(200, "").with_cookie(&Cookie::new("two words", "")))
        .get("/cut", cut)
        .get("/unfinished", async || Body::channel().1)
        .post("/echo", async |body: Body| body)
        .get("/refused", async || Response::error(500, "as it should be"));
    let server = app.test();
    for (target, status, cause) in [
        ("/io", Some(500), Some("No such file")),
        ("/field", Some(500), Some("value")),
        ("/redirect", Some(500), Some("value")),
        ("/cookie", Some(500), Some("name")),
        ("/cut", None, Some("the disk is gone")),
        ("/unfinished", None, Some("not finished")),
        ("/refused", Some(500), None),
        ("/nowhere", Some(404), None),
    ] {
        let answer = server.get(target).send().await;
        assert_eq!(answer.ok().map(|answer| answer.status()), status, "{target}");
        let errors = mem::take(&mut *listener.0.errors.lock().unwrap());
        assert_eq!(errors.len(), usize::from(cause.is_some()), "{target}: {errors:?}");
        let told = errors.first().map_or("", |fields| &fields["cause"]);
        assert!(told.contains(cause.unwrap_or_default()), "{target}: {told}");
    }
    // What a client does not finish is no mistake of ours.
    let client = server.connect();
    let request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf";
    client.write_all(request).await.unwrap();
    client.shutdown_write().unwrap();
    client.read_to_end().await.ok();
    assert_eq!(listener.0.errors.lock().unwrap().len(), 0);
}

/// Cannot be read.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}
