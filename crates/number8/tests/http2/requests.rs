//! Requests and answers, by the client of the crate h2.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::Request;
use number8::server::testing::TestServer;
use number8::{App, Body, BodySize, Departure, Fields, Prepared, Response};
use tokio::time::timeout;

use super::h2_client::Io;

pub(super) async fn connect(server: &TestServer) -> SendRequest<Bytes> {
    let (client, connection) = h2::client::handshake(Io(server.connect())).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

pub(super) fn request(method: &str, path: &str) -> Request<()> {
    let address = format!("http://localhost{path}");
    Request::builder().method(method).uri(address).body(()).unwrap()
}

pub(super) async fn send(
    client: &mut SendRequest<Bytes>,
    request: Request<()>,
) -> http::Response<RecvStream> {
    begin(client, request, true).await.0.await.unwrap()
}

pub(super) async fn begin(
    client: &mut SendRequest<Bytes>,
    request: Request<()>,
    is_whole: bool,
) -> (ResponseFuture, SendStream<Bytes>) {
    let mut client = client.clone().ready().await.unwrap();
    client.send_request(request, is_whole).unwrap()
}

pub(super) async fn content(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    Ok(all)
}

pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("it happens")
}

#[tokio::test]
async fn g7_the_same_handlers_answer() {
    let server = App::new()
        .get("/hello", async || "Hello, world.")
        .get("/empty", async || Response::new(204, Body::empty()))
        .get("/plain", || "from the lane")
        .get("/panic", async || -> String { panic!("as a test") })
        .get("/panic/late", async || "lost")
        .get("/same", async || Response::new(304, Body::empty()))
        .get("/upgrade", async || {
            let head = Prepared::new(426, &Fields::new(), BodySize::Known(0));
            Response::prepared(Arc::new(head), Body::empty()).without("X-Other")
        })
        .get("/upgrade/prepared", async || {
            let head = Prepared::new(426, &Fields::new(), BodySize::Known(0));
            Response::prepared(Arc::new(head), Body::empty())
        })
        .after(|head, response| {
            assert!(head.path() != b"/panic/late", "as a test");
            response
        })
        .test();
    let mut client = connect(&server).await;
    for (method, path, status, text, length) in [
        ("GET", "/hello", 200, "Hello, world.", Some("13")),
        ("HEAD", "/hello", 200, "", Some("13")),
        ("GET", "/empty", 204, "", None),
        ("GET", "/plain", 200, "from the lane", Some("13")),
        ("PATCH", "/hello", 405, "", None),
        ("GET", "/nothing", 404, "", None),
        ("GET", "/panic", 500, "", None),
        ("GET", "/panic/late", 500, "", None),
        ("GET", "/same", 304, "", None),
        ("GET", "/upgrade", 426, "", None),
        ("GET", "/upgrade/prepared", 426, "", None),
    ] {
        let response = soon(send(&mut client, request(method, path))).await;
        let (head, mut body) = response.into_parts();
        let found = soon(content(&mut body)).await.unwrap();
        assert_eq!(head.status, status, "{method} {path}");
        if status < 400 {
            assert_eq!(found, text.as_bytes(), "{method} {path}");
            let found = head.headers.get("content-length").map(|value| value.to_str().unwrap());
            assert_eq!(found, length, "{method} {path}");
        }
        assert!(head.headers.contains_key("date") && head.headers.contains_key("server"));
        assert!(!head.headers.contains_key("connection"));
        assert!(!head.headers.contains_key("upgrade"));
    }
}

#[tokio::test]
async fn g7_many_requests_wait_at_once_and_each_is_answered_when_it_can_be() {
    let (opened, _) = tokio::sync::watch::channel(0);
    let waits = opened.clone();
    let handler = move |number: u32| {
        let mut opened = waits.subscribe();
        async move {
            opened.wait_for(|&opened| opened >= number).await.unwrap();
            number.to_string()
        }
    };
    let server = App::new().get("/wait/{number}", handler).test();
    let mut client = connect(&server).await;
    let mut answers = Vec::new();
    for number in 1..=50 {
        answers.push(begin(&mut client, request("GET", &format!("/wait/{number}")), true).await.0);
    }
    for (index, answer) in answers.into_iter().enumerate() {
        opened.send_replace(index as u32 + 1);
        let mut body = soon(answer).await.unwrap().into_body();
        assert_eq!(soon(content(&mut body)).await.unwrap(), (index + 1).to_string().as_bytes());
    }
}

