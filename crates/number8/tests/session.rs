//! Connections that are handed over: to another protocol, or to bytes that are nobody's.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use number8::layers::access_log::Sink;
use number8::testing::TestServer;
use number8::{AccessLog, App, Body, Response, Session, SessionInput, SessionStep};

use crate::serving::{PATIENCE, Pieces, Running, Setup, on_each_setup, patient};

on_each_setup!(an_upgraded_connection_speaks_the_other_protocol);

/// Sends lines back in capitals; says goodbye when the server stops; an empty line ends it.
struct Lines;

impl Session for Lines {
    fn poll(
        &mut self,
        _: &mut Context<'_>,
        input: SessionInput<'_>,
        output: &mut Vec<u8>,
    ) -> SessionStep {
        if input.is_stopping {
            output.extend_from_slice(b"goodbye\n");
            return SessionStep::close(0);
        }
        let mut used = 0;
        while let Some(end) = input.bytes[used..].iter().position(|&byte| byte == b'\n') {
            let line = &mut input.bytes[used..=used + end];
            used += line.len();
            if line == b"panic\n" {
                panic!("as the test wants it");
            }
            if line == b"\n" {
                return SessionStep::close(used);
            }
            line.make_ascii_uppercase();
            output.extend_from_slice(line);
        }
        match input.has_ended {
            true => SessionStep::close(used),
            false => SessionStep::wait(used),
        }
    }
}

fn app() -> App {
    App::new()
        .get("/lines", async || Response::upgrade("lines", Lines).with("X-Words", "loud"))
        .post("/lines", async || Response::upgrade("lines", Lines))
        .get("/hello", async || "Hello, world.")
}

const UPGRADE: &str =
    "GET /lines HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: lines\r\n\r\n";

fn an_upgraded_connection_speaks_the_other_protocol(setup: Setup) {
    let server = Running::start(setup, app());
    let mut client = server.connect();
    // The first line comes with the request, the second in pieces.
    client.send(format!("{UPGRADE}one\ntw"));
    let head = client.head();
    assert_eq!(head.status, 101, "{head:?}");
    for (name, value) in [("X-Words", "loud"), ("Connection", "Upgrade"), ("Upgrade", "lines")] {
        assert_eq!(head.field(name), Some(value), "{head:?}");
    }
    client.send("o\nthree\n\nafter the end");
    assert_eq!(client.rest().unwrap(), "ONE\nTWO\nTHREE\n");
    drop(client);
    server.is_at_rest();
}

#[tokio::test]
async fn what_cannot_be_upgraded_gets_an_answer() {
    let cases = [
        "GET /lines HTTP/1.0\r\nConnection: upgrade, close\r\nUpgrade: lines\r\n\r\n",
        "POST /lines HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
        // RFC 9110 §7.8: the client names the protocol.
        "GET /lines HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /lines HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUpgrade: lines\r\n\r\n",
        "GET /lines HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: line, liness\r\n\r\n",
        "HEAD /lines HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ];
    for request in cases {
        let answer = ask(app(), request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request}{answer}");
    }
    for fields in [
        "Connection: keep-alive, Upgrade\r\nUpgrade: other, LINES",
        "Connection: a\r\nUpgrade: lines\r\nConnection: upgrade",
    ] {
        let answer =
            ask(app(), &format!("GET /lines HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n\n")).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{fields}: {answer}");
    }
}

/// What a client gets, to the end of the connection.
async fn ask(app: App, request: &str) -> String {
    let server = app.test();
    let client = server.connect();
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, client.read_to_end()).await;
    String::from_utf8(answer.expect("the connection ends").unwrap()).unwrap()
}

#[tokio::test]
async fn layers_see_once_what_becomes_of_an_upgrade_and_may_refuse_it() {
    let plain = "GET /lines HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let raw = "GET /raw HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let close =
        "GET /lines HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: lines\r\n\r\n\n";
    type Change = fn(Response) -> Response;
    let cases: [(&str, &str, Change, u16, u16); 6] = [
        ("one that is asked for", close, |response| response, 101, 101),
        ("one that nobody asked for", plain, |response| response, 400, 400),
        ("another status", close, |response| response.with_status(403), 101, 403),
        ("another status for raw bytes", raw, |response| response.with_status(403), 0, 403),
        ("another content", close, |response| response.with_body("no").with_status(410), 101, 410),
        (
            "a layer's, that nobody asked for",
            plain,
            |_| Response::upgrade("lines", Lines),
            400,
            400,
        ),
    ];
    for (what, request, change, seen, sent) in cases {
        let statuses = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&statuses);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let sink = Arc::new(Sink::file(&path).unwrap());
        let log = AccessLog { format: "$status".parse().unwrap(), sink: Arc::clone(&sink) };
        let app = app().get("/raw", async || Response::raw("HTTP/1.1 299 Mine\r\n\r\n"));
        let app = app.access_log(log).after(move |_, response| {
            noted.lock().unwrap().push(response.status());
            change(response)
        });
        let answer = ask(app, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {sent} ")), "{what}: {answer}");
        assert_eq!(*statuses.lock().unwrap(), [seen], "{what}");
        assert!(sink.finish(PATIENCE));
        assert_eq!(std::fs::read_to_string(path).unwrap(), format!("{sent}\n"), "{what}");
    }
}

