//! One connection: a task that turns what a client sends into requests, and answers into what it gets.
//!
//! ```text
//!  Announced ─▶ Handshake ─▶ Receive ──head──▶ Exchange ──end──▶ Flush ──▶ Drain
//!                              ▲                                  │ │        │
//!                              └─────────── next request ─────────┘ │ ◀──────┘
//!                                                                   └──close──▶ Linger ──▶ end
//! ```
//!
//! A balancer's word and TLS come first where they are expected. Instead of an answer there may be a broadcast that is listened to, or another
//! protocol: HTTP/2 (`Multiplex`), or what a handler gives (`Session`).
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
mod held;
mod input;
mod listen;
mod multiplex;
mod output;
mod receive;
mod secure;
mod session;
mod unsent;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use number8_proto::http1::Conn;
use number8_proto::{CloseReason, Error};

use super::clock;
use super::exchange::Answered;
use super::http2::Http2;
use super::shared::Stop;
use super::transport::{Security, Transport};
use super::worker::{Place, Standing, Turn};
use crate::caller::Caller;
pub use closed::Closed;
use exchange::Answering;
use held::Held;
pub(crate) use held::Work;
use listen::Listener;
#[cfg_attr(not(feature = "http2"), allow(unused_imports, reason = "HTTP/2 needs it, too"))]
pub(super) use output::poll_warm;
use receive::Read;
use session::Conversation;
use unsent::Unsent;

/// Answers are gathered up to this size before they are written.
const BATCH_BYTES: usize = 64 * 1024;

/// Bytes moved in one turn before other connections get theirs.
const TURN_BYTES: u64 = 1024 * 1024;

/// What happens next.
enum Phase {
    /// Wait for what a balancer says of its client.
    Announced,
    /// Agree on TLS.
    Handshake,
    /// Wait for a head.
    Receive,
    /// An answer is being made, or its content is.
    Exchange(Box<Answering>),
    /// What is sent to many goes out here too.
    Listen(Box<Listener>),
    /// Another protocol has taken over.
    Session(Box<Conversation>),
    /// The client speaks HTTP/2.
    Multiplex(Box<Http2>),
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
    /// Of those, what belongs to the streams of HTTP/2.
    held_by_streams: usize,
    /// Bytes of content of the request that is being answered.
    received: u64,
    /// How the client takes an answer that does not go out at once.
    unsent: Option<Box<Unsent>>,
    /// What is to be logged when everything has been sent.
    unlogged: Option<Box<Unlogged>>,
    /// The last field, so that the connection counts until its socket is closed.
    place: Place,
}

/// An answer that is being sent.
struct Unlogged {
    answered: Answered,
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
            unsent: None,
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
            let now_ms = connection.place.worker.now_ms();
            connection.wait_for(wait, now_ms + clock::millis(time));
        } else if connection.security == Security::Expected {
            // A client that waits for TLS would not understand, and to speak TLS with so many costs too much.
            connection.closed = Some(Closed::TooMany);
            connection.phase = Phase::Linger(0);
            let linger = clock::millis(connection.place.worker.shared.options.timeouts.linger);
            let now_ms = connection.place.worker.now_ms();
            connection.wait_for(Wait::Linger, now_ms + linger);
        } else {
            let (turn, mut work) = connection.place.worker.begin();
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
        let (turn, mut work) = self.take_up();
        let turn = &turn;
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
                Phase::Drain => self.drain(turn, work, cx),
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
                matches!(self.phase, Phase::Drain) && matches!(self.close(turn, work), Flow::Again)
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

    /// The client is at fault: one answer, if none has begun, and the end.
    fn fault(&mut self, turn: &Turn, work: &mut Work, error: Error) {
        self.note(Closed::Fault(error));
        self.refuse(turn, work, error.status(), error.text());
    }
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
