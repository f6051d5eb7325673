//! Answers of handlers, compressed.

use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};

use bytes::Bytes;
use number8::layers::compress::Compress;
use number8::testing::TestResponse;
use number8::{App, Body, IntoResponse, Response};
use tokio::time::timeout;

use crate::serving::PATIENCE;

/// What a client reads that understands the coding.
fn decoded(answer: &TestResponse) -> Vec<u8> {
    let mut out = Vec::new();
    match answer.field("content-encoding") {
        None => out = answer.body().to_vec(),
        Some("gzip") => {
            flate2::read::GzDecoder::new(answer.body()).read_to_end(&mut out).unwrap();
        }
        Some("br") => {
            brotli::Decompressor::new(answer.body(), 4096).read_to_end(&mut out).unwrap();
        }
        Some("zstd") => out = zstd::decode_all(answer.body()).unwrap(),
        Some(other) => panic!("{other}"),
    }
    out
}

fn text(length: usize) -> String {
    "number8 mends fences; ".chars().cycle().take(length).collect()
}

#[tokio::test]
async fn every_coding_and_every_length_reads_back() {
    // At once, on the lane in one piece, in several, and streamed.
    let lengths = [600, 16 * 1024, 16 * 1024 + 1, 300_000, 1_000_000];
    let app = lengths.iter().fold(App::new(), |app, &length| {
        let stream = move || async move {
            let (mut sender, body) = Body::channel();
            tokio::spawn(async move {
                for chunk in text(length).as_bytes().chunks(10_000) {
                    sender.send(Bytes::copy_from_slice(chunk)).await?;
                }
                sender.finish();
                std::io::Result::Ok(())
            });
            Response::new(200, body).with("Content-Type", "text/plain")
        };
        app.get(&format!("/whole/{length}"), move || text(length))
            .get(&format!("/stream/{length}"), stream)
    });
    let server = app.layer(Compress::new()).test();
    for length in lengths {
        for way in ["whole", "stream"] {
            for coding in ["gzip", "br", "zstd", "identity"] {
                let target = format!("/{way}/{length}");
                let request = server.get(&target).field("Accept-Encoding", coding);
                let answer = request.send().await.unwrap();
                let expected = Some(coding).filter(|coding| *coding != "identity");
                assert_eq!(answer.field("content-encoding"), expected, "{target} {coding}");
                assert_eq!(answer.field("vary"), Some("Accept-Encoding"), "{target} {coding}");
                assert!(decoded(&answer) == text(length).as_bytes(), "{target} {coding}");
                assert!(expected.is_none() || answer.body().len() < length, "{target} {coding}");
            }
        }
    }
}

#[tokio::test]
async fn l14_what_follows_content_follows_it_compressed_too() {
    let app = App::new().layer(Compress::new()).get("/", async || {
        let (mut sender, body) = Body::channel();
        tokio::spawn(async move {
            sender.send(text(40_000)).await.unwrap();
            let mut trailers = number8::Fields::new();
            trailers.push("X-Sum", b"8").unwrap();
            sender.finish_with(trailers).unwrap();
        });
        Response::new(200, body).with("Content-Type", "text/plain")
    });
    let server = app.test();
    let client = server.connect();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTE: trailers\r\nAccept-Encoding: gzip\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = client.read_to_end().await.unwrap();
    let shown = answer.escape_ascii();
    assert!(shown.clone().to_string().contains("Content-Encoding: gzip"), "{shown}");
    assert!(answer.ends_with(b"0\r\nX-Sum: 8\r\n\r\n"), "{shown}");
}

#[tokio::test]
async fn what_must_stay_as_it_is_does() {
    type Fields = &'static [(&'static str, &'static str)];
    // Status, fields, length, whether it is compressed.
    let cases: &[(u16, Fields, usize, bool)] = &[
        (200, &[], 600, true),
        (200, &[], 511, false),
        (404, &[], 600, true),
        (206, &[("Content-Range", "bytes 0-599/1000")], 600, false),
        (200, &[("Content-Encoding", "gzip")], 600, false),
        (200, &[("Cache-Control", "max-age=8, No-Transform")], 600, false),
        (200, &[("Cache-Control", "max-age=8")], 600, true),
        (200, &[("Content-Digest", "sha-256=:8:")], 600, false),
        (200, &[("Repr-Digest", "sha-256=:8:")], 600, false),
        (200, &[("Content-Type", "image/png")], 600, false),
        (200, &[("Content-Type", "text/event-stream")], 600, false),
        (200, &[("Content-Type", "application/problem+json")], 600, true),
    ];
    for &(status, fields, length, expected) in cases {
        let app = App::new().get("/", move || {
            let response = text(length).into_response().with_status(status);
            fields
                .iter()
                .try_fold(response, |response, (name, value)| response.replacing(name, value))
        });
        let server = app.layer(Compress::new()).test();
        let request = server.get("/").field("Accept-Encoding", "gzip");
        let answer = request.send().await.unwrap();
        let is_coded = answer.body() != text(length).as_bytes();
        assert_eq!((answer.status(), is_coded), (status, expected), "{fields:?}");
    }
}

