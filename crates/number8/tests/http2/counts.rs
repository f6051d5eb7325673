//! What is counted of HTTP/2.

use std::sync::Arc;

use number8::layers::access_log::Sink;
use number8::server::testing::TestServer;
use number8::{AccessLog, App, Body, Options};

use super::wire::*;
use crate::watching::measured;

#[tokio::test]
async fn o4_streams_are_requests_and_broken_rules_end_connections() {
    let app = App::new().get("/", async || "hi").ready("/ready".to_owned());
    let server = TestServer::new(app, Options { metrics: true, ..Options::default() });
    let mut client = Client::connect(&server).await;
    // Who asks whether the server is ready is not counted.
    for (stream, path, status) in [(1, "/", 200), (3, "/ready", 200), (5, "/nothing", 404)] {
        client.send(&request(stream, path)).await;
        assert_eq!(client.status(stream).await, status, "{path}");
    }
    let requests = [
        "number8_requests_total{method=\"GET\",status=\"2xx\"} 1",
        "number8_requests_total{method=\"GET\",status=\"4xx\"} 1",
        "number8_connections{state=\"idle\"} 1",
        "number8_connections_accepted_total 1",
    ];
    measured(&server.handle(), &requests).await;
    // Content of no stream.
    client.send(&frame(DATA, 0, 0, b"x")).await;
    while client.frame().await.is_some() {}
    drop(client);
    let closed = ["number8_connections_closed_total{reason=\"protocol\"} 1"];
    measured(&server.handle(), &closed).await;
}

#[tokio::test]
async fn o4_requests_for_which_there_is_no_memory_are_counted() {
    let app = App::new()
        .get("/", async || "hi")
        .post("/", async |_content: Body| std::future::pending::<String>().await);
    let mut options = Options { metrics: true, ..Options::default() };
    options.limits.buffered_bytes_max = 4 * 1024;
    let server = TestServer::new(app, options);
    let mut client = Client::connect(&server).await;
    let post =
        [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")];
    let content = frame(DATA, 0, 1, &[b'x'; 10_000]);
    client.send(&[frame(HEADERS, END_HEADERS, 1, &block(&post)), content].concat()).await;
    until("content is held", || server.handle().buffered() > 4 * 1024).await;
    client.send(&request(3, "/")).await;
    assert_eq!(client.status(3).await, 503);
    measured(&server.handle(), &["number8_requests_over_buffered_total 1"]).await;
}

/// Nothing was answered, and so HTTP has no status for it.
#[tokio::test]
async fn o3_o4_who_leaves_before_there_is_an_answer_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let sink = Arc::new(Sink::file(&path).unwrap());
    let format = "$method $status $bytes_received".parse().unwrap();
    let app = App::new()
        .get("/", async || std::future::pending::<String>().await)
        .post("/", async |body: Body| body.bytes().await.map(|bytes| bytes.len().to_string()))
        .access_log(AccessLog { format, sink: Arc::clone(&sink) });
    let server = TestServer::new(app, Options { metrics: true, ..Options::default() });
    let mut client = Client::connect(&server).await;
    let post =
        [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")];
    client.send(&[request(1, "/"), frame(HEADERS, END_HEADERS, 3, &block(&post))].concat()).await;
    client.send(&[frame(DATA, 0, 3, b"half"), frame(PING, 0, 0, b"12345678")].concat()).await;
    client.wait_for(|frame| frame.kind == PING).await;
    client.send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())).await;
    let left = |method, count| {
        format!("number8_requests_total{{method=\"{method}\",status=\"4xx\"}} {count}")
    };
    measured(&server.handle(), &[&left("GET", 1)]).await;
    drop(client);
    measured(&server.handle(), &[&left("POST", 1), "number8_received_bytes_total 4"]).await;
    assert!(sink.finish(crate::serving::PATIENCE));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "GET 499 0\nPOST 499 4\n");
}

#[tokio::test]
async fn o3_a_request_that_is_refused_is_told_apart_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let sink = Arc::new(Sink::file(&path).unwrap());
    let format = "$method $target $protocol $status".parse().unwrap();
    let log = AccessLog { format, sink: Arc::clone(&sink) };
    let app = App::new().get("/", async || "hi").access_log(log);
    let server = TestServer::new(app, Options::default());
    let mut client = Client::connect(&server).await;
    let long = format!("/{}", "a".repeat(9000));
    let s = (":scheme", "http");
    let requests: [&[(&str, &str)]; 4] = [
        &[(":method", "GET"), s, (":path", "/a?b")],
        &[(":method", "PUT"), s, (":path", "/c"), (":authority", "me@localhost")],
        &[(":method", "GET"), s, (":path", &long), (":authority", "localhost")],
        &[(":method", "CONNECT"), (":authority", "localhost:443")],
    ];
    for (stream, (fields, status)) in
        (1..).step_by(2).zip(requests.iter().zip([400, 400, 414, 501]))
    {
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields))).await;
        assert_eq!(client.status(stream).await, status, "{fields:?}");
    }
    assert!(sink.finish(crate::serving::PATIENCE));
    let want = "GET /a?b HTTP/2.0 400\nPUT /c HTTP/2.0 400\n- - HTTP/2.0 414\n- - HTTP/2.0 501\n";
    assert_eq!(std::fs::read_to_string(path).unwrap(), want);
}

#[tokio::test]
async fn o4_ready_is_asked_by_http2_too() {
    let lane = number8::server::LaneOptions { queue_max: 0, ..Default::default() };
    let app = App::new().health("/health".to_owned()).ready("/ready".to_owned());
    let server = TestServer::new(app, Options { lane, ..Options::default() });
    let mut client = Client::connect(&server).await;
    for (stream, path, status) in [(1, "/health", 200), (3, "/ready", 503)] {
        client.send(&request(stream, path)).await;
        assert_eq!(client.status(stream).await, status, "{path}");
    }
}
