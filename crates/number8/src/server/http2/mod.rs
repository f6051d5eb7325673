//! HTTP/2 (RFC 9113), by the crate h2: many requests at once on one connection.
//!
//! The protocol reads and writes by way of a [`Pipe`], which counts what costs much and writes what a turn has gathered
//! with one call. Each request becomes the same [`Call`](crate::Call) as over HTTP/1.1, and its answer comes from the same
//! [`Response`](crate::Response). Streams are polled inside the connection's task, each when it was woken.

mod content;
mod data;
mod desk;
mod logged;
mod message;
mod meter;
mod patience;
mod pipe;
mod request;
mod stream;
mod upload;
mod wakes;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use h2::server::{Handshake, SendResponse};
use h2::{Reason, RecvStream};
use number8_proto::Error;
use number8_proto::http2::{Announced, PREFACE};

use super::clock;
use super::connection::Closed;
use super::exchange::Exchange;
use super::options::Options;
use super::shared::{Shared, Stop};
use super::transport::Transport;
use super::worker::{Place, Standing, Turn};
use crate::body::{Body, channel_in};
use crate::caller::Caller;
use data::{Data, Held};
use desk::Desk;
use message::{Scratch, Stamped};
use pipe::{Moved, Pipe, Socket};
use request::Request;
use stream::Stream;
use upload::Upload;
use wakes::{StreamWake, Wakes};

/// Whether a connection begins as one of HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preface {
    /// It does.
    Whole,
    /// It may, if what follows is the rest.
    Begun,
    /// It does not.
    No,
}

/// Looks at the first bytes of a connection.
pub(crate) fn preface(bytes: &[u8]) -> Preface {
    match bytes.len() >= PREFACE.len() {
        true if bytes.starts_with(PREFACE) => Preface::Whole,
        false if PREFACE.starts_with(bytes) && !bytes.is_empty() => Preface::Begun,
        _ => Preface::No,
    }
}

/// A connection that speaks HTTP/2.
pub(crate) struct Http2 {
    link: Link,
    pipe: Arc<Pipe>,
    wakes: Arc<Wakes>,
    waker: Waker,
    peer: Option<SocketAddr>,
    is_secure: bool,
    seats: Vec<Seat>,
    vacant: Vec<usize>,
    /// Streams that wait for something.
    active: usize,
    woken: Vec<usize>,
    scratch: Scratch,
    stamped: Stamped,
    /// Why it ends, once it has been told to.
    ending: Option<Closed>,
    is_stopping: bool,
    since: Since,
    /// Content that the protocol holds, and how much of it had been written when that was last looked at.
    held: Held,
    written: u64,
    /// Heads of answers that the protocol was given since everything was last written.
    heads: usize,
    /// What the client may send on all streams before some is read, with what waits to be read.
    window: u32,
}

/// When something began that must not go on for ever, in milliseconds.
#[derive(Default)]
struct Since {
    /// There is nothing to do and nothing to send.
    idle: Option<u64>,
    /// What there is to send waits for the client, which has taken nothing since.
    blocked: Option<u64>,
    fields: Option<u64>,
    /// The client was told that this is the end.
    told: Option<u64>,
}

enum Link {
    Begun(Pin<Box<Handshake<Socket, Data>>>),
    Open(Box<h2::server::Connection<Socket, Data>>),
}

/// A place for one stream after another.
struct Seat {
    wake: Arc<StreamWake>,
    waker: Waker,
    stream: Option<Box<Stream>>,
}

/// What a connection waits for.
pub(crate) struct Rest {
    pub(crate) deadline_ms: u64,
    pub(crate) standing: Standing,
    /// Bytes that it holds.
    pub(crate) holds: usize,
}

/// How a turn ends.
pub(crate) enum TurnEnd {
    Wait(Rest),
    End(Closed),
}

/// The window of a stream is given back in steps of that part of it.
const WINDOW_STEPS: u32 = 2;

/// The protocol counts the streams that it ends itself over the life of a connection, not by the second: they may be so many
/// times as many as a client may have ended in one.
const FAULTS_PER_RESET: usize = 5;

/// Bytes that the protocol holds of one answer.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes that the head of an answer takes with what the protocol has beside it, until it is written.
const HEAD_BYTES: usize = 2 * 1024;

