//! How long the server waits for what, and what it does then.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use number8::server::testing::TestServer;
use number8::server::{LaneOptions, Limits, Timeouts};
use number8::{App, Options, Request};

use crate::serving::{Gate, Running, Setup, on_each_setup, patient, post, until};

on_each_setup!(
    a_connection_without_a_byte_is_closed_silently,
    a_slow_head_is_408,
    b12_a_slow_body_is_408,
    a_client_that_takes_nothing_is_cut,
    l13_an_idle_connection_is_closed_without_a_reset,
    lingering_ends,
    the_rest_of_a_body_that_nobody_reads_may_not_come,
    a_handler_may_take_longer_than_every_deadline,
    a_cut_answer_does_not_reach_the_next_client,
);

const SHORT: Duration = Duration::from_millis(100);

fn app() -> App {
    App::new()
        .get("/hello", async || "Hello, world.")
        .post("/echo", async |request: Request| request.into_body().bytes().await)
        .post("/ignore", async || "ignored")
}

const LARGE: usize = 32 * 1024 * 1024;

/// A server that cuts a client which takes nothing, and how often it was asked for more than the buffers hold.
fn with_large(setup: Setup) -> (Running, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let large = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Bytes::from(vec![b'x'; LARGE]))
    };
    let mut options = patient();
    options.timeouts.write = SHORT;
    (Running::with(setup, app().get("/large", large), options), asked)
}

fn with(setup: Setup, change: impl FnOnce(&mut Timeouts)) -> Running {
    let mut options = patient();
    change(&mut options.timeouts);
    Running::with(setup, app(), options)
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let seconds = Duration::from_secs;
    let expected = Options {
        workers: 0,
        grace: seconds(10),
        metrics: false,
        release_start: false,
        lane: LaneOptions::default(),
        timeouts: Timeouts {
            first_byte: seconds(10),
            handshake: seconds(10),
            head: seconds(30),
            body: seconds(30),
            body_rate_min: 500,
            body_rate_after: seconds(10),
            write: seconds(30),
            idle: seconds(15),
            linger: seconds(2),
        },
        http2: number8::server::Http2Options {
            is_on: true,
            streams_max: 100,
            stream_window_bytes: 256 << 10,
            connection_window_bytes: 1 << 20,
            resets_max: 200,
            control_frames_max: 1_000,
        },
        limits: Limits {
            http: number8::server::HttpLimits {
                head_bytes_max: 32 << 10,
                fields_max: 100,
                uri_bytes_max: 8 << 10,
                chunk_extension_bytes_max: 4096,
                trailer_bytes_max: 8 << 10,
                drain_bytes_max: 256 << 10,
                lenient: false,
            },
            body_bytes_max: 1 << 20,
            connections_max: 65_536,
            connections_per_client_max: 16_384,
            buffered_bytes_max: 256 << 20,
            linger_bytes_max: 256 << 10,
        },
    };
    assert_eq!(format!("{:?}", Options::default()), format!("{expected:?}"));
}

