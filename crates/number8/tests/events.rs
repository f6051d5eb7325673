//! Events: what listeners get, in which order, and what becomes of those who are slow, late or too many.

use std::io;
use std::time::Duration;

use number8::access::{Access, Rights, Rule};
use number8::testing::TestServer;
use number8::{App, Event, Events};
use tokio::time::timeout;

use crate::serving::{
    Client, PATIENCE, Running, Setup, on_each_setup, patient, post, post_chunked, until,
};

on_each_setup!(
    u29_u30_every_listener_gets_every_event,
    u29_who_comes_back_gets_what_was_missed,
    u9_as_many_listen_as_may,
    x12_who_may_sends_by_post,
    x11_listeners_that_leave_take_nobody_along,
    g4_streams_end_at_once_when_the_server_stops,
);

fn listen(server: &Running, path: &str, fields: &str) -> Client {
    let mut client = server.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    let head = client.head();
    assert_eq!(head.status, 200, "{head:?}");
    client
}

/// The lines of the next event but its id; comments are skipped.
fn event(client: &mut Client) -> String {
    loop {
        let chunk = String::from_utf8(client.chunk().expect("the stream goes on")).unwrap();
        assert!(chunk.ends_with("\n\n"), "one chunk is one event: {chunk:?}");
        if !chunk.starts_with(':') {
            let lines = chunk.lines().filter(|line| !line.is_empty() && !line.starts_with("id:"));
            return lines.collect::<Vec<_>>().join("|");
        }
    }
}

/// The id of the next event.
fn id(client: &mut Client) -> String {
    let chunk = String::from_utf8(client.chunk().expect("the stream goes on")).unwrap();
    let id = chunk.lines().find_map(|line| line.strip_prefix("id: "));
    id.unwrap_or_else(|| panic!("{chunk:?} has no id")).to_owned()
}

fn u29_u30_every_listener_gets_every_event(setup: Setup) {
    let events = Events::new();
    let server = Running::start(setup, App::new().mount("/events", events.clone()));
    assert!(!events.dispatch("nobody hears this"));
    let mut clients: Vec<Client> = (0..40).map(|_| listen(&server, "/events", "")).collect();
    assert_eq!(events.listeners(), clients.len());
    assert!(events.dispatch("one\ntwo\r\nthree"));
    for client in &mut clients {
        assert_eq!(event(client), "data: one|data: two|data: three");
    }
    // All of these at once, without a pause in which anybody could listen.
    let odd = Event::new("").name("odd").unwrap().retry(Duration::from_secs(2));
    assert!(events.dispatch(odd));
    for number in 0..500 {
        events.dispatch(number.to_string());
    }
    for client in &mut clients {
        assert_eq!(event(client), "event: odd|retry: 2000|data: ");
        for number in 0..500 {
            assert_eq!(event(client), format!("data: {number}"));
        }
    }
    assert_eq!(server.handle().buffered(), 0, "who listens holds nothing");
    drop(clients);
    until("all have left", || events.listeners() == 0);
    assert!(!events.dispatch("nobody hears this"));
    server.is_at_rest();
}

#[test]
fn u29_a_stream_looks_like_one() {
    let events = Events::new().retry(Duration::from_millis(700));
    let server = Running::start(Setup::Workers, App::new().mount("/events", events.clone()));
    let mut client = server.connect();
    client.get("/events");
    let head = client.head();
    for (name, value) in [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-store"),
        ("X-Accel-Buffering", "no"),
        ("Transfer-Encoding", "chunked"),
    ] {
        assert_eq!(head.field(name), Some(value), "{head:?}");
    }
    assert_eq!(client.chunk().unwrap(), b"retry: 700\n\n");
    events.dispatch(Event::new("x").id("7").unwrap());
    assert_eq!(client.chunk().unwrap(), b"id: 7\ndata: x\n\n");
    // Before chunks: the same without them.
    let mut old = server.connect();
    old.send("GET /events HTTP/1.0\r\n\r\n").head();
    until("both listen", || events.listeners() == 2);
    events.dispatch(Event::new("y").id("8").unwrap());
    server.handle().shutdown();
    assert_eq!(old.rest().unwrap(), "retry: 700\n\nid: 8\ndata: y\n\n");
}