/// Bytes read, or of content sent, in one turn before other connections get theirs.
const TURN_BYTES: usize = 1024 * 1024;

/// How often a turn looks whether what it has done leads on.
const ROUNDS: u32 = 16;

impl Http2 {
    /// A connection of which these bytes have been read; they begin with the preface.
    pub(crate) fn new(
        io: Arc<dyn Transport>,
        before: &[u8],
        options: &Options,
        peer: Option<SocketAddr>,
        is_secure: bool,
        cx: &mut Context<'_>,
    ) -> Self {
        let limits = options.http2;
        let pipe = Pipe::new(io, limits, before);
        let wakes = Wakes::new(cx.waker().clone());
        let mut builder = h2::server::Builder::new();
        let header_bytes = u32::try_from(options.limits.http.head_bytes_max).unwrap_or(u32::MAX);
        builder
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(header_bytes)
            .initial_window_size(limits.stream_window_bytes.min(WINDOW_MAX))
            .initial_connection_window_size(limits.connection_window_bytes.min(WINDOW_MAX))
            .max_send_buffer_size(SEND_BUFFER_BYTES)
            .max_concurrent_reset_streams(limits.streams_max as usize)
            .max_local_error_reset_streams(Some(FAULTS_PER_RESET * limits.resets_max as usize))
            // Content may still be on its way to a stream that has ended: no fault of the client's.
            .reset_stream_duration(options.timeouts.body)
            .max_pending_accept_reset_streams(limits.resets_max as usize);
        let handshake = builder.handshake(Socket(Arc::clone(&pipe)));
        Self {
            link: Link::Begun(Box::pin(handshake)),
            pipe,
            waker: Arc::clone(&wakes).into(),
            wakes,
            peer,
            is_secure,
            seats: Vec::new(),
            vacant: Vec::new(),
            active: 0,
            woken: Vec::new(),
            scratch: Scratch::default(),
            stamped: Stamped::default(),
            ending: None,
            is_stopping: false,
            since: Since::default(),
            held: Held::default(),
            written: 0,
            heads: 0,
            window: limits.connection_window_bytes.min(WINDOW_MAX),
        }
    }

    /// Does what there is to do.
    pub(crate) fn run(&mut self, turn: &Turn, place: &Place) -> TurnEnd {
        self.wakes.begin();
        self.pipe.begin(TURN_BYTES);
        let mut stamped = std::mem::take(&mut self.stamped);
        let mut desk = Desk {
            turn,
            worker: &place.worker,
            stamped: &mut stamped,
            held: self.held.clone(),
            streams: self.active,
            given: 0,
            heads: 0,
            frames: 0,
            resets: 0,
        };
        let result = self.turn(&mut desk, place);
        if result.is_err() {
            let streams = self.seats.iter_mut().filter_map(|seat| seat.stream.as_mut());
            streams.for_each(|stream| stream.left(&desk));
        }
        self.stamped = stamped;
        match result {
            Ok(rest) => TurnEnd::Wait(rest),
            Err(closed) => TurnEnd::End(closed),
        }
    }

    fn turn(&mut self, desk: &mut Desk<'_>, place: &Place) -> Result<Rest, Closed> {
        self.look_at_clock(desk, place)?;
        let waker = self.waker.clone();
        let cx = &mut Context::from_waker(&waker);
        // Whatever woke the task, the protocol may have something to do.
        let mut is_woken = true;
        let (mut rounds, mut given) = (0, 0);
        let moved = loop {
            if std::mem::take(&mut is_woken) | self.wakes.take_connection() {
                self.drive(desk, cx)?;
            }
            self.run_streams(desk);
            given += self.note_costs(desk);
            rounds += 1;
            // What this has led to may lead on for ever, with a client that takes content as fast as it is made.
            if self.pipe.is_spent() || given >= TURN_BYTES || rounds == ROUNDS {
                let moved = self.pipe.end(cx).map_err(|error| Closed::Broken(error.kind()))?;
                self.wakes.pause();
                break moved;
            }
            if !self.wakes.may_wait() {
                continue;
            }
            let moved = self.pipe.end(cx).map_err(|error| Closed::Broken(error.kind()))?;
            if let Some(code) = moved.fault
                && self.ending.is_none()
            {
                self.tell(Reason::from(code), Closed::Protocol(code));
                self.wakes.begin();
                is_woken = true;
                continue;
            }
            break moved;
        };
        Ok(self.rest(desk, &moved))
    }