#[tokio::test]
async fn a_session_that_panics_ends_its_connection_alone() {
    let server = app().test();
    let other = server.connect();
    let client = server.connect();
    client.write_all(format!("{UPGRADE}panic\n").as_bytes()).await.unwrap();
    let seen = client.read_to_end().await.unwrap();
    assert!(seen.ends_with(b"\r\n\r\n"), "only the head");
    other.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(other.read_to_end().await.unwrap().ends_with(b"Hello, world."));
}

#[tokio::test]
async fn a_session_is_told_that_the_server_stops() {
    let server = app().test();
    let client = server.connect();
    client.write_all(format!("{UPGRADE}one\n").as_bytes()).await.unwrap();
    let mut buf = [0; 1024];
    let mut seen = Vec::new();
    while !seen.ends_with(b"ONE\n") {
        let count = client.read(&mut buf).await.unwrap();
        seen.extend_from_slice(&buf[..count]);
    }
    server.handle().shutdown();
    assert_eq!(client.read_to_end().await.unwrap(), b"goodbye\n");
}

/// Uses nothing and counts how often it is asked; wants to be woken every second.
struct Deaf(Arc<AtomicUsize>);

impl Session for Deaf {
    fn poll(&mut self, _: &mut Context<'_>, _: SessionInput<'_>, _: &mut Vec<u8>) -> SessionStep {
        self.0.fetch_add(1, Ordering::Relaxed);
        SessionStep::wait(0).wake_after(Duration::from_secs(1))
    }
}

#[tokio::test]
async fn what_a_session_does_not_use_is_not_read_without_bound() {
    let polls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&polls);
    let app = App::new()
        .get("/", move || std::future::ready(Response::upgrade("deaf", Deaf(counter.clone()))));
    let server = TestServer::new(app, patient());
    let client = server.connect_with(16 * 1024);
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: deaf\r\n\r\n")
        .await
        .unwrap();
    let mut sent = 0;
    let piece = [b'x'; 8 * 1024];
    // Nobody goes on any more when all have had so many turns.
    let turns = async || {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    };
    loop {
        tokio::select! {
            biased;
            written = client.write_all(&piece) => written.unwrap(),
            () = turns() => break,
        }
        sent += piece.len();
        assert!(sent < 1024 * 1024, "it takes whatever comes");
    }
    assert!(sent >= 64 * 1024, "{sent}");
    // It is woken when the time is over that it named, and nothing spins until then.
    let before = polls.load(Ordering::Relaxed);
    assert!(before < 100, "{before}");
    tokio::time::timeout(PATIENCE, async {
        while polls.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn r12_raw_bytes_go_out_as_they_are_and_end_the_connection() {
    let app = App::new()
        .get("/raw", async || Response::raw("HTTP/1.1 299 Mine\r\nX: y\r\n\r\nwhatever"))
        .get("/stream", async || {
            let pieces =
                ["one ", "two ", "three"].map(|text| Ok::<_, io::Error>(Bytes::from(text)));
            let (sender, pieces_come) = tokio::sync::mpsc::unbounded_channel();
            pieces.into_iter().for_each(|piece| sender.send(piece).unwrap());
            Response::raw(Body::stream(Pieces(pieces_come)))
        })
        .post("/raw", async || Response::raw("answer"));
    let cases = [
        ("GET /raw HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 299 Mine\r\nX: y\r\n\r\nwhatever"),
        ("GET /stream HTTP/1.0\r\n\r\n", "one two three"),
        ("POST /raw HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "answer"),
    ];
    let server = app.test();
    for (request, expected) in cases {
        let client = server.connect();
        client.write_all(request.as_bytes()).await.unwrap();
        let seen = client.read_to_end().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&seen), expected, "{request}");
    }
}
