//! Content and heads that wait: for their readers, or for the client.

use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use number8::server::Options;
use number8::server::testing::TestServer;
use number8::{App, Before, Body, Call, Layer, Waited, content_limit};
use tokio::sync::watch;

use super::wire::*;

/// Whose reader is another task, or another thread, takes what has come with nobody at the connection to see it.
#[tokio::test]
async fn g7_content_that_stops_is_told_to_a_reader_elsewhere() {
    let app = App::new().post("/", async |body: Body| {
        tokio::spawn(body.bytes()).await.unwrap().map(|bytes| bytes.len().to_string())
    });
    let mut options = Options::default();
    options.timeouts.body = Duration::from_millis(300);
    let server = TestServer::new(app, options);
    let mut client = Client::connect(&server).await;
    client.send(&[post(1), frame(DATA, 0, 1, &[b'x'; 10_000])].concat()).await;
    assert_eq!(client.status(1).await, 408);
}

/// RFC 9113 §5.2.2: what lies unread on some streams is not to keep others from being read.
#[tokio::test]
async fn g7_content_that_nobody_reads_leaves_room_for_what_is_read() {
    let (go, _) = watch::channel(false);
    let opened = go.clone();
    let app = App::new()
        .post("/waits", move |body: Body| {
            let mut opened = opened.subscribe();
            async move {
                opened.wait_for(|&go| go).await.unwrap();
                body.bytes().await.map(|bytes| bytes.len().to_string())
            }
        })
        .post("/", async |body: Body| body.bytes().await.map(|bytes| bytes.len().to_string()));
    let server = TestServer::new(app, Options::default());
    let mut client = Client::connect(&server).await;
    // The windows of streams count from here on.
    client.wait_for(|frame| frame.kind == SETTINGS && frame.flags == 0).await;
    client.send(&frame(SETTINGS, ACK, 0, b"")).await;
    let piece = [b'x'; 16_000];
    // As much as their own windows let them send; more than the connection's at first.
    for stream in (1..=15).step_by(2) {
        client.send(&post_to(stream, "/waits")).await;
        client.send(&frame(DATA, 0, stream, &piece).repeat(16)).await;
        // The next has room when this has been seen.
        client.send(&frame(PING, 0, 0, b"12345678")).await;
        client.wait_for(|frame| frame.kind == PING).await;
    }
    until("all of it lies there", || server.handle().buffered() >= 8 * 16 * 16_000).await;
    client.send(&post_to(17, "/")).await;
    client.send(&frame(DATA, END_STREAM, 17, &piece)).await;
    assert_eq!(client.status(17).await, 200);
    go.send_replace(true);
    client.send(&frame(DATA, END_STREAM, 1, b"")).await;
    assert_eq!(client.status(1).await, 200);
}

/// A field is repeated for the price of a byte, and a window of 0 lets every answer wait.
#[tokio::test]
async fn g7_heads_that_wait_are_counted_and_shortened_while_their_answers_are_sent() {
    let value = "v".repeat(3000);
    let fields = [("a", &*value), ("b", &*value), ("c", &*value), ("user-agent", &*value)];
    // Heads that are needed, and those of which only the log has any use.
    for (path, least, most) in
        [("/never", 10 * 12_000, 10 * 13_000), ("/large", 10 * 2000, 10 * 3000)]
    {
        let app = App::new()
            .get("/never", async || std::future::pending::<String>().await)
            .get("/large", async || "x".repeat(1000));
        let server = TestServer::new(app, Options::default());
        let mut client = Client::connect(&server).await;
        client.send(&frame(SETTINGS, 0, 0, &setting(4, 0))).await;
        for stream in (1..20).step_by(2) {
            client.send(&frame(HEADERS, WHOLE, stream, &get(path, &fields))).await;
        }
        until("they wait", || server.handle().buffered() >= least).await;
        client.send(&frame(PING, 0, 0, b"12345678")).await;
        client.wait_for(|frame| frame.kind == PING).await;
        let held = server.handle().buffered();
        assert!((least..most).contains(&held), "{path}: {held}");
    }
}

/// What is kept for many is counted where it is kept.
#[tokio::test]
async fn g7_content_that_is_only_lent_to_an_answer_is_not_held_by_it() {
    static CONTENT: LazyLock<String> = LazyLock::new(|| "x".repeat(100_000));
    let app = App::new().get("/", async || CONTENT.as_str());
    let server = TestServer::new(app, Options::default());
    let mut client = Client::connect(&server).await;
    client.send(&frame(SETTINGS, 0, 0, &setting(4, 0))).await;
    for stream in (1..200).step_by(2) {
        client.send(&request(stream, "/")).await;
    }
    client.wait_for(|frame| frame.kind == HEADERS && frame.stream == 199).await;
    client.send(&frame(PING, 0, 0, b"12345678")).await;
    client.wait_for(|frame| frame.kind == PING).await;
    let held = server.handle().buffered();
    assert!(held < 100_000, "{held}");
}

