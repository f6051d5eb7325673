//! What one connection may cost.

use std::time::Duration;

use number8::server::testing::TestServer;
use number8::server::{Http2Options, Options};
use number8::{App, Body};
use tokio::sync::watch;

use super::wire::*;

fn app() -> App {
    App::new()
        .get("/", async || "Hello, world.")
        .get("/never", async || std::future::pending::<String>().await)
        .get("/large", async || "x".repeat(100_000))
        .post("/", async |body: Body| body.bytes().await.map(|bytes| bytes.len().to_string()))
}

fn server(change: impl FnOnce(&mut Options)) -> TestServer {
    let mut options = Options::default();
    change(&mut options);
    TestServer::new(app(), options)
}

fn of_http2(change: impl FnOnce(&mut Http2Options)) -> TestServer {
    server(|options| change(&mut options.http2))
}

/// The code of the GOAWAY with which a connection ends.
async fn end(client: &mut Client) -> Option<u32> {
    let mut code = None;
    while let Some(frame) = client.frame().await {
        if frame.kind == GOAWAY {
            code = Some(frame.number(4));
        }
    }
    code
}

#[tokio::test]
async fn g7_what_asks_for_nothing_is_taken_so_often_in_a_second() {
    let open = frame(
        HEADERS,
        END_HEADERS,
        1,
        &block(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "localhost"),
        ]),
    );
    for (name, first, flood) in [
        ("SETTINGS", vec![], frame(SETTINGS, 0, 0, b"")),
        ("PING", vec![], frame(PING, 0, 0, b"12345678")),
        ("PRIORITY", vec![], frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16])),
        ("small windows", vec![], frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("an unknown kind", vec![], frame(0x16, 0, 0, b"")),
        ("content without content", open, frame(DATA, 0, 1, b"")),
    ] {
        let server = of_http2(|http2| http2.control_frames_max = 20);
        let mut client = Client::connect(&server).await;
        // These come with one read, and so in one second.
        client.send(&[first, flood.repeat(50)].concat()).await;
        assert_eq!(end(&mut client).await, Some(ENHANCE_YOUR_CALM), "{name}");
    }
    // As many as may come change nothing.
    let server = of_http2(|http2| http2.control_frames_max = 20);
    let mut client = Client::connect(&server).await;
    client.send(&[frame(PING, 0, 0, b"12345678").repeat(15), request(1, "/")].concat()).await;
    assert_eq!(client.status(1).await, 200);
}

/// What is known as rapid reset: work is begun for each request, and nobody waits for it.
#[tokio::test]
async fn g7_a_client_takes_back_so_many_requests_in_a_second() {
    let server = of_http2(|http2| http2.resets_max = 20);
    let mut client = Client::connect(&server).await;
    let mut flood = Vec::new();
    for stream in (1..=101).step_by(2) {
        flood.extend(request(stream, "/never"));
        flood.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
    }
    client.send(&flood).await;
    assert_eq!(end(&mut client).await, Some(ENHANCE_YOUR_CALM));
}

/// The same, where the client has the server end the streams (CVE-2025-8671): in every way that RFC 9113 calls an error of
/// the stream alone.
#[tokio::test]
async fn g7_a_client_has_so_many_requests_ended_in_a_second() {
    let post = |more: &[(&'static str, &'static str)]| {
        let fields =
            [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")];
        frame(HEADERS, END_HEADERS, 0, &block(&[&fields[..], more].concat()))
    };
    let never = || request(0, "/never");
    for (name, frames) in [
        (
            "a field of HTTP/1.1",
            vec![frame(HEADERS, WHOLE, 0, &get("/", &[("connection", "close")]))],
        ),
        ("a path that is none", vec![request(0, "nowhere")]),
        (
            "a window beyond the largest",
            vec![never(), frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffffu32.to_be_bytes())],
        ),
        ("a window of 0 more", vec![never(), frame(WINDOW_UPDATE, 0, 0, &[0; 4])]),
        ("content after the end", vec![never(), frame(DATA, 0, 0, b"x")]),
        ("fields after the end", vec![never(), request(0, "/")]),
        ("fields behind content that are no trailers", vec![post(&[]), post(&[])]),
        (
            "more content than announced",
            vec![post(&[("content-length", "1")]), frame(DATA, 0, 0, b"xyz")],
        ),
        (
            "less content than announced",
            vec![post(&[("content-length", "9")]), frame(DATA, END_STREAM, 0, b"xyz")],
        ),
    ] {
        let server = of_http2(|http2| http2.resets_max = 20);
        let mut client = Client::connect(&server).await;
        let mut flood = Vec::new();
        for stream in (1u32..=401).step_by(2) {
            for mut frame in frames.clone() {
                frame[5..9].copy_from_slice(&stream.to_be_bytes());
                flood.extend(frame);
            }
        }
        client.send(&flood).await;
        let code = end(&mut client).await;
        // Some of these the crate takes for an error of the connection at once.
        assert!(matches!(code, Some(ENHANCE_YOUR_CALM | PROTOCOL_ERROR)), "{name}: {code:?}");
    }
}

