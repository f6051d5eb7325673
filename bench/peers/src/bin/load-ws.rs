//! `load-ws PORT PATH CONNECTIONS SECONDS BYTES AT-ONCE`: each connection sends so many masked
//! binary messages with one write, waits until their echoes have come and are the same, and sends
//! the next. A line of JSON tells how many messages there were and how long such a turn took.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use peers::{
    Error,
    answer::Head,
    connect::{allow_descriptors, numbered},
    frame::{self, Frame},
    latency::Latencies,
};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
    io::retry_on_intr,
};

const USAGE: &str = "usage: load-ws PORT PATH CONNECTIONS SECONDS BYTES AT-ONCE";
/// The key of RFC 6455, section 1.3, and what proves that the server has seen it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const READ_BYTES_MAX: usize = 64 * 1024;
const SILENCE_MAX: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, path, connections, seconds, bytes, at_once] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    let turn = Turn { bytes: bytes.parse()?, at_once: at_once.parse()? };
    let mut load = Load::open(port.parse()?, path, connections.parse()?, turn)?;
    println!("{}", load.run(Duration::from_secs(seconds.parse()?))?);
    Ok(())
}

/// What one connection sends at once.
struct Turn {
    bytes: usize,
    at_once: usize,
}

struct Connection {
    stream: TcpStream,
    /// A part of a frame.
    pending: Vec<u8>,
    /// The messages that are on their way, one after the other.
    messages: Vec<u8>,
    /// How many of these bytes have come back.
    echoed: usize,
    sent: Instant,
}

struct Load {
    epoll: OwnedFd,
    turn: Turn,
    connections: Vec<Connection>,
    /// Makes no two messages alike.
    random: u64,
    input: Vec<u8>,
    output: Vec<u8>,
    latencies: Latencies,
}

impl Load {
    fn open(port: u16, path: &str, count: u32, turn: Turn) -> Result<Self, Error> {
        allow_descriptors(count.into())?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for index in 0..count {
            let stream = upgraded(numbered(index, port)?, port, path)?;
            let key = epoll::EventData::new_u64(index.into());
            epoll::add(&epoll, &stream, key, epoll::EventFlags::IN)?;
            connections.push(Connection {
                stream,
                pending: Vec::new(),
                messages: vec![0; turn.bytes * turn.at_once],
                echoed: 0,
                sent: Instant::now(),
            });
        }
        Ok(Self {
            epoll,
            turn,
            connections,
            random: 8,
            input: vec![0; READ_BYTES_MAX],
            output: Vec::new(),
            latencies: Latencies::default(),
        })
    }

    /// Sends for `duration`, and returns what came of it as JSON.
    fn run(&mut self, duration: Duration) -> Result<String, Error> {
        let started = Instant::now();
        for index in 0..self.connections.len() {
            self.send(index)?;
        }
        let mut ready = Vec::with_capacity(self.connections.len());
        let mut waiting = self.connections.len();
        while waiting > 0 {
            ready.clear();
            let wait = || epoll::wait(&self.epoll, spare_capacity(&mut ready), Some(&SILENCE_MAX));
            if retry_on_intr(wait)? == 0 {
                return Err(format!("{waiting} connections wait for an echo").into());
            }
            let is_over = started.elapsed() >= duration;
            for event in &ready {
                let index = event.data.u64() as usize;
                if !self.read(index)? {
                    continue;
                }
                if is_over {
                    waiting -= 1;
                } else {
                    self.send(index)?;
                }
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let messages = self.latencies.count() * self.turn.at_once;
        let [p50, p99] = self.latencies.percentiles([50, 99]);
        Ok(format!(
            r#"{{"messages": {messages}, "seconds": {seconds}, "p50_us": {p50}, "p99_us": {p99}}}"#
        ))
    }

    fn send(&mut self, index: usize) -> Result<(), Error> {
        let connection = &mut self.connections[index];
        self.output.clear();
        for message in connection.messages.chunks_mut(self.turn.bytes) {
            self.random = next_random(self.random);
            let bytes = self.random.to_le_bytes();
            for part in message.chunks_mut(bytes.len()) {
                part.copy_from_slice(&bytes[..part.len()]);
            }
            let mask = (self.random >> 7) as u32;
            frame::encode(frame::BINARY, message, mask.to_le_bytes(), &mut self.output);
        }
        connection.echoed = 0;
        connection.sent = Instant::now();
        Ok(connection.stream.write_all(&self.output)?)
    }

    /// Reads once; true when the last echo has come.
    fn read(&mut self, index: usize) -> Result<bool, Error> {
        let Connection { stream, pending, messages, echoed, sent } = &mut self.connections[index];
        let count = match stream.read(&mut self.input) {
            Ok(0) => return Err("the server has closed a connection".into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        pending.extend_from_slice(&self.input[..count]);
        let mut taken = 0;
        while let Some(frame) = Frame::parse(&pending[taken..])? {
            taken += frame.length;
            let expected = messages.get(*echoed..*echoed + self.turn.bytes);
            match frame.opcode {
                frame::PING => {
                    self.output.clear();
                    frame::encode(frame::PONG, frame.payload, [0; 4], &mut self.output);
                    stream.write_all(&self.output)?;
                }
                frame::BINARY if expected == Some(frame.payload) => *echoed += self.turn.bytes,
                opcode => return Err(format!("no echo: {opcode}, {:?}", frame.payload).into()),
            }
        }
        pending.drain(..taken);
        let is_echoed = taken > 0 && *echoed == messages.len();
        if is_echoed {
            self.latencies.push(sent.elapsed());
        }
        Ok(is_echoed)
    }
}

/// Asks for WebSocket and checks the answer (RFC 6455, section 4.1).
fn upgraded(mut stream: TcpStream, port: u16, path: &str) -> Result<TcpStream, Error> {
    stream.set_nonblocking(false)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )?;
    let mut received = Vec::new();
    let head = loop {
        // No more than the head comes before we have sent a message.
        let mut input = [0; 1024];
        let count = stream.read(&mut input)?;
        received.extend_from_slice(&input[..count]);
        match Head::parse(&received)? {
            Some(head) => break head,
            None if count == 0 => return Err("closed before an answer".into()),
            None => {}
        }
    };
    if head.status != 101 || head.field("sec-websocket-accept") != Some(ACCEPT) {
        return Err(format!("{path} is answered with {}, not as a WebSocket", head.status).into());
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Marsaglia's xorshift.
fn next_random(mut value: u64) -> u64 {
    value ^= value << 13;
    value ^= value >> 7;
    value ^ value << 17
}