#[tokio::test]
async fn the_fields_tell_of_other_bytes() {
    let app = App::new().get("/", async || {
        let fields = [("ETag", "\"8\""), ("Vary", "Origin"), ("Accept-Ranges", "bytes")];
        (fields, text(600)).into_response().with("Set-Cookie", "a=1")?.with("Set-Cookie", "b=2")
    });
    let server = app.layer(Compress::new().bytes_min(600)).test();
    let answer = server.get("/").field("Accept-Encoding", "br").send().await.unwrap();
    assert_eq!(answer.field("etag"), Some("W/\"8\""));
    assert_eq!(answer.field("accept-ranges"), None);
    let all = |name: &str| answer.fields().filter(|(other, _)| *other == name).count();
    assert_eq!((all("Vary"), all("Set-Cookie"), all("Content-Encoding")), (2, 2, 1));
    let plain = server.get("/").send().await.unwrap();
    assert_eq!((plain.field("etag"), plain.text()), (Some("\"8\""), &*text(600)));
    let head = server.request("HEAD", "/").field("Accept-Encoding", "br").send().await.unwrap();
    assert_eq!(head.field("content-length"), answer.field("content-length"));
}

#[tokio::test]
async fn a_piece_of_a_stream_arrives_before_the_next() {
    for coding in ["gzip", "br", "zstd"] {
        let (go_on, wait) = tokio::sync::oneshot::channel::<()>();
        let wait = std::sync::Mutex::new(Some(wait));
        let app = App::new().get("/", move || {
            let wait = wait.lock().unwrap().take().unwrap();
            let (mut sender, body) = Body::channel();
            async move {
                tokio::spawn(async move {
                    sender.send("first").await.unwrap();
                    wait.await.unwrap();
                    sender.finish();
                });
                Response::new(200, body).with("Content-Type", "text/plain")
            }
        });
        let server = app.layer(Compress::new()).test();
        let client = server.connect();
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let (mut seen, mut room) = (Vec::new(), [0; 1024]);
        // The head, and at least one chunk of which the text can be read.
        let first = loop {
            let count = client.read(&mut room).await.unwrap();
            seen.extend_from_slice(&room[..count]);
            let end = seen.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
            let line = seen[end..].windows(2).position(|end| end == b"\r\n");
            if let Some(line) = line {
                break seen[end + line + 2..].to_vec();
            }
        };
        let mut text = [0; 5];
        match coding {
            "gzip" => flate2::read::GzDecoder::new(&*first).read_exact(&mut text).unwrap(),
            "br" => brotli::Decompressor::new(&*first, 4096).read_exact(&mut text).unwrap(),
            _ => zstd::Decoder::new(&*first).unwrap().read_exact(&mut text).unwrap(),
        }
        assert_eq!(&text, b"first", "{coding}");
        go_on.send(()).unwrap();
    }
}

#[tokio::test]
async fn what_waits_to_be_compressed_is_counted() {
    const BYTES: usize = 3_000_000;
    let app = || {
        App::new()
            .get("/sent", async || {
                let (mut sender, body) = Body::channel();
                // One is taken at once, the other one waits.
                tokio::spawn(async move {
                    while sender.send(Bytes::from_static(&[b'8'; BYTES])).await.is_ok() {}
                });
                Response::new(200, body).with("Content-Type", "text/plain")
            })
            .get("/whole", async || {
                let mut random = 8u32;
                let mut letter = || {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    char::from(b' ' + (random >> 24) as u8 % 90)
                };
                // Of this, more is left than a client who reads nothing has let go.
                (0..2 * BYTES).map(|_| letter()).collect::<String>()
            })
            .get("/told", async || {
                let body = Body::stream(Waits).holding(Arc::new(AtomicUsize::new(BYTES)));
                Response::new(200, body).with("Content-Type", "text/plain")
            })
    };
    for path in ["/told", "/sent", "/whole"] {
        let server = app().layer(Compress::new()).test();
        let client = server.connect_with(1024);
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let counted = async {
            while server.handle().buffered() < BYTES {
                tokio::task::yield_now().await;
            }
        };
        let counted = timeout(PATIENCE, counted).await;
        assert!(counted.is_ok(), "{path}: {} bytes", server.handle().buffered());
    }
}

/// Has nothing for a long time.
struct Waits;

impl futures_core::Stream for Waits {
    type Item = std::io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}