    /// Looks at what must not go on for ever.
    fn look_at_clock(&mut self, desk: &Desk<'_>, place: &Place) -> Result<(), Closed> {
        let (now_ms, shared) = (desk.turn.ms, &desk.turn.current.shared);
        let timeouts = &shared.options.timeouts;
        let has_passed = |since: Option<u64>, time| {
            since.is_some_and(|since| since + clock::millis(time) <= now_ms)
        };
        if has_passed(self.since.blocked, timeouts.write) {
            return Err(Closed::WriteTimeout);
        }
        if let Some(closed) = self.ending
            && has_passed(self.since.told, timeouts.write)
        {
            return Err(closed);
        }
        if shared.stop() != Stop::No && !self.is_stopping {
            self.is_stopping = true;
            self.since.idle = Some(now_ms);
            if let Link::Open(connection) = &mut self.link {
                connection.graceful_shutdown();
            }
            // Those that listen have to look.
            let streams = self.seats.iter().filter(|seat| seat.stream.is_some());
            streams.for_each(|seat| seat.waker.wake_by_ref());
        }
        let idle = if self.is_stopping { timeouts.linger } else { timeouts.idle };
        if self.ending.is_some() {
        } else if has_passed(self.since.fields, timeouts.head) {
            self.tell(Reason::ENHANCE_YOUR_CALM, Closed::HeadTimeout);
        } else if self.is_at_rest() && place.entry.is_evicted() {
            self.tell(Reason::NO_ERROR, Closed::Evicted);
        } else if self.is_at_rest() && has_passed(self.since.idle, idle) {
            let closed = if self.is_stopping { Closed::Stopping } else { Closed::Idle };
            self.tell(Reason::NO_ERROR, closed);
        }
        let overdue = self.seats.iter().filter(|seat| {
            seat.stream.as_ref().is_some_and(|stream| stream.deadline_ms() <= now_ms)
        });
        overdue.for_each(|seat| seat.waker.wake_by_ref());
        Ok(())
    }

    /// Whether nothing is asked and, at the end of the last turn, everything was sent.
    fn is_at_rest(&self) -> bool {
        self.active == 0 && self.since.blocked.is_none()
    }

    /// Ends the connection with a GOAWAY frame.
    fn tell(&mut self, reason: Reason, closed: Closed) {
        self.ending.get_or_insert(closed);
        if let Link::Open(connection) = &mut self.link {
            connection.abrupt_shutdown(reason);
        }
    }

