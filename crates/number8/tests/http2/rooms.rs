//! Files, uploads and events over HTTP/2: the rooms do not know of it.

use std::fs;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use number8::access::{Access, Rights, Rule};
use number8::{App, Body, ByMethod, Departure, Events, Files, Response, Uploads};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::requests::{begin, connect, content, request, send, soon};

#[tokio::test]
async fn g7_files_are_served_whole_in_parts_and_not_again() {
    let folder = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..1_000_000u32).map(|number| (number / 7) as u8).collect();
    fs::write(folder.path().join("large"), &large).unwrap();
    let old = fs::File::options().write(true).open(folder.path().join("large")).unwrap();
    old.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    fs::write(folder.path().join("small.txt"), "hello").unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    let server = App::new().mount("/", Files::new(folder.path()).unwrap()).test();
    let mut client = connect(&server).await;
    for (path, range, status, expected) in [
        ("/large", None, 200, &large[..]),
        ("/large", Some("bytes=100-299999"), 206, &large[100..300_000]),
        ("/small.txt", None, 200, b"hello"),
        ("/small.txt", Some("bytes=1-2"), 206, b"el"),
        ("/empty", None, 200, b""),
    ] {
        let mut request = request("GET", path);
        if let Some(range) = range {
            request.headers_mut().insert("range", range.parse().unwrap());
        }
        let (head, mut body) = soon(send(&mut client, request)).await.into_parts();
        assert_eq!(head.status, status, "{path} {range:?}");
        assert!(soon(content(&mut body)).await.unwrap() == expected, "{path} {range:?}");
    }
    let head = soon(send(&mut client, request("HEAD", "/large"))).await;
    assert_eq!(head.headers()["content-length"], "1000000");
    let mut again = request("GET", "/large");
    let tag = head.headers()["etag"].clone();
    again.headers_mut().insert("if-none-match", tag);
    assert_eq!(soon(send(&mut client, again)).await.status(), 304);
}

#[tokio::test]
async fn g7_several_files_are_taken_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let uploads = Uploads::new(folder.path()).unwrap().sync(false).keep_free(0);
    let files = Files::new(folder.path()).unwrap();
    let access = Access::new([Rule::everyone("/", Rights::RW).unwrap()]);
    let server =
        App::new().access(access).mount("/", ByMethod::new().with(files).with(uploads)).test();
    let mut client = connect(&server).await;
    let mut open = Vec::new();
    for number in 0..8u8 {
        let request = request("PUT", &format!("/{number}"));
        let (answer, mut upload) = begin(&mut client, request, false).await;
        upload.send_data(Bytes::from(vec![number; 300_000]), false).unwrap();
        open.push((number, answer, upload));
    }
    for (number, answer, mut upload) in open.into_iter().rev() {
        upload.send_data(Bytes::from(vec![number; 200_000]), true).unwrap();
        assert_eq!(soon(answer).await.unwrap().status(), 201, "{number}");
        let path = folder.path().join(number.to_string());
        assert!(fs::read(path).unwrap() == vec![number; 500_000], "{number}");
    }
}

/// Over HTTP/1.1 a browser has six connections for all of its pages.
#[tokio::test]
async fn g7_events_reach_many_listeners_on_one_connection() {
    let events = Events::new();
    let server =
        App::new().mount("/events", events.clone()).get("/hello", async || "Hello, world.").test();
    let mut client = connect(&server).await;
    let mut listeners = Vec::new();
    for _ in 0..20 {
        let response = soon(send(&mut client, request("GET", "/events"))).await;
        assert_eq!(response.status(), 200);
        listeners.push(response.into_body());
    }
    assert_eq!(events.listeners(), 20);
    for number in 0..3 {
        assert!(events.dispatch(number.to_string()));
        for body in &mut listeners {
            let expected = format!("data: {number}\n\n");
            let mut heard = String::new();
            while !heard.ends_with(&expected) {
                let data = soon(body.data()).await.expect("the stream goes on").unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                heard.push_str(std::str::from_utf8(&data).unwrap());
            }
        }
        // Requests go on beside them.
        assert_eq!(soon(send(&mut client, request("GET", "/hello"))).await.status(), 200);
    }
    server.handle().shutdown();
    for body in &mut listeners {
        // Each ends as an answer does that is complete.
        assert_eq!(soon(content(body)).await.unwrap(), b"");
    }
    assert_eq!(events.listeners(), 0);
}

#[tokio::test]
async fn g4_event_streams_of_handlers_end_when_the_server_stops() {
    for (method, content_type, ends) in [
        ("GET", "text/event-stream", true),
        ("POST", "text/event-stream", false),
        ("GET", "text/csv", false),
    ] {
        let (told, mut hears) = mpsc::unbounded_channel();
        let stream = move |departure: Departure| {
            let (told, (mut sender, body)) = (told.clone(), Body::channel());
            tokio::spawn(async move {
                sender.send("data: one\n\n").await.unwrap();
                let has_left = timeout(Duration::from_secs(1), departure.wait()).await.is_ok();
                told.send(has_left).unwrap();
                sender.finish();
            });
            std::future::ready(Response::new(200, body).with("Content-Type", content_type))
        };
        let server = App::new().get("/", stream.clone()).post("/", stream).test();
        let mut client = connect(&server).await;
        let mut body = soon(send(&mut client, request(method, "/"))).await.into_body();
        let piece = soon(body.data()).await.unwrap().unwrap();
        assert_eq!(piece, "data: one\n\n");
        server.handle().shutdown();
        // It ends as an answer does that is complete.
        assert_eq!(soon(content(&mut body)).await.unwrap(), b"", "{method} {content_type}");
        assert_eq!(soon(hears.recv()).await, Some(ends), "{method} {content_type}");
    }
}
