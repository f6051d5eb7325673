use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::task::{Context, Poll, Waker};
use std::thread;

use bytes::BufMut;
use number8::server::memory::{self, End};
use number8::server::transport::Transport;
use proptest::prelude::*;
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// Runs one check over each kind of transport: two connected ends.
macro_rules! over_each_transport {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn tcp() {
                super::run(async {
                    let (a, b) = super::tcp_pair().await;
                    super::$name(&a, &b).await;
                });
            }

            #[test]
            fn unix() {
                super::run(async {
                    let (a, b) = super::UnixStream::pair().unwrap();
                    super::$name(&a, &b).await;
                });
            }

            #[test]
            fn memory() {
                super::run(async {
                    let (a, b) = super::memory::pair(16 * 1024);
                    super::$name(&a, &b).await;
                });
            }
        }
    )*};
}

over_each_transport!(
    bytes_arrive_in_order,
    nothing_to_read_would_block,
    a_full_transport_has_room_again_after_a_read,
    half_close_leaves_the_other_direction,
    a_short_read_is_followed_by_new_readiness,
    no_more_is_read_than_was_asked_for,
    writing_after_shutdown_is_a_broken_pipe,
);

async fn bytes_arrive_in_order<T: Transport>(a: &T, b: &T) {
    poll_fn(|cx| a.poll_write_ready(cx)).await.unwrap();
    assert_eq!(a.try_write(b"one ").unwrap(), 4);
    assert_eq!(a.try_write(b"two ").unwrap(), 4);
    let slices = [IoSlice::new(b"three "), IoSlice::new(b""), IoSlice::new(b"four")];
    assert_eq!(a.try_write_vectored(&slices).unwrap(), 10);
    assert_eq!(read_exact(b, 18).await, b"one two three four");
}