    /// Lets the protocol read and write, and begins what has been asked.
    fn drive(&mut self, desk: &mut Desk<'_>, cx: &mut Context<'_>) -> Result<(), Closed> {
        if let Link::Begun(handshake) = &mut self.link {
            match handshake.as_mut().poll(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(mut connection)) => {
                    if self.is_stopping {
                        connection.graceful_shutdown();
                    }
                    self.link = Link::Open(Box::new(connection));
                }
                Poll::Ready(Err(error)) => return Err(self.closed_by(&error)),
            }
            if let Some(closed) = self.ending {
                // It was to end before it had begun.
                return Err(closed);
            }
        }
        loop {
            let Link::Open(connection) = &mut self.link else { return Ok(()) };
            match connection.poll_accept(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Some(Ok((request, respond)))) => self.accept(desk, request, respond),
                Poll::Ready(Some(Err(error))) => return Err(self.closed_by(&error)),
                Poll::Ready(None) => {
                    let default =
                        if self.is_stopping { Closed::Stopping } else { Closed::ByClient };
                    return Err(self.ending.unwrap_or(default));
                }
            }
        }
    }

    fn closed_by(&self, error: &h2::Error) -> Closed {
        if let Some(closed) = self.ending {
            return closed;
        }
        match (error.get_io(), error.reason()) {
            (Some(error), _) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Closed::ByClient
            }
            (Some(error), _) => Closed::Broken(error.kind()),
            (None, Some(reason)) if !error.is_remote() => Closed::Protocol(reason.into()),
            (None, _) => Closed::ByClient,
        }
    }

    /// Begins to answer a request.
    fn accept(
        &mut self,
        desk: &mut Desk<'_>,
        request: http::Request<RecvStream>,
        respond: SendResponse<Data>,
    ) {
        // Many are answered before the turn ends.
        self.since.idle = None;
        let current = &desk.turn.current;
        let (shared, turn) = (&current.shared, desk.turn);
        let exchange = match shared.app_id() == current.app.id() {
            true => Exchange::begin(turn),
            // Replaced during this turn.
            false => Exchange::of(shared.app(), turn),
        };
        let is_head = request.method() == http::Method::HEAD;
        let caller = Caller { is_secure: self.is_secure, ..Caller::new(self.peer) };
        let asked = Request::new(exchange.kept(), caller, respond, is_head);
        let seat = self.take_seat();
        let waker = self.seats[seat].waker.clone();
        let cx = &mut Context::from_waker(&waker);
        let scratch = &mut self.scratch;
        let stream = match scratch.read(&request, &shared.options.limits.http) {
            Err(error) if is_malformed(error) => {
                asked.reset(desk);
                None
            }
            Err(error) => {
                asked.refuse(desk, scratch.read_line(&request).as_ref(), error, cx);
                None
            }
            Ok(announced) => begin(desk, asked, scratch, announced, request.into_body(), cx),
        };
        match stream {
            None => self.vacant.push(seat),
            Some(stream) => {
                self.seats[seat].stream = Some(Box::new(stream));
                self.active += 1;
            }
        }
    }

    fn take_seat(&mut self) -> usize {
        if let Some(seat) = self.vacant.pop() {
            return seat;
        }
        let wake = StreamWake::new(self.seats.len(), &self.wakes);
        self.seats.push(Seat { waker: Arc::clone(&wake).into(), wake, stream: None });
        self.seats.len() - 1
    }

    /// Goes on with the streams that were woken.
    fn run_streams(&mut self, desk: &mut Desk<'_>) {
        let mut woken = std::mem::take(&mut self.woken);
        self.wakes.take_streams(&mut woken);
        for &index in &woken {
            let Some(seat) = self.seats.get_mut(index) else { continue };
            seat.wake.begin();
            let Some(stream) = &mut seat.stream else { continue };
            if stream.poll(desk, &mut Context::from_waker(&seat.waker)).is_ready() {
                seat.stream = None;
                self.vacant.push(index);
                self.active -= 1;
                self.since.idle = None;
            }
        }
        self.woken = woken;
    }

    /// Returns how many bytes of content were handed to the protocol.
    fn note_costs(&mut self, desk: &mut Desk<'_>) -> usize {
        let (frames, resets) = (std::mem::take(&mut desk.frames), std::mem::take(&mut desk.resets));
        if frames > 0 || resets > 0 {
            self.pipe.note(frames, resets);
        }
        self.heads += std::mem::take(&mut desk.heads);
        std::mem::take(&mut desk.given)
    }

    /// What the connection waits for, after a turn.
    fn rest(&mut self, desk: &Desk<'_>, moved: &Moved) -> Rest {
        let (now_ms, shared) = (desk.turn.ms, &desk.turn.current.shared);
        let timeouts = &shared.options.timeouts;
        // A client that makes its windows smaller keeps content from being written where the connection would take it.
        let has_written = std::mem::replace(&mut self.written, self.held.written()) != self.written;
        if !moved.is_blocked && self.held.waiting() == 0 {
            self.since.blocked = None;
            self.heads = 0;
        } else if has_written || (moved.is_blocked && moved.has_moved) {
            self.since.blocked = Some(now_ms);
        } else {
            self.since.blocked.get_or_insert(now_ms);
        }
        if !moved.in_fields {
            self.since.fields = None;
        } else if self.since.fields.is_none() {
            self.since.fields = Some(now_ms);
        }
        if self.ending.is_some() {
            self.since.told.get_or_insert(now_ms);
        }
        let is_at_rest = self.is_at_rest();
        self.since.idle = is_at_rest.then(|| self.since.idle.unwrap_or(now_ms));
        let idle = if self.is_stopping { timeouts.linger } else { timeouts.idle };
        let after =
            |since: Option<u64>, time| since.map_or(u64::MAX, |at| at + clock::millis(time));
        let mut rest = Rest {
            deadline_ms: after(self.since.blocked, timeouts.write)
                .min(after(self.since.told, timeouts.write))
                .min(after(self.since.fields, timeouts.head))
                .min(after(self.since.idle, idle)),
            standing: if is_at_rest { Standing::Idle } else { Standing::Busy },
            holds: moved.queued + self.held.bytes(),
        };
        // There are no more than streams, which end for the protocol once their answers are written.
        let heads = self.heads.min(shared.options.http2.streams_max as usize);
        rest.holds += heads * HEAD_BYTES;
        let mut owed = 0;
        for stream in self.seats.iter().filter_map(|seat| seat.stream.as_ref()) {
            rest.deadline_ms = rest.deadline_ms.min(stream.deadline_ms());
            rest.holds += stream.held();
            owed += stream.owed();
        }
        if !self.open_window(shared, owed) {
            rest.deadline_ms = rest.deadline_ms.min(now_ms + WINDOW_AGAIN_MS);
        }
        rest
    }
}