/// Requests that begin no stream, and their status.
pub(crate) fn others() -> [(&'static str, String, u16); 7] {
    [
        ("HEAD", "/events".into(), 200),
        ("OPTIONS", "/events".into(), 204),
        ("PUT", "/events".into(), 405),
        ("POST", "/events".into(), 403),
        ("GET", "/events/a%00b".into(), 404),
        ("GET", "/events/%ff".into(), 404),
        ("GET", format!("/events/{}", "x".repeat(300)), 404),
    ]
}

#[test]
fn other_requests_get_an_answer() {
    let server = Running::start(Setup::Workers, App::new().mount("/events", Events::new()));
    for (method, path, status) in others() {
        let mut client = server.connect();
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(client.head().status, status, "{method} {path}");
    }
    server.is_at_rest();
}

fn u29_who_comes_back_gets_what_was_missed(setup: Setup) {
    let events = Events::new();
    let server = Running::start(setup, App::new().mount("/events", events.clone()));
    let mut client = listen(&server, "/events", "");
    events.dispatch("one");
    let first = id(&mut client);
    drop(client);
    events.dispatch(Event::new("two").id("mine").unwrap());
    events.dispatch("three");
    let last_id = |id: &str| format!("Last-Event-ID: {id}\r\n");
    let missed = |mut client: Client, expected: &[&str]| {
        for data in expected {
            assert_eq!(event(&mut client), format!("data: {data}"));
        }
        events.dispatch(Event::new("now").id("last").unwrap());
        assert_eq!(event(&mut client), "data: now", "and nothing more before");
    };
    missed(listen(&server, "/events", &last_id(&first)), &["two", "three"]);
    missed(listen(&server, "/events", &last_id("mine")), &["three", "now"]);
    // Some page knows an id before it listens.
    missed(listen(&server, "/events?x=1&last-event-id=mine", ""), &["three", "now", "now"]);
    missed(listen(&server, "/events", &last_id("last")), &[]);
    // Of another run, or too old: all that there is.
    missed(listen(&server, "/events", &last_id("0-1")), &["one", "two", "three", "now"]);
    missed(listen(&server, "/events", ""), &[]);
}

fn u9_as_many_listen_as_may(setup: Setup) {
    let events = Events::new().listeners_max(2);
    let none = Events::new().listeners_max(0);
    let app = App::new().mount("/events", events.clone()).mount("/none", none);
    let server = Running::start(setup, app);
    let refused = |path: &str| {
        let mut client = server.connect();
        let answer = client.get(path).answer();
        assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("5")), "{path}");
    };
    refused("/none");
    let first = listen(&server, "/events", "");
    let _second = listen(&server, "/events/other", "");
    refused("/events");
    drop(first);
    until("one has left", || events.listeners() == 1);
    listen(&server, "/events", "");
}

fn x11_listeners_that_leave_take_nobody_along(setup: Setup) {
    let events = Events::new();
    let server = Running::start(setup, App::new().mount("/events", events.clone()));
    let mut staying: Vec<Client> = (0..10).map(|_| listen(&server, "/events", "")).collect();
    for round in 0..30 {
        let leaving: Vec<Client> = (0..5).map(|_| listen(&server, "/events", "")).collect();
        events.dispatch(format!("before {round}"));
        // Some leave by a reset, some with unread events.
        leaving.into_iter().enumerate().for_each(|(at, client)| match at % 2 {
            0 => drop(client),
            _ => client.reset(),
        });
        events.dispatch(format!("after {round}"));
        for client in &mut staying {
            assert_eq!(event(client), format!("data: before {round}"));
            assert_eq!(event(client), format!("data: after {round}"));
        }
    }
    until("the others have left", || events.listeners() == staying.len());
}

fn g4_streams_end_at_once_when_the_server_stops(setup: Setup) {
    let events = Events::new();
    let server = Running::start(setup, App::new().mount("/events", events.clone()));
    let mut clients: Vec<Client> = (0..4).map(|_| listen(&server, "/events", "")).collect();
    events.dispatch("one");
    for client in &mut clients {
        assert_eq!(event(client), "data: one");
    }
    server.handle().shutdown();
    for client in &mut clients {
        assert_eq!(client.chunk(), None, "a proper end");
        client.ends();
    }
    drop(clients);
    server.ended().unwrap();
}

