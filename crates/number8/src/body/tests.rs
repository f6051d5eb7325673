//! Content on its way. Not inside of `incoming`, which is a part of the models in `tests/loom.rs`.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::incoming::channel;
use super::{Body, Chunk, Feeder, Kind, Sender};

#[test]
fn small_pieces_of_a_client_are_put_together_where_they_wait() {
    for (name, sizes, least) in [
        ("bytes", &[1][..], 2_000),
        ("some large ones between", &[1, 1, 5_000, 1], 1_000),
        ("large ones", &[5_000], 5_000),
    ] {
        let (feeder, mut incoming) = channel(Waker::noop().clone(), None, u64::MAX);
        let mut sent = Vec::new();
        for (number, size) in sizes.iter().cycle().take(3_000).enumerate() {
            let piece = vec![number as u8; *size];
            sent.extend_from_slice(&piece);
            feeder.push(piece.into());
        }
        assert_eq!(feeder.queued(), sent.len(), "{name}");
        feeder.end(Ok(()));
        let mut cx = Context::from_waker(Waker::noop());
        let (mut received, mut pieces) = (Vec::new(), 0);
        while let Poll::Ready(Ok(Some(piece))) = incoming.poll_chunk(&mut cx) {
            received.extend_from_slice(&piece);
            pieces += 1;
        }
        assert!(received == sent, "{name}");
        assert!(sent.len() / pieces >= least, "{name}: {pieces} pieces");
        assert_eq!(feeder.queued(), 0, "{name}");
    }
}

/// A body, and the end that a connection has of it.
fn body() -> (Feeder, Body) {
    let (feeder, incoming) = channel(Waker::noop().clone(), None, u64::MAX);
    (feeder, Body { kind: Kind::Incoming(incoming) })
}

fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// As a connection that receives these bytes; true where there was memory for them.
fn receive(feeder: &Feeder, bytes: &'static [u8]) -> bool {
    match feeder.memory() {
        Some(mut memory) => {
            memory.put_slice(bytes);
            feeder.received_into(memory, bytes.len());
            true
        }
        None => {
            feeder.push(Bytes::from_static(bytes));
            false
        }
    }
}

#[test]
fn content_is_received_into_memory_that_waits_for_it() {
    let (feeder, mut body) = body();
    assert!(!receive(&feeder, b"before"), "nobody waits");
    let mut memory = Vec::with_capacity(64);
    memory.push(b'>');
    let (chunk, memory) = now(body.chunk_into(memory)).unwrap().unwrap();
    assert!(matches!(chunk, Chunk::Apart(bytes) if bytes == "before"));
    assert_eq!(memory, b">");

    let mut waits = Box::pin(body.chunk_into(memory));
    assert!(now(waits.as_mut()).is_none());
    // Nothing came after all.
    let memory = feeder.memory().unwrap();
    feeder.received_into(memory, 0);
    assert!(now(waits.as_mut()).is_none());
    assert!(receive(&feeder, b"one"));
    assert_eq!(feeder.queued(), 3);
    assert!(!receive(&feeder, b"two"), "it is in use");
    let (chunk, memory) = now(waits.as_mut()).unwrap().unwrap();
    drop(waits);
    assert!(matches!(chunk, Chunk::Received(3)));
    assert_eq!(memory, b">one");
    assert_eq!(feeder.queued(), 3);
    let (chunk, memory) = now(body.chunk_into(memory)).unwrap().unwrap();
    assert!(matches!(chunk, Chunk::Apart(bytes) if bytes == "two"));
    feeder.end(Ok(()));
    let (chunk, memory) = now(body.chunk_into(memory)).unwrap().unwrap();
    assert!(matches!(chunk, Chunk::End));
    assert_eq!((memory, feeder.queued()), (b">one".to_vec(), 0));
}

#[test]
fn nothing_is_lost_where_nobody_waits_for_what_is_received_into_memory() {
    let (feeder, mut body) = body();
    for lends_again in [false, true] {
        // Received, and then forgotten.
        assert!(now(body.chunk_into(Vec::with_capacity(8))).is_none());
        assert!(receive(&feeder, b"one"));
        receive(&feeder, b"two");
        // Forgotten while the connection has the memory.
        let chunks = |body: &mut Body| {
            let mut chunks = Vec::new();
            while let Some(Ok((Chunk::Apart(bytes), _))) = match lends_again {
                true => now(body.chunk_into(Vec::with_capacity(8))),
                false => now(body.chunk()).map(|chunk| {
                    chunk.map(|chunk| (chunk.map_or(Chunk::End, Chunk::Apart), Vec::new()))
                }),
            } {
                chunks.push(bytes);
            }
            chunks.concat()
        };
        assert_eq!(chunks(&mut body), b"onetwo");
        assert!(lends_again || now(body.chunk_into(Vec::with_capacity(8))).is_none());
        let mut memory = feeder.memory().unwrap();
        assert_eq!(chunks(&mut body), b"");
        memory.put_slice(b"late");
        feeder.received_into(memory, 4);
        assert_eq!(chunks(&mut body), b"late");
        assert_eq!(feeder.queued(), 0);
    }
}

/// Sends pieces until one has to wait; how many bytes that took.
fn fill(sender: &mut Sender) -> usize {
    let piece = Bytes::from_static(&[8; 16 * 1024]);
    let mut sent = 0;
    while let Some(result) = now(sender.send(piece.clone())) {
        result.unwrap();
        sent += piece.len();
    }
    sent
}

/// As a connection that takes all there is; how many bytes that were.
fn take(body: &mut Body) -> usize {
    let mut taken = 0;
    while let Poll::Ready(Ok(Some(piece))) =
        body.poll_chunk(&mut Context::from_waker(Waker::noop()))
    {
        taken += piece.len();
    }
    taken
}

#[test]
fn who_sends_to_a_client_that_keeps_up_waits_less_often() {
    let (mut sender, mut body) = Body::channel();
    // Not before it is known that the server has the memory.
    fill(&mut sender);
    take(&mut body);
    assert_eq!(fill(&mut sender), 64 * 1024);
    take(&mut body);
    body.may_grow(true);
    // The machine may have other things to do for longer than a client that keeps up takes, so the best of some is looked at.
    let most = (0..100).map(|_| (fill(&mut sender), take(&mut body))).max().unwrap();
    assert_eq!(most, (512 * 1024, 512 * 1024));
    // One that does not keep up holds little again.
    fill(&mut sender);
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(20) {
        std::thread::yield_now();
    }
    take(&mut body);
    assert_eq!(fill(&mut sender), 64 * 1024);
    take(&mut body);
    fill(&mut sender);
    take(&mut body);
    body.may_grow(false);
    assert_eq!(fill(&mut sender), 64 * 1024);
}
