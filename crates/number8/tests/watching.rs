//! What is told of requests: to their clients, to handlers, in logs.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use number8::layers::access_log::Sink;
use number8::layers::proxies::Proxies;
use number8::{AccessLog, Answer, App, Call, Content, Handler, Response, SlowLog};

/// Answers with what its request is called.
struct Name;

impl Handler for Name {
    fn handle(&self, call: Call<'_>) -> Answer {
        let id = call.caller.request_id.as_ref();
        Response::new(200, id.map_or("none".to_owned(), ToString::to_string)).into()
    }
}

/// What a client at `peer` gets for a request that ends the connection.
async fn ask(app: App, peer: &str, request: &str) -> String {
    let server = app.test();
    let client = server.connect_from(SocketAddr::new(peer.parse().unwrap(), 4711));
    client.write_all(request.as_bytes()).await.unwrap();
    String::from_utf8(client.read_to_end().await.unwrap()).unwrap()
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("{name}: ");
    answer.lines().find_map(|line| line.strip_prefix(&start))
}

#[tokio::test]
async fn o3_a_trusted_proxy_names_requests_and_nobody_else_does() {
    let (proxy, other) = ("10.0.0.1", "192.0.2.1");
    let made = None;
    // Who asks, with what, and what the request is called then: `None` for a name of ours.
    for (peer, fields, want) in [
        (proxy, "X-Request-Id: abc-1\r\n", Some("abc-1")),
        (proxy, "X-Request-Id: two words\r\n", made),
        (proxy, "X-Request-Id: \r\n", made),
        (proxy, "", made),
        (other, "X-Request-Id: abc-1\r\n", made),
    ] {
        let app = App::new().mount("/", Name).request_ids(true);
        let app = app.proxies(Proxies::new(["10.0.0.0/8".parse().unwrap()]));
        let answer = ask(app, peer, &get(fields)).await;
        let (told, seen) = (field(&answer, "X-Request-Id"), answer.lines().last());
        assert_eq!(told, seen, "{peer} {fields}");
        match want {
            Some(want) => assert_eq!(told, Some(want), "{peer} {fields}"),
            None => assert!(
                told.is_some_and(|id| {
                    id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())
                }),
                "{peer} {fields}: {told:?}"
            ),
        }
    }
}

#[tokio::test]
async fn o3_requests_have_no_name_where_nobody_asks() {
    let answer = ask(App::new().mount("/", Name), "192.0.2.1", &get("")).await;
    assert_eq!((field(&answer, "X-Request-Id"), answer.lines().last()), (None, Some("none")));
}

#[tokio::test]
async fn o3_an_answer_keeps_the_name_that_a_handler_gives() {
    let named = async || Response::new(200, "").with("X-Request-Id", "mine");
    let answer = ask(App::new().get("/", named).request_ids(true), "192.0.2.1", &get("")).await;
    assert_eq!(answer.matches("X-Request-Id").count(), 1);
    assert_eq!(field(&answer, "X-Request-Id"), Some("mine"));
}

/// The lines that an app writes to a log until its server ends.
async fn logged(app: impl FnOnce(AccessLog) -> App, format: &str, request: &str) -> String {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let sink = Arc::new(Sink::descriptor(writer).unwrap());
    let app = app(AccessLog { format: format.parse().unwrap(), sink: Arc::clone(&sink) });
    ask(app, "192.0.2.1", request).await;
    assert!(sink.finish(Duration::from_secs(20)));
    drop(sink);
    let mut lines = String::new();
    // The server's last worker holds the app, and with it the sink, until its task has ended.
    while !lines.ends_with('\n') {
        let mut some = [0; 1024];
        let count = reader.read(&mut some).unwrap();
        lines.push_str(str::from_utf8(&some[..count]).unwrap());
        if count == 0 {
            break;
        }
    }
    lines
}

#[tokio::test]
async fn o3_a_line_tells_what_came_what_went_and_the_name_of_the_request() {
    let echo = async |content: Content| content.repeat(2);
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let known = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcd";
    for (request, want) in [(chunked, "5 10"), (known, "4 8"), (&get(""), "0 3")] {
        let app = |log| App::new().get("/", async || "get").post("/", echo).access_log(log);
        let line = logged(app, "$bytes_received $bytes_sent $request_id", request).await;
        let (bytes, id) = line.trim_end().rsplit_once(' ').unwrap();
        assert_eq!((bytes, id.len()), (want, 16), "{line}");
    }
}

#[tokio::test]
async fn o3_a_slow_request_is_told_of() {
    let format = "slow: $method $target $status $request_id";
    let slow = |after| move |log| App::new().mount("/", Name).slow_log(SlowLog { after, log });
    let line = logged(slow(Duration::ZERO), format, &get("")).await;
    assert!(line.starts_with("slow: GET / 200 "), "{line}");
}
