//! One connection: a task that turns what a client sends into requests, and answers into what it gets.
//!
//! ```text
//!            ┌────────────── next request ◀─────────────┐
//!            ▼                                          │
//!  Receive ──head──▶ Handle ──answer──▶ Stream ──end──▶ Flush ──▶ Drain
//!                       └──── answer with a known body ──▲ │
//!                                                          └──close──▶ Linger ──▶ end
//! ```
//!
//! The task is one hand-written future, so that it stays small while nothing happens: an idle connection
//! holds no buffer and no allocation of its own, one that waits for its answer only the head of the request. What a client sends is read into a buffer borrowed from
//! the worker; every complete request in it is answered; then everything is written with one call.

mod announced;
mod closed;
mod closing;
mod exchange;
mod feed;
mod gathering;
mod input;
mod listen;
mod multiplex;
mod output;
mod secure;
mod session;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use number8_proto::http1::{Conn, Event, HeadParser};
use number8_proto::{CloseReason, Error};

use super::clock;
use super::http2::Http2;
use super::shared::Stop;
use super::transport::{Security, Transport};
use super::worker::{Current, Place, Standing};
use crate::caller::Caller;
pub use closed::Closed;
use exchange::Exchange;
#[cfg_attr(not(feature = "http2"), allow(unused_imports, reason = "HTTP/2 needs it, too"))]
pub(super) use exchange::dump;
use input::Input;
use listen::Listener;
use output::Output;
#[cfg_attr(not(feature = "http2"), allow(unused_imports, reason = "HTTP/2 needs it, too"))]
pub(super) use output::poll_warm;
use session::Conversation;

/// Answers are gathered up to this size before they are written.
const BATCH_BYTES: usize = 64 * 1024;

/// Received bytes that a connection takes out of its buffer while its answer is made; with more it keeps the buffer.
const ASIDE_BYTES: usize = 4 * 1024;

/// Bytes moved in one turn before other connections get theirs.
const TURN_BYTES: u64 = 1024 * 1024;

/// What a connection holds while it has something to do.
#[derive(Debug, Default)]
pub(crate) struct Work {
    input: Input,
    parser: HeadParser,
    output: Output,
}

/// What a connection holds.
#[derive(Debug)]
enum Held {
    /// Nothing: it is idle.
    Nothing,
    /// What was received and is still needed, in no more memory than that takes.
    Aside(Box<Aside>),
    /// Buffers.
    Work(Box<Work>),
}

/// The beginning of a head; or the head of a request that is being answered, and what has come after it.
#[derive(Debug)]
struct Aside {
    bytes: Vec<u8>,
    /// How many of the bytes are a whole head.
    head: usize,
    parser: HeadParser,
}

/// What happens next.
enum Phase {
    /// Wait for what a balancer says of its client.
    Announced,
    /// Agree on TLS.
    Handshake,
    /// Wait for a head.
    Receive,
    /// An answer is being made, or its content is.
    Exchange(Box<Exchange>),
    /// What is sent to many goes out here too.
    Listen(Box<Listener>),
    /// Another protocol has taken over.
    Session(Box<Conversation>),
    /// The client speaks HTTP/2.
    Multiplex(Box<Http2>),
    /// Send what is there, then go on as the protocol says.
    Flush,
    /// Drop the rest of a body, so many more bytes at most.
    Drain(u64),
    /// Everything is sent and the sending side closed: drop so many more bytes, until the client closes.
    Linger(u64),
}

/// What the deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Nothing,
    Handshake,
    FirstByte,
    Idle,
    Head,
    Body,
    Write,
    Session,
    Heartbeat,
    Streams,
    Linger,
}

/// What stays the same while a connection runs until it has to wait: found out once, however many
/// requests came together.
pub(super) struct Turn {
    /// The server, its app, and what every answer of this second has.
    pub(super) current: Arc<Current>,
    /// Milliseconds on the clock of deadlines.
    pub(super) ms: u64,
    /// When it began, where the log tells how long requests take.
    pub(super) begun: Option<Instant>,
}

impl Turn {
    fn new(current: Arc<Current>) -> Self {
        let is_timed = current.shared.options.metrics || current.app.is_timed();
        Self { ms: clock::monotonic_ms(), begun: is_timed.then(Instant::now), current }
    }
}

/// Whether a step leads on.
enum Flow {
    Again,
    Wait,
    End,
}

