//! How much the server takes of what, and what it answers beyond.

use std::io::{ErrorKind, Write};

use bytes::Bytes;
use number8::server::Limits;
use number8::{App, Request};

use crate::serving::{Running, Setup, on_each_setup, patient, post, post_chunked, until};

on_each_setup!(
    b12_n10_a_request_beyond_a_limit_is_refused,
    connections_beyond_the_limit_are_told_to_come_back,
    requests_beyond_what_may_be_buffered_are_told_to_come_back,
    long_content_ends_where_it_says,
    an_unread_body_is_drained_up_to_the_limit,
    lingering_takes_no_more_than_the_limit,
);

fn app() -> App {
    App::new()
        .get("/hello", async || "Hello, world.")
        .get("/large", async || Bytes::from(vec![b'x'; 32 * 1024 * 1024]))
        .post("/echo", async |request: Request| request.into_body().bytes().await)
        .post("/ignore", async || "ignored")
}

fn with(setup: Setup, change: impl FnOnce(&mut Limits)) -> Running {
    let mut options = patient();
    change(&mut options.limits);
    Running::with(setup, app(), options)
}

fn b12_n10_a_request_beyond_a_limit_is_refused(setup: Setup) {
    let server = with(setup, |limits| {
        limits.body_bytes_max = 10;
        limits.http.uri_bytes_max = 20;
        limits.http.head_bytes_max = 200;
        limits.http.fields_max = 3;
        limits.http.trailer_bytes_max = 20;
        limits.http.chunk_extension_bytes_max = 10;
    });
    let get = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let extended = |extension: &str| {
        let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}3;{extension}\r\nabc\r\n0\r\n\r\n")
    };
    let path = |length: usize| format!("/{}", "x".repeat(length - 1));
    let cases = [
        (post("/echo", "", "0123456789"), 200),
        (post("/echo", "", "0123456789a"), 413),
        (post_chunked("/echo", &["01234", "56789"], ""), 200),
        (post_chunked("/echo", &["01234", "56789", "a"], ""), 413),
        (get(&path(20), ""), 404),
        (get(&path(21), ""), 414),
        (get("/hello", &format!("A: {}\r\n", "b".repeat(100))), 200),
        (get("/hello", &format!("A: {}\r\n", "b".repeat(200))), 431),
        (get("/hello", &"A: b\r\n".repeat(2)), 200),
        (get("/hello", &"A: b\r\n".repeat(3)), 431),
        (post_chunked("/echo", &["abc"], "A: b\r\n"), 200),
        (post_chunked("/echo", &["abc"], "A: 01234567890123456789\r\n"), 400),
        (extended("a=b"), 200),
        (extended("a=0123456789"), 400),
    ];
    for (request, status) in cases {
        let mut client = server.connect();
        let answer = client.send(&request).answer();
        assert_eq!(answer.status, status, "{request:?}");
        if status == 200 || status == 404 {
            assert_eq!(client.get("/hello").answer().status, 200, "{request:?}");
        } else if status != 413 {
            assert!(answer.is_last(), "{request:?}");
            client.ends();
        }
    }
}

fn connections_beyond_the_limit_are_told_to_come_back(setup: Setup) {
    let all: fn(&mut Limits) = |limits| limits.connections_max = 3;
    let of_client: fn(&mut Limits) = |limits| limits.connections_per_client_max = 3;
    for change in [all, of_client] {
        let server = with(setup, change);
        let mut served: Vec<_> = (0..3).map(|_| server.connect()).collect();
        for client in &mut served {
            assert_eq!(client.get("/hello").answer().status, 200);
        }
        let mut refused: Vec<_> = (0..5).map(|_| server.connect()).collect();
        for client in &mut refused {
            let answer = client.get("/hello").answer();
            assert_eq!((answer.status, answer.is_last()), (503, true));
            assert_eq!(answer.field("retry-after"), Some("1"));
        }
        // Those who were refused stay, and take nobody's place.
        served.pop();
        until("one has gone", || server.handle().connections() == 7);
        assert_eq!(server.connect().get("/hello").answer().status, 200);
        drop((served, refused));
        server.is_at_rest();
    }
}

fn requests_beyond_what_may_be_buffered_are_told_to_come_back(setup: Setup) {
    let server = with(setup, |limits| limits.buffered_bytes_max = 1024 * 1024);
    let mut idle = server.connect();
    assert_eq!(idle.get("/hello").answer().status, 200);
    let mut greedy = server.connect();
    greedy.get("/large");
    until("much is held", || server.handle().buffered() > 1024 * 1024);
    let answer = idle.get("/hello").answer();
    assert_eq!((answer.status, answer.is_last()), (503, true));
    assert_eq!(answer.field("retry-after"), Some("1"));
    drop((greedy, idle));
    server.is_at_rest();
    assert_eq!(server.connect().get("/hello").answer().status, 200);
}

/// Long content is read to where it stays, past the buffers: no byte of what stands behind it.
fn long_content_ends_where_it_says(setup: Setup) {
    let server = with(setup, |limits| limits.body_bytes_max = 1_000_000);
    let body =
        |length: usize| (b'a'..=b'z').cycle().take(length).map(char::from).collect::<String>();
    let next = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    for length in [16 * 1024, 100_001, 1_000_000] {
        let (whole, half) = (body(length), body(length / 2));
        for request in
            [post("/echo", "", &whole), post_chunked("/echo", &[&half, &whole[half.len()..]], "")]
        {
            let mut client = server.connect();
            client.send(request + next);
            assert_eq!(client.answer().text(), whole);
            assert_eq!(client.answer().status, 200);
        }
    }
    let long = body(1_000_001);
    let mut client = server.connect();
    client.send(post_chunked("/echo", &[&long[..600_000], &long[600_000..]], ""));
    assert_eq!(client.answer().status, 413);
}

fn an_unread_body_is_drained_up_to_the_limit(setup: Setup) {
    let server = with(setup, |limits| {
        limits.http.drain_bytes_max = 1000;
        limits.body_bytes_max = u64::MAX;
    });
    let body = |length| "x".repeat(length);
    let cases = [
        (post("/ignore", "", &body(1000)), false),
        (post("/ignore", "", &body(1001)), true),
        (post_chunked("/ignore", &[&body(900)], ""), false),
        (post_chunked("/ignore", &[&body(500), &body(500)], ""), true),
    ];
    for (request, ends) in cases {
        let mut client = server.connect();
        assert_eq!(client.send(&request).answer().text(), "ignored");
        if ends {
            client.ends();
        } else {
            assert_eq!(client.get("/hello").answer().status, 200);
        }
    }
}

fn lingering_takes_no_more_than_the_limit(setup: Setup) {
    let server = with(setup, |limits| limits.linger_bytes_max = 64 * 1024);
    let mut client = server.connect();
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").answer();
    let error = loop {
        if let Err(error) = client.socket().write_all(&[b'x'; 64 * 1024]) {
            break error;
        }
    };
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
    server.is_at_rest();
}
