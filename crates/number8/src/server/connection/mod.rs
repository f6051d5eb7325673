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
//! holds no buffer and no allocation of its own. What a client sends is read into a buffer borrowed from
//! the worker; every complete request in it is answered; then everything is written with one call.

mod exchange;
mod input;
mod output;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use number8_proto::Error;
use number8_proto::http1::{Conn, Event, HeadParser, Next};

use super::clock;
use super::transport::Transport;
use super::worker::{Current, Entry, Stop, Worker};
use crate::handler::Now;
use exchange::Exchange;
use input::Input;
use output::Output;

/// Answers are gathered up to this size before they are written.
const BATCH_BYTES: usize = 64 * 1024;

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
    /// The beginning of a head, in no more memory than it needs.
    Partial(Box<(Vec<u8>, HeadParser)>),
    /// Buffers.
    Work(Box<Work>),
}

/// What happens next.
enum Phase {
    /// Wait for a head.
    Receive,
    /// An answer is being made, or its content is.
    Exchange(Box<Exchange>),
    /// Send what is there, then go on as the protocol says.
    Flush,
    /// Drop the rest of a body.
    Drain,
    /// Everything is sent and the sending side closed: drop so many more bytes, until the client closes.
    Linger(u64),
}

/// What the deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Nothing,
    FirstByte,
    Idle,
    Head,
    Body,
    Write,
    Linger,
}

/// What stays the same while a connection runs until it has to wait: found out once, however many
/// requests came together.
struct Turn {
    worker: Arc<Worker>,
    /// The app, and what every answer of this second has.
    current: Arc<Current>,
    /// Milliseconds on the clock of deadlines.
    ms: u64,
    /// When it began, where the log tells how long requests take.
    begun: Option<Instant>,
}

impl Turn {
    fn new(worker: &Arc<Worker>) -> Self {
        let current = worker.current();
        Self {
            ms: clock::monotonic_ms(),
            begun: current.app.is_timed().then(Instant::now),
            worker: Arc::clone(worker),
            current,
        }
    }

    fn now(&self) -> Now {
        Now { monotonic_ms: self.ms, unix_seconds: self.current.unix }
    }
}

/// Whether a step leads on.
enum Flow {
    Again,
    Wait,
    End,
}

/// One connection; a future that ends when the connection does.
pub(crate) struct Connection<T: Transport> {
    io: T,
    worker: Arc<Worker>,
    entry: Arc<Entry>,
    peer: Option<SocketAddr>,
    conn: Conn,
    held: Held,
    phase: Phase,
    wait: Wait,
    /// Bytes counted in `Shared::buffered`.
    counted: usize,
    /// What is to be logged when everything has been sent.
    unlogged: Option<Box<Unlogged>>,
}

/// An answer that is being sent.
struct Unlogged {
    status: u16,
    /// Bytes of content.
    bytes: u64,
    since: Option<Instant>,
}

impl<T: Transport + Unpin> Connection<T> {
    /// A connection that was admitted and entered in the worker's table.
    pub(crate) fn new(
        io: T,
        worker: Arc<Worker>,
        entry: Arc<Entry>,
        peer: Option<SocketAddr>,
    ) -> Self {
        let mut connection = Self {
            io,
            worker,
            entry,
            peer,
            conn: Conn::new(),
            held: Held::Nothing,
            phase: Phase::Receive,
            wait: Wait::Nothing,
            counted: 0,
            unlogged: None,
        };
        let first_byte = connection.worker.shared.options.timeouts.first_byte;
        connection.wait_for(Wait::FirstByte, clock::monotonic_ms() + clock::millis(first_byte));
        connection
    }

    /// A connection beyond a limit: it is told so and closed.
    pub(crate) fn refused(
        io: T,
        worker: Arc<Worker>,
        entry: Arc<Entry>,
        peer: Option<SocketAddr>,
    ) -> Self {
        let mut connection = Self::new(io, worker, entry, peer);
        let mut work = connection.worker.take_work();
        let turn = Turn::new(&connection.worker);
        connection.refuse(&turn, &mut work, 503, "too many connections");
        connection.held = Held::Work(work);
        connection
    }

    fn wait_for(&mut self, wait: Wait, until_ms: u64) {
        self.wait = wait;
        self.entry.set_deadline(until_ms, matches!(wait, Wait::Idle | Wait::FirstByte));
    }

    fn wait_for_nothing(&mut self) {
        if self.wait != Wait::Nothing {
            self.wait_for(Wait::Nothing, u64::MAX);
        }
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let turn = &Turn::new(&self.worker);
        let Some(mut work) = self.begin(turn) else { return Poll::Ready(()) };
        let flow = loop {
            let flow = match self.phase {
                Phase::Receive => self.receive(turn, &mut work, cx),
                Phase::Exchange(_) => self.exchange(turn, &mut work, cx),
                Phase::Flush => self.flush(turn, &mut work, cx),
                Phase::Drain => self.drain(turn, &mut work, cx),
                Phase::Linger(left) => self.linger(&mut work, left, cx),
            };
            match flow {
                Ok(Flow::Again) => {}
                Ok(Flow::Wait) => break Poll::Pending,
                // A broken connection has nobody to tell.
                Ok(Flow::End) | Err(_) => break Poll::Ready(()),
            }
        };
        self.put_away(work, flow.is_ready());
        flow
    }

