//! How the server ends: after its work, at the end of the grace, or at once.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use number8::server::LocalAddr;
use number8::server::lane::Lane;
use number8::{App, Body, Departure, Response, ServeError, Server, inline, server};

use crate::serving::{
    Client, Gate, PATIENCE, Pieces, Running, Setup, on_each_setup, patient, until,
};

on_each_setup!(
    a_server_without_connections_ends_at_once,
    idle_connections_are_closed_without_a_reset,
    the_next_request_after_an_answer_is_answered,
    active_requests_are_answered_and_then_closed,
    g4_event_streams_of_handlers_end_at_once,
    requests_that_are_coming_are_answered,
    what_waits_in_the_backlog_is_answered,
    a_second_request_to_stop_cuts_at_once,
    the_end_of_the_grace_cuts,
    what_is_cut_may_still_give_calls_to_the_lane,
);

/// `/hello`, `/slow`, which waits at a gate, and `/stream`, which sends one piece, and another after the gate.
fn app() -> (App, Gate) {
    let (gate, passage) = Gate::new();
    let slow = passage.clone();
    let app = App::new()
        .get("/hello", async || "Hello, world.")
        .get("/slow", move || {
            let passage = slow.clone();
            async move {
                passage.pass().await;
                "at last"
            }
        })
        .get("/stream", move || {
            let passage = passage.clone();
            let (pieces, receiver) = tokio::sync::mpsc::unbounded_channel();
            tokio::spawn(async move {
                let _ = pieces.send(Ok(Bytes::from("one")));
                passage.pass().await;
                let _ = pieces.send(Ok(Bytes::from("two")));
            });
            std::future::ready(Response::new(200, Body::stream(Pieces(receiver))))
        });
    (app, gate)
}

fn a_server_without_connections_ends_at_once(setup: Setup) {
    let server = Running::start(setup, app().0);
    server.connect().get("/hello").answer();
    server.is_at_rest();
    server.handle().shutdown();
    server.ended().unwrap();
}

/// Clients that had an answer just before the server was told to stop.
fn stopped_after_an_answer(server: &Running) -> Vec<Client> {
    let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.get("/hello").answer();
    }
    server.handle().shutdown();
    clients
}

fn idle_connections_are_closed_without_a_reset(setup: Setup) {
    let server = Running::start(setup, app().0);
    let mut clients = stopped_after_an_answer(&server);
    for client in &mut clients {
        client.ends();
    }
    // Requests that crossed the end on their way are not answered by a reset.
    for client in &mut clients {
        client.get("/hello");
        client.half_close();
        client.ends();
    }
    server.ended().unwrap();
}

/// It may be one that must not be sent twice.
fn the_next_request_after_an_answer_is_answered(setup: Setup) {
    let server = Running::start(setup, app().0);
    let mut clients = stopped_after_an_answer(&server);
    for client in &mut clients {
        let answer = client.get("/hello").answer();
        assert!(answer.head.contains("Connection: close"), "{answer:?}");
        client.ends();
    }
    drop(clients);
    server.ended().unwrap();
}

fn active_requests_are_answered_and_then_closed(setup: Setup) {
    let (app, gate) = app();
    let server = Running::start(setup, app);
    let (mut slow, mut stream) = (server.connect(), server.connect());
    slow.get("/slow").get("/hello");
    stream.get("/stream");
    gate.arrival();
    gate.arrival();
    assert!(!stream.head().is_last(), "it had begun before");
    assert_eq!(stream.chunk().unwrap(), b"one");
    server.handle().shutdown();
    gate.open(2);
    let answer = slow.answer();
    assert_eq!((answer.text(), answer.is_last()), ("at last", true));
    slow.ends();
    assert_eq!(stream.chunk().unwrap(), b"two");
    assert_eq!(stream.chunk(), None);
    stream.ends();
    drop((slow, stream));
    server.ended().unwrap();
}

/// Answers GET and POST with content of that type, whose first piece is there and whose second comes after the gate; tells when the
/// client is gone.
fn streaming(content_type: &'static str) -> (App, Gate, mpsc::Receiver<bool>) {
    let (gate, passage) = Gate::new();
    let (told, hears) = mpsc::channel();
    let stream = move |departure: Departure| {
        let (passage, told) = (passage.clone(), told.clone());
        let (mut sender, body) = Body::channel();
        tokio::spawn(async move {
            sender.send("data: one\n\n").await.unwrap();
            tokio::select! {
                biased;
                () = passage.pass() => sender.send("data: two\n\n").await.unwrap(),
                () = departure.wait() => {}
            }
            let _ = told.send(departure.is_known());
            sender.finish();
        });
        std::future::ready(Response::new(200, body).with("Content-Type", content_type))
    };
    (App::new().get("/", stream.clone()).post("/", stream), gate, hears)
}