/// SECURITY: so many answers wait with the protocol for a client that takes nothing, and each has a head.
#[tokio::test]
async fn g7_heads_of_answers_that_wait_are_counted() {
    static CONTENT: LazyLock<String> = LazyLock::new(|| "x".repeat(50_000));
    let app = App::new().get("/", async || CONTENT.as_str());
    let server = TestServer::new(app, Options::default());
    let mut client = Client::connect(&server).await;
    client.send(&frame(SETTINGS, 0, 0, &setting(4, 1 << 30))).await;
    client.send(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes())).await;
    for stream in (1..200).step_by(2) {
        client.send(&request(stream, "/")).await;
    }
    until("they wait", || server.handle().buffered() > 150_000).await;
    for stream in (1..200).step_by(2) {
        client.wait_for(|frame| frame.stream == stream && frame.flags & END_STREAM != 0).await;
    }
    until("nothing is held", || server.handle().buffered() < 1000).await;
}

/// Content that is made piece by piece.
struct Pieces {
    left: usize,
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let length = self.left.min(64 << 10);
        self.left -= length;
        Poll::Ready((length > 0).then(|| Ok(vec![b'x'; length].into())))
    }
}

/// A client that takes content more slowly than it is made is there all the time, and each turn ends with the connection full.
#[tokio::test]
async fn g7_content_that_a_slow_client_has_taken_is_held_no_longer() {
    const BYTES: usize = 8 << 20;
    static CONTENT: LazyLock<String> = LazyLock::new(|| "x".repeat(BYTES));
    let app = App::new()
        .get("/kept", async || CONTENT.as_str())
        .get("/made", async || Body::stream(Pieces { left: BYTES }));
    let server = TestServer::new(app, Options::default());
    for path in ["/kept", "/made"] {
        let mut client = Client::connect(&server).await;
        client.send(&frame(SETTINGS, 0, 0, &setting(4, 1 << 30))).await;
        client.send(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes())).await;
        client.send(&request(1, path)).await;
        let (mut taken, mut most) = (0, 0);
        while taken < BYTES {
            taken += client.wait_for(|frame| frame.kind == DATA).await.payload.len();
            most = most.max(server.handle().buffered());
        }
        assert!(most < BYTES / 8, "{path}: {most}");
        drop(client);
        until("nothing is held", || server.handle().buffered() == 0).await;
    }
}

/// Whatever is made for one answer counts until it is sent, whoever made it, and also what is behind the first piece of it.
#[tokio::test]
async fn g7_content_of_one_answer_is_held_by_it() {
    const BYTES: usize = 300_000;
    let app = App::new()
        .get("/made", async || "x".repeat(BYTES))
        .get("/owned", async || Body::from(Bytes::from_owner(vec![b'x'; BYTES])));
    let server = TestServer::new(app, Options::default());
    for path in ["/made", "/owned"] {
        for window in [0, 1 << 30] {
            let client = Client::connect(&server).await;
            client.send(&frame(SETTINGS, 0, 0, &setting(4, window))).await;
            for stream in (1..20).step_by(2) {
                client.send(&request(stream, path)).await;
            }
            // Less what has been given to the connection, and to the memory between the two.
            let least = 10 * (BYTES - 100_000);
            until(&format!("{path} {window}"), || server.handle().buffered() >= least).await;
            drop(client);
            until("they are given up", || server.handle().buffered() == 0).await;
        }
    }
}

/// Waits for a word before it lets a request in.
struct Waits(watch::Sender<bool>);

impl Layer for Waits {
    fn before(&self, _: &mut Call<'_>) -> Before {
        let mut opened = self.0.subscribe();
        Before::wait(async move {
            let _ = opened.wait_for(|&is_open| is_open).await;
            Waited::go(None)
        })
    }
}

/// How much may come is for the handler to say, of which it is not known who it is before a layer has let the request in.
#[tokio::test]
async fn g7_content_that_comes_before_its_handler_is_within_the_handlers_limit() {
    for (path, status) in [("/more", 200), ("/", 413)] {
        let (go, _) = watch::channel(false);
        let count = async |body: Body| body.bytes().await.map(|bytes| bytes.len().to_string());
        let app = App::new()
            .post("/more", content_limit(100_000, count))
            .post("/", count)
            .layer(Waits(go.clone()));
        let mut options = Options::default();
        options.limits.body_bytes_max = 1000;
        let server = TestServer::new(app, options);
        for is_ended in [false, true] {
            go.send_replace(false);
            let mut client = Client::connect(&server).await;
            let end = if is_ended { END_STREAM } else { 0 };
            let data = frame(DATA, end, 1, &[b'x'; 16_000]);
            let ping = frame(PING, 0, 0, b"12345678");
            client.send(&[post_to(1, path), data, ping].concat()).await;
            client.wait_for(|frame| frame.kind == PING).await;
            go.send_replace(true);
            if !is_ended {
                client.send(&frame(DATA, END_STREAM, 1, b"")).await;
            }
            assert_eq!(client.status(1).await, status, "{path} {is_ended}");
        }
    }
}

fn post(stream: u32) -> Vec<u8> {
    post_to(stream, "/")
}

fn post_to(stream: u32, path: &str) -> Vec<u8> {
    let fields =
        [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost")];
    frame(HEADERS, END_HEADERS, stream, &block(&fields))
}
