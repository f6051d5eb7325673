//! Clients that take what they have asked for more slowly than it is made, and those that take no more.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use number8::server::testing::TestServer;
use number8::server::{LaneOptions, Options};
use number8::{App, Body, Events, Response, store};

use super::wire::*;
use crate::watching::measured;

/// Less than the protocol holds of one answer: it takes such a content at once.
const SMALL: usize = 50_000;

/// More than that.
const LARGE: usize = 70_000;

fn server(change: impl FnOnce(&mut Options)) -> TestServer {
    let app = App::new()
        .get("/small", async || "x".repeat(SMALL))
        .get("/large", async || "x".repeat(LARGE));
    let mut options = Options { metrics: true, ..Options::default() };
    options.timeouts.write = Duration::from_secs(3600);
    change(&mut options);
    TestServer::new(app, options)
}

/// A client with windows as large as they can be, which has asked for so much.
async fn asking(server: &TestServer, path: &str, streams: usize) -> Client {
    let client = Client::connect(server).await;
    client.send(&frame(SETTINGS, 0, 0, &setting(4, 1 << 30))).await;
    client.send(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes())).await;
    for stream in (1..).step_by(2).take(streams) {
        client.send(&request(stream, path)).await;
    }
    client
}

/// Waits for as long as a connection may be idle.
async fn idle_for_a_while(server: &TestServer) {
    let mut other = Client::connect(server).await;
    while other.frame().await.is_some() {}
}

/// Waits for a small part of that: for a server of its own that closes who says nothing.
async fn idle_for_a_moment() {
    idle_for_a_while(&server(|options| options.timeouts.idle = Duration::from_millis(1))).await;
}

/// Reads the content of all streams; how much has come of each, and whether that was all.
async fn contents(client: &mut Client, streams: usize) -> Vec<(usize, bool)> {
    let mut all = BTreeMap::from_iter((1..).step_by(2).take(streams).map(|it| (it, (0, false))));
    while all.values().any(|&(_, has_ended)| !has_ended) {
        let Some(frame) = client.frame().await else { break };
        let Some(content) = all.get_mut(&frame.stream) else { continue };
        if frame.kind == DATA {
            *content = (content.0 + frame.payload.len(), frame.flags & END_STREAM != 0);
        } else if frame.kind == RST_STREAM {
            content.1 = true;
        }
    }
    all.into_values().collect()
}

#[tokio::test]
async fn g7_a_client_that_is_still_to_get_something_is_not_idle() {
    let server = server(|options| options.timeouts.idle = Duration::from_millis(100));
    let mut client = asking(&server, "/small", 20).await;
    for _ in 0..3 {
        idle_for_a_while(&server).await;
    }
    measured(&server.handle(), &["number8_connections{state=\"busy\"} 1"]).await;
    assert_eq!(contents(&mut client, 20).await, [(SMALL, true); 20]);
}

/// Answers that are complete at once are requests, too.
#[tokio::test]
async fn g7_a_client_that_asks_again_and_again_is_not_idle() {
    let idle = Duration::from_secs(1);
    let server = server(|options| options.timeouts.idle = idle);
    let mut client = asking(&server, "/small", 0).await;
    let begun = Instant::now();
    for stream in (1..).step_by(2) {
        client.send(&request(stream, "/nothing")).await;
        assert_eq!(client.status(stream).await, 404);
        if begun.elapsed() > 2 * idle {
            break;
        }
        idle_for_a_moment().await;
    }
}

#[tokio::test]
async fn g7_what_a_stopping_server_has_begun_to_send_is_sent() {
    let server = server(|options| options.timeouts.linger = Duration::from_millis(100));
    let mut client = asking(&server, "/small", 20).await;
    let mut other = asking(&server, "/small", 0).await;
    until("all is asked for", || server.handle().buffered() >= 18 * SMALL).await;
    server.handle().shutdown();
    while other.frame().await.is_some() {}
    assert_eq!(contents(&mut client, 20).await, [(SMALL, true); 20]);
}

#[tokio::test]
async fn g7_a_client_that_takes_no_more_is_not_waited_for() {
    // What waits is with the protocol, or with the streams, or there is little of it.
    for (path, streams) in [("/small", 20), ("/large", 20), ("/small", 2)] {
        let short = Duration::from_millis(100);
        let server = server(|options| {
            options.timeouts.write = short;
            options.timeouts.idle = short;
        });
        let client = asking(&server, path, streams).await;
        until("it is closed", || server.handle().connections() == 0).await;
        assert_eq!(server.handle().buffered(), 0, "{path} {streams}");
        drop(client);
    }
}

#[tokio::test]
async fn g7_each_stream_of_a_slow_client_has_its_turn() {
    const STREAMS: usize = 12;
    let server = server(|options| {
        options.timeouts.idle = Duration::from_millis(50);
        options.timeouts.write = Duration::from_secs(2);
    });
    let mut client = asking(&server, "/large", STREAMS).await;
    // One frame now and then, as often as it is looked at the clock: a round takes longer than a client may take nothing.
    let mut early = BTreeMap::new();
    for _ in 0..STREAMS {
        idle_for_a_while(&server).await;
        let data = client.wait_for(|frame| [DATA, RST_STREAM].contains(&frame.kind)).await;
        assert_eq!(data.kind, DATA, "stream {} was given up", data.stream);
        *early.entry(data.stream).or_insert(0) += data.payload.len();
    }
    let early: usize = early.values().sum();
    let late: usize = contents(&mut client, STREAMS).await.into_iter().map(|(sent, _)| sent).sum();
    assert_eq!(early + late, STREAMS * LARGE);
}

