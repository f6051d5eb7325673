//! `floor-hello PORT`: what the kernel alone costs. An epoll loop that parses nothing: it counts the
//! blank lines that end request heads and writes one fixed answer for each.

use std::{
    collections::HashMap,
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    os::fd::AsRawFd,
};

use memchr::memmem;
use rustix::{
    buffer::spare_capacity,
    event::epoll,
    io::retry_on_intr,
    net::{AddressFamily, SocketType, bind, listen, socket, sockopt},
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 13\r\n\
    \r\n\
    Hello, world.";
const HEAD_END: &[u8] = b"\r\n\r\n";
/// The most of `HEAD_END` that one read can leave for the next.
const CARRY_MAX: usize = HEAD_END.len() - 1;
const READ_BYTES_MAX: usize = 64 * 1024;
const EVENTS_MAX: usize = 1024;
const LISTENER: u64 = u64::MAX;

struct Connection {
    stream: TcpStream,
    /// How many bytes of `HEAD_END` the last read ended with.
    carry: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: floor-hello PORT")?.parse()?;
    let listener = bound(port)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;

    let mut connections = HashMap::new();
    let mut input = vec![0; CARRY_MAX + READ_BYTES_MAX];
    let mut output = Vec::new();
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        events.clear();
        retry_on_intr(|| epoll::wait(&epoll, spare_capacity(&mut events), None))?;
        for event in &events {
            let key = event.data.u64();
            if key == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let key = stream.as_raw_fd() as u64;
                epoll::add(
                    &epoll,
                    &stream,
                    epoll::EventData::new_u64(key),
                    epoll::EventFlags::IN | epoll::EventFlags::RDHUP,
                )?;
                connections.insert(key, Connection { stream, carry: 0 });
            } else if let Some(connection) = connections.get_mut(&key)
                && !answer(connection, &mut input, &mut output)
            {
                connections.remove(&key);
            }
        }
    }
}

/// std would listen with a backlog of 128, too short for ten thousand connections at once.
fn bound(port: u16) -> io::Result<TcpListener> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    listen(&socket, 4096)?;
    Ok(socket.into())
}

/// Reads once and answers every request that is now complete. False ends the connection; so does
/// a client that does not take its answers, since a floor needs no output queue.
fn answer(connection: &mut Connection, input: &mut [u8], output: &mut Vec<u8>) -> bool {
    let count = match connection.stream.read(&mut input[CARRY_MAX..]) {
        Ok(0) => return false,
        Ok(count) => count,
        Err(error) => return error.kind() == ErrorKind::WouldBlock,
    };
    let start = CARRY_MAX - connection.carry;
    input[start..CARRY_MAX].copy_from_slice(&HEAD_END[..connection.carry]);
    let seen = &input[start..CARRY_MAX + count];

    output.clear();
    let mut rest = 0;
    for end in memmem::find_iter(seen, HEAD_END) {
        output.extend_from_slice(ANSWER);
        rest = end + HEAD_END.len();
    }
    connection.carry =
        (1..=CARRY_MAX).rev().find(|&n| seen[rest..].ends_with(&HEAD_END[..n])).unwrap_or(0);
    output.is_empty() || matches!(connection.stream.write(output), Ok(n) if n == output.len())
}
