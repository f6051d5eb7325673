//! A client that asks for a large file and does not read it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use number8::{App, Options};

use super::{PATIENCE, Site, eventually, serve_with};

const LARGE_BYTES: u64 = 64 << 20;

/// Bytes that the kernel keeps for the client at the other end of a connection; `None` without a connection.
fn queued(server: SocketAddr, client: SocketAddr) -> Option<u64> {
    let ends = [server, client].map(|end| match end {
        SocketAddr::V4(end) => {
            let bits = u32::from_ne_bytes(end.ip().octets());
            format!("{bits:08X}:{:04X}", end.port())
        }
        SocketAddr::V6(_) => unreachable!("the server listens at 127.0.0.1"),
    });
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row[1..3] == ends)?;
    Some(u64::from_str_radix(row[4].split(':').next()?, 16).unwrap())
}

#[test]
fn wish_15_what_a_client_does_not_read_takes_little_memory_of_the_kernel() {
    let site = Site::new(&[("large.bin", "")]);
    fs::File::options()
        .write(true)
        .open(site.path("large.bin"))
        .and_then(|file| file.set_len(LARGE_BYTES))
        .unwrap();
    let mut options = Options { workers: 1, ..Options::default() };
    options.timeouts.write = Duration::from_secs(2);
    let served = serve_with(App::new().mount("/", site.files()), options);
    let unread = served.send("GET", "/large.bin", &[]);
    let client = unread.local_addr().unwrap();
    // Until the server has given up, it keeps what the client's side did not take.
    let mut last = 0;
    eventually(|| match queued(served.addr, client) {
        Some(bytes) => {
            last = bytes;
            false
        }
        None => true,
    });
    assert!((1..512 << 10).contains(&last), "{last} bytes");
}

/// How fast a client has to be for that depends on the machine, and whether this one is on what else runs there: it tries again.
#[test]
fn wish_15_more_is_held_for_a_client_that_keeps_up_and_is_counted() {
    const HELD: usize = 2 << 20;
    let site = Site::new(&[("large.bin", "")]);
    fs::File::options()
        .write(true)
        .open(site.path("large.bin"))
        .and_then(|file| file.set_len(LARGE_BYTES))
        .unwrap();
    let mut options = Options { workers: 1, ..Options::default() };
    // An end of the connection would give back what is held.
    options.timeouts.idle = 10 * PATIENCE;
    let served = serve_with(App::new().mount("/", site.files()), options);
    let mut content = vec![0; 1 << 20];
    eventually(|| {
        let mut client = TcpStream::connect(served.addr).unwrap();
        client.write_all(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let (mut most, mut received) = (0, 0);
        // Some of it is the head.
        while received <= LARGE_BYTES {
            let count = client.read(&mut content).unwrap();
            assert!(count > 0, "cut");
            received += count as u64;
            most = most.max(served.handle.buffered());
        }
        // Nothing is held between two answers.
        eventually(|| served.handle.buffered() == 0);
        most >= HELD
    });
}
