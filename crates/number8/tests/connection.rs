//! Requests and answers on one connection, and connections beside one another.

use std::io::{ErrorKind, Write};
use std::sync::mpsc;

use bytes::Bytes;
use number8::{App, Body, Request, Response};
use tokio::sync::mpsc::UnboundedSender;

use crate::serving::{
    Gate, PATIENCE, Pieces, Running, Setup, on_each_setup, patient, post, post_chunked, until,
};

on_each_setup!(
    pipelined_requests_are_answered_in_order,
    b2_w8_a_slow_handler_does_not_block_another_connection,
    n12_h9_a_panicking_handler_is_500_and_the_connection_lives,
    continue_is_sent_when_the_body_is_read_and_not_before,
    an_unread_body_is_never_taken_for_a_request,
    h14_chunks_and_trailers_reach_the_handler,
    a_body_larger_than_every_buffer_flows_through,
    a_stream_is_chunked_or_ends_with_the_connection,
    a_stream_that_fails_is_seen_to_be_cut,
    n11_a_client_that_goes_away_leaves_nothing_behind,
    a_client_that_resets_ends_the_handler_that_waits,
    a_client_that_closes_its_half_still_gets_its_answer,
    a_replaced_app_answers_the_next_request,
    a_replaced_app_that_panics_as_it_goes_takes_nobody_along,
    fields_of_the_app_are_in_every_answer,
);