/// Whoever listens to events asks for them again. A download has an end, and so has what answers a POST: who would ask for it again?
fn g4_event_streams_of_handlers_end_at_once(setup: Setup) {
    for (method, content_type, ends) in [
        ("GET", "text/event-stream", true),
        ("GET", "Text/Event-Stream; charset=utf-8", true),
        ("POST", "text/event-stream", false),
        ("GET", "text/event-streams", false),
        ("GET", "text/csv", false),
    ] {
        let (app, gate, hears) = streaming(content_type);
        let server = Running::start(setup, app);
        let mut client = server.connect();
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        client.head();
        assert_eq!(client.chunk().unwrap(), b"data: one\n\n");
        gate.arrival();
        server.handle().shutdown();
        if !ends {
            gate.open(1);
            assert_eq!(client.chunk().unwrap(), b"data: two\n\n", "{method} {content_type}");
        }
        assert_eq!(client.chunk(), None, "{method} {content_type}");
        assert_eq!(hears.recv_timeout(PATIENCE), Ok(ends), "{method} {content_type}");
        client.ends();
        drop(client);
        server.ended().unwrap();
    }
}

fn requests_that_are_coming_are_answered(setup: Setup) {
    let server = Running::start(setup, app().0);
    let (mut new, mut begun) = (server.connect(), server.connect());
    begun.send("GET /hello HT");
    until("both are known", || server.handle().connections() == 2);
    until("a part has come", || server.handle().buffered() > 0);
    server.handle().shutdown();
    // The one that has sent nothing yet is given a moment, too.
    for answer in [new.get("/hello").answer(), begun.send("TP/1.1\r\nHost: a\r\n\r\n").answer()] {
        assert_eq!((answer.text(), answer.is_last()), ("Hello, world.", true));
    }
    drop((new, begun));
    server.ended().unwrap();
}

fn what_waits_in_the_backlog_is_answered(setup: Setup) {
    // A handler that blocks every thread that serves connections: who comes meanwhile waits in the backlog, or, where a thread of its
    // own accepts, for a thread. In a runtime of several threads one is enough: it may be the one that would have told the others of
    // what comes.
    let threads = if setup == Setup::Workers { 2 } else { 1 };
    let (arrived, arrivals) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let app = app().0.get("/block", move || {
        arrived.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        std::future::ready("released")
    });
    let server = Running::start(setup, app);
    let mut blocking: Vec<_> = (0..threads).map(|_| server.connect()).collect();
    for client in &mut blocking {
        client.get("/block");
        arrivals.recv_timeout(PATIENCE).unwrap();
    }
    let mut waiting: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.get("/hello");
    }
    server.handle().shutdown();
    drop(release);
    for client in &mut waiting {
        assert_eq!(client.answer().text(), "Hello, world.");
    }
    for client in &mut blocking {
        assert_eq!(client.answer().text(), "released");
    }
    drop((waiting, blocking));
    server.ended().unwrap();
}

fn a_second_request_to_stop_cuts_at_once(setup: Setup) {
    let (app, gate) = app();
    let server = Running::start(setup, app);
    let mut client = server.connect();
    client.get("/slow");
    gate.arrival();
    server.handle().shutdown();
    server.handle().shutdown_now();
    assert_eq!(client.drained(), 0);
    assert!(matches!(server.ended(), Err(ServeError::Cut(1))));
}

fn the_end_of_the_grace_cuts(setup: Setup) {
    let (app, gate) = app();
    let mut options = patient();
    options.grace = Duration::from_millis(100);
    let server = Running::with(setup, app, options);
    let mut client = server.connect();
    client.get("/slow");
    gate.arrival();
    let since = Instant::now();
    server.handle().shutdown();
    assert_eq!(client.drained(), 0);
    assert!(since.elapsed() >= Duration::from_millis(100));
    assert!(matches!(server.ended(), Err(ServeError::Cut(1))));
}

#[test]
fn a_grace_may_be_without_end() {
    let (app, gate) = app();
    let mut options = patient();
    options.grace = Duration::MAX;
    let server = Running::with(Setup::Workers, app, options);
    let mut client = server.connect();
    client.get("/slow");
    gate.arrival();
    server.handle().shutdown();
    gate.open(1);
    assert_eq!(client.answer().text(), "at last");
    drop(client);
    server.ended().unwrap();
}

