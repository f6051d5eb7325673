//! Who works for a client learns that it has left.

use std::time::Duration;

use number8::server::transport::Transport;
use number8::testing::TestServer;
use number8::{App, Before, Call, Departure, Layer, Request, Waited};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::serving::{PATIENCE, patient};

/// How a client leaves.
#[derive(Debug, Clone, Copy)]
enum Way {
    EndsItsHalf,
    Closes,
    /// In the middle of its content.
    GivesUp,
    /// It does not: it gets its answer and closes.
    Stays,
}

fn app(told: mpsc::UnboundedSender<&'static str>) -> App {
    App::new().post("/wait", move |departure: Departure, mut request: Request| {
        let told = told.clone();
        async move {
            told.send("begun").unwrap();
            let content = async {
                while let Ok(Some(_)) = request.body().chunk().await {}
                departure.wait().await;
            };
            let known = timeout(Duration::from_secs(5), content).await.is_ok();
            assert_eq!(departure.is_known(), known);
            told.send(if known { "left" } else { "here" }).unwrap();
            "an answer"
        }
    })
}

#[tokio::test(start_paused = true)]
async fn d4_a_handler_learns_that_its_client_has_left() {
    let next = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (way, length, more, expected) in [
        (Way::EndsItsHalf, 2, "", "left"),
        (Way::EndsItsHalf, 2, "\r\n", "left"),
        (Way::Closes, 2, "", "left"),
        // Some clients send a line end behind content; others send the next request.
        (Way::Closes, 2, "\r\n", "left"),
        (Way::Closes, 2, next, "left"),
        (Way::GivesUp, 3, "", "left"),
        (Way::Stays, 2, "", "here"),
        (Way::Stays, 2, next, "here"),
    ] {
        let (told, mut heard) = mpsc::unbounded_channel();
        let server = TestServer::new(app(told), patient());
        let mut client = Some(server.connect());
        let head = format!(
            "POST /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\nhi{more}"
        );
        let end = client.as_ref().unwrap();
        end.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(heard.recv().await, Some("begun"));
        match way {
            Way::EndsItsHalf => end.shutdown_write().unwrap(),
            Way::Closes | Way::GivesUp => drop(client.take()),
            Way::Stays => {}
        }
        assert_eq!(heard.recv().await, Some(expected), "{way:?}");
        // Whoever still reads gets an answer.
        if let Some(client) = client {
            let answer = timeout(PATIENCE, client.read_to_end()).await.unwrap().unwrap();
            assert!(answer.ends_with(b"an answer"), "{way:?}: {}", answer.escape_ascii());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_with_its_answer_has_not_left() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let app = App::new().get("/", move |departure: Departure| {
        told.send(departure).unwrap();
        async { "an answer" }
    });
    let server = TestServer::new(app, patient());
    for fields in ["", "Connection: close\r\n"] {
        let client = server.connect();
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let departure = heard.recv().await.unwrap();
        client.shutdown_write().unwrap();
        timeout(PATIENCE, client.read_to_end()).await.unwrap().unwrap();
        drop(client);
        while server.handle().connections() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(!departure.is_known(), "{fields:?}");
    }
}

/// An app inside another one, behind a layer that waits, has its clients, too.
#[tokio::test(start_paused = true)]
async fn what_waits_between_a_client_and_its_handler_changes_nothing() {
    struct Slow;
    impl Layer for Slow {
        fn before(&self, _: &mut Call<'_>) -> Before {
            Before::Wait(Box::pin(async {
                tokio::task::yield_now().await;
                Waited::go(None)
            }))
        }
    }
    let (told, mut heard) = mpsc::unbounded_channel();
    let inner = app(told).layer(Slow);
    let server = TestServer::new(App::new().nest("/inner", inner).layer(Slow), patient());
    let client = server.connect();
    client
        .write_all(b"POST /inner/wait HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(heard.recv().await, Some("begun"));
    drop(client);
    assert_eq!(heard.recv().await, Some("left"));
}