/// What most tests here talk to.
fn app() -> App {
    App::new()
        .get("/hello", async || "Hello, world.")
        .get("/later", async || {
            tokio::task::yield_now().await;
            "later"
        })
        .get("/large", async || Bytes::from(vec![b'x'; LARGE]))
        .get("/panic", async || -> &'static str { panic!("as the test wants it") })
        .post("/echo", async |request: Request| request.into_body().bytes().await)
        .post("/ignore", async || "ignored")
}

const LARGE: usize = 32 * 1024 * 1024;

fn pipelined_requests_are_answered_in_order(setup: Setup) {
    let server = Running::start(setup, app());
    let echo = |text| post("/echo", "", text);
    let cases: &[(&[String], &[&str])] = &[
        (
            &[get("/hello"), get("/later"), get("/hello")],
            &["Hello, world.", "later", "Hello, world."],
        ),
        (
            &[echo("one"), get("/later"), echo("two"), echo("three")],
            &["one", "later", "two", "three"],
        ),
        (&[post_chunked("/echo", &["a", "b"], ""), get("/hello")], &["ab", "Hello, world."]),
        // More than one read, and more answers than are gathered for one write.
        (&[get("/later"), get("/hello").repeat(5000)], &["later"]),
    ];
    for half_close in [false, true] {
        for (requests, answers) in cases {
            let mut client = server.connect();
            client.send(requests.concat());
            if half_close {
                client.half_close();
            }
            for expected in *answers {
                assert_eq!(client.answer().text(), *expected, "{half_close} {requests:.3?}");
            }
            if requests[1].len() > 1000 {
                for _ in 0..5000 {
                    assert_eq!(client.answer().text(), "Hello, world.");
                }
            }
            if half_close {
                client.ends();
            }
        }
    }
    server.is_at_rest();
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn b2_w8_a_slow_handler_does_not_block_another_connection(setup: Setup) {
    let (app, gate) = gated(app());
    let server = Running::start(setup, app);
    // More than there are workers.
    let mut slow: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for client in &mut slow {
        client.get("/slow");
        gate.arrival();
    }
    assert_eq!(server.connect().get("/hello").answer().text(), "Hello, world.");
    gate.open(4);
    for client in &mut slow {
        assert_eq!(client.answer().text(), "at last");
    }
}

fn n12_h9_a_panicking_handler_is_500_and_the_connection_lives(setup: Setup) {
    let app = app()
        .get("/at-once", || -> std::future::Ready<&'static str> { panic!("as the test wants it") })
        .get("/after-a-while", async || -> &'static str {
            tokio::task::yield_now().await;
            panic!("as the test wants it")
        });
    let server = Running::start(setup, app);
    let mut client = server.connect();
    for path in ["/panic", "/at-once", "/after-a-while"] {
        let answer = client.get(path).answer();
        assert_eq!((answer.status, answer.is_last()), (500, false), "{path}");
        assert!(!answer.text().contains("as the test"), "the reason is not the client's business");
        assert_eq!(client.get("/hello").answer().text(), "Hello, world.");
    }
}

fn continue_is_sent_when_the_body_is_read_and_not_before(setup: Setup) {
    let server = Running::start(setup, app());
    let expecting = |path: &str, length: u64| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut client = server.connect();
    for _ in 0..2 {
        assert_eq!(client.send(expecting("/echo", 5)).answer().status, 100);
        assert_eq!(client.send("hello").answer().text(), "hello");
    }
    // A client that does not wait is not told either.
    let impatient = expecting("/echo", 5) + "hello";
    assert_eq!(client.send(impatient).answer().text(), "hello");
    // A final answer says that the body is not wanted; whether it comes nevertheless cannot be known.
    let answer = client.send(expecting("/ignore", 5)).answer();
    assert_eq!((answer.text(), answer.is_last()), ("ignored", true));
    client.ends();

    let mut client = server.connect();
    let answer = client.send(expecting("/echo", 1 << 40)).answer();
    assert_eq!((answer.status, answer.is_last()), (413, true));
    client.ends();
}

fn an_unread_body_is_never_taken_for_a_request(setup: Setup) {
    let server = Running::start(setup, app());
    let trap = get("/trap");
    let large = trap.repeat(10_000);
    assert!(large.len() > 256 * 1024, "more than is drained");
    let cases = [
        (post("/ignore", "", &trap), true),
        (post_chunked("/ignore", &[&trap, &trap], "A: b\r\n"), true),
        (post("/nothing-here", "", &trap), true),
        (post("/ignore", "", &large), false),
        (post_chunked("/ignore", &[&large], ""), false),
    ];
    for (request, goes_on) in cases {
        let mut client = server.connect();
        client.send(request);
        let answer = client.answer();
        assert!([200, 404].contains(&answer.status), "{answer:?}");
        if goes_on {
            assert!(!answer.is_last());
            assert_eq!(client.get("/hello").answer().text(), "Hello, world.");
        } else {
            // Ends, by a reset if the client had not stopped sending.
            assert!(matches!(client.rest().as_deref(), Ok("") | Err(ErrorKind::ConnectionReset)));
        }
    }
}

fn h14_chunks_and_trailers_reach_the_handler(setup: Setup) {
    let app = App::new().post("/", async |mut request: Request| {
        let mut text = String::new();
        while let Some(chunk) = request.body().chunk().await? {
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        for (name, value) in request.body().trailers() {
            text.push_str(&format!(" {name}={}", String::from_utf8_lossy(&value)));
        }
        std::io::Result::Ok(text)
    });
    let server = Running::start(setup, app);
    let mut client = server.connect();
    client.send(post_chunked("/", &["Hello", ", ", "world."], "Sum: 3\r\nX-B: c\r\n"));
    assert_eq!(client.answer().text(), "Hello, world. Sum=3 X-B=c");
    // The same byte by byte.
    for byte in post_chunked("/", &["ab", "c"], "Sum: 2\r\n").bytes() {
        client.send([byte]);
    }
    assert_eq!(client.answer().text(), "abc Sum=2");
}

fn a_body_larger_than_every_buffer_flows_through(setup: Setup) {
    // What comes in goes out again while it comes in.
    let app =
        App::new().post("/", async |request: Request| Response::new(200, request.into_body()));
    let mut options = patient();
    options.limits.body_bytes_max = u64::MAX;
    let server = Running::with(setup, app, options);
    let mut client = server.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"));
    let mut writing = client.socket().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for start in (0..LARGE).step_by(CHUNK) {
            writing.write_all(&pattern(start)).unwrap();
        }
    });
    let answer = client.answer();
    writer.join().unwrap();
    assert_eq!(answer.content.len(), LARGE);
    for start in (0..LARGE).step_by(CHUNK) {
        assert!(answer.content[start..start + CHUNK] == pattern(start), "differs near {start}");
    }
    drop(client);
    server.is_at_rest();
}

const CHUNK: usize = 64 * 1024;

fn pattern(start: usize) -> Vec<u8> {
    (start..start + CHUNK).map(|at| (at / 7) as u8).collect()
}

/// An app that streams whatever the test sends it, and the sending end of the next stream.
fn streaming() -> (App, mpsc::Receiver<UnboundedSender<std::io::Result<Bytes>>>) {
    let (sender, streams) = mpsc::channel();
    let app = app().get("/stream", move || {
        let (pieces, receiver) = tokio::sync::mpsc::unbounded_channel();
        sender.send(pieces).unwrap();
        std::future::ready(Response::new(200, Body::stream(Pieces(receiver))))
    });
    (app, streams)
}

fn a_stream_is_chunked_or_ends_with_the_connection(setup: Setup) {
    let (app, streams) = streaming();
    let server = Running::start(setup, app);
    let mut client = server.connect();
    client.get("/stream").get("/hello");
    assert_eq!(client.head().field("transfer-encoding"), Some("chunked"));
    let pieces = streams.recv_timeout(PATIENCE).unwrap();
    for piece in ["one", "two"] {
        // Each goes out at once, before there is another.
        pieces.send(Ok(Bytes::from(piece))).unwrap();
        assert_eq!(client.chunk().unwrap(), piece.as_bytes());
    }
    pieces.send(Ok(Bytes::new())).unwrap();
    drop(pieces);
    assert_eq!(client.chunk(), None);
    assert_eq!(client.answer().text(), "Hello, world.");

    let mut client = server.connect();
    client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let pieces = streams.recv_timeout(PATIENCE).unwrap();
    pieces.send(Ok(Bytes::from("one"))).unwrap();
    drop(pieces);
    let answer = client.answer();
    assert_eq!((answer.text(), answer.is_last()), ("one", true));
    assert_eq!(answer.field("transfer-encoding"), None);

    let mut client = server.connect();
    for path in ["/stream", "/hello", "/large"] {
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.head().status, 200);
    }
    assert_eq!(client.get("/hello").answer().text(), "Hello, world.");
}