#[test]
fn x12_a_topic_is_heard_by_its_listeners_alone() {
    let events = Events::new().topics_max(3);
    let server = Running::start(Setup::Workers, App::new().mount("/events", events.clone()));
    let mut main = listen(&server, "/events/", "");
    let mut chat = listen(&server, "/events/chat%20room", "");
    assert!(events.dispatch("to all"));
    assert!(events.dispatch_to("chat room", "hello"));
    assert!(!events.dispatch_to("kitchen", "dinner"));
    assert_eq!(event(&mut main), "data: to all");
    assert_eq!(event(&mut chat), "data: hello");
    // The third topic keeps an event; there is room for no other.
    assert!(!events.dispatch_to("garden", "lost"));
    let _garden = listen(&server, "/events/garden", "");
    assert!(!events.dispatch_to("shed", "lost"));
    assert!(events.dispatch_to("garden", "somebody else has made room"));
}

#[test]
fn x12_topics_that_clients_make_up_take_no_room_from_others() {
    let events = Events::new().topics_max(3).topic("files");
    let server = Running::start(Setup::Workers, App::new().mount("/events", events.clone()));
    let _made_up = ["a", "b"].map(|topic| listen(&server, &format!("/events/{topic}"), ""));
    let mut client = server.connect();
    assert_eq!(client.get("/events/c").answer().status, 503);
    let mut main = listen(&server, "/events", "");
    let mut files = listen(&server, "/events/files", "");
    assert!(events.dispatch("to all"));
    assert!(events.dispatch_to("files", "changed"));
    assert_eq!(
        (event(&mut main), event(&mut files)),
        ("data: to all".into(), "data: changed".into())
    );
    // What the program names it has, also where a client has named it before.
    assert!(events.dispatch_to("a", "known"));
    assert!(!events.dispatch_to("d", "lost"));
    let _third = listen(&server, "/events/c", "");
}

#[test]
fn a_topic_without_listeners_and_events_makes_room() {
    let events = Events::new().topics_max(2);
    let server = Running::start(Setup::Workers, App::new().mount("/events", events.clone()));
    for topic in ["a", "b", "c", "d"] {
        drop(listen(&server, &format!("/events/{topic}"), ""));
        until("it has left", || events.listeners() == 0);
    }
}

fn x12_who_may_sends_by_post(setup: Setup) {
    let events = Events::new().event_bytes_max(10).topics_max(3);
    let access = Access::new([
        Rule::everyone("/", Rights::READ).unwrap(),
        Rule::everyone("/events/open", Rights::READ | Rights::EVENTS).unwrap(),
        Rule::everyone("/events/secret", Rights::NONE).unwrap(),
    ]);
    let server = Running::start(setup, App::new().access(access).mount("/events", events.clone()));
    let mut open = listen(&server, "/events/open", "");
    for (request, status, content) in [
        (post("/events/open", "", "one\ntwo"), 200, Some("1\n")),
        (post("/events/open?event=named&id=5&other=x", "", ""), 200, Some("1\n")),
        (post_chunked("/events/open", &["thr", "ee"], ""), 200, Some("1\n")),
        (post("/events/open", "", "0123456789x"), 413, None),
        (post("/events/open?id=a%0ab", "", "x"), 400, None),
        (post("/events/open?event=%ff", "", "x"), 400, None),
        (post("/events", "", "x"), 403, None),
        (post("/events/other", "", "x"), 403, None),
        (post("/events/secret", "", "x"), 403, None),
        (post("/events/open/two", "", "x"), 200, Some("0\n")),
        (post("/events/open/three", "", "x"), 503, None),
        ("GET /events/secret HTTP/1.1\r\nHost: a\r\n\r\n".into(), 403, None),
    ] {
        let answer = server.connect().send(&request).answer();
        assert_eq!(answer.status, status, "{request}");
        assert!(content.is_none_or(|content| answer.text() == content), "{request}");
    }
    assert_eq!(event(&mut open), "data: one|data: two");
    assert_eq!(event(&mut open), "event: named|data: ");
    assert_eq!(event(&mut open), "data: three");
}

/// So a page that listens to an app that is no more comes back, to the one that took its place.
#[test]
fn streams_end_when_nobody_can_send_any_more() {
    let events = Events::new();
    let server = Running::start(Setup::Workers, App::new().mount("/events", events.clone()));
    let mut client = listen(&server, "/events", "");
    events.dispatch("the last");
    drop(events);
    server.handle().replace(App::new().mount("/events", Events::new())).unwrap();
    assert_eq!(event(&mut client), "data: the last");
    assert_eq!(client.chunk(), None);
    client.ends();
}