async fn nothing_to_read_would_block<T: Transport>(_a: &T, b: &T) {
    assert_eq!(b.try_read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(poll_now(|cx| b.poll_read_ready(cx)).is_pending());
}

async fn a_full_transport_has_room_again_after_a_read<T: Transport>(a: &T, b: &T) {
    poll_fn(|cx| a.poll_write_ready(cx)).await.unwrap();
    let block = [7; 8 * 1024];
    let mut sent = 0;
    loop {
        match a.try_write(&block) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(poll_now(|cx| a.poll_write_ready(cx)).is_pending());
    let writable = poll_fn(|cx| a.poll_write_ready(cx));
    let (room, received) = both(writable, read_exact(b, sent)).await;
    room.unwrap();
    assert_eq!(received.len(), sent);
    assert_eq!(a.try_write(b"more").unwrap(), 4);
}

async fn half_close_leaves_the_other_direction<T: Transport>(a: &T, b: &T) {
    write_all(a, b"question").await;
    a.shutdown_write().unwrap();
    assert_eq!(read_to_end(b).await, b"question");
    write_all(b, b"answer").await;
    b.shutdown_write().unwrap();
    assert_eq!(read_to_end(a).await, b"answer");
}

/// The sockets forget their readiness after a short read; what comes later must still be noticed.
async fn a_short_read_is_followed_by_new_readiness<T: Transport>(a: &T, b: &T) {
    for round in 0..3_u8 {
        write_all(a, &[round; 3]).await;
        let mut buf = [0; 64];
        assert_eq!(read_some(b, &mut buf).await, 3);
        assert_eq!(b.try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    a.shutdown_write().unwrap();
    assert_eq!(read_some(b, &mut [0; 64]).await, 0);
}

/// What stands behind may be another request.
async fn no_more_is_read_than_was_asked_for<T: Transport>(a: &T, b: &T) {
    write_all(a, b"content, the next").await;
    poll_fn(|cx| b.poll_read_ready(cx)).await.unwrap();
    let mut buf = Vec::with_capacity(100);
    buf.extend_from_slice(b"a ");
    let onto = |buf: &mut Vec<u8>, most| b.try_read_onto(&mut buf.limit(most));
    for (most, count, whole) in
        [(4, 4, "a cont"), (3, 3, "a content"), (64, 10, "a content, the next")]
    {
        assert_eq!(onto(&mut buf, most).unwrap(), count);
        assert_eq!(buf, whole.as_bytes());
    }
    assert_eq!(onto(&mut buf, 8).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(buf.len(), 19);
    write_all(a, b"!").await;
    poll_fn(|cx| b.poll_read_ready(cx)).await.unwrap();
    assert_eq!(onto(&mut buf, 8).unwrap(), 1);
    assert!(buf.ends_with(b"!"));
}

async fn writing_after_shutdown_is_a_broken_pipe<T: Transport>(a: &T, _b: &T) {
    poll_fn(|cx| a.poll_write_ready(cx)).await.unwrap();
    a.shutdown_write().unwrap();
    assert_eq!(a.try_write(b"late").unwrap_err().kind(), ErrorKind::BrokenPipe);
    let vectored = a.try_write_vectored(&[IoSlice::new(b"late")]);
    assert_eq!(vectored.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn sendfile_sends_a_range_and_leaves_the_position() {
    async fn check<T: Transport>(a: &T, b: &T) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        file.seek(SeekFrom::Start(1)).unwrap();
        poll_fn(|cx| a.poll_write_ready(cx)).await.unwrap();
        let cases = [(0, 4, "0123"), (3, 4, "3456"), (8, 100, "89"), (10, 5, "")];
        for (offset, count, expected) in cases {
            let sent = a.try_sendfile(file.as_fd(), offset, count).unwrap().unwrap();
            assert_eq!(sent, expected.len(), "{count} bytes from {offset}");
            assert_eq!(read_exact(b, sent).await, expected.as_bytes());
        }
        assert_eq!(file.stream_position().unwrap(), 1);
    }
    run(async {
        let (a, b) = tcp_pair().await;
        check(&a, &b).await;
        let (a, b) = UnixStream::pair().unwrap();
        check(&a, &b).await;
    });
}

#[test]
fn memory_has_no_sendfile() {
    let (a, _b) = memory::pair(16);
    let file = tempfile::tempfile().unwrap();
    assert!(a.try_sendfile(file.as_fd(), 0, 1).is_none());
}

#[test]
fn memory_takes_no_more_than_its_capacity() {
    let (a, b) = memory::pair(4);
    assert_eq!(a.try_write_vectored(&[IoSlice::new(b"abc"), IoSlice::new(b"def")]).unwrap(), 4);
    assert_eq!(a.try_write(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(a.try_write(b"").unwrap(), 0);
    let mut buf = [0; 8];
    assert_eq!(b.try_read(&mut buf).unwrap(), 4);
    assert_eq!(&buf[..4], b"abcd");
}

#[test]
fn a_dropped_end_is_read_to_its_last_byte_and_refuses_writes() {
    let (a, b) = memory::pair(16);
    a.try_write(b"last words").unwrap();
    drop(a);
    assert_eq!(b.try_write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut said = String::new();
    b.blocking().read_to_string(&mut said).unwrap();
    assert_eq!(said, "last words");
}

#[test]
fn a_dropped_end_wakes_a_reader_and_a_writer() {
    run(async {
        let (a, b) = memory::pair(2);
        b.write_all(b"ab").await.unwrap();
        let drop_a = async { drop(a) };
        let ((end, write), ()) = both(both(b.read_to_end(), b.write_all(b"c")), drop_a).await;
        assert_eq!(end.unwrap(), b"");
        assert_eq!(write.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn blocking_ends_talk_across_threads() {
    let (client, server) = memory::pair(3);
    let echo =
        thread::spawn(move || io::copy(&mut server.blocking(), &mut server.blocking()).unwrap());
    let message = b"longer than what fits at once".repeat(20);
    let said = thread::scope(|scope| {
        scope.spawn(|| {
            client.blocking().write_all(&message).unwrap();
            client.shutdown_write().unwrap();
        });
        let mut said = Vec::new();
        // The echo drops its end when it has read ours.
        client.blocking().read_to_end(&mut said).unwrap();
        said
    });
    assert_eq!(said, message);
    assert_eq!(echo.join().unwrap(), message.len() as u64);
}

proptest! {
    #[test]
    fn memory_keeps_every_byte_whatever_the_sizes(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        capacity in 1_usize..40,
        write_sizes in proptest::collection::vec(1_usize..50, 1..8),
        read_sizes in proptest::collection::vec(1_usize..50, 1..8),
    ) {
        let (a, b) = memory::pair(capacity);
        let (mut sent, mut received) = (0, Vec::new());
        let mut reads = read_sizes.iter().cycle();
        for size in write_sizes.iter().cycle() {
            sent += written(&a, &bytes[sent..bytes.len().min(sent + size)]);
            let mut buf = vec![0; *reads.next().unwrap()];
            let waiting = sent - received.len();
            let count = b.try_read(&mut buf).unwrap_or(0);
            prop_assert_eq!(count, waiting.min(buf.len()));
            received.extend_from_slice(&buf[..count]);
            if received.len() == bytes.len() {
                break;
            }
        }
        prop_assert_eq!(received, bytes);
    }
}

fn written(end: &End, bytes: &[u8]) -> usize {
    match end.try_write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        result => result.unwrap(),
    }
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

async fn read_some<T: Transport>(transport: &T, buf: &mut [u8]) -> usize {
    loop {
        poll_fn(|cx| transport.poll_read_ready(cx)).await.unwrap();
        match transport.try_read(buf) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            result => return result.unwrap(),
        }
    }
}

async fn read_exact<T: Transport>(transport: &T, count: usize) -> Vec<u8> {
    let mut all = vec![0; count];
    let mut filled = 0;
    while filled < count {
        match read_some(transport, &mut all[filled..]).await {
            0 => panic!("end after {filled} of {count} bytes"),
            more => filled += more,
        }
    }
    all
}

async fn read_to_end<T: Transport>(transport: &T) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buf = [0; 4];
    loop {
        match read_some(transport, &mut buf).await {
            0 => return all,
            count => all.extend_from_slice(&buf[..count]),
        }
    }
}

async fn write_all<T: Transport>(transport: &T, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        poll_fn(|cx| transport.poll_write_ready(cx)).await.unwrap();
        match transport.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

/// Polls both futures from one task until both are ready.
async fn both<A: Future, B: Future>(first: A, second: B) -> (A::Output, B::Output) {
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    let (mut a, mut b) = (None, None);
    poll_fn(move |cx| {
        if a.is_none()
            && let Poll::Ready(value) = first.as_mut().poll(cx)
        {
            a = Some(value);
        }
        if b.is_none()
            && let Poll::Ready(value) = second.as_mut().poll(cx)
        {
            b = Some(value);
        }
        match (a.take(), b.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (first, second) => {
                (a, b) = (first, second);
                Poll::Pending
            }
        }
    })
    .await
}

fn poll_now<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    poll(&mut Context::from_waker(Waker::noop()))
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