/// A process that is stopped for a while, or a handler that keeps the thread: what clients sent meanwhile came in time.
#[tokio::test]
async fn time_in_which_nobody_could_hear_a_client_is_not_held_against_it() {
    const TIME: Duration = Duration::from_millis(1100);
    let large = || std::future::ready(Bytes::from(vec![b'x'; LARGE]));
    let mut options = Options::default();
    options.timeouts = Timeouts {
        first_byte: TIME,
        handshake: TIME,
        head: TIME,
        body: TIME,
        write: TIME,
        idle: TIME,
        ..options.timeouts
    };
    let server = TestServer::new(app().get("/large", large), options);
    let get = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    let known = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\n";
    let last = "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let cases = [
        ("nothing yet", "", last, "Hello, world."),
        ("idle", get, last, "Hello, world."),
        ("a part of a head", &last[..30], &last[30..], "Hello, world."),
        ("a body", known, "abc", "abc"),
        ("a part of a body", &*(known.to_owned() + "a"), "bc", "abc"),
        ("an answer", "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "", "xxx"),
    ];
    let mut clients = Vec::new();
    for (_, before, ..) in cases {
        let client = server.connect();
        client.write_all(before.as_bytes()).await.unwrap();
        clients.push(client);
    }
    // All that came before this has been read.
    assert_eq!(server.get("/hello").send().await.unwrap().text(), "Hello, world.");
    let end = Instant::now() + TIME + SHORT;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
    for (client, (what, _, after, expected)) in clients.iter().zip(cases) {
        client.write_all(after.as_bytes()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let all = client.read_to_end().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(all.ends_with(expected.as_bytes()), "{what}: {:?}", all.get(..200));
        assert!(!all.starts_with(b"HTTP/1.1 408"), "{what}");
    }
}

fn a_connection_without_a_byte_is_closed_silently(setup: Setup) {
    let server = with(setup, |timeouts| timeouts.first_byte = SHORT);
    server.connect().ends();
    server.is_at_rest();
}

fn a_slow_head_is_408(setup: Setup) {
    let server = with(setup, |timeouts| timeouts.head = SHORT);
    let whole = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    for (sent, answers_before) in [
        ("G", 0),
        ("\r\n", 0),
        ("GET / HTTP/1.1\r\nHost: a\r\n", 0),
        // The head after a request that came whole, in the same packet.
        (&*(whole.to_owned() + "G"), 1),
        (&*(whole.repeat(3) + &whole[..30]), 3),
        (&*(post("/echo", "", "abc") + "GET / HTTP/1.1"), 1),
    ] {
        let mut client = server.connect();
        client.send(sent);
        for _ in 0..answers_before {
            assert_eq!(client.answer().status, 200, "{sent:?}");
        }
        let answer = client.answer();
        assert_eq!((answer.status, answer.is_last()), (408, true), "{sent:?}");
        client.ends();
    }
    server.is_at_rest();
}

fn b12_a_slow_body_is_408(setup: Setup) {
    let silent: fn(&mut Timeouts) = |timeouts| timeouts.body = SHORT;
    let slow: fn(&mut Timeouts) = |timeouts| {
        timeouts.body_rate_min = 1000;
        timeouts.body_rate_after = SHORT;
    };
    for change in [silent, slow] {
        let server = with(setup, change);
        let known = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
        let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab";
        for start in [known, chunked] {
            let mut client = server.connect();
            let answer = client.send(start).answer();
            assert_eq!((answer.status, answer.is_last()), (408, true), "{start:?}");
            client.ends();
        }
        server.is_at_rest();
    }
}

fn a_client_that_takes_nothing_is_cut(setup: Setup) {
    let (server, asked) = with_large(setup);
    let mut client = server.connect();
    client.get("/large");
    // How far it got until then, or whether it is cut by now, depends on how busy the machine is.
    until("it is asked", || asked.load(Ordering::Relaxed) == 1);
    server.is_at_rest();
    assert!(client.drained() < LARGE as u64);
}

fn l13_an_idle_connection_is_closed_without_a_reset(setup: Setup) {
    let server = with(setup, |timeouts| timeouts.idle = SHORT);
    let mut client = server.connect();
    // At once: the second would come too late where the machine is busy.
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2));
    for _ in 0..2 {
        assert_eq!(client.answer().status, 200);
    }
    client.ends();
    // A request that crossed the end on its way is not answered, and not by a reset either.
    client.get("/hello").half_close();
    client.ends();
    server.is_at_rest();
}

fn the_rest_of_a_body_that_nobody_reads_may_not_come(setup: Setup) {
    let server = with(setup, |timeouts| timeouts.linger = Duration::from_secs(1));
    let request = post("/ignore", "", &"x".repeat(1000));
    let mut client = server.connect();
    client.send(&request[..request.len() - 500]);
    let answer = client.answer();
    assert_eq!((answer.status, answer.is_last()), (200, false));
    // What it may send now is read for a while, so that no reset takes the answer away.
    client.ends();
    assert_eq!(server.handle().connections(), 1);
    client.send(&request[request.len() - 500..]);
    server.is_at_rest();
}

fn lingering_ends(setup: Setup) {
    let cases = [
        // The last answer, to a client that does not close.
        "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        // A body that nobody reads, and that does not come.
        "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
        "POST /ignore HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    ];
    let server = with(setup, |timeouts| timeouts.linger = SHORT);
    for case in cases {
        let mut client = server.connect();
        client.send(case).answer();
        server.is_at_rest();
        assert!(matches!(client.rest().as_deref(), Ok("") | Err(ErrorKind::ConnectionReset)));
    }
}

fn a_handler_may_take_longer_than_every_deadline(setup: Setup) {
    let (gate, passage) = Gate::new();
    let app = app().post("/slow", move |request: Request| {
        let passage = passage.clone();
        async move {
            passage.pass().await;
            request.into_body().bytes().await
        }
    });
    let mut options = patient();
    options.timeouts = Timeouts {
        // The client may take its time to begin.
        first_byte: options.timeouts.first_byte,
        handshake: options.timeouts.first_byte,
        head: SHORT,
        body: SHORT,
        body_rate_min: 1_000_000,
        body_rate_after: SHORT,
        write: SHORT,
        idle: SHORT,
        linger: SHORT,
    };
    let server = Running::with(setup, app, options);
    let mut client = server.connect();
    client.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
    gate.arrival();
    // Time passes: two other connections wait for it in turn.
    for _ in 0..2 {
        let mut other = server.connect();
        assert_eq!(other.get("/hello").answer().status, 200);
        other.ends();
    }
    client.send("bc");
    gate.open(1);
    assert_eq!(client.answer().text(), "abc");
}

/// SECURITY: buffers go from one connection to the next.
fn a_cut_answer_does_not_reach_the_next_client(setup: Setup) {
    let (server, asked) = with_large(setup);
    let mut client = server.connect();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2));
    until("it is asked", || asked.load(Ordering::Relaxed) > 0);
    server.is_at_rest();
    for _ in 0..4 {
        assert_eq!(server.connect().get("/hello").answer().text(), "Hello, world.");
    }
}
