//! `load-rate PORT SECONDS RATE:PATH…`: asks for each PATH so many times a second, whether or not
//! the answers keep up: each request has a time when it is due, and a connection of its own if all
//! are busy. A line of JSON for each PATH tells how long the answers took from that time on.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use peers::{
    Error,
    answer::Head,
    connect::{allow_descriptors, numbered},
    latency::Latencies,
};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
    io::retry_on_intr,
};

const USAGE: &str = "usage: load-rate PORT SECONDS RATE:PATH...";
/// A server that falls so far behind is not measured but stopped.
const CONNECTIONS_MAX: usize = 4096;
const READY_MAX: usize = 256;
/// After the last request is due, its answer may take so long.
const REST_MAX: Duration = Duration::from_secs(10);

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, seconds, streams @ ..] = arguments.as_slice() else { return Err(USAGE.into()) };
    let port = port.parse()?;
    let streams = streams
        .iter()
        .map(|stream| Stream::new(stream, port))
        .collect::<Result<Vec<_>, Error>>()?;
    let mut load = Load::new(port, streams)?;
    load.run(Duration::from_secs(seconds.parse()?))?;
    for stream in &mut load.streams {
        let [p50, p99, max] = stream.latencies.percentiles([50, 99, 100]);
        println!(
            r#"{{"path": {:?}, "answers": {}, "p50_us": {p50}, "p99_us": {p99}, "max_us": {max}}}"#,
            stream.path,
            stream.latencies.count()
        );
    }
    Ok(())
}

/// The requests for one path.
struct Stream {
    path: String,
    request: Vec<u8>,
    interval: Duration,
    sent: u32,
    latencies: Latencies,
}

struct Connection {
    socket: TcpStream,
    stream: usize,
    due: Instant,
    received: Vec<u8>,
}

struct Load {
    port: u16,
    epoll: OwnedFd,
    streams: Vec<Stream>,
    connections: Vec<Connection>,
    idle: Vec<usize>,
}

impl Stream {
    fn new(text: &str, port: u16) -> Result<Self, Error> {
        let (rate, path) = text.split_once(':').ok_or(USAGE)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        Ok(Self {
            path: path.to_owned(),
            request: request.into_bytes(),
            interval: Duration::from_secs(1) / rate.parse::<u32>()?,
            sent: 0,
            latencies: Latencies::default(),
        })
    }
}

impl Load {
    fn new(port: u16, streams: Vec<Stream>) -> Result<Self, Error> {
        allow_descriptors(CONNECTIONS_MAX as u64)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { port, epoll, streams, connections: Vec::new(), idle: Vec::new() })
    }

    fn run(&mut self, duration: Duration) -> Result<(), Error> {
        let started = Instant::now();
        let end = started + duration;
        let mut ready = Vec::with_capacity(READY_MAX);
        loop {
            let next_due = self.send_due(started, end)?;
            if next_due.is_none() && self.idle.len() == self.connections.len() {
                return Ok(());
            }
            let until = next_due.unwrap_or(end + REST_MAX);
            let timeout = Timespec::try_from(until.saturating_duration_since(Instant::now()))?;
            ready.clear();
            retry_on_intr(|| epoll::wait(&self.epoll, spare_capacity(&mut ready), Some(&timeout)))?;
            if ready.is_empty() && next_due.is_none() {
                let waiting = self.connections.len() - self.idle.len();
                return Err(format!("{waiting} requests are not answered").into());
            }
            for event in &ready {
                self.read(event.data.u64() as usize)?;
            }
        }
    }

    /// Sends what is due, and says when the next request is; none is after `end`.
    fn send_due(&mut self, started: Instant, end: Instant) -> Result<Option<Instant>, Error> {
        let mut next = None;
        for index in 0..self.streams.len() {
            loop {
                let stream = &mut self.streams[index];
                let due = started + stream.interval * stream.sent;
                if due >= end {
                    break;
                }
                if due > Instant::now() {
                    next = Some(next.map_or(due, |next: Instant| next.min(due)));
                    break;
                }
                stream.sent += 1;
                self.send(index, due)?;
            }
        }
        Ok(next)
    }

    fn send(&mut self, stream: usize, due: Instant) -> Result<(), Error> {
        let index = match self.idle.pop() {
            Some(index) => index,
            None => self.open()?,
        };
        let connection = &mut self.connections[index];
        (connection.stream, connection.due) = (stream, due);
        Ok(connection.socket.write_all(&self.streams[stream].request)?)
    }

    fn open(&mut self) -> Result<usize, Error> {
        let index = self.connections.len();
        if index == CONNECTIONS_MAX {
            return Err(format!("{index} requests wait for an answer").into());
        }
        let socket = numbered(index as u32, self.port)?;
        let key = epoll::EventData::new_u64(index as u64);
        epoll::add(&self.epoll, &socket, key, epoll::EventFlags::IN)?;
        let due = Instant::now();
        self.connections.push(Connection { socket, stream: 0, due, received: Vec::new() });
        Ok(index)
    }

    fn read(&mut self, index: usize) -> Result<(), Error> {
        let Connection { socket, stream, due, received } = &mut self.connections[index];
        let mut input = [0; 4096];
        match socket.read(&mut input) {
            Ok(0) => return Err("the server has closed a connection".into()),
            Ok(count) => received.extend_from_slice(&input[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let Some(head) = Head::parse(received)? else { return Ok(()) };
        let stream = &mut self.streams[*stream];
        if head.status != 200 {
            return Err(format!("{} is answered with {}", stream.path, head.status).into());
        }
        if received.len() < head.length + head.content_length()? {
            return Ok(());
        }
        stream.latencies.push(due.elapsed());
        received.clear();
        self.idle.push(index);
        Ok(())
    }
}