#[tokio::test]
async fn g7_content_of_any_size_goes_both_ways_within_the_windows() {
    let server = App::new()
        .post("/back", async |body: Body| Response::new(200, body))
        .post("/length", async |body: Body| {
            body.limit(1 << 30).bytes().await.map(|bytes| bytes.len().to_string())
        })
        .get("/much", async || vec![b'x'; 3_000_000])
        .test();
    let mut client = connect(&server).await;
    let mut body = soon(send(&mut client, request("GET", "/much"))).await.into_body();
    assert_eq!(soon(content(&mut body)).await.unwrap().len(), 3_000_000);

    for (path, expected) in [("/length", &b"2000000"[..]), ("/back", &[b'y'; 2_000_000])] {
        if path == "/back" {
            // More than the limit for handlers is not sent back: the answer is cut.
            let (answer, mut upload) = begin(&mut client, request("POST", path), false).await;
            upload.send_data(vec![b'y'; 2_000_000].into(), true).unwrap();
            let mut body = soon(answer).await.unwrap().into_body();
            assert!(soon(content(&mut body)).await.is_err());
            continue;
        }
        let (answer, mut upload) = begin(&mut client, request("POST", path), false).await;
        upload.send_data(vec![b'y'; 2_000_000].into(), true).unwrap();
        let mut body = soon(answer).await.unwrap().into_body();
        assert_eq!(soon(content(&mut body)).await.unwrap(), expected, "{path}");
    }
}

/// RFC 9110 §10.1.1.
#[tokio::test]
async fn g7_who_expects_100_gets_it_when_somebody_wants_the_content() {
    let server = App::new()
        .post("/read", async |body: Body| body.bytes().await)
        .post("/refuse", async || (403, "not here"))
        .test();
    let mut client = connect(&server).await;
    let expecting = |path| {
        let mut request = request("POST", path);
        request.headers_mut().insert("expect", "100-continue".parse().unwrap());
        request
    };
    let (mut answer, mut upload) = begin(&mut client, expecting("/read"), false).await;
    let interim = soon(std::future::poll_fn(|cx| answer.poll_informational(cx))).await;
    assert_eq!(interim.unwrap().unwrap().status(), 100);
    upload.send_data("hello".into(), true).unwrap();
    let mut body = soon(answer).await.unwrap().into_body();
    assert_eq!(soon(content(&mut body)).await.unwrap(), b"hello");

    let (answer, _upload) = begin(&mut client, expecting("/refuse"), false).await;
    assert_eq!(soon(answer).await.unwrap().status(), 403);
}

#[tokio::test]
async fn g7_a_client_that_ends_its_stream_is_a_client_that_leaves() {
    let (told, heard) = tokio::sync::oneshot::channel::<()>();
    let told = Arc::new(Mutex::new(Some(told)));
    let handler = move |departure: Departure| {
        let told = told.lock().unwrap().take();
        tokio::spawn(async move {
            departure.wait().await;
            let _ = told.map(|told| told.send(()));
        });
        std::future::pending::<String>()
    };
    let server = App::new().get("/", handler).get("/hello", async || "Hello.").test();
    let mut client = connect(&server).await;
    let (answer, mut stream) = begin(&mut client, request("GET", "/"), true).await;
    // It is being answered for sure when a later one has been.
    soon(send(&mut client, request("GET", "/hello"))).await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(answer);
    soon(heard).await.unwrap();
    // The others go on.
    assert_eq!(soon(send(&mut client, request("GET", "/hello"))).await.status(), 200);
}

#[tokio::test]
async fn g7_trailers_go_to_those_who_read_them() {
    let server = App::new()
        .get("/", async || {
            let (mut sender, body) = Body::channel();
            tokio::spawn(async move {
                sender.send("Hello.").await.unwrap();
                let mut trailers = Fields::new();
                trailers.push("X-Sum", b"42").unwrap();
                sender.finish_with(trailers).unwrap();
            });
            Response::new(200, body)
        })
        .test();
    let mut client = connect(&server).await;
    for (te, expected) in [(None, None), (Some("trailers"), Some("42"))] {
        let mut request = request("GET", "/");
        if let Some(te) = te {
            request.headers_mut().insert("te", te.parse().unwrap());
        }
        let mut body = soon(send(&mut client, request)).await.into_body();
        assert_eq!(soon(content(&mut body)).await.unwrap(), b"Hello.");
        let trailers = soon(body.trailers()).await.unwrap();
        let found =
            trailers.as_ref().and_then(|fields| fields.get("x-sum")).map(|it| it.to_str().unwrap());
        assert_eq!(found, expected);
    }
}

/// The runtime has a task wait when it has done much at once, and wakes it.
#[tokio::test]
async fn g7_a_handler_that_does_much_at_once_goes_on() {
    let handler = async || {
        for _ in 0..10_000 {
            tokio::task::consume_budget().await;
        }
        "done"
    };
    let server = App::new().get("/", handler).test();
    let mut client = connect(&server).await;
    let mut body = soon(send(&mut client, request("GET", "/"))).await.into_body();
    assert_eq!(soon(content(&mut body)).await.unwrap(), b"done");
}