/// It is on its way when the client hears of the answer, however long it takes then: nothing that a client could help.
#[tokio::test]
async fn g7_content_that_comes_after_its_answer_is_dropped() {
    let app = App::new().post("/", async || (404, "not here"));
    let mut options = Options {
        http2: Http2Options { resets_max: 1, ..Default::default() },
        ..Default::default()
    };
    options.timeouts.body = Duration::from_secs(3600);
    options.timeouts.idle = Duration::from_secs(3600);
    let server = TestServer::new(app, options);
    let mut client = Client::connect(&server).await;
    let post =
        [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")];
    let streams = [1, 3, 5, 7, 9, 11, 13, 15];
    for stream in streams {
        client.send(&frame(HEADERS, END_HEADERS, stream, &block(&post))).await;
        assert_eq!(client.status(stream).await, 404);
        client.wait_for(|frame| frame.kind == RST_STREAM && frame.number(0) == NO_ERROR).await;
    }
    // As long as the crate remembers a stream by itself.
    let more = tokio::time::timeout(Duration::from_millis(1500), client.frame()).await;
    assert!(more.is_err(), "{more:?}");
    for stream in streams {
        client.send(&frame(DATA, 0, stream, &[b'x'; 1000])).await;
    }
    client.send(&frame(PING, 0, 0, b"12345678")).await;
    let next = client.wait_for(|frame| frame.kind != WINDOW_UPDATE).await;
    assert_eq!((next.kind, next.flags), (PING, ACK), "{next:?}");
}

/// A window of one byte after another is served as it opens, and keeps nobody else waiting.
#[tokio::test]
async fn g7_windows_of_one_byte_are_served_byte_by_byte() {
    let server = of_http2(|_| {});
    let mut client = Client::connect(&server).await;
    client.send(&[frame(SETTINGS, 0, 0, &setting(4, 1)), request(1, "/")].concat()).await;
    let mut content = Vec::new();
    let mut other = 3;
    loop {
        let data = client.wait_for(|frame| frame.kind == DATA && frame.stream == 1).await;
        assert!(data.payload.len() <= 1, "{data:?}");
        content.extend(data.payload);
        if data.flags & END_STREAM != 0 {
            break;
        }
        client.send(&frame(HEADERS, WHOLE, other, &get("/nothing", &[]))).await;
        assert_eq!(client.status(other).await, 404);
        client.send(&frame(RST_STREAM, 0, other, &8u32.to_be_bytes())).await;
        other += 2;
        client.send(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])).await;
    }
    assert_eq!(content, b"Hello, world.");
}

/// Fields that are short on the wire and long when they are read: one in the table, again and again.
#[tokio::test]
async fn g7_fields_count_as_they_are_read_not_as_they_are_written() {
    let server = of_http2(|_| {});
    let mut client = Client::connect(&server).await;
    let mut fields = get("/", &[]);
    fields.extend([b"\x40\x01x\x7f\x81\x16".to_vec(), vec![b'y'; 3000 - 48 - 8]].concat());
    client.send(&frame(HEADERS, WHOLE, 1, &fields)).await;
    assert_eq!(client.status(1).await, 200);
    fields.extend([0xbe; 2000]);
    client.send(&frame(HEADERS, WHOLE, 3, &fields)).await;
    // Beyond what is only too much it is an attack.
    loop {
        match client.frame().await {
            Some(frame) if frame.kind == GOAWAY => {
                assert_eq!(frame.number(4), ENHANCE_YOUR_CALM);
                break;
            }
            Some(frame) if frame.kind == HEADERS => {
                assert_eq!((frame.stream, frame.status()), (3, 431));
                break;
            }
            other => assert!(other.is_some(), "it is told why"),
        }
    }
}