fn a_stream_that_fails_is_seen_to_be_cut(setup: Setup) {
    let (app, streams) = streaming();
    let server = Running::start(setup, app);
    let fail = |pieces: &UnboundedSender<_>| {
        pieces.send(Err(std::io::Error::other("the source is dry"))).unwrap();
    };
    let mut client = server.connect();
    client.get("/stream");
    client.head();
    let pieces = streams.recv_timeout(PATIENCE).unwrap();
    pieces.send(Ok(Bytes::from("one"))).unwrap();
    fail(&pieces);
    assert_eq!(client.chunk().unwrap(), b"one");
    client.ends();

    // Without chunks, an end would look like the end of the content.
    let mut client = server.connect();
    client.send("GET /stream HTTP/1.0\r\n\r\n");
    client.head();
    fail(&streams.recv_timeout(PATIENCE).unwrap());
    assert_eq!(client.rest(), Err(ErrorKind::ConnectionReset));
    server.is_at_rest();
}

fn n11_a_client_that_goes_away_leaves_nothing_behind(setup: Setup) {
    let (app, streams) = streaming();
    let server = Running::start(setup, app);
    let starts = [
        String::new(),
        "GET / HT".to_owned(),
        post("/echo", "", "not whole").replace("whole", ""),
        get("/hello").repeat(2000),
        get("/large"),
        get("/large").repeat(3) + "GET",
    ];
    for start in &starts {
        for is_reset in [false, true] {
            let mut client = server.connect();
            client.send(start);
            if is_reset {
                client.reset();
            }
        }
    }
    server.is_at_rest();

    let mut client = server.connect();
    client.get("/stream");
    client.head();
    let pieces = streams.recv_timeout(PATIENCE).unwrap();
    drop(client);
    // The end of the client's half is no fault, so it is noticed when there is something to send.
    until("the stream is dropped", || pieces.send(Ok(Bytes::from("x"))).is_err());
    server.is_at_rest();
}

