use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;
use std::thread;

use bytes::BufMut;
use number8::server::memory;
use number8::server::tls::Secured;
use number8::server::transport::{Security, Transport};
use proptest::prelude::*;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Stream};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Invariant: what one end writes the other one reads, whatever is written and read at once, however little the
    /// network takes, whichever version is spoken, and whether it is read into a buffer or behind what is in one.
    #[test]
    fn g5_what_is_written_is_read(
        capacity in 1usize..50_000,
        there in prop::collection::vec(0usize..40_000, 0..8),
        back in prop::collection::vec((0usize..90_000, 0usize..3_000), 0..8),
        room in 1usize..70_000,
        is_new in any::<bool>(),
        is_onto in any::<bool>(),
    ) {
        let version =
            if is_new { &rustls::version::TLS13 } else { &rustls::version::TLS12 };
        let (client_end, server_end) = memory::pair(capacity);
        let config = super::trusting(&[super::CERTIFICATE], &[version]);
        let sent = pattern(there.iter().sum());
        let from_client = sent.clone();
        let client = thread::spawn(move || {
            let name = ServerName::try_from("localhost").unwrap();
            let mut tls = ClientConnection::new(config, name).unwrap();
            let mut io = client_end.blocking();
            let mut stream = Stream::new(&mut tls, &mut io);
            let mut rest = &from_client[..];
            for size in there {
                stream.write_all(&rest[..size]).unwrap();
                rest = &rest[size..];
            }
            stream.flush().unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
            let mut read = Vec::new();
            stream.read_to_end(&mut read).unwrap();
            read
        });
        let want = pattern(back.iter().map(|(one, other)| one + other).sum());
        let answer = want.clone();
        let received = runtime().block_on(async {
            let server = Secured::new(server_end, super::tls().config(true));
            poll_fn(|cx| server.poll_secure(&[], cx)).await.unwrap();
            assert_eq!(server.security(), Security::Tls);
            let received = match is_onto {
                true => read_onto_to_end(&server, room).await,
                false => read_to_end(&server, room).await,
            };
            let mut rest = &answer[..];
            for (one, other) in back {
                write_all(&server, &rest[..one], &rest[one..one + other]).await;
                rest = &rest[one + other..];
            }
            poll_fn(|cx| server.poll_flush(cx)).await.unwrap();
            server.shutdown_write().unwrap();
            assert_eq!(server.try_write(b"late").unwrap_err().kind(), ErrorKind::BrokenPipe);
            poll_fn(|cx| server.poll_flush(cx)).await.unwrap();
            assert_eq!(server.held(), 0);
            received
        });
        prop_assert!(received == sent);
        prop_assert!(client.join().unwrap() == want);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

async fn read_to_end(server: &impl Transport, room: usize) -> Vec<u8> {
    let (mut all, mut buf) = (Vec::new(), vec![0; room]);
    loop {
        match server.try_read(&mut buf) {
            Ok(0) => return all,
            Ok(count) => all.extend_from_slice(&buf[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll_fn(|cx| server.poll_read_ready(cx)).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn read_onto(server: &impl Transport, buf: &mut Vec<u8>, most: usize) -> std::io::Result<usize> {
    buf.reserve_exact(most);
    server.try_read_onto(&mut buf.limit(most))
}

async fn read_onto_to_end(server: &impl Transport, room: usize) -> Vec<u8> {
    let mut all = b"before".to_vec();
    loop {
        let length = all.len();
        match read_onto(server, &mut all, room) {
            Ok(0) => return all.split_off("before".len()),
            Ok(count) => assert!(count <= room && all.len() == length + count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert_eq!(all.len(), length);
                poll_fn(|cx| server.poll_read_ready(cx)).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn write_all(server: &impl Transport, mut one: &[u8], mut other: &[u8]) {
    while !one.is_empty() || !other.is_empty() {
        match server.try_write_vectored(&[IoSlice::new(one), IoSlice::new(other)]) {
            Ok(count) => {
                let of_one = count.min(one.len());
                one = &one[of_one..];
                other = &other[count - of_one..];
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll_fn(|cx| server.poll_write_ready(cx)).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn g5_what_comes_before_tls_is_read_as_it_is() {
    let (client, server_end) = memory::pair(1000);
    let server = Secured::new(server_end, super::tls().config(true));
    runtime().block_on(async {
        client.write_all(b"PROXY UNKNOWN\r\n\x16\x03").await.unwrap();
        assert_eq!(server.security(), Security::Expected);
        assert_eq!(read_now(&server), b"PROXY UNKNOWN\r\n\x16\x03");
        // Given back, this is where TLS begins, or does not.
        let waits = poll_fn(|cx| std::task::Poll::Ready(server.poll_secure(b"\x16\x03", cx)));
        assert!(waits.await.is_pending());
        assert_eq!(server.security(), Security::Tls);
    });
}

#[test]
fn g5_what_is_no_tls_is_passed_on() {
    let (client, server_end) = memory::pair(1000);
    let server = Secured::new(server_end, super::tls().config(true));
    runtime().block_on(async {
        client.write_all(b"GET / HTTP/1.1").await.unwrap();
        poll_fn(|cx| server.poll_secure(&[], cx)).await.unwrap();
        assert_eq!(server.security(), Security::Missed);
        let mut read = Vec::new();
        assert_eq!(read_onto(&server, &mut read, 4).unwrap(), 4);
        assert_eq!(read, b"GET ");
        assert_eq!(read_now(&server), b"/ HTTP/1.1");
        client.write_all(b", the rest").await.unwrap();
        assert_eq!(read_onto(&server, &mut read, 100).unwrap(), 10);
        assert_eq!(read, b"GET , the rest");
        assert_eq!(server.try_write(b"308").unwrap(), 3);
        server.shutdown_write().unwrap();
        assert_eq!(client.read_to_end().await.unwrap(), b"308");
    });
}

fn read_now(server: &impl Transport) -> Vec<u8> {
    let mut buf = [0; 100];
    let count = server.try_read(&mut buf).unwrap();
    buf[..count].to_vec()
}

/// SECURITY: new keys, and records with next to nothing in them, cost work and lead nowhere. Content that comes by itself between
/// them does not make up for them, however it is read.
#[test]
fn g5_a_client_that_sends_hardly_any_content_is_given_up() {
    let (client_end, server_end) = memory::pair(50_000);
    let config = super::trusting(&[super::CERTIFICATE], &[&rustls::version::TLS13]);
    let client = thread::spawn(move || {
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = ClientConnection::new(config, name).unwrap();
        let mut io = client_end.blocking();
        while tls.is_handshaking() {
            tls.complete_io(&mut io).unwrap();
        }
        (tls, client_end)
    });
    let (received, end) = runtime().block_on(async {
        let server = Secured::new(server_end, super::tls().config(true));
        poll_fn(|cx| server.poll_secure(&[], cx)).await.unwrap();
        let (mut tls, client_end) = client.join().unwrap();
        let mut received = 0;
        for round in 0..4000 {
            match round % 2 {
                0 => tls.writer().write_all(b"x").unwrap(),
                _ => (0..30).for_each(|_| tls.refresh_traffic_keys().unwrap()),
            }
            let mut records = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut records).unwrap();
            }
            client_end.write_all(&records).await.unwrap();
            loop {
                match server.try_read(&mut [0; 1000]) {
                    Ok(count) => received += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return (received, Some(error.kind())),
                }
            }
        }
        (received, None)
    });
    assert_eq!(end, Some(ErrorKind::InvalidData), "after {received}");
    assert!((1..1000).contains(&received), "{received}");
}

#[test]
fn g5_what_was_changed_on_the_way_is_not_read() {
    let (client_end, server_end) = memory::pair(50_000);
    let server = Secured::new(server_end, super::tls().config(true));
    let config = super::trusting(&[super::CERTIFICATE], rustls::ALL_VERSIONS);
    let client = thread::spawn(move || {
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut io = client_end.blocking();
        while tls.is_handshaking() {
            tls.complete_io(&mut io).unwrap();
        }
        tls.writer().write_all(b"pay one cent").unwrap();
        let mut record = Vec::new();
        tls.write_tls(&mut record).unwrap();
        *record.last_mut().unwrap() ^= 1;
        io.write_all(&record).unwrap();
        // Tickets may come first; then it is told by an alert.
        while let Ok(count @ 1..) = tls.read_tls(&mut io) {
            assert!(count > 0);
            if tls.process_new_packets().is_err() {
                return true;
            }
        }
        false
    });
    runtime().block_on(async {
        // It may come together with the end of the handshake.
        let mut secured = poll_fn(|cx| server.poll_secure(&[], cx)).await.err();
        let error = loop {
            if let Some(error) = secured.take() {
                break error;
            }
            match server.try_read(&mut [0; 100]) {
                Ok(count) => panic!("{count} bytes were believed"),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll_fn(|cx| server.poll_read_ready(cx)).await.unwrap();
                }
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        poll_fn(|cx| server.poll_flush(cx)).await.unwrap();
    });
    drop(server);
    assert!(client.join().unwrap());
}