/// What the client takes of others does not make a stream wait for ever whose window stays shut.
#[tokio::test]
async fn g7_a_stream_that_the_client_does_not_want_ends_beside_others() {
    let server = server(|options| options.timeouts.write = Duration::from_millis(100));
    let mut client = Client::connect(&server).await;
    client.send(&frame(SETTINGS, 0, 0, &setting(4, 0))).await;
    client.send(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes())).await;
    client.send(&request(1, "/large")).await;
    for stream in (3..).step_by(2) {
        let open = frame(WINDOW_UPDATE, 0, stream, &(1_u32 << 20).to_be_bytes());
        client.send(&[request(stream, "/large"), open].concat()).await;
        let is_over = |frame: &Frame| frame.kind == DATA && frame.flags & END_STREAM != 0;
        let seen = client.wait_for(|frame| frame.kind == RST_STREAM || is_over(frame)).await;
        if seen.kind == RST_STREAM {
            assert_eq!(seen.stream, 1);
            return;
        }
    }
}

/// As over HTTP/1.1: the client sees the status, what there was, and that something is missing.
#[tokio::test]
async fn g7_what_came_before_a_failure_is_sent() {
    let app = App::new().get("/", async || {
        let (some, pieces) = tokio::sync::mpsc::unbounded_channel();
        some.send(Ok(Bytes::from_static(b"some"))).unwrap();
        some.send(Err(std::io::Error::other("no more"))).unwrap();
        Body::stream(crate::serving::Pieces(pieces))
    });
    let server = TestServer::new(app, Options::default());
    let mut client = Client::connect(&server).await;
    client.send(&request(1, "/")).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&RST_STREAM) {
        seen.push(client.wait_for(|frame| frame.stream == 1).await.kind);
    }
    assert_eq!(seen, [HEADERS, DATA, RST_STREAM]);
}

#[tokio::test]
async fn o4_g7_who_listens_is_counted_and_does_not_hold_up_the_end() {
    let events = Events::new();
    let mut options = Options { metrics: true, ..Options::default() };
    options.timeouts.write = Duration::from_secs(3600);
    let server = TestServer::new(App::new().mount("/events", events.clone()), options);
    let mut client = Client::connect(&server).await;
    client.send(&frame(SETTINGS, 0, 0, &setting(4, 0))).await;
    client.send(&[request(1, "/events"), request(3, "/events")].concat()).await;
    measured(&server.handle(), &["number8_event_subscribers 2"]).await;
    // Of the one nothing can be sent any more, of the other nothing has to be.
    client.send(&frame(WINDOW_UPDATE, 0, 3, &1000_u32.to_be_bytes())).await;
    events.dispatch("now");
    client.wait_for(|frame| frame.kind == DATA && frame.stream == 3).await;
    server.handle().shutdown();
    let mut ends = BTreeMap::new();
    while let Some(frame) = client.frame().await {
        if frame.kind == PING && frame.flags == 0 {
            client.send(&super::wire::frame(PING, ACK, 0, &frame.payload)).await;
        } else if frame.kind == RST_STREAM || (frame.kind == DATA && frame.flags & END_STREAM != 0)
        {
            ends.insert(frame.stream, frame.kind);
        }
    }
    assert_eq!(ends, BTreeMap::from([(1, RST_STREAM), (3, DATA)]));
    measured(&server.handle(), &["number8_event_subscribers 0"]).await;
}

/// The window of the connection is for whoever has something to send.
#[tokio::test]
async fn g7_a_file_that_waits_for_the_disk_keeps_nobody_else_waiting() {
    // A busy system may keep in memory what it was told to drop.
    for _ in 0..20 {
        if somebody_else_is_served_beside_a_cold_file().await {
            return;
        }
    }
    panic!("no file was ever cold");
}

/// False where the file was in memory, so that nobody waited for it.
async fn somebody_else_is_served_beside_a_cold_file() -> bool {
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    file.write_all(&[b'x'; LARGE]).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let cold = store::File::adopt(OwnedFd::from(file)).unwrap();
    let (done, disk) = mpsc::channel::<()>();
    let disk = Mutex::new(disk);
    let app = App::new()
        .get("/disk", move || disk.lock().unwrap().recv().is_ok().to_string())
        .get("/cold", move || {
            std::future::ready(Response::new(200, Body::file_part(cold.clone(), 0..LARGE as u64)))
        })
        .get("/hot", async || "x".repeat(LARGE));
    let lane = LaneOptions { threads_max: 1, ..LaneOptions::default() };
    let server = TestServer::new(app, Options { lane, ..Options::default() });
    let mut client = Client::connect(&server).await;
    for (stream, path) in [(1, "/disk"), (3, "/cold"), (5, "/hot")] {
        client.send(&request(stream, path)).await;
    }
    let first = client.wait_for(|frame| frame.kind == DATA).await;
    done.send(()).unwrap();
    if first.stream == 3 {
        return false;
    }
    assert_eq!(first.stream, 5);
    client.send(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 20).to_be_bytes())).await;
    for stream in [3, 5] {
        client.send(&frame(WINDOW_UPDATE, 0, stream, &(1_u32 << 20).to_be_bytes())).await;
    }
    let mut ended = 0;
    while ended < 3 {
        let frame = client.frame().await.unwrap();
        ended += usize::from(frame.kind == DATA && frame.flags & END_STREAM != 0);
    }
    true
}