fn a_client_that_resets_ends_the_handler_that_waits(setup: Setup) {
    let (app, streams) = streaming();
    let (app, gate) = gated(app);
    let server = Running::start(setup, app);
    let mut client = server.connect();
    client.get("/slow");
    gate.arrival();
    client.reset();
    server.is_at_rest();

    let mut client = server.connect();
    client.get("/stream");
    client.head();
    client.reset();
    server.is_at_rest();
    assert!(streams.recv_timeout(PATIENCE).unwrap().is_closed());
}

fn a_client_that_closes_its_half_still_gets_its_answer(setup: Setup) {
    let (app, streams) = streaming();
    let (app, gate) = gated(app);
    let server = Running::start(setup, app);
    let mut client = server.connect();
    client.get("/slow").get("/stream").half_close();
    gate.arrival();
    gate.open(1);
    assert_eq!(client.answer().text(), "at last");
    let pieces = streams.recv_timeout(PATIENCE).unwrap();
    client.head();
    pieces.send(Ok(Bytes::from("one"))).unwrap();
    assert_eq!(client.chunk().unwrap(), b"one");
    drop(pieces);
    assert_eq!(client.chunk(), None);
    client.ends();
}

fn a_replaced_app_answers_the_next_request(setup: Setup) {
    let (app, gate) = gated(app());
    let server = Running::start(setup, app);
    let mut client = server.connect();
    client.get("/slow");
    gate.arrival();
    server.handle().replace(App::new().get("/hello", async || "Good bye.")).unwrap();
    gate.open(1);
    assert_eq!(client.answer().text(), "at last");
    assert_eq!(client.get("/hello").answer().text(), "Good bye.");
    assert_eq!(client.get("/slow").answer().status, 404);
}

fn a_replaced_app_that_panics_as_it_goes_takes_nobody_along(setup: Setup) {
    struct Grudge(mpsc::Sender<()>);

    impl Drop for Grudge {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            panic!("on purpose");
        }
    }

    let (sender, has_gone) = mpsc::channel();
    let grudge = Grudge(sender);
    let first = App::new().get("/hello", move || {
        let _ = &grudge;
        std::future::ready("first")
    });
    let server = Running::start(setup, first);
    let mut kept = server.connect();
    assert_eq!(kept.get("/hello").answer().text(), "first");
    server.handle().replace(app()).unwrap();
    has_gone.recv_timeout(PATIENCE).unwrap();
    for _ in 0..4 {
        assert_eq!(server.connect().get("/hello").answer().status, 200);
    }
    assert_eq!(kept.get("/hello").answer().status, 200);
}

fn fields_of_the_app_are_in_every_answer(setup: Setup) {
    let app = app().header("X-A", "b").unwrap().server_name(None).health("/up".to_owned());
    let server = Running::start(setup, app);
    let requests = [
        (get("/hello"), 200),
        (get("/up"), 200),
        (get("/none"), 404),
        (get("/panic"), 500),
        (post("/hello", "", ""), 405),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
    ];
    for (request, status) in requests {
        let answer = server.connect().send(&request).answer();
        assert_eq!((answer.status, answer.field("x-a")), (status, Some("b")), "{request:?}");
        assert_eq!(answer.field("server"), None);
    }
    for wrong in [("X A", "b"), ("X-A", "b\r\nX-C: d"), ("Content-Length", "3")] {
        assert!(App::new().header(wrong.0, wrong.1).is_err(), "{wrong:?}");
    }
}

/// The same app with `/slow`, which waits at a gate.
fn gated(app: App) -> (App, Gate) {
    let (gate, passage) = Gate::new();
    let app = app.get("/slow", move || {
        let passage = passage.clone();
        async move {
            passage.pass().await;
            "at last"
        }
    });
    (app, gate)
}
