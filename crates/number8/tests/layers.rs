//! What stands around every handler: before it, behind it, in which order, also where it has to wait.

use std::sync::{Arc, Mutex};

use number8::access::{Access, Rights, Rule};
use number8::layers::access_log::Sink;
use number8::{
    AccessLog, Answer, App, Before, Call, Caller, Events, Handler, Head, Layer, Overlay, Request,
    Response, Waited,
};
use tokio::time::timeout;

use crate::serving::PATIENCE;

/// What a client gets for a request line, as text.
async fn ask(app: App, request: &str) -> String {
    let server = app.test();
    let client = server.connect();
    client.write_all(request.as_bytes()).await.unwrap();
    String::from_utf8(client.read_to_end().await.unwrap()).unwrap()
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n")
}

/// Writes down when it is called; may wait, and may answer.
struct Witness {
    name: &'static str,
    seen: Arc<Mutex<Vec<String>>>,
    waits: bool,
    refuses: bool,
}

impl Layer for Witness {
    fn before(&self, call: &mut Call<'_>) -> Before {
        let Self { name, waits, refuses, .. } = *self;
        self.seen
            .lock()
            .unwrap()
            .push(format!("{name}<{}", call.caller.user.as_deref().unwrap_or("-")));
        let refusal = move || Response::error(403, "not today");
        match (waits, refuses) {
            (true, _) => Before::wait(async move {
                tokio::task::yield_now().await;
                match refuses {
                    true => Waited::Answer(refusal()),
                    false => Waited::go(Some(name.into())),
                }
            }),
            (false, true) => Before::Answer(refusal()),
            (false, false) => Before::Go,
        }
    }

    fn after(&self, _: &Head<'_>, caller: &Caller, response: Response) -> Response {
        let line = format!("{}>{}", self.name, caller.user.as_deref().unwrap_or("-"));
        self.seen.lock().unwrap().push(line);
        response
    }
}

#[tokio::test]
async fn n2_layers_see_requests_in_order_and_answers_in_the_opposite_order() {
    // Name, whether it waits, whether it refuses.
    type Cases = &'static [(&'static [(&'static str, bool, bool)], &'static str, &'static str)];
    const CASES: Cases = &[
        (&[("a", false, false), ("b", false, false)], "200", "a<- b<- b>- a>-"),
        (&[("a", true, false), ("b", false, false)], "200", "a<- b<a b>a a>a"),
        (&[("a", true, false), ("b", true, false)], "200", "a<- b<a b>b a>b"),
        (&[("a", false, true), ("b", false, false)], "403", "a<- b>- a>-"),
        (&[("a", true, false), ("b", true, true)], "403", "a<- b<a b>a a>a"),
    ];
    for (layers, status, order) in CASES {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let app = App::new().post("/", async |request: Request| request.into_body().bytes().await);
        let app = layers.iter().fold(app, |app, &(name, waits, refuses)| {
            app.layer(Witness { name, seen: Arc::clone(&seen), waits, refuses })
        });
        let post =
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody";
        let answer = ask(app, post).await;
        assert_eq!(&answer[9..12], *status, "{answer}");
        assert_eq!(
            answer.ends_with("\r\n\r\nbody"),
            *status == "200",
            "the body waits too: {answer}"
        );
        assert_eq!(seen.lock().unwrap().join(" "), *order);
    }
}

#[tokio::test]
async fn n2_hooks_work_for_every_kind_of_answer() {
    let app = || {
        App::new()
            .get("/now", async || "now")
            .get("/later", async || {
                tokio::task::yield_now().await;
                "later"
            })
            .get("/panic", async || -> &'static str { panic!("as the test wants it") })
            .before(|call| (call.head.path() == b"/closed").then(|| Response::error(410, "closed")))
            .after(|head, response| {
                response
                    .replacing("X-Path", head.path())
                    .unwrap_or_else(|_| Response::error(500, ""))
            })
            .after(|_, response| response.with("X-Path", "overwritten").unwrap())
    };
    for (path, status) in
        [("/now", 200), ("/later", 200), ("/panic", 500), ("/closed", 410), ("/missing", 404)]
    {
        let answer = ask(app(), &get(path, "")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(&format!("\r\nX-Path: {path}\r\n")), "{answer}");
        assert!(!answer.contains("overwritten"), "{answer}");
    }
}

#[tokio::test]
async fn a_layer_that_panics_is_500_and_the_connection_lives() {
    let app = App::new().get("/", async || "fine").before(|call| {
        assert!(call.head.query().is_none(), "as the test wants it");
        None
    });
    let late = App::new().get("/", async || "fine").after(|head, response| {
        assert!(head.query().is_none(), "as the test wants it");
        response
    });
    let two = format!("GET /?x HTTP/1.1\r\nHost: a\r\n\r\n{}", get("/", ""));
    for app in [app, late] {
        let answer = ask(app, &two).await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nfine"), "{answer}");
    }
}

#[tokio::test]
async fn the_log_shows_what_layers_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let sink = Arc::new(Sink::file(&path).unwrap());
    let format = "$user $remote_addr $status".parse().unwrap();
    let app = App::new()
        .get("/", async || "fine")
        .before(|call| {
            call.caller.user = Some("ada".into());
            call.caller.ip = Some([192, 0, 2, 7].into());
            None
        })
        .access_log(AccessLog { format, sink: Arc::clone(&sink) });
    ask(app, &get("/", "")).await;
    assert!(sink.finish(PATIENCE));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "ada 192.0.2.7 200\n");
}

/// Somebody who is known after a while.
fn late(user: &'static str) -> Witness {
    Witness { name: user, seen: Arc::default(), waits: true, refuses: false }
}

#[tokio::test]
async fn o3_what_an_inner_app_finds_out_of_a_client_is_known_outside() {
    let later = async || {
        tokio::task::yield_now().await;
        "fine"
    };
    let inner = || App::new().get("/", async || "fine").get("/later", later);
    let apps = [
        ("one that waits", App::new().nest("/in", inner().layer(late("ada")))),
        (
            "two, and the inner knows better",
            App::new()
                .nest("/", App::new().layer(late("joe")).nest("/in", inner().layer(late("ada")))),
        ),
        (
            "one outside that waits, too",
            App::new().layer(late("joe")).nest("/in", inner().layer(late("ada"))),
        ),
    ];
    for (what, app) in apps {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let sink = Arc::new(Sink::file(&path).unwrap());
        let format = "$user".parse().unwrap();
        let outside =
            Witness { name: "outside", seen: Arc::default(), waits: false, refuses: false };
        let seen = Arc::clone(&outside.seen);
        let app = app.layer(outside).access_log(AccessLog { format, sink: Arc::clone(&sink) });
        let two = format!("GET /in/ HTTP/1.1\r\nHost: a\r\n\r\n{}", get("/in/later", ""));
        assert_eq!(ask(app, &two).await.matches("fine").count(), 2, "{what}");
        assert!(sink.finish(PATIENCE));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "ada\nada\n", "{what}");
        let seen = seen.lock().unwrap();
        assert_eq!(
            seen.iter().filter(|line| *line == "outside>ada").count(),
            2,
            "{what}: {seen:?}"
        );
    }
}

