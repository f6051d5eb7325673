//! Whose turn it is, and who waits for whom: in memory, where no kernel buffers and no clock blur it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use number8::testing::TestServer;
use number8::{App, Body, Chunk, Request, Response};
use tokio::time::timeout;

use crate::serving::{Gate, patient};

const PIPE: usize = 16 * 1024;

/// Runs until nobody can go on: paused time passes only when every task waits.
async fn until_all_wait<F: Future>(work: F) -> Option<F::Output> {
    timeout(Duration::from_millis(1), work).await.ok()
}

#[tokio::test(start_paused = true)]
async fn an_unread_body_stops_at_the_window() {
    let (gate, passage) = Gate::new();
    let app = App::new().post("/", move |mut request: Request| {
        let passage = passage.clone();
        async move {
            request.body().chunk().await?;
            passage.pass().await;
            request.into_body().bytes().await
        }
    });
    let mut options = patient();
    options.limits.body_bytes_max = u64::MAX;
    let server = TestServer::new(app, options);
    let client = server.connect_with(PIPE);
    let body = vec![b'x'; 8 * 1024 * 1024];
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    client.write_all(head.as_bytes()).await.unwrap();
    let mut sent = 0;
    for piece in body.chunks(PIPE) {
        if until_all_wait(client.write_all(piece)).await.is_none() {
            break;
        }
        sent += piece.len();
    }
    gate.arrival();
    assert!((256 * 1024..400 * 1024).contains(&sent), "{sent}");
    assert!(server.handle().buffered() >= 256 * 1024, "what lies there counts");
    drop(client);
    gate.open(1);
    until_all_wait(std::future::pending::<()>()).await;
    assert_eq!((server.handle().connections(), server.handle().buffered()), (0, 0));
}

/// Whoever gathers content before using it holds it for the client all the same.
#[tokio::test(start_paused = true)]
async fn content_that_is_gathered_is_counted() {
    const BYTES: usize = 600_000;
    let whole = async |body: Body| body.bytes().await.map(|bytes| bytes.len().to_string());
    let server = TestServer::new(App::new().post("/", whole), patient());
    let client = server.connect_with(PIPE);
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BYTES}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    until_all_wait(client.write_all(&vec![b'x'; BYTES - 1])).await.unwrap().unwrap();
    until_all_wait(std::future::pending::<()>()).await;
    let held = server.handle().buffered();
    assert!((BYTES - 1..BYTES + 100_000).contains(&held), "{held}");
    client.write_all(b"x").await.unwrap();
    until_all_wait(std::future::pending::<()>()).await;
    assert_eq!(server.handle().buffered(), 0);
}

/// Content without end, and how much of it was asked for.
struct Endless(Arc<AtomicUsize>);

impl futures_core::Stream for Endless {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.fetch_add(1024, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Bytes::from_static(&[b'x'; 1024]))))
    }
}

fn endless() -> (App, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let app = App::new().get("/hello", async || "Hello, world.").get("/endless", move || {
        std::future::ready(Response::new(200, Body::stream(Endless(counter.clone()))))
    });
    (app, asked)
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_asked_for_no_more_than_the_client_takes() {
    let (app, asked) = endless();
    let server = TestServer::new(app, patient());
    let client = server.connect_with(PIPE);
    client.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut read = 0;
    for _ in 0..3 {
        until_all_wait(std::future::pending::<()>()).await;
        let ahead = asked.load(Ordering::Relaxed) - read;
        assert!((1..=PIPE + 66 * 1024).contains(&ahead), "{ahead}");
        while read < asked.load(Ordering::Relaxed) / 2 {
            read += client.read(&mut [0; 1024]).await.unwrap();
        }
    }
}

const HELLO: &[u8] = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

/// One connection always has something to do; how far it has got when another one has its answer.
async fn sent_before_the_other(greedy: Vec<u8>) -> usize {
    let server = TestServer::new(endless().0, patient());
    // A task like those of connections: what blocks the runtime is polled less often.
    let playing = tokio::spawn(async move {
        let client = server.connect_with(16 * 1024 * 1024);
        client.write_all(&greedy).await.unwrap();
        let other = server.connect_with(PIPE);
        other.write_all(HELLO).await.unwrap();
        assert!(other.read(&mut [0; 1024]).await.unwrap() > 0);
        client.read(&mut vec![0; 16 * 1024 * 1024]).await.unwrap()
    });
    playing.await.unwrap()
}

#[tokio::test]
async fn a_client_that_pipelines_without_end_leaves_others_their_turn() {
    let sent = sent_before_the_other(HELLO.repeat(100_000)).await;
    assert!(sent < 8 * 1024 * 1024, "{sent}");
}

#[tokio::test]
async fn a_stream_without_end_leaves_others_their_turn() {
    let sent = sent_before_the_other(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()).await;
    assert!(sent < 8 * 1024 * 1024, "{sent}");
}

/// Even where the old one is replaced while requests are being answered that came together.
#[tokio::test]
async fn a_replaced_app_answers_the_next_request_of_a_batch() {
    let handle: Arc<std::sync::OnceLock<number8::Handle>> = Arc::default();
    let replacing = handle.clone();
    let app = App::new().get("/hello", async || "Hello, world.").get("/replace", move || {
        let app = App::new().get("/hello", async || "Good bye.");
        replacing.get().unwrap().replace(app).unwrap();
        std::future::ready("replaced")
    });
    let server = TestServer::new(app, patient());
    handle.set(server.handle()).unwrap();
    let client = server.connect();
    let replace = b"GET /replace HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    client.write_all(&[HELLO, replace, last].concat()).await.unwrap();
    let answers = String::from_utf8(client.read_to_end().await.unwrap()).unwrap();
    let place = |text| answers.find(text).unwrap_or_else(|| panic!("no {text:?} in {answers}"));
    assert!(place("Hello, world.") < place("replaced") && place("replaced") < place("Good bye."));
}

/// Where nobody is connected, nothing comes round that would see it.
#[tokio::test(start_paused = true)]
async fn a_replaced_app_is_let_go_of_though_nobody_connects() {
    let held = Arc::new(());
    let of_app = Arc::clone(&held);
    let app = App::new().get("/hello", move || {
        let _ = &of_app;
        std::future::ready("Hello, world.")
    });
    let server = TestServer::new(app, patient());
    let client = server.connect();
    let last = b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    client.write_all(last).await.unwrap();
    client.read_to_end().await.unwrap();
    drop(client);
    // It passes once all wait.
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.handle().replace(App::new()).unwrap();
    assert_eq!(Arc::strong_count(&held), 1);
}

/// Takes all of a body into memory of a fixed size, which may have no room at all.
async fn taken_into(mut body: Body, room: usize) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        // A slice ends where its room does, as a `Vec` does not.
        let memory: &'static mut [u8] = vec![0; room].leak();
        let (chunk, left) = body.chunk_into(memory).await?;
        match chunk {
            Chunk::Received(count) => {
                assert_eq!(left.len(), room - count);
                all.resize(all.len() + count, b'r');
            }
            Chunk::Apart(bytes) => all.extend_from_slice(&bytes),
            Chunk::End => return Ok(all),
        }
    }
}

#[tokio::test]
async fn content_comes_whole_into_memory_of_any_size() {
    for room in [0, 1000, PIPE, 1 << 20] {
        let app = App::new().post("/", move |request: Request| async move {
            taken_into(request.into_body(), room).await.map(|all| all.len().to_string())
        });
        let answer = app.test().post("/").body(vec![b'x'; 300_000]).send().await.unwrap();
        assert_eq!((answer.status(), answer.text()), (200, "300000"), "{room}");
    }
}