impl Http2 {
    /// Content that nobody reads yet takes no room from what is read, while there is memory for both: its own stream's window
    /// holds it up. Returns whether there is.
    fn open_window(&mut self, shared: &Shared, owed: usize) -> bool {
        let Link::Open(connection) = &mut self.link else { return true };
        let more = u32::try_from(owed).unwrap_or(WINDOW_MAX);
        let window = shared.options.http2.connection_window_bytes.saturating_add(more);
        let window = window.min(WINDOW_MAX);
        let may_be = window <= self.window || shared.has_room();
        if may_be && window != self.window {
            connection.set_target_window_size(window);
            self.window = window;
        }
        may_be
    }
}

/// Begins to answer a request that could be read; a stream where the answer is not complete then.
fn begin(
    desk: &mut Desk<'_>,
    mut asked: Request,
    scratch: &mut Scratch,
    announced: Announced,
    content: RecvStream,
    cx: &mut Context<'_>,
) -> Option<Stream> {
    let shared = &desk.turn.current.shared;
    asked.dump(&scratch.bytes);
    let unasked = asked.unasked(desk, &mut scratch.parser, &scratch.bytes);
    let head = scratch.parser.head(&scratch.bytes);
    if let Some(answer) = unasked {
        return Stream::begin_with(asked, desk, &head, answer, cx);
    }
    if content.is_end_stream() {
        return Stream::begin(asked, desk, &head, Body::empty(), cx);
    }
    let window = shared.options.http2.stream_window_bytes / WINDOW_STEPS;
    let limit = shared.options.limits.body_bytes_max;
    let (feeder, incoming) =
        channel_in(cx.waker().clone(), announced.length, limit, window as usize);
    asked.expect_content(Upload::new(content, feeder), announced.expect_continue);
    Stream::begin(asked, desk, &head, Body::incoming(incoming), cx)
}

/// What RFC 9113 §8.1.1 calls malformed; everything else is answered.
fn is_malformed(error: Error) -> bool {
    matches!(
        error,
        Error::RequestLine
            | Error::Target
            | Error::FieldName
            | Error::FieldValue
            | Error::ConnectionField
    )
}

/// When it is looked again whether there is memory, in milliseconds.
const WINDOW_AGAIN_MS: u64 = 250;

/// The largest window (RFC 9113 §6.9.1).
const WINDOW_MAX: u32 = (1 << 31) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_known_byte_by_byte() {
        for length in 1..PREFACE.len() {
            assert_eq!(preface(&PREFACE[..length]), Preface::Begun);
            let mut other = PREFACE[..length].to_vec();
            other[length - 1] ^= 1;
            assert_eq!(preface(&other), Preface::No);
        }
        assert_eq!(preface(PREFACE), Preface::Whole);
        assert_eq!(preface(&[&PREFACE[..], b"more"].concat()), Preface::Whole);
        assert_eq!(preface(b""), Preface::No);
        assert_eq!(preface(b"GET / HTTP/1.1\r\n\r\n and more"), Preface::No);
    }
}
