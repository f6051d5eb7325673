//! Content piece by piece, both ways, and limits of single handlers.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use number8::server::lane::Lane;
use number8::{
    App, Body, Content, FieldError, Fields, GatewayHead, Response, Sender, content_limit,
};

use crate::serving::PATIENCE;

/// An app whose content a function writes.
fn writing<F>(write: impl Fn(Sender) -> F + Clone + Send + Sync + 'static) -> App
where
    F: Future<Output = ()> + Send + 'static,
{
    App::new().get("/", move || {
        let write = write.clone();
        async move {
            let (sender, body) = Body::channel();
            tokio::spawn(write(sender));
            body
        }
    })
}

async fn raw(app: App, request: &str) -> String {
    let server = app.test();
    let client = server.connect();
    client.write_all(request.as_bytes()).await.unwrap();
    String::from_utf8(client.read_to_end().await.unwrap()).unwrap()
}

fn get(version: &str, more: &str) -> String {
    format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: close\r\n{more}\r\n")
}

#[tokio::test]
async fn r11_content_goes_out_piece_by_piece_and_has_to_be_finished() {
    let pieces = |finish: bool| {
        writing(move |mut sender| async move {
            for piece in ["one", "", "two"] {
                sender.send(piece).await.unwrap();
            }
            if finish {
                sender.finish();
            }
        })
    };
    let whole = raw(pieces(true), &get("1.1", "")).await;
    assert!(whole.ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), "{whole}");
    let old = raw(pieces(true), &get("1.0", "")).await;
    assert!(old.ends_with("\r\n\r\nonetwo") && !old.contains("chunked"), "{old}");
    // The client sees that it is not whole.
    let cut = raw(pieces(false), &get("1.1", "")).await;
    assert!(cut.ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n"), "{cut}");
}

#[tokio::test]
async fn large_and_small_pieces_of_a_stream_keep_their_order() {
    let pieces =
        || (0..40_usize).map(|n| vec![b'a' + n as u8 % 26; [1, 70_000, 16_384, 16_385][n % 4]]);
    let content: Vec<u8> = pieces().flatten().collect();
    for (version, length) in
        [("1.1", None), ("1.0", None), ("1.1", Some(content.len())), ("1.1", Some(99_999))]
    {
        let app = App::new().get("/", move || async move {
            let (mut sender, body) = Body::channel();
            tokio::spawn(async move {
                for piece in pieces() {
                    let _ = sender.send(piece).await;
                }
                sender.finish();
            });
            match length {
                Some(length) => Body::sized_stream(length as u64, Chunks(body)),
                None => body,
            }
        });
        let got = match version {
            "1.0" => raw(app, &get(version, "")).await.split_once("\r\n\r\n").unwrap().1.into(),
            _ => app.test().get("/").send().await.unwrap().body().to_vec(),
        };
        let expected = &content[..length.unwrap_or(content.len())];
        assert!(got == expected, "{version} {length:?}");

        // The same where nothing has to be waited for.
        let app = App::new().get("/", move || async move {
            let there = AllThere(pieces().map(Bytes::from).collect());
            match length {
                Some(length) => Body::sized_stream(length as u64, there),
                None => Body::stream(there),
            }
        });
        let got = match version {
            "1.0" => raw(app, &get(version, "")).await.split_once("\r\n\r\n").unwrap().1.into(),
            _ => app.test().get("/").send().await.unwrap().body().to_vec(),
        };
        assert!(got == expected, "{version} {length:?}, all at once");
    }
}

/// Pieces that are there already.
struct AllThere(VecDeque<Bytes>);

impl Stream for AllThere {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

#[tokio::test]
async fn a_stream_of_announced_length_is_neither_longer_nor_taken_for_whole() {
    let of = |length: u64| {
        App::new().get("/", move || async move {
            let (mut sender, body) = Body::channel();
            tokio::spawn(async move {
                for piece in ["one", "two"] {
                    let _ = sender.send(piece).await;
                }
                sender.finish();
            });
            Body::sized_stream(length, Chunks(body))
        })
    };
    for (length, version, content, goes_on) in [
        (6, "1.1", "onetwo", true),
        (6, "1.0", "onetwo", true),
        (4, "1.1", "onet", true),
        (0, "1.1", "", true),
        // It is cut: no second answer comes.
        (7, "1.1", "onetwo", false),
    ] {
        let next = get(version, "");
        let first = next.replace("close", "keep-alive");
        let answers = raw(of(length), &format!("{first}{next}")).await;
        let (head, rest) = answers.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {length}")), "{head}");
        assert!(!head.contains("chunked"), "{head}");
        let (sent, next) = rest.split_at(content.len());
        assert_eq!(
            (sent, next.starts_with("HTTP/1.1 200")),
            (content, goes_on),
            "{length} {answers}"
        );
    }
    let head = raw(of(6), &get("1.1", "").replace("GET", "HEAD")).await;
    assert!(head.contains("Content-Length: 6") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn r10_a_reason_phrase_may_be_the_programs_own() {
    let app = || {
        App::new().get("/", async || {
            Response::new(418, "short").with_reason(b"Short \xfe stout").unwrap()
        })
    };
    let server = app().test();
    let client = server.connect();
    client.write_all(get("1.1", "").as_bytes()).await.unwrap();
    let answer = client.read_to_end().await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 418 Short \xfe stout\r\n"), "{answer:?}");
    // It is that of its status.
    let server = app().after(|_, response| response.with_status(404)).test();
    let client = server.connect();
    client.write_all(get("1.1", "").as_bytes()).await.unwrap();
    let answer = client.read_to_end().await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 404 Not Found\r\n"), "{answer:?}");
    for reason in ["OK\r\nX-Evil: 1", "\n", "\0"] {
        assert!(Response::new(200, "").with_reason(reason).is_err(), "{reason:?}");
    }
}

#[tokio::test]
async fn w4_what_a_gateway_says_of_the_length_is_a_promise() {
    type Case<'a> = (u16, &'a [(&'a str, &'a str)], &'static str, &'a str, &'a str);
    let length = "Content-Length";
    let cases: [Case<'_>; 7] = [
        (200, &[("X-A", "1"), (length, "3")], "one", "Content-Length: 3\r\n", "one"),
        (200, &[(length, "3")], "one and more", "Content-Length: 3\r\n", "one"),
        (200, &[(length, " 9 "), (length, "9")], "one", "Content-Length: 9\r\n", "one"),
        (200, &[], "one", "Content-Length: 3\r\n", "one"),
        (304, &[(length, "3")], "", "Content-Length: 3\r\n", ""),
        (304, &[], "", "HTTP/1.1 304 Not Modified\r\n", ""),
        (204, &[("Date", "yesterday")], "", "HTTP/1.1 204 No Content\r\n", ""),
    ];
    for (status, fields, content, expected, sent) in cases {
        let mut head = GatewayHead::new(status);
        for (name, value) in fields {
            head.push(name, value.as_bytes()).unwrap();
        }
        head.reason(number8_proto::http1::reason(status).as_bytes()).unwrap();
        let app = App::new().get("/", move || {
            let head = head.clone();
            async move { head.answer(content) }
        });
        let answer = raw(app, &get("1.1", "")).await;
        let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
        assert!(format!("{head}\r\n").contains(expected), "{answer}");
        assert_eq!(rest, sent);
        assert!(!answer.contains("yesterday"), "{answer}");
        assert_eq!(head.contains(length), expected.contains(length), "{answer}");
    }
}

/// RFC 9110 §8.6: it would be that of the content that is not sent.
#[tokio::test]
async fn a_304_says_nothing_of_a_length_that_is_not_known() {
    for version in ["1.1", "1.0"] {
        let app = App::new().get("/", async || Response::new(304, Body::empty()));
        let answer = raw(app, &get(version, "")).await;
        assert!(answer.starts_with("HTTP/1.1 304 ") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(!answer.contains("Content-Length") && !answer.contains("chunked"), "{answer}");
        let answer = raw(App::new().get("/", async || (304, "")), &get(version, "")).await;
        assert!(!answer.contains("Content-Length"), "{answer}");
    }
}

#[test]
fn w4_a_gateway_cannot_say_what_is_the_servers() {
    let mut head = GatewayHead::new(200);
    head.push("Content-Length", b"3").unwrap();
    for (name, value, error) in [
        ("Content-Length", "4", FieldError::Framing),
        ("Content-Length", "many", FieldError::Value),
        ("Connection", "close", FieldError::Framing),
        ("Transfer-Encoding", "chunked", FieldError::Framing),
        ("X-A", "a\r\nX-B: b", FieldError::Value),
        ("X A", "a", FieldError::Name),
    ] {
        assert_eq!(head.push(name, value.as_bytes()), Err(error), "{name}: {value}");
    }
    assert_eq!(head.reason(b"OK\r\nX-B: b"), Err(FieldError::Value));
    assert_eq!((head.status(), head.length()), (200, Some(3)));
}

/// Content as a stream of its chunks.
struct Chunks(Body);

impl Stream for Chunks {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_chunk(cx).map(Result::transpose)
    }
}

#[tokio::test]
async fn trailers_go_to_clients_that_read_them() {
    let trailing = || {
        writing(|mut sender| async move {
            sender.send("content").await.unwrap();
            let mut trailers = Fields::new();
            trailers.push("X-Sum", b"8").unwrap();
            sender.finish_with(trailers).unwrap();
        })
    };
    let cases = [
        ("1.1", "TE: trailers\r\n", true),
        ("1.1", "TE: deflate;q=0.5, Trailers\r\n", true),
        ("1.1", "TE: deflate\r\n", false),
        ("1.1", "", false),
        ("1.0", "TE: trailers\r\n", false),
    ];
    for (version, te, expected) in cases {
        let answer = raw(trailing(), &get(version, te)).await;
        assert_eq!(answer.ends_with("0\r\nX-Sum: 8\r\n\r\n"), expected, "{te}: {answer}");
        assert_eq!(answer.contains("X-Sum"), expected, "{te}: {answer}");
    }
}

#[tokio::test]
async fn l14_trailers_that_must_stand_before_cut_the_answer() {
    let names = ["content-type", "Set-Cookie", "Content-Encoding", "Cache-Control", "Host"];
    for name in names {
        let app = writing(move |sender| async move {
            let mut trailers = Fields::new();
            trailers.push(name, b"8").unwrap();
            assert!(sender.finish_with(trailers).is_err());
        });
        let answer = raw(app, &get("1.1", "TE: trailers\r\n")).await;
        assert!(!answer.ends_with("0\r\n\r\n"), "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_slow_client_slows_the_sender_and_one_that_leaves_stops_it() {
    let (sent, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let app = writing(move |mut sender| {
        let sent = sent.clone();
        async move {
            while sender.send(vec![b'8'; 1000]).await.is_ok() {
                sent.send(true).unwrap();
            }
            sent.send(false).unwrap();
        }
    });
    let server = app.test();
    let client = server.connect_with(1024);
    client.write_all(get("1.1", "").as_bytes()).await.unwrap();
    // It stops while nobody reads: the window, a batch and what the pair holds.
    let (mut pieces, mut turns) = (0, 0);
    while turns < 1000 {
        tokio::task::yield_now().await;
        turns += 1;
        if seen.try_recv().is_ok() {
            (pieces, turns) = (pieces + 1, 0);
        }
    }
    assert!((60..400).contains(&pieces), "{pieces} pieces");
    drop(client);
    let the_rest = async { while seen.recv().await == Some(true) {} };
    tokio::time::timeout(PATIENCE, the_rest).await.unwrap();
}

/// One piece may be too much, for those who wait for room when it is handed over.
#[tokio::test]
async fn a_piece_is_handed_over_at_once_and_room_waited_for_afterwards() {
    let app = writing(|mut sender| async move {
        let waits = |sender: &mut Sender| {
            sender.poll_ready(&mut Context::from_waker(std::task::Waker::noop())).is_pending()
        };
        assert!(!waits(&mut sender));
        sender.push(vec![b'8'; 100_000]);
        assert!(waits(&mut sender), "more than the window");
        std::future::poll_fn(|cx| sender.poll_ready(cx)).await.unwrap();
        sender.push("");
        sender.push("end");
        sender.finish();
    });
    let answer = raw(app, &get("1.0", "")).await;
    assert!(answer.ends_with("888end"), "{}", answer.len());
    assert!(answer.matches('8').count() >= 100_000);
}

/// What a handler has handed over is the server's to hold until the client takes it.
#[tokio::test]
async fn content_that_waits_for_a_client_is_counted() {
    const PIECE: usize = 1000;
    const PIPE: usize = 1024;
    let (sent, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let app = writing(move |mut sender| {
        let sent = sent.clone();
        async move {
            while sender.send(vec![b'8'; PIECE]).await.is_ok() {
                sent.send(()).unwrap();
            }
        }
    });
    let server = app.test();
    let client = server.connect_with(PIPE);
    client.write_all(get("1.1", "").as_bytes()).await.unwrap();
    let (mut pieces, mut turns) = (0, 0);
    while turns < 1000 {
        tokio::task::yield_now().await;
        turns += 1;
        if seen.try_recv().is_ok() {
            (pieces, turns) = (pieces + 1, 0);
        }
    }
    let held = server.handle().buffered();
    assert!(held + PIPE >= pieces * PIECE, "{held} of {} bytes", pieces * PIECE);
    drop(client);
    let at_rest = async {
        while server.handle().buffered() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, at_rest).await.unwrap();
}

#[tokio::test]
async fn a_request_for_the_head_stops_the_sender() {
    let (told, mut tells) = tokio::sync::mpsc::channel(1);
    let app = writing(move |mut sender| {
        let told = told.clone();
        async move {
            let error = loop {
                match sender.send("8").await {
                    Ok(()) => tokio::task::yield_now().await,
                    Err(error) => break error,
                }
            };
            told.send(error.kind()).await.unwrap();
        }
    });
    let server = app.test();
    assert_eq!(server.request("HEAD", "/").send().await.unwrap().body(), b"");
    assert_eq!(
        tokio::time::timeout(PATIENCE, tells.recv()).await.unwrap(),
        Some(io::ErrorKind::BrokenPipe)
    );
}

#[tokio::test]
async fn readers_are_content() {
    let app = App::new()
        .get("/blocking", async |lane: Lane| {
            Body::from_reader(io::repeat(b'8').take(100_000), &lane)
        })
        .get("/async", async || Body::from_async_reader(io::Cursor::new(vec![b'8'; 100_000])));
    let server = app.test();
    for target in ["/blocking", "/async"] {
        let answer = server.get(target).send().await.unwrap();
        assert_eq!(answer.body(), vec![b'8'; 100_000], "{target}");
    }
}

#[tokio::test]
async fn r8_r9_content_is_a_reader() {
    let app = App::new().post("/", async |body: Body| -> io::Result<String> {
        let (mut reader, mut counts) = (body.into_reader(), Vec::new());
        let mut buffer = [0; 4];
        loop {
            let count = reader.read(&mut buffer).await?;
            counts.push(count.to_string());
            if count == 0 {
                return Ok(counts.join(" "));
            }
        }
    });
    let server = app.test();
    for (content, counts) in [("", "0"), ("123", "3 0"), ("12345", "4 1 0")] {
        assert_eq!(server.post("/").body(content).send().await.unwrap().text(), counts);
    }
}

#[tokio::test]
async fn a_handler_has_a_limit_of_its_own() {
    let size = |content: Content| content.len().to_string();
    let app = App::new()
        .post("/default", size)
        .post("/more", content_limit(2 << 20, size))
        .post("/less", content_limit(8, size));
    let server = app.test();
    let cases = [
        ("/default", 1 << 20, 200),
        ("/default", (1 << 20) + 1, 413),
        ("/more", 2 << 20, 200),
        ("/more", (2 << 20) + 1, 413),
        ("/less", 8, 200),
        ("/less", 9, 413),
        ("/less", 0, 200),
    ];
    for (target, length, status) in cases {
        let answer = server.post(target).body(vec![b'8'; length]).send().await.unwrap();
        assert_eq!(answer.status(), status, "{target} {length}");
        // The same without a length in the head.
        let content = "8".repeat(length);
        let chunk =
            if length == 0 { String::new() } else { format!("{length:x}\r\n{content}\r\n") };
        let client = server.connect();
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
        let request = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
        let (_, answer) = tokio::join!(client.write_all(request.as_bytes()), client.read_to_end());
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.unwrap().starts_with(expected.as_bytes()), "{target} {length} chunked");
    }
}
