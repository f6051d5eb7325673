//! From what a client sends to its requests.

use std::io;
use std::task::{Context, Poll};

use number8_proto::http1::Event;

use super::super::clock;
use super::super::shared::Stop;
use super::super::transport::Transport;
use super::{Closed, Connection, Flow, Phase, Turn, Wait, Work};

/// How long after an answer the next request of a client is most likely on its way, when the server stops: so many milliseconds.
const JUST_ANSWERED_MS: u64 = 500;

/// What came of a try to read.
pub(super) enum Read {
    Bytes,
    Nothing,
    End,
}

impl Connection {
    /// Takes requests from the input, answers them, and reads when there is none.
    pub(super) fn receive(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        cx: &mut Context<'_>,
    ) -> io::Result<Flow> {
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
            // So is the next one of a client that had its answer a moment ago, and what changes something is not to be sent twice
            // (RFC 9110 §9.2.2).
            (_, Wait::Idle | Wait::Nothing)
                if self.closed.is_none() && self.is_just_answered(turn) =>
            {
                self.note(Closed::Stopping);
                self.wait_for(Wait::Idle, turn.ms + JUST_ANSWERED_MS);
                Flow::Wait
            }
            (_, Wait::Idle) if self.closed.is_some() && !self.is_overdue(turn) => Flow::Wait,
            (_, _) => {
                self.note(Closed::Stopping);
                self.close(turn, work)
            }
        }
    }

    /// Whether it waits for a request since a moment ago, or begins to.
    fn is_just_answered(&self, turn: &Turn) -> bool {
        let idle_ms = clock::millis(turn.current.shared.options.timeouts.idle);
        !self.place.entry.has_passed(turn.ms + idle_ms.saturating_sub(JUST_ANSWERED_MS))
    }

    /// Reads once.
    pub(super) fn read(&mut self, work: &mut Work, cx: &mut Context<'_>) -> io::Result<Read> {
        let room = work.input.room();
        let wanted = room.len();
        let (read, count) = self.read_with(wanted, cx, |io| io.try_read(room))?;
        work.input.filled(count);
        Ok(read)
    }

    /// Reads once, in that way, where `wanted` bytes have room; and how many have come.
    pub(super) fn read_with(
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
}
