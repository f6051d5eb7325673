//! Events by HTTP/2: the cases of the tests for HTTP/1.1, all on one connection.

use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use number8::access::{Access, Rights, Rule};
use number8::{App, Event, Events};

use super::requests::{begin, connect, content, request, send, soon};

/// One who listens.
struct Listener {
    body: RecvStream,
    heard: String,
}

impl Listener {
    async fn of(client: &mut SendRequest<Bytes>, path: &str, last: Option<&str>) -> Self {
        let mut request = request("GET", path);
        if let Some(last) = last {
            request.headers_mut().insert("last-event-id", last.parse().unwrap());
        }
        let response = soon(send(client, request)).await;
        assert_eq!(response.status(), 200, "{path}");
        Self { body: response.into_body(), heard: String::new() }
    }

    /// The lines of the next event; comments are skipped.
    async fn lines(&mut self) -> Vec<String> {
        loop {
            while let Some((event, rest)) = self.heard.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.heard = rest;
                if !event.starts_with(':') {
                    return event.lines().map(str::to_owned).collect();
                }
            }
            let data = soon(self.body.data()).await.expect("the stream goes on").unwrap();
            self.body.flow_control().release_capacity(data.len()).unwrap();
            self.heard.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    /// The same without its id.
    async fn event(&mut self) -> String {
        let mut lines = self.lines().await;
        lines.retain(|line| !line.starts_with("id:"));
        lines.join("|")
    }
}

#[tokio::test]
async fn g7_u29_who_comes_back_gets_what_was_missed() {
    let events = Events::new();
    let server = App::new().mount("/events", events.clone()).test();
    let mut client = connect(&server).await;
    let mut listener = Listener::of(&mut client, "/events", None).await;
    events.dispatch("one");
    let lines = listener.lines().await;
    let first = lines.iter().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    drop(listener);
    events.dispatch(Event::new("two").id("mine").unwrap());
    events.dispatch("three");
    for (path, last, expected) in [
        ("/events", Some(&*first), &["two", "three"][..]),
        ("/events", Some("mine"), &["three", "now"]),
        ("/events?x=1&last-event-id=mine", None, &["three", "now", "now"]),
        ("/events", Some("last"), &[]),
        ("/events", Some("0-1"), &["one", "two", "three", "now"]),
        ("/events", None, &[]),
    ] {
        let mut listener = Listener::of(&mut client, path, last).await;
        for data in expected {
            assert_eq!(listener.event().await, format!("data: {data}"), "{path} {last:?}");
        }
        events.dispatch(Event::new("now").id("last").unwrap());
        assert_eq!(listener.event().await, "data: now", "and nothing more before: {path} {last:?}");
    }
}

#[tokio::test]
async fn g7_u29_a_stream_looks_like_one() {
    let events = Events::new().retry(Duration::from_millis(700));
    let server = App::new().mount("/events", events.clone()).test();
    let mut client = connect(&server).await;
    let response = soon(send(&mut client, request("GET", "/events"))).await;
    for (name, value) in [
        ("content-type", Some("text/event-stream")),
        ("cache-control", Some("no-store")),
        ("x-accel-buffering", Some("no")),
        // RFC 9113 §8.2.2.
        ("transfer-encoding", None),
        ("connection", None),
    ] {
        let seen = response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(seen, value, "{name}");
    }
    events.dispatch(Event::new("x").id("7").unwrap());
    let mut listener = Listener { body: response.into_body(), heard: String::new() };
    assert_eq!(listener.lines().await, ["retry: 700"]);
    assert_eq!(listener.lines().await, ["id: 7", "data: x"]);
}

#[tokio::test]
async fn g7_other_requests_get_an_answer() {
    let server = App::new().mount("/events", Events::new()).test();
    let mut client = connect(&server).await;
    for (method, path, status) in crate::events::others() {
        let response = soon(send(&mut client, request(method, &path))).await;
        assert_eq!(response.status(), status, "{method} {path}");
    }
}

#[tokio::test]
async fn g7_x12_who_may_sends_by_post() {
    let events = Events::new().event_bytes_max(10).topics_max(3);
    let access = Access::new([
        Rule::everyone("/", Rights::READ).unwrap(),
        Rule::everyone("/events/open", Rights::READ | Rights::EVENTS).unwrap(),
        Rule::everyone("/events/secret", Rights::NONE).unwrap(),
    ]);
    let server = App::new().access(access).mount("/events", events.clone()).test();
    let mut client = connect(&server).await;
    let mut open = Listener::of(&mut client, "/events/open", None).await;
    for (path, event, status, answer) in [
        ("/events/open", "one\ntwo", 200, Some("1\n")),
        ("/events/open?event=named&id=5&other=x", "", 200, Some("1\n")),
        ("/events/open", "0123456789x", 413, None),
        ("/events/open?id=a%0ab", "x", 400, None),
        ("/events/open?event=%ff", "x", 400, None),
        ("/events", "x", 403, None),
        ("/events/other", "x", 403, None),
        ("/events/secret", "x", 403, None),
        ("/events/open/two", "x", 200, Some("0\n")),
        ("/events/open/three", "x", 503, None),
    ] {
        let (response, mut upload) = begin(&mut client, request("POST", path), false).await;
        // Who is refused may be told so before the event is there.
        let _ = upload.send_data(Bytes::from(event), true);
        let (head, mut body) = soon(response).await.unwrap().into_parts();
        assert_eq!(head.status, status, "{path} {event}");
        if let Some(answer) = answer {
            assert_eq!(soon(content(&mut body)).await.unwrap(), answer.as_bytes(), "{path}");
        }
    }
    assert_eq!(open.event().await, "data: one|data: two");
    assert_eq!(open.lines().await, ["event: named", "id: 5", "data: "]);
}

#[tokio::test]
async fn g7_u9_as_many_listen_as_may() {
    let events = Events::new().listeners_max(2);
    let server = App::new().mount("/events", events.clone()).test();
    let mut client = connect(&server).await;
    let _first = Listener::of(&mut client, "/events", None).await;
    let _second = Listener::of(&mut client, "/events/other", None).await;
    let refused = soon(send(&mut client, request("GET", "/events"))).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "5");
}