    /// Looks at what others want of this connection; `None` when that is its end. Else takes buffers.
    fn begin(&mut self, turn: &Turn) -> Option<Box<Work>> {
        let shared = &turn.worker.shared;
        let is_between = matches!(self.phase, Phase::Receive) && matches!(self.held, Held::Nothing);
        match shared.stop() {
            Stop::Now => return None,
            _ if is_between && self.entry.is_evicted() => return None,
            _ => {}
        }
        let mut work = match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Work(work) => work,
            Held::Nothing => self.worker.take_work(),
            Held::Partial(partial) => {
                let (bytes, parser) = *partial;
                let mut work = self.worker.take_work();
                work.input.restore(&bytes);
                work.parser = parser;
                work
            }
        };
        if self.wait != Wait::Nothing
            && self.entry.has_passed(turn.ms)
            && !self.deadline_passed(turn, &mut work)
        {
            self.worker.give_back(work);
            return None;
        }
        Some(work)
    }

    /// A deadline has passed; false when that is the end of the connection.
    fn deadline_passed(&mut self, turn: &Turn, work: &mut Work) -> bool {
        match self.wait {
            Wait::Nothing => true,
            Wait::FirstByte | Wait::Idle | Wait::Write | Wait::Linger => false,
            Wait::Head => {
                self.refuse(turn, work, 408, "the request head came too slowly");
                true
            }
            Wait::Body => self.body_timed_out(turn, work),
        }
    }

    /// Gives buffers back or keeps what of them is needed.
    fn put_away(&mut self, mut work: Box<Work>, is_end: bool) {
        let is_receiving = matches!(self.phase, Phase::Receive | Phase::Linger(_) | Phase::Drain);
        if is_end || (is_receiving && work.output.is_empty()) {
            let unread = work.input.unread();
            if !is_end && !unread.is_empty() {
                let bytes = unread.to_vec();
                let parser = std::mem::take(&mut work.parser);
                self.held = Held::Partial(Box::new((bytes, parser)));
            }
            work.parser.reset();
            work.output.clear();
            if work.input.is_large() {
                work.input = Input::default();
            } else {
                work.input.clear();
            }
            self.worker.give_back(work);
        } else {
            self.held = Held::Work(work);
        }
        let holds = match &self.held {
            Held::Nothing => 0,
            Held::Partial(partial) => partial.0.len(),
            Held::Work(work) => work.input.unread().len() + work.output.held(),
        };
        if holds != self.counted {
            self.worker.shared.holds(self.counted, holds);
            self.counted = holds;
        }
    }

    /// Takes requests from the input, answers them, and reads when there is none.
    fn receive(&mut self, turn: &Turn, work: &mut Work, cx: &mut Context<'_>) -> io::Result<Flow> {
        let worker = &turn.worker;
        let limits = &worker.shared.options.limits.http;
        if !work.input.unread().is_empty() {
            match self.conn.receive(&mut work.parser, work.input.unread(), limits) {
                Ok((length, Event::Head(_))) => {
                    work.input.keep_head(length);
                    self.wait_for_nothing();
                    return Ok(self.dispatch(turn, work, cx));
                }
                Ok(_) => {}
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
        let is_first_byte = work.input.unread().is_empty();
        match self.read(work, cx)? {
            Read::Bytes => {
                if is_first_byte {
                    let head = worker.shared.options.timeouts.head;
                    self.wait_for(Wait::Head, turn.ms + clock::millis(head));
                }
                Ok(Flow::Again)
            }
            Read::Nothing => {
                if worker.shared.stop() != Stop::No && is_first_byte {
                    return Ok(Flow::End);
                }
                if is_first_byte && self.wait != Wait::FirstByte && self.wait != Wait::Idle {
                    let idle = worker.shared.options.timeouts.idle;
                    self.wait_for(Wait::Idle, turn.ms + clock::millis(idle));
                }
                Ok(Flow::Wait)
            }
            Read::End => Ok(match self.conn.receive_eof(!is_first_byte) {
                Some(error) => {
                    self.fault(turn, work, error);
                    Flow::Again
                }
                None => Flow::End,
            }),
        }
    }

    /// Reads once.
    fn read(&mut self, work: &mut Work, cx: &mut Context<'_>) -> io::Result<Read> {
        loop {
            match self.io.poll_read_ready(cx) {
                Poll::Pending => return Ok(Read::Nothing),
                Poll::Ready(result) => result?,
            }
            match self.io.try_read(work.input.room()) {
                Ok(0) => return Ok(Read::End),
                Ok(count) => {
                    work.input.filled(count);
                    return Ok(Read::Bytes);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends what is there; then the answer is over.
    fn flush(&mut self, turn: &Turn, work: &mut Work, cx: &mut Context<'_>) -> io::Result<Flow> {
        if self.poll_send(turn, work, cx)?.is_pending() {
            return Ok(Flow::Wait);
        }
        self.log_sent(turn, work);
        Ok(self.after_answer(turn, work))
    }

    /// Sends what can be sent; sets the deadline for the rest.
    fn poll_send(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        cx: &mut Context<'_>,
    ) -> io::Result<Poll<()>> {
        let mut moved = 0;
        let lane = &turn.worker.shared.lane;
        let result = work.output.poll_send(&self.io, lane, cx, &mut moved);
        match result {
            Poll::Ready(result) => {
                result?;
                if self.wait == Wait::Write {
                    self.wait_for_nothing();
                }
                Ok(Poll::Ready(()))
            }
            Poll::Pending => {
                if moved > 0 || self.wait != Wait::Write {
                    let write = turn.worker.shared.options.timeouts.write;
                    self.wait_for(Wait::Write, turn.ms + clock::millis(write));
                }
                Ok(Poll::Pending)
            }
        }
    }

    /// Asks the protocol how to go on.
    fn after_answer(&mut self, turn: &Turn, work: &mut Work) -> Flow {
        if self.conn.may_respond() {
            // Nothing was being answered: the batch before the next request has been sent.
            self.phase = Phase::Receive;
            return Flow::Again;
        }
        match self.conn.advance() {
            Next::Request => {
                work.input.forget_head();
                work.parser.reset();
                self.phase = Phase::Receive;
                Flow::Again
            }
            Next::Drain => {
                self.phase = Phase::Drain;
                Flow::Again
            }
            Next::Close(_) if !work.output.is_empty() => {
                self.phase = Phase::Flush;
                Flow::Again
            }
            Next::Close(_) => {
                if self.io.shutdown_write().is_err() {
                    return Flow::End;
                }
                work.input.clear();
                let linger = turn.worker.shared.options.timeouts.linger;
                self.wait_for(Wait::Linger, turn.ms + clock::millis(linger));
                self.phase = Phase::Linger(turn.worker.shared.options.limits.linger_bytes_max);
                Flow::Again
            }
        }
    }

    /// Drops the rest of a body that nobody read, so that the connection can go on.
    fn drain(&mut self, turn: &Turn, work: &mut Work, cx: &mut Context<'_>) -> io::Result<Flow> {
        if !work.output.is_empty() && self.poll_send(turn, work, cx)?.is_pending() {
            return Ok(Flow::Wait);
        }
        let worker = &turn.worker;
        loop {
            let received = self.conn.receive(
                &mut work.parser,
                work.input.unread(),
                &worker.shared.options.limits.http,
            );
            // An answer has been sent: a fault ends the connection without another.
            let Ok((used, event)) = received else { return Ok(Flow::End) };
            let (is_end, needs_more) =
                (matches!(event, Event::End), matches!(event, Event::NeedMore));
            work.input.used(used);
            if is_end {
                self.wait_for_nothing();
                return Ok(self.after_answer(turn, work));
            }
            if needs_more {
                match self.read(work, cx)? {
                    Read::Bytes => {}
                    Read::End => return Ok(Flow::End),
                    Read::Nothing => {
                        if self.wait != Wait::Linger {
                            let linger = worker.shared.options.timeouts.linger;
                            self.wait_for(Wait::Linger, turn.ms + clock::millis(linger));
                        }
                        return Ok(Flow::Wait);
                    }
                }
            }
        }
    }

    /// Reads and drops until the client closes (RFC 9112 §9.6): closing with unread bytes would make the
    /// system reset the connection, and the client might lose the answer.
    fn linger(&mut self, work: &mut Work, mut left: u64, cx: &mut Context<'_>) -> io::Result<Flow> {
        loop {
            match self.read(work, cx)? {
                Read::End => return Ok(Flow::End),
                Read::Nothing => {
                    self.phase = Phase::Linger(left);
                    return Ok(Flow::Wait);
                }
                Read::Bytes => {
                    let count = work.input.unread().len();
                    work.input.clear();
                    left = left.saturating_sub(count as u64);
                    if left == 0 {
                        return Ok(Flow::End);
                    }
                }
            }
        }
    }

    /// The client is at fault: one answer, if none has begun, and the end.
    fn fault(&mut self, turn: &Turn, work: &mut Work, error: Error) {
        self.refuse(turn, work, error.status(), error.text());
    }
}

enum Read {
    Bytes,
    Nothing,
    End,
}

impl<T: Transport + Unpin> Future for Connection<T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.entry.register(cx.waker());
        this.run(cx)
    }
}

impl<T: Transport> Drop for Connection<T> {
    fn drop(&mut self) {
        self.worker.shared.holds(self.counted, 0);
        self.worker.leave(&self.entry);
    }
}