/// One connection; a future that ends when the connection does.
pub(crate) struct Connection {
    /// Shared with the protocol of [`Phase::Multiplex`] alone.
    io: Arc<dyn Transport>,
    peer: Option<SocketAddr>,
    /// Nothing has been received that HTTP/2 does not begin with.
    may_be_http2: bool,
    /// Whether others can listen in, as far as is known yet.
    security: Security,
    /// Who sent the request that is being answered.
    caller: Caller,
    conn: Conn,
    held: Held,
    phase: Phase,
    wait: Wait,
    /// Why it ends, once that is known.
    closed: Option<Closed>,
    /// Bytes that may still be moved in this turn.
    budget: u64,
    /// All that has come was read in this turn: the next try is worth nothing before there is more.
    drained: bool,
    /// Bytes counted in `Shared::buffered`.
    counted: usize,
    /// Bytes of content of the request that is being answered.
    received: u64,
    /// Of those, what belongs to the streams of HTTP/2.
    held_by_streams: usize,
    /// What is to be logged when everything has been sent.
    unlogged: Option<Box<Unlogged>>,
    /// The last field, so that the connection counts until its socket is closed.
    place: Place,
}

/// An answer that is being sent.
struct Unlogged {
    status: u16,
    /// Bytes of content.
    bytes: u64,
    since: Option<Instant>,
    /// The end of the connection is all that tells the client where the content ends.
    until_close: bool,
}

impl Connection {
    /// A new connection. One that is not admitted is told so and closed.
    pub(crate) fn new(io: Arc<dyn Transport>, place: Place, peer: Option<SocketAddr>) -> Self {
        let mut connection = Self {
            security: io.security(),
            io,
            peer,
            may_be_http2: place.worker.shared.options.http2.is_on,
            caller: Caller::new(peer),
            conn: Conn::new(),
            held: Held::Nothing,
            phase: Phase::Receive,
            wait: Wait::Nothing,
            closed: None,
            budget: 0,
            drained: false,
            counted: 0,
            received: 0,
            held_by_streams: 0,
            unlogged: None,
            place,
        };
        if connection.place.is_admitted() {
            let expects_header = connection.place.worker.shared.app().expects_header(peer);
            connection.phase = match expects_header {
                true => Phase::Announced,
                false => connection.beginning(),
            };
            let timeouts = &connection.place.worker.shared.options.timeouts;
            let (wait, time) = match connection.phase {
                Phase::Handshake => (Wait::Handshake, timeouts.handshake),
                _ => (Wait::FirstByte, timeouts.first_byte),
            };
            connection.wait_for(wait, clock::monotonic_ms() + clock::millis(time));
        } else if connection.security == Security::Expected {
            // A client that waits for TLS would not understand, and to speak TLS with so many costs too much.
            connection.closed = Some(Closed::TooMany);
            connection.phase = Phase::Linger(0);
            let linger = clock::millis(connection.place.worker.shared.options.timeouts.linger);
            connection.wait_for(Wait::Linger, clock::monotonic_ms() + linger);
        } else {
            let (current, mut work) = connection.place.worker.begin();
            let turn = Turn::new(current);
            connection.closed = Some(Closed::TooMany);
            connection.refuse(&turn, &mut work, 503, "too many connections");
            connection.held = Held::Work(work);
        }
        connection
    }

    /// The first reason to close is the one.
    fn note(&mut self, closed: Closed) {
        self.closed.get_or_insert(closed);
    }

    fn wait_for(&mut self, wait: Wait, until_ms: u64) {
        self.wait = wait;
        let standing = match wait {
            Wait::Idle | Wait::FirstByte => Standing::Idle,
            Wait::Head | Wait::Handshake => Standing::Beginning,
            _ => Standing::Busy,
        };
        self.place.entry.set_deadline(until_ms, standing);
    }

    fn wait_for_nothing(&mut self) {
        if self.wait != Wait::Nothing {
            self.wait_for(Wait::Nothing, u64::MAX);
        }
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (current, mut work) = self.take_up();
        let turn = &Turn::new(current);
        self.budget = TURN_BYTES;
        self.drained = false;
        let end = if turn.current.shared.stop() == Stop::Now {
            self.note(Closed::Cut);
            Poll::Ready(())
        } else if self.is_overdue(turn) && !self.deadline_passed(turn, &mut work) {
            Poll::Ready(())
        } else {
            self.steps(turn, &mut work, cx)
        };
        if end.is_ready() {
            self.ended(turn, &work);
        }
        self.put_away(work, end.is_ready());
        end
    }