#[tokio::test]
async fn g7_so_many_requests_are_answered_at_once() {
    let server = of_http2(|http2| http2.streams_max = 2);
    let mut client = Client::connect(&server).await;
    let settings = client.wait_for(|frame| frame.kind == SETTINGS && frame.flags == 0).await;
    let streams = settings.payload.chunks(6).find(|setting| setting[..2] == [0, 3]).unwrap();
    assert_eq!(streams[2..], [0, 0, 0, 2]);
    // A client is to know of it before it is held to it.
    client.send(&frame(SETTINGS, ACK, 0, b"")).await;
    client.send(&[request(1, "/never"), request(3, "/never"), request(5, "/")].concat()).await;
    let refused = client.wait_for(|frame| frame.kind == RST_STREAM).await;
    assert_eq!((refused.stream, refused.number(0)), (5, REFUSED_STREAM));
    client.send(&frame(RST_STREAM, 0, 1, &8u32.to_be_bytes())).await;
    client.send(&request(7, "/")).await;
    assert_eq!(client.status(7).await, 200);
}

#[tokio::test]
async fn g7_heads_have_the_limits_of_http_1() {
    let server = server(|options| {
        options.limits.http.head_bytes_max = 1000;
        options.limits.http.fields_max = 10;
        options.limits.http.uri_bytes_max = 100;
        options.limits.body_bytes_max = 10;
    });
    let long = "x".repeat(2000);
    let path = format!("/{}", "x".repeat(100));
    let post =
        [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")];
    let announced = [&post[..], &[("content-length", "11")]].concat();
    for (name, bytes, status) in [
        ("a long target", request(1, &path), 414),
        ("many fields", frame(HEADERS, WHOLE, 1, &get("/", &[("x", "y"); 11])), 431),
        ("long fields", frame(HEADERS, WHOLE, 1, &get("/", &[("x", &long)])), 431),
        (
            "much content",
            [
                frame(HEADERS, END_HEADERS, 1, &block(&post)),
                frame(DATA, END_STREAM, 1, &[b'x'; 11]),
            ]
            .concat(),
            413,
        ),
        ("much content announced", frame(HEADERS, END_HEADERS, 1, &block(&announced)), 413),
    ] {
        let mut client = Client::connect(&server).await;
        client.send(&bytes).await;
        assert_eq!(client.status(1).await, status, "{name}");
        // The connection goes on.
        client.send(&request(3, "/")).await;
        assert_eq!(client.status(3).await, 200, "{name}");
    }
}

#[tokio::test]
async fn g7_a_field_block_without_end_ends_the_connection() {
    let server = of_http2(|_| {});
    let mut client = Client::connect(&server).await;
    client.send(&frame(HEADERS, END_STREAM, 1, &get("/", &[]))).await;
    client.send(&frame(CONTINUATION, 0, 1, &block(&[("x", "y")])).repeat(5000)).await;
    assert_eq!(end(&mut client).await, Some(ENHANCE_YOUR_CALM));

    let short = Duration::from_millis(100);
    let server = self::server(|options| options.timeouts.head = short);
    let mut client = Client::connect(&server).await;
    client.send(&frame(HEADERS, END_STREAM, 1, &get("/", &[]))).await;
    assert_eq!(end(&mut client).await, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn g7_who_asks_for_nothing_and_takes_nothing_is_not_waited_for() {
    let short = Duration::from_millis(100);
    let server = self::server(|options| options.timeouts.idle = short);
    let mut client = Client::connect(&server).await;
    client.send(&request(1, "/")).await;
    assert_eq!(client.status(1).await, 200);
    assert_eq!(end(&mut client).await, Some(NO_ERROR));

    // A window that is never opened: that stream ends.
    let server = self::server(|options| options.timeouts.write = short);
    let mut client = Client::connect(&server).await;
    client.send(&[frame(SETTINGS, 0, 0, &setting(4, 0)), request(1, "/large")].concat()).await;
    let ended = client.wait_for(|frame| frame.kind == RST_STREAM).await;
    assert_eq!((ended.stream, ended.number(0)), (1, 8));

    // Content that does not come.
    let server = self::server(|options| options.timeouts.body = short);
    let mut client = Client::connect(&server).await;
    let post =
        [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")];
    client.send(&frame(HEADERS, END_HEADERS, 1, &block(&post))).await;
    assert_eq!(client.status(1).await, 408);
}

/// A server that answers when it is told to.
fn waiting() -> (watch::Sender<bool>, TestServer) {
    let (go, _) = watch::channel(false);
    let waits = go.clone();
    let handler = move || {
        let mut waits = waits.subscribe();
        async move {
            waits.wait_for(|&go| go).await.unwrap();
            "done"
        }
    };
    (go, App::new().get("/", handler).test())
}

#[tokio::test]
async fn g7_a_server_that_stops_finishes_what_it_has_begun() {
    let (go, server) = waiting();
    let mut client = Client::connect(&server).await;
    client.send(&request(1, "/")).await;
    client.send(&frame(PING, 0, 0, b"12345678")).await;
    client.wait_for(|frame| frame.kind == PING).await;
    server.handle().shutdown();
    let goaway = client.wait_for(|frame| frame.kind == GOAWAY).await;
    assert_eq!((goaway.number(0), goaway.number(4)), (0x7fff_ffff, NO_ERROR));
    let ping = client.wait_for(|frame| frame.kind == PING && frame.flags == 0).await;
    client.send(&frame(PING, ACK, 0, &ping.payload)).await;
    let goaway = client.wait_for(|frame| frame.kind == GOAWAY).await;
    assert_eq!((goaway.number(0), goaway.number(4)), (1, NO_ERROR));
    go.send_replace(true);
    assert_eq!(client.status(1).await, 200);
    while client.frame().await.is_some() {}
}

#[tokio::test]
async fn g7_a_connection_that_begins_while_the_server_stops_is_told_so() {
    let server = server(|options| options.timeouts.linger = Duration::from_secs(3600));
    let mut client = Client::new(server.connect());
    // Half of what a client says first, and the rest after the word to stop.
    client.send(&PREFACE[..10]).await;
    until("it is there", || server.handle().connections() == 1).await;
    server.handle().shutdown();
    client.send(&[&PREFACE[10..], &frame(SETTINGS, 0, 0, b""), &request(1, "/")].concat()).await;
    let mut seen = Vec::new();
    while let Some(frame) = client.frame().await {
        match frame.kind {
            PING if frame.flags == 0 => {
                client.send(&super::wire::frame(PING, ACK, 0, &frame.payload)).await;
            }
            GOAWAY => seen.push((GOAWAY, frame.number(4))),
            HEADERS => seen.push((HEADERS, frame.status().into())),
            _ => {}
        }
    }
    assert_eq!(seen[..2], [(GOAWAY, NO_ERROR), (HEADERS, 200)]);
}

#[tokio::test]
async fn g7_a_client_that_asks_no_more_gets_what_it_has_asked() {
    let (go, server) = waiting();
    let mut client = Client::connect(&server).await;
    client.send(&[request(1, "/"), frame(GOAWAY, 0, 0, &[0; 8])].concat()).await;
    client.send(&frame(PING, 0, 0, b"12345678")).await;
    client.wait_for(|frame| frame.kind == PING).await;
    go.send_replace(true);
    assert_eq!(client.status(1).await, 200);
    while client.frame().await.is_some() {}
}

#[tokio::test]
async fn g7_where_http_2_is_off_its_preface_is_a_version_not_spoken() {
    let server = of_http2(|http2| http2.is_on = false);
    let client = Client::connect(&server).await;
    assert!(client.end.read_to_end().await.unwrap().starts_with(b"HTTP/1.1 505"));
}
