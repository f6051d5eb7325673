//! What has begun goes on where so many calls wait that no others are taken, and so does what needs none.

use std::future::{Future, poll_fn};
use std::io::Read;
use std::pin::pin;
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::Poll;

use bytes::Bytes;
use number8::access::{Access, Rights, Rule};
use number8::server::LaneOptions;
use number8::server::lane::Lane;
use number8::server::memory::End;
use number8::testing::TestServer;
use number8::{App, Body, Files, Options, Uploads};
use tower::ServiceExt;

fn options() -> Options {
    let lane = LaneOptions { threads_max: 1, queue_max: 1, ..LaneOptions::default() };
    Options { lane, ..Options::default() }
}

/// An app that gives its lane away, too.
fn lending(app: App) -> (App, Receiver<Lane>) {
    let (lend, lent) = mpsc::channel();
    let lend = move |lane: Lane| {
        let lend = lend.clone();
        async move { lend.send(lane).unwrap() }
    };
    (app.get("/lane", lend), lent)
}

/// Fills the lane until something is sent.
fn fill(lane: &Lane) -> Sender<()> {
    let (release, released) = mpsc::channel();
    let (begin, begun) = mpsc::channel();
    let wait = move || {
        begin.send(()).unwrap();
        released.recv()
    };
    lane.submit(wait).unwrap().detach();
    begun.recv().unwrap();
    while let Ok(job) = lane.submit(|| ()) {
        job.detach();
    }
    release
}

async fn head(client: &End) -> String {
    let (mut head, mut byte) = (String::new(), [0]);
    while !head.ends_with("\r\n\r\n") {
        assert_eq!(client.read(&mut byte).await.unwrap(), 1, "{head}");
        head.push(char::from(byte[0]));
    }
    head
}

#[tokio::test]
async fn an_upload_that_has_begun_is_not_given_up() {
    let temp = tempfile::tempdir().unwrap();
    let uploads = Uploads::new(temp.path()).unwrap().sync(false).keep_free(0);
    let rules = Access::new([Rule::everyone("/", Rights::RW).unwrap()]);
    let (app, lent) = lending(App::new().access(rules).mount("/up", uploads));
    let server = TestServer::new(app, options());
    server.get("/lane").send().await.unwrap();
    let lane = lent.recv().unwrap();

    let content = vec![8; 600 * 1024];
    let request = format!(
        "PUT /up/file HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    let client = server.connect();
    client.write_all(request.as_bytes()).await.unwrap();
    assert!(head(&client).await.starts_with("HTTP/1.1 100 "));
    let release = fill(&lane);
    // Enough that some of it is to be written before the rest has come.
    client.write_all(&content).await.unwrap();
    assert_eq!(server.put("/up/other").body("new").send().await.unwrap().status(), 503);
    release.send(()).unwrap();
    let answer = String::from_utf8(client.read_to_end().await.unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(std::fs::read(temp.path().join("file")).unwrap(), content);
}

#[tokio::test]
async fn what_is_read_as_it_is_sent_is_not_cut() {
    let read = async |lane: Lane| Body::from_reader(std::io::repeat(8).take(100_000), &lane);
    let (app, lent) = lending(App::new().get("/", read));
    let server = TestServer::new(app, options());
    server.get("/lane").send().await.unwrap();
    let release = fill(&lent.recv().unwrap());

    let client = server.connect();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    head(&client).await;
    release.send(()).unwrap();
    assert_eq!(client.read_to_end().await.unwrap().len(), 100_000);
}

#[tokio::test]
async fn a_file_of_an_app_that_is_a_service_is_not_cut() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("file"), vec![8; 200_000]).unwrap();
    let (app, lent) = lending(App::new().mount("/", Files::new(temp.path()).unwrap()));
    let service = app.into_service_with(options()).unwrap();
    let ask = |target| {
        let request = http::Request::get(target).body(axum::body::Body::empty()).unwrap();
        service.clone().oneshot(request)
    };
    ask("/lane").await.unwrap();
    let mut content = ask("/file").await.unwrap().into_body();
    let release = fill(&lent.recv().unwrap());

    let mut first = pin!(async {
        let first = content.chunk().await;
        (first, content)
    });
    let waits = poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_pending())).await;
    assert!(waits, "the lane is full");
    release.send(()).unwrap();
    let (first, mut content) = first.await;
    let mut length = first.unwrap().map_or(0, |chunk: Bytes| chunk.len());
    while let Some(chunk) = content.chunk().await.unwrap() {
        length += chunk.len();
    }
    assert_eq!(length, 200_000);
}

#[cfg(feature = "accounts")]
#[tokio::test]
async fn a_right_password_costs_one_hash_for_a_time() {
    use number8::accounts::{Accounts, hash_password};
    use number8::layers::auth::Auth;

    let hash = hash_password("right").unwrap();
    let accounts = Accounts::new().unwrap().password("joe", &hash).unwrap();
    let (app, lent) = lending(App::new().get("/", async || "here").layer(Auth::accounts(accounts)));
    let server = TestServer::new(app, options());
    let ask = async |password| {
        let request = server.get("/").field("Authorization", password);
        request.send().await.unwrap().status()
    };
    // joe:right and joe:wrong
    let (right, wrong) = ("Basic am9lOnJpZ2h0", "Basic am9lOndyb25n");
    assert_eq!(ask(right).await, 200);
    server.get("/lane").send().await.unwrap();
    let release = fill(&lent.recv().unwrap());
    // What takes a hash finds no room.
    assert_eq!(ask(wrong).await, 503);
    assert_eq!(ask(right).await, 200);
    release.send(()).unwrap();
}
