//! Content on its way. Not inside of `incoming`, which is a part of the models in `tests/loom.rs`.

use std::task::{Context, Poll, Waker};

use super::incoming::channel;

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