#[test]
fn x11_a_listener_who_hears_nothing_gets_a_comment() {
    let events = Events::new().heartbeat(Duration::from_millis(10));
    let silent = Events::new().heartbeat(None);
    let never = Events::new().heartbeat(Duration::MAX);
    let app = App::new()
        .mount("/events", events.clone())
        .mount("/silent", silent.clone())
        .mount("/never", never.clone());
    let server = Running::start(Setup::Workers, app);
    let mut client = listen(&server, "/events", "");
    let mut others = ["/silent", "/never"].map(|path| listen(&server, path, ""));
    for _ in 0..3 {
        assert_eq!(client.chunk().unwrap(), b": \n\n");
    }
    events.dispatch("one");
    assert_eq!(event(&mut client), "data: one");
    for (events, client) in [silent, never].iter().zip(&mut others) {
        events.dispatch(Event::new("one").id("1").unwrap());
        assert_eq!(client.chunk().unwrap(), b"id: 1\ndata: one\n\n");
    }
}

const REQUEST: &[u8] = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn x11_a_slow_listener_is_cut_off_and_harms_nobody() -> io::Result<()> {
    let events = Events::new().kept_bytes_max(16 * 1024);
    let server = TestServer::new(App::new().mount("/events", events.clone()), patient());
    let (slow, quick) = (server.connect_with(2048), server.connect());
    slow.write_all(REQUEST).await?;
    quick.write_all(REQUEST).await?;
    all_listen(&events, 2).await;
    let mut seen = Vec::new();
    let mut buf = vec![0; 64 * 1024];
    let payload = "x".repeat(1000);
    for number in 0..40 {
        events.dispatch(Event::new(payload.as_str()).id(number.to_string()).unwrap());
        let wanted = format!("id: {number}\n");
        while !seen.windows(wanted.len()).any(|window| window == wanted.as_bytes()) {
            let count = timeout(PATIENCE, quick.read(&mut buf)).await??;
            assert!(count > 0, "the quick one is served on");
            seen.extend_from_slice(&buf[..count]);
        }
        assert_eq!(server.handle().buffered(), 0, "the slow one costs nothing");
    }
    // What was under way may still come, then the end; not all has come.
    let rest = slow.read_to_end().await.unwrap_or_default();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "its stream has not ended, it was cut");
    assert!(rest.len() < 40 * 1000, "{}", rest.len());
    assert_eq!((events.listeners(), server.handle().connections()), (1, 1));
    Ok(())
}

/// Waits, in the runtime that serves, until so many listen.
async fn all_listen(events: &Events, count: usize) {
    while events.listeners() != count {
        tokio::task::yield_now().await;
    }
}

/// A frame that does not fit at once goes on where it was, after others have been served.
#[tokio::test]
async fn a_narrow_pipe_gets_everything_in_order() -> io::Result<()> {
    let events = Events::new();
    let server = TestServer::new(App::new().mount("/events", events.clone()), patient());
    let client = server.connect_with(100);
    client.write_all(REQUEST).await?;
    all_listen(&events, 1).await;
    let (mut seen, mut expected) = (Vec::new(), String::new());
    let mut buf = [0; 37];
    for number in 0..50 {
        let event = Event::new("y".repeat(number * 13)).id(number.to_string()).unwrap();
        events.dispatch(event);
        let text = format!("id: {number}\ndata: {}\n\n", "y".repeat(number * 13));
        expected += &format!("{:x}\r\n{text}\r\n", text.len());
        // Sometimes one reads, sometimes events pile up.
        for _ in 0..number % 4 {
            let count = timeout(PATIENCE, client.read(&mut buf)).await??;
            seen.extend_from_slice(&buf[..count]);
        }
    }
    while !seen.ends_with(expected.as_bytes()) {
        let count = timeout(PATIENCE, client.read(&mut buf)).await??;
        assert!(count > 0);
        seen.extend_from_slice(&buf[..count]);
    }
    Ok(())
}

/// What a listener sends is dropped; that it leaves is noticed.
#[tokio::test]
async fn a_listener_is_not_heard() -> io::Result<()> {
    let events = Events::new();
    let server = TestServer::new(App::new().mount("/events", events.clone()), patient());
    let client = server.connect();
    client.write_all(REQUEST).await?;
    client.write_all(REQUEST).await?;
    client.write_all(&[b'x'; 100_000]).await?;
    all_listen(&events, 1).await;
    assert_eq!(server.handle().buffered(), 0);
    drop(client);
    all_listen(&events, 0).await;
    Ok(())
}