    fn steps(&mut self, turn: &Turn, work: &mut Work, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.budget == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let flow = match self.phase {
                Phase::Announced => self.announced(turn, work, cx),
                Phase::Handshake => Ok(self.handshake(turn, work, cx)),
                Phase::Receive => self.receive(turn, work, cx),
                Phase::Exchange(_) => self.exchange(turn, work, cx),
                Phase::Listen(_) => self.listen(turn, work, cx),
                Phase::Session(_) => self.session(turn, work, cx),
                Phase::Multiplex(_) => self.multiplex(turn, work),
                Phase::Flush => self.flush(turn, work, cx),
                Phase::Drain(left) => self.drain(turn, work, left, cx),
                Phase::Linger(left) => self.linger(work, left, cx),
            };
            match flow {
                Ok(Flow::Again) => {}
                Ok(Flow::Wait) => return Poll::Pending,
                Ok(Flow::End) => return Poll::Ready(()),
                // A broken connection has nobody to tell.
                Err(error) => {
                    self.note(Closed::Broken(error.kind()));
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Takes buffers, with what was put away.
    fn take_up(&mut self) -> (Arc<Current>, Box<Work>) {
        let worker = &self.place.worker;
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Work(work) => (worker.current(), work),
            Held::Nothing => worker.begin(),
            Held::Aside(aside) => {
                let (current, mut work) = worker.begin();
                work.input.restore(&aside.bytes, aside.head);
                work.parser = aside.parser;
                (current, work)
            }
        }
    }

    fn is_overdue(&self, turn: &Turn) -> bool {
        self.wait != Wait::Nothing && self.place.entry.has_passed(turn.ms)
    }

    /// A deadline has passed; false when that is the end of the connection.
    fn deadline_passed(&mut self, turn: &Turn, work: &mut Work) -> bool {
        match self.wait {
            // Whether a request has come in the meantime is seen when reading.
            Wait::Nothing | Wait::Handshake | Wait::FirstByte | Wait::Idle => true,
            // Something is to be sent, or the session asked to be woken.
            Wait::Heartbeat | Wait::Session | Wait::Streams => true,
            Wait::Linger => {
                self.note(Closed::Answered(CloseReason::BodyUnread));
                // The rest of a body that nobody read does not come: the client learns that the connection ends.
                matches!(self.phase, Phase::Drain(_))
                    && matches!(self.close(turn, work), Flow::Again)
            }
            Wait::Write => {
                self.note(Closed::WriteTimeout);
                // What the system still holds for the client would stay until it gives up by itself.
                self.io.reset_on_drop();
                false
            }
            Wait::Head => {
                self.note(Closed::HeadTimeout);
                self.refuse(turn, work, 408, "the request head came too slowly");
                true
            }
            Wait::Body => {
                self.note(Closed::BodyTimeout);
                self.body_timed_out(turn, work)
            }
        }
    }

    /// Gives buffers back or keeps what of them is needed.
    fn put_away(&mut self, mut work: Box<Work>, is_end: bool) {
        let is_receiving = matches!(
            self.phase,
            Phase::Announced
                | Phase::Handshake
                | Phase::Receive
                | Phase::Listen(_)
                | Phase::Session(_)
                | Phase::Multiplex(_)
                | Phase::Linger(_)
                | Phase::Drain(_)
        );
        let unread = work.input.unread();
        let head = if is_receiving { b"" } else { work.input.head() };
        // Many may wait for their answers at once, so these give the buffers back, too.
        let is_little = is_receiving || head.len() + unread.len() <= ASIDE_BYTES;
        if is_end || (is_little && work.output.is_empty()) {
            let is_needed = !head.is_empty() || !unread.is_empty();
            if is_needed && !is_end {
                let (bytes, head) = ([head, unread].concat(), head.len());
                // A copy: the one that stays with the buffers keeps its memory, too.
                let parser = work.parser.clone();
                self.held = Held::Aside(Box::new(Aside { bytes, head, parser }));
            }
            // SECURITY: the next to use these buffers is another client.
            work.parser.reset();
            work.output.clear();
            if work.input.is_large() {
                work.input = Input::default();
            } else {
                work.input.clear();
            }
            self.place.worker.give_back(work);
        } else {
            if self.is_sending() {
                // That takes as long as the client likes.
                work.input.compact();
            }
            self.held = Held::Work(work);
        }
        let holds = match &self.held {
            Held::Nothing => 0,
            Held::Aside(aside) => aside.bytes.len(),
            Held::Work(work) => {
                work.input.head().len() + work.input.unread().len() + work.output.held()
            }
        };
        let holds = holds + self.held_in_queues() + self.held_by_streams + self.io.held();
        if holds != self.counted {
            self.place.worker.shared.holds(self.counted, holds);
            self.counted = holds;
        }
    }

    /// Takes requests from the input, answers them, and reads when there is none.
    fn receive(&mut self, turn: &Turn, work: &mut Work, cx: &mut Context<'_>) -> io::Result<Flow> {
        let shared = &turn.current.shared;
        let options = &shared.options;
        if !work.input.unread().is_empty() {
            if shared.app_id() != turn.current.app.id() {
                // Replaced during this turn: this request is for the new app, which the next turn has.
                cx.waker().wake_by_ref();
                return Ok(Flow::Wait);
            }
            let received = match self.may_be_http2 && self.begins_http2(turn, work, cx) {
                true if work.input.unread().is_empty() => return Ok(Flow::Again),
                true => Ok((0, Event::NeedMore)),
                false => {
                    self.conn.receive(&mut work.parser, work.input.unread(), &options.limits.http)
                }
            };
            match received {
                Ok((length, Event::Head(_))) => {
                    work.input.keep_head(length);
                    self.wait_for_nothing();
                    return Ok(self.dispatch(turn, work, cx));
                }
                Ok(_) => {
                    if self.wait != Wait::Head {
                        self.wait_for(Wait::Head, turn.ms + clock::millis(options.timeouts.head));
                    }
                }
                Err(error) => {
                    self.fault(turn, work, error);
                    return Ok(Flow::Again);
                }
            }
        }
        if !work.output.is_empty() {
            self.phase = Phase::Flush;
            return Ok(Flow::Again);
        }
        let is_between = work.input.unread().is_empty();
        Ok(match self.read(work, cx)? {
            Read::Bytes => Flow::Again,
            Read::Nothing if is_between => self.between(turn, work),
            Read::Nothing if self.place.entry.is_evicted() => {
                self.note(Closed::Evicted);
                Flow::End
            }
            Read::Nothing => Flow::Wait,
            Read::End => match self.conn.receive_eof(!is_between) {
                Some(error) => {
                    self.fault(turn, work, error);
                    Flow::Again
                }
                None => {
                    self.note(Closed::ByClient);
                    Flow::End
                }
            },
        })
    }

    /// There is no request, and not a part of one: waits for it, unless that has gone on for too long or the
    /// server wants to end.
    fn between(&mut self, turn: &Turn, work: &mut Work) -> Flow {
        let shared = &turn.current.shared;
        let timeouts = &shared.options.timeouts;
        if self.place.entry.is_evicted() {
            self.note(Closed::Evicted);
            return Flow::End;
        }
        match (shared.stop(), self.wait) {
            (Stop::No, Wait::FirstByte) if self.is_overdue(turn) => {
                self.note(Closed::FirstByteTimeout);
                Flow::End
            }
            (Stop::No, Wait::Idle) if self.is_overdue(turn) => {
                self.note(Closed::Idle);
                self.close(turn, work)
            }
            (Stop::No, Wait::FirstByte | Wait::Idle) => Flow::Wait,
            (Stop::No, _) => {
                self.wait_for(Wait::Idle, turn.ms + clock::millis(timeouts.idle));
                Flow::Wait
            }
            // The first request of a new connection is on its way, most likely, and its client would not try
            // again as it would on a connection that had worked before.
            (_, Wait::FirstByte) => {
                self.note(Closed::Stopping);
                self.wait_for(Wait::Linger, turn.ms + clock::millis(timeouts.linger));
                Flow::Wait
            }
            (_, Wait::Linger) => Flow::Wait,
            (_, _) => {
                self.note(Closed::Stopping);
                self.close(turn, work)
            }
        }
    }

    /// Reads once.
    fn read(&mut self, work: &mut Work, cx: &mut Context<'_>) -> io::Result<Read> {
        let room = work.input.room();
        let wanted = room.len();
        let (read, count) = self.read_with(wanted, cx, |io| io.try_read(room))?;
        work.input.filled(count);
        Ok(read)
    }

    /// Reads once, in that way, where `wanted` bytes have room; and how many have come.
    fn read_with(
        &mut self,
        wanted: usize,
        cx: &mut Context<'_>,
        mut try_read: impl FnMut(&dyn Transport) -> io::Result<usize>,
    ) -> io::Result<(Read, usize)> {
        loop {
            if self.drained {
                match self.io.poll_read_ready(cx) {
                    Poll::Pending => return Ok((Read::Nothing, 0)),
                    Poll::Ready(result) => result?,
                }
            }
            // Tried before it is asked for: the transport knows by itself whether that is worth a call.
            match try_read(&*self.io) {
                Ok(0) => return Ok((Read::End, 0)),
                Ok(count) => {
                    self.drained = count < wanted;
                    self.budget = self.budget.saturating_sub(count as u64);
                    return Ok((Read::Bytes, count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.drained = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The client is at fault: one answer, if none has begun, and the end.
    fn fault(&mut self, turn: &Turn, work: &mut Work, error: Error) {
        self.note(Closed::Fault(error));
        self.refuse(turn, work, error.status(), error.text());
    }
}

enum Read {
    Bytes,
    Nothing,
    End,
}

impl Future for Connection {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.place.entry.register(cx.waker());
        this.listen_quickly(cx).unwrap_or_else(|| this.run(cx))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let shared = &self.place.worker.shared;
        shared.holds(self.counted, 0);
        self.caller.depart();
        // Dropped while at work: the runtime ends.
        let closed = self.closed.unwrap_or(Closed::Cut);
        self.place.worker.count(|counts| counts.closed(closed));
        if let Some(report) = shared.on_closed.get() {
            report.0(self.peer, closed);
        }
    }
}