/// Finds nothing, and takes its time.
struct Slow;

impl Handler for Slow {
    fn handle(&self, _: Call<'_>) -> Answer {
        Answer::later(async {
            tokio::task::yield_now().await;
            Response::error(404, "not here")
        })
    }
}

#[tokio::test]
async fn a3_a_stream_ends_with_the_right_to_it_whoever_has_waited_before() {
    let inner = |events: Events| App::new().layer(late("ada")).mount("/news", events);
    let apps: [(&str, &dyn Fn(Events) -> App); 5] = [
        ("nobody", &|events| App::new().nest("/in", App::new().mount("/news", events))),
        ("a layer outside", &|events| {
            App::new().layer(late("ada")).nest("/in", App::new().mount("/news", events))
        }),
        ("a layer inside", &|events| App::new().nest("/in", inner(events))),
        ("a layer inside of two", &|events| {
            App::new().nest("/", App::new().layer(late("joe")).nest("/in", inner(events)))
        }),
        ("what lies over it", &|events| {
            App::new().nest("/in", App::new().mount("/news", Overlay::new(Slow, events)))
        }),
    ];
    for (who, app) in apps {
        let events = Events::new();
        let with = |rights| {
            let rules = Access::new([Rule::everyone("/", rights).unwrap()]);
            app(events.clone()).access(rules)
        };
        let server = with(Rights::RO).test();
        let client = server.connect();
        client.write_all(b"GET /in/news HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut bytes = [0; 1024];
        let read = client.read(&mut bytes).await.unwrap();
        assert!(bytes[..read].starts_with(b"HTTP/1.1 200 OK\r\n"), "{who}");
        server.handle().replace(with(Rights::NONE)).unwrap();
        events.dispatch("for nobody");
        let rest = timeout(PATIENCE, client.read_to_end()).await;
        let rest = rest.unwrap_or_else(|_| panic!("{who}: it goes on")).unwrap();
        assert!(!rest.windows(4).any(|found| found == b"data"), "{who}");
    }
}

#[tokio::test]
async fn a_layer_behind_a_pointer_is_the_same() {
    let shared = Arc::new(late("ada"));
    let boxed: Box<dyn Layer> = Box::new(late("joe"));
    let app = App::new().get("/", async || "fine").layer(Arc::clone(&shared)).layer(boxed);
    assert!(ask(app, &get("/", "")).await.ends_with("fine"));
    assert_eq!(*shared.seen.lock().unwrap(), ["ada<-", "ada>joe"]);
}
