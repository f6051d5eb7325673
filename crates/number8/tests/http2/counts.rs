//! What is counted of HTTP/2.

use number8::server::testing::TestServer;
use number8::{App, Options};

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