/// Such as to tell a program of Python's that nothing more is asked of its answer.
fn what_is_cut_may_still_give_calls_to_the_lane(setup: Setup) {
    struct Tidies(Lane, Arc<AtomicBool>);

    impl Drop for Tidies {
        fn drop(&mut self) {
            let is_tidy = Arc::clone(&self.1);
            if let Ok(job) = self.0.go_on(move || is_tidy.store(true, Ordering::Release)) {
                job.detach();
            }
        }
    }

    let (is_tidy, (gate, passage)) = (Arc::<AtomicBool>::default(), Gate::new());
    let told = Arc::clone(&is_tidy);
    let app = App::new().get("/slow", move |lane: Lane| {
        let (tidies, passage) = (Tidies(lane, Arc::clone(&told)), passage.clone());
        async move {
            passage.pass().await;
            drop(tidies);
        }
    });
    let server = Running::start(setup, app);
    let mut client = server.connect();
    client.get("/slow");
    gate.arrival();
    server.handle().shutdown_now();
    assert!(matches!(server.ended(), Err(ServeError::Cut(1))));
    until("the call has been made", || is_tidy.load(Ordering::Acquire));
}

/// Also where the runtime goes on, so that nothing is dropped with it.
#[test]
fn dropping_the_future_of_serve_ends_everything() {
    let (app, gate) = app();
    let listeners = server::bind(&["127.0.0.1:0".parse().unwrap()], 0).unwrap();
    let server = Server::new(app, patient(), listeners);
    let Some(&LocalAddr::Ip(address)) = server.local_addrs().next() else { panic!("no TCP") };
    let handle = server.handle();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let serving = runtime.spawn(server.serve());
    let mut client = std::net::TcpStream::connect(address).unwrap();
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    gate.arrival();
    serving.abort();
    until("the connection is cut", || handle.connections() == 0);
    until("nobody listens", || std::net::TcpStream::connect(address).is_err());
    thread::spawn(move || drop(runtime)).join().unwrap();
}

/// As with all else that is set.
#[test]
fn what_a_server_is_given_last_counts() {
    let listeners = server::bind(&["127.0.0.1:0".parse().unwrap()], 0).unwrap();
    let (tell, told) = mpsc::channel();
    let tells = |word: &'static str| {
        let tell = Mutex::new(tell.clone());
        move |_, _| tell.lock().unwrap().send(word).unwrap()
    };
    let server = Server::new(App::new(), patient(), listeners);
    let server = server.on_closed(tells("first")).on_closed(tells("last"));
    let Some(&LocalAddr::Ip(address)) = server.local_addrs().next() else { panic!("no TCP") };
    let handle = server.handle();
    let serving = thread::spawn(move || server.run());
    drop(std::net::TcpStream::connect(address).unwrap());
    assert_eq!(told.recv_timeout(PATIENCE), Ok("last"));
    handle.shutdown();
    serving.join().unwrap().unwrap();
}

/// Which calls are too slow is a matter of the option here, so that no clock has to be trusted.
#[test]
fn w8_calls_that_break_their_promise_are_counted() {
    for (inline_max, counted) in [(Duration::ZERO, 2), (PATIENCE, 0)] {
        let app = App::new()
            .get("/", inline(|| "at once"))
            .post("/", inline(|content: number8::Content| content.len().to_string()))
            .get("/async", async || "not inline");
        let mut options = patient();
        options.lane.inline_max = inline_max;
        let listeners = server::bind(&["127.0.0.1:0".parse().unwrap()], 0).unwrap();
        let server = Server::new(app, options, listeners);
        let Some(&LocalAddr::Ip(address)) = server.local_addrs().next() else { panic!("no TCP") };
        let handle = server.handle();
        let serving = thread::spawn(move || server.run());
        let mut client = std::net::TcpStream::connect(address).unwrap();
        let requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /async HTTP/1.1\r\nHost: a\r\n\r\n\
            POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\n8";
        client.write_all(requests.as_bytes()).unwrap();
        let mut answers = String::new();
        std::io::Read::read_to_string(&mut client, &mut answers).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 3, "{answers}");
        drop(client);
        assert_eq!(handle.slow_inline_calls(), counted);
        handle.shutdown();
        serving.join().unwrap().unwrap();
    }
}

#[test]
fn o5_a_worker_that_is_held_up_can_be_seen() {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let stuck = inline(move || {
        let _ = released.lock().unwrap().recv();
        "at last"
    });
    let server = Running::start(Setup::Workers, App::new().get("/stuck", stuck));
    assert_eq!(server.handle().stalled(), Duration::ZERO, "nothing to come round for");
    let mut client = server.connect();
    client.get("/stuck");
    until("it is seen", || server.handle().stalled() > Duration::from_secs(1));
    release.send(()).unwrap();
    client.answer();
    until("it comes round again", || server.handle().stalled() < Duration::from_millis(900));
}
