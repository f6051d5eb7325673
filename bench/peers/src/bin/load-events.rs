//! `load-events PORT CLIENTS EVENTS-PATH PUBLISH-PATH`: opens event streams, publishes, and checks
//! that every event reaches every client.
//!
//! Prints a line `{"subscribed": CLIENTS}` when all streams are open. Then each line `SECONDS
//! BYTES EVENTS` on its standard input is a piece of load: for so long, and at least so many
//! times, one event after the other is posted with so much data, each when its forerunner has
//! reached all. A line of JSON tells what came of it. The end of the input ends the load.

use std::{
    io::{self, BufRead, ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use peers::{
    Error,
    answer::Head,
    chunked::Dechunker,
    connect::{allow_descriptors, numbered},
    event_stream::EventParser,
    latency::Latencies,
};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
    io::retry_on_intr,
};

const USAGE: &str = "usage: load-events PORT CLIENTS EVENTS-PATH PUBLISH-PATH";
const PUBLISHER: u64 = u64::MAX;
const READ_BYTES_MAX: usize = 64 * 1024;
const READY_MAX: usize = 1024;
/// After so long without a byte from anybody, what has not come counts as missing.
const SILENCE_MAX: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, clients, events, publish] = arguments.as_slice() else { return Err(USAGE.into()) };
    let mut load = Load::open(port.parse()?, clients.parse()?, events, publish)?;
    println!(r#"{{"subscribed": {clients}}}"#);
    for line in io::stdin().lock().lines() {
        let line = line?;
        let [seconds, bytes, events] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err("a piece of load is SECONDS BYTES EVENTS".into());
        };
        let duration = Duration::from_secs(seconds.parse()?);
        println!("{}", load.publish_for(duration, bytes.parse()?, events.parse()?)?);
    }
    Ok(())
}

/// One event stream.
struct Client {
    stream: TcpStream,
    stage: Stage,
}

enum Stage {
    /// The head of the answer, as far as it has come.
    Head(Vec<u8>),
    Events {
        /// None where the stream ends with the connection.
        dechunker: Option<Dechunker>,
        parser: EventParser,
    },
}

struct Publisher {
    port: u16,
    stream: TcpStream,
    head: String,
    /// The answer to the latest event, as far as it has come; None when it is whole.
    answer: Option<Vec<u8>>,
}

struct Load {
    epoll: OwnedFd,
    clients: Vec<Client>,
    publisher: Publisher,
    /// The data of the latest event.
    expected: Vec<u8>,
    input: Vec<u8>,
    ready: Vec<epoll::Event>,
    number: u64,
}

impl Load {
    /// Opens all the streams and waits until each is answered.
    fn open(port: u16, count: u32, events: &str, publish: &str) -> Result<Self, Error> {
        allow_descriptors(u64::from(count) + 1)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let publisher = Publisher::open(port, publish, &epoll)?;
        let mut load = Self {
            epoll,
            clients: Vec::new(),
            publisher,
            expected: Vec::new(),
            input: vec![0; READ_BYTES_MAX],
            ready: Vec::with_capacity(READY_MAX),
            number: 0,
        };
        let request = format!(
            "GET {events} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n"
        );
        for index in 0..count {
            let mut stream = numbered(index, port)?;
            stream.write_all(request.as_bytes())?;
            let key = epoll::EventData::new_u64(u64::from(index));
            epoll::add(&load.epoll, &stream, key, epoll::EventFlags::IN)?;
            load.clients.push(Client { stream, stage: Stage::Head(Vec::new()) });
        }
        load.await_subscribed()?;
        Ok(load)
    }

    fn await_subscribed(&mut self) -> Result<(), Error> {
        let mut waiting = self.clients.len();
        while waiting > 0 {
            if self.wait()? == 0 {
                return Err(format!("{waiting} streams are not answered").into());
            }
            for event in &self.ready {
                let Some(client) = self.clients.get_mut(event.data.u64() as usize) else {
                    return Err("the publisher's connection has ended".into());
                };
                let was_waiting = matches!(client.stage, Stage::Head(_));
                client.read(&mut self.input, |_| Err("an event before one was sent".into()))?;
                if was_waiting && matches!(client.stage, Stage::Events { .. }) {
                    waiting -= 1;
                }
            }
        }
        Ok(())
    }

