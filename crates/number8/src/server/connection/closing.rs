//! From an answer that is encoded to the next request, or to the end of the connection.

use std::io;
use std::task::{Context, Poll};

use number8_proto::http1::{Event, Next};

use super::super::clock;
use super::{Closed, Connection, Flow, Phase, Read, Turn, Wait, Work};

impl Connection {
    /// Sends what is there; then the answer is over.
    pub(super) fn flush(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        cx: &mut Context<'_>,
    ) -> io::Result<Flow> {
        if self.poll_send(turn, work, cx)?.is_pending() {
            return Ok(Flow::Wait);
        }
        self.log_sent(turn, work);
        Ok(self.after_answer(turn, work))
    }

    /// Sends what can be sent; sets the deadline for the rest.
    pub(super) fn poll_send(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        cx: &mut Context<'_>,
    ) -> io::Result<Poll<()>> {
        let mut moved = 0;
        let result = work.output.poll_send(&*self.io, &turn.current.shared.lane, cx, &mut moved);
        self.budget = self.budget.saturating_sub(moved);
        match result {
            Poll::Ready(result) => {
                result?;
                if self.is_taking() {
                    self.note_taken(turn, moved);
                }
                if self.wait == Wait::Write {
                    self.wait_for_nothing();
                }
                Ok(Poll::Ready(()))
            }
            Poll::Pending => {
                if work.output.waits_for_file() {
                    // The client is not to blame.
                    self.wait_for_nothing();
                    return Ok(Poll::Pending);
                }
                self.note_taken(turn, moved);
                if moved > 0 || self.wait != Wait::Write {
                    let write = clock::millis(turn.current.shared.options.timeouts.write);
                    self.wait_for(Wait::Write, turn.ms + write);
                }
                Ok(Poll::Pending)
            }
        }
    }

    /// Asks the protocol how to go on.
    pub(super) fn after_answer(&mut self, turn: &Turn, work: &mut Work) -> Flow {
        if self.conn.may_respond() {
            // Nothing was being answered: the batch before the next request has been sent.
            self.phase = Phase::Receive;
            return Flow::Again;
        }
        // Whoever leaves from here on has its answer.
        self.caller.departure = None;
        self.end_taking();
        match self.conn.advance() {
            Next::Request => {
                work.input.forget_head();
                work.parser.reset();
                // Mostly it is so already, and a phase that is set again is dropped first.
                if !matches!(self.phase, Phase::Receive) {
                    self.phase = Phase::Receive;
                }
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
            Next::Close(reason) => {
                self.note(Closed::Answered(reason));
                self.close(turn, work)
            }
        }
    }

    /// Everything is sent: closes the sending side, and lingers.
    pub(super) fn close(&mut self, turn: &Turn, work: &mut Work) -> Flow {
        if self.io.shutdown_write().is_err() {
            return Flow::End;
        }
        work.input.clear();
        let shared = &turn.current.shared;
        let (linger, left) =
            (clock::millis(shared.options.timeouts.linger), shared.options.limits.linger_bytes_max);
        self.wait_for(Wait::Linger, turn.ms + linger);
        self.phase = Phase::Linger(left);
        Flow::Again
    }

    /// Drops the rest of a body that nobody read, so that the connection can go on. How much that may be the protocol knows.
    pub(super) fn drain(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        cx: &mut Context<'_>,
    ) -> io::Result<Flow> {
        if !work.output.is_empty() && self.poll_send(turn, work, cx)?.is_pending() {
            return Ok(Flow::Wait);
        }
        let options = &turn.current.shared.options;
        loop {
            let received =
                self.conn.receive(&mut work.parser, work.input.unread(), &options.limits.http);
            let (used, is_end, needs_more) = match received {
                Ok((used, event)) => {
                    (used, matches!(event, Event::End), matches!(event, Event::NeedMore))
                }
                // An answer has been sent: a fault ends the connection without another.
                Err(error) => {
                    self.note(Closed::Fault(error));
                    (0, true, false)
                }
            };
            work.input.used(used);
            if is_end {
                self.wait_for_nothing();
                return Ok(self.after_answer(turn, work));
            }
            if needs_more {
                match self.read(work, cx)? {
                    Read::Bytes => {}
                    Read::End => {
                        self.note(Closed::ByClient);
                        return Ok(Flow::End);
                    }
                    Read::Nothing => {
                        if self.wait != Wait::Linger {
                            let linger = clock::millis(options.timeouts.linger);
                            self.wait_for(Wait::Linger, turn.ms + linger);
                        }
                        return Ok(Flow::Wait);
                    }
                }
            }
        }
    }

    /// Reads and drops until the client closes (RFC 9112 §9.6): closing with unread bytes would make the
    /// system reset the connection, and the client might lose the answer.
    pub(super) fn linger(
        &mut self,
        work: &mut Work,
        mut left: u64,
        cx: &mut Context<'_>,
    ) -> io::Result<Flow> {
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
}
