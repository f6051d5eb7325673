//! Answers that begin before an application returns: what of them needs no interpreter.

use std::future::poll_fn;
use std::task::Poll;

use number8::{Body, Response};

use early::{Answered, early};

#[path = "../src/wsgi/early.rs"]
mod early;
#[path = "../src/lock.rs"]
mod lock;

fn answer(status: u16) -> Response {
    Response::new(status, Body::empty())
}

#[tokio::test]
async fn w4_an_answer_that_begins_while_its_call_ends_is_the_one_that_is_sent() {
    let (early, begun) = early();
    let mut early = Some(early);
    // The look for an answer comes before that at the call.
    let call = poll_fn(move |_| {
        if let Some(early) = early.take() {
            early.send(answer(201));
        }
        Poll::Ready(answer(500))
    });
    match begun.or(call).await {
        Answered::Early(response) => assert_eq!(response.status(), 201),
        Answered::Result(response) => panic!("the call's own, {}", response.status()),
    }
}

#[tokio::test]
async fn w4_a_call_that_begins_no_answer_gives_its_own() {
    let (early, begun) = early();
    drop(early);
    match begun.or(async { answer(299) }).await {
        Answered::Early(response) => panic!("there is none, {}", response.status()),
        Answered::Result(response) => assert_eq!(response.status(), 299),
    }
}

#[tokio::test]
async fn w4_an_answer_that_begins_is_sent_while_its_call_goes_on() {
    let (early, begun) = early();
    let sent = tokio::spawn(begun.or(std::future::pending::<Response>()));
    early.send(answer(202));
    match sent.await {
        Ok(Answered::Early(response)) => assert_eq!(response.status(), 202),
        _ => panic!("it has begun"),
    }
}