    /// Publishes for `duration`, `events_min` events at least, and returns what came of it as JSON.
    fn publish_for(
        &mut self,
        duration: Duration,
        bytes: usize,
        events_min: usize,
    ) -> Result<String, Error> {
        self.publisher.connect(&self.epoll)?;
        let started = Instant::now();
        let mut last = Latencies::default();
        let mut missing = 0;
        while missing == 0 && (started.elapsed() < duration || last.count() < events_min) {
            let published = Instant::now();
            self.publish(bytes)?;
            missing = self.await_delivered()?;
            last.push(published.elapsed());
        }
        let seconds = started.elapsed().as_secs_f64();
        let events = last.count();
        let deliveries = events * self.clients.len() - missing;
        let [p50, p99] = last.percentiles([50, 99]);
        Ok(format!(r#"{{"events": {events}, "deliveries": {deliveries}, "missing": {missing}, "#)
            + &format!(r#""seconds": {seconds}, "last_p50_us": {p50}, "last_p99_us": {p99}}}"#))
    }

    /// Sends one event that no client can take for another.
    fn publish(&mut self, bytes: usize) -> Result<(), Error> {
        self.number += 1;
        self.expected = format!("{:.<bytes$}", self.number).into_bytes();
        let Publisher { stream, head, answer, .. } = &mut self.publisher;
        let mut request =
            format!("{head}Content-Length: {}\r\n\r\n", self.expected.len()).into_bytes();
        request.extend_from_slice(&self.expected);
        stream.write_all(&request)?;
        *answer = Some(Vec::new());
        Ok(())
    }

    /// Waits until the event has reached all; returns how many it has not reached.
    fn await_delivered(&mut self) -> Result<usize, Error> {
        let mut missing = self.clients.len();
        while missing > 0 || self.publisher.answer.is_some() {
            if self.wait()? == 0 {
                return match missing {
                    0 => Err("the publisher is not answered".into()),
                    _ => Ok(missing),
                };
            }
            for event in &self.ready {
                if event.data.u64() == PUBLISHER {
                    self.publisher.read(&mut self.input)?;
                    continue;
                }
                let client = &mut self.clients[event.data.u64() as usize];
                client.read(&mut self.input, |data| {
                    if data != self.expected {
                        let data = String::from_utf8_lossy(data);
                        return Err(format!("event {} came as {data:?}", self.number).into());
                    }
                    missing = missing.checked_sub(1).ok_or("an event came twice")?;
                    Ok(())
                })?;
            }
        }
        Ok(0)
    }

    fn wait(&mut self) -> Result<usize, Error> {
        self.ready.clear();
        Ok(retry_on_intr(|| {
            epoll::wait(&self.epoll, spare_capacity(&mut self.ready), Some(&SILENCE_MAX))
        })?)
    }
}

impl Client {
    /// Reads once, and hands the data of each event that has come to `event`.
    fn read(
        &mut self,
        input: &mut [u8],
        mut event: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let count = read_some(&mut self.stream, input)?;
        let mut body = &input[..count];
        let rest;
        if let Stage::Head(received) = &mut self.stage {
            received.extend_from_slice(body);
            let Some(head) = Head::parse(received)? else { return Ok(()) };
            check_stream(&head)?;
            rest = received.split_off(head.length);
            body = &rest;
            let dechunker = head.is_chunked().then(Dechunker::default);
            self.stage = Stage::Events { dechunker, parser: EventParser::default() };
        }
        let Stage::Events { dechunker, parser } = &mut self.stage else { return Ok(()) };
        match dechunker {
            Some(dechunker) => dechunker.feed(body, |piece| parser.feed(piece, &mut event)),
            None => parser.feed(body, event),
        }
    }
}

impl Publisher {
    fn open(port: u16, path: &str, epoll: &OwnedFd) -> Result<Self, Error> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: text/plain\r\n"
        );
        Ok(Self { port, stream: connected(port, epoll)?, head, answer: None })
    }

    /// A new connection: a server may close one that has nothing to do while another server is measured.
    fn connect(&mut self, epoll: &OwnedFd) -> Result<(), Error> {
        self.stream = connected(self.port, epoll)?;
        Ok(())
    }

    fn read(&mut self, input: &mut [u8]) -> Result<(), Error> {
        let count = read_some(&mut self.stream, input)?;
        let answer = self.answer.as_mut().ok_or("an answer to nothing")?;
        answer.extend_from_slice(&input[..count]);
        let Some(head) = Head::parse(answer)? else { return Ok(()) };
        if !(200..300).contains(&head.status) {
            return Err(format!("publishing is answered with {}", head.status).into());
        }
        if answer.len() >= head.length + head.content_length()? {
            self.answer = None;
        }
        Ok(())
    }
}

/// A connection of the publisher's, watched.
fn connected(port: u16, epoll: &OwnedFd) -> Result<TcpStream, Error> {
    let stream = numbered(0, port)?;
    epoll::add(epoll, &stream, epoll::EventData::new_u64(PUBLISHER), epoll::EventFlags::IN)?;
    Ok(stream)
}

fn check_stream(head: &Head) -> Result<(), Error> {
    let kind = head.field("content-type").unwrap_or("no type");
    if head.status != 200 || !kind.starts_with("text/event-stream") {
        return Err(format!("a stream is answered with {} and {kind}", head.status).into());
    }
    Ok(())
}

/// Nought bytes where there is nothing after all; the end of the stream is an error.
fn read_some(stream: &mut TcpStream, input: &mut [u8]) -> Result<usize, Error> {
    match stream.read(input) {
        Ok(0) => Err("the server has closed a connection".into()),
        Ok(count) => Ok(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error.into()),
    }
}
