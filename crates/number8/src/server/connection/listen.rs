//! A connection that listens to a broadcast: it waits, and what is sent to all goes out from where it is.
//!
//! Thousands of these wait at once, and are woken together. So one of them holds a place in the broadcast and
//! nothing else, and what wakes it is a new frame nearly always: then it writes that, past all buffers, and
//! waits again. Everything that is rarer goes the way of any other connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use number8_proto::headers::Fields;
use number8_proto::http1::SendBody;

use super::super::clock;
use super::super::counts::{OneOpen, Opened};
use super::super::exchange::Answered;
use super::super::shared::Stop;
use super::super::transport::Transport;
use super::{Closed, Connection, Flow, Held, Phase, Read, Turn, Wait, Work};
use crate::body::Broadcast;
use crate::broadcast::{Framing, Look, Subscription};
use crate::standing::{Over, Standing};

/// Frames written at once to a connection that is behind.
const FRAMES: usize = 8;

/// A listener, and how far it has got.
pub(super) struct Listener {
    subscription: Subscription,
    framing: Framing,
    /// What goes out before the next frame: the start, or the rest, of what is for this connection alone.
    own: Bytes,
    /// Bytes of the next frame that have been sent.
    sent: usize,
    /// When something was last sent.
    sent_ms: u64,
    /// Counts this one.
    _one: OneOpen,
    /// Waits for the end of the session in which this was asked for.
    over: Option<Over>,
    is_over: bool,
}

/// Why a listener waits no longer.
enum Heard {
    /// It waits for the next frame.
    Nothing,
    /// It waits for the client.
    Blocked,
    /// What came next is not kept any more.
    Lost,
    /// There will be nothing any more.
    End,
    /// The session has ended in which this was asked for.
    Over,
}

impl Connection {
    /// The answer is a broadcast: its head is encoded.
    pub(super) fn begin_listening(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        answered: Answered,
        send: SendBody,
        broadcast: Broadcast,
    ) -> Flow {
        // Now, since it may go on for days; and so nothing of the request has to be kept.
        self.log_answer(turn, work, answered);
        // Nothing that follows is a request: the answer ends with the connection.
        work.input.clear();
        self.conn.close_after();
        let framing =
            if send == SendBody::Chunked { Framing::Chunked } else { Framing::UntilClose };
        let Broadcast { first, subscription } = broadcast;
        let own = first.map(|frame| frame.bytes(framing)).unwrap_or_default();
        let over = self.caller.standing.take().map(Standing::over);
        let listener = Listener {
            subscription,
            framing,
            own,
            sent: 0,
            sent_ms: turn.ms,
            _one: self.place.worker.open(Opened::Listener),
            over,
            is_over: false,
        };
        self.phase = Phase::Listen(Box::new(listener));
        Flow::Again
    }

    /// What a listening connection does nearly always; `None` where there is more to it.
    pub(super) fn listen_quickly(&mut self, cx: &mut Context<'_>) -> Option<Poll<()>> {
        if !matches!((&self.phase, &self.held), (Phase::Listen(_), Held::Nothing)) {
            return None;
        }
        let now_ms = self.place.worker.now_ms();
        if self.place.worker.shared.stop() != Stop::No || self.place.entry.has_passed(now_ms) {
            return None;
        }
        match self.hear(now_ms, cx) {
            Ok(Heard::Nothing) if self.io.poll_read_ready(cx).is_pending() => Some(Poll::Pending),
            Ok(Heard::Blocked) => Some(Poll::Pending),
            // What it was is found out again.
            _ => None,
        }
    }

    /// Goes on with a broadcast, whatever has happened.
    pub(super) fn listen(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        cx: &mut Context<'_>,
    ) -> io::Result<Flow> {
        if let Phase::Listen(listener) = &mut self.phase {
            listener.subscription.woken(cx.waker());
        }
        if !work.output.is_empty() && self.poll_send(turn, work, cx)?.is_pending() {
            return Ok(Flow::Wait);
        }
        self.speak_up(turn);
        match self.hear(turn.ms, cx)? {
            // What was sent before the server was asked to stop has gone out.
            Heard::Nothing if turn.current.shared.stop() != Stop::No => {
                return Ok(self.end_listening(work));
            }
            Heard::Nothing => {}
            Heard::Blocked if turn.current.shared.stop() != Stop::No => {
                self.note(Closed::Stopping);
                return Ok(Flow::End);
            }
            Heard::Blocked => return Ok(Flow::Wait),
            Heard::End => return Ok(self.end_listening(work)),
            Heard::Over => {
                self.note(Closed::LoggedOut);
                return Ok(if self.is_in_between() { self.end_listening(work) } else { Flow::End });
            }
            Heard::Lost => {
                self.note(Closed::Behind);
                self.io.reset_on_drop();
                return Ok(Flow::End);
            }
        }
        let read = self.read(work, cx)?;
        work.input.clear();
        Ok(match read {
            // Nobody answers it.
            Read::Bytes => Flow::Again,
            Read::Nothing => Flow::Wait,
            // Whoever has only closed its half cannot be told from one that is gone, and would be here for ever.
            Read::End => {
                self.note(Closed::ByClient);
                Flow::End
            }
        })
    }

    /// Writes what there is.
    fn hear(&mut self, now_ms: u64, cx: &mut Context<'_>) -> io::Result<Heard> {
        let Phase::Listen(listener) = &mut self.phase else { return Ok(Heard::End) };
        listener.subscription.woken(cx.waker());
        // SECURITY: before anything else is sent.
        if listener.is_over(cx) {
            return Ok(Heard::Over);
        }
        let mut moved = false;
        let heard = listener.write(&*self.io, &mut moved, cx)?;
        if moved {
            listener.sent_ms = now_ms;
        }
        match (&heard, self.wait) {
            (Heard::Blocked, Wait::Write) if !moved => {}
            (Heard::Blocked, _) => {
                let write = clock::millis(self.place.worker.shared.options.timeouts.write);
                self.wait_for(Wait::Write, now_ms + write);
            }
            (_, Wait::Heartbeat) => {}
            (_, _) => {
                let until = listener.until_heartbeat();
                self.wait_for(Wait::Heartbeat, until);
            }
        }
        Ok(heard)
    }

    /// Has something to be sent where nothing was for a long time: so that proxies do not take the connection
    /// for a dead one, and that one that is dead is found out.
    fn speak_up(&mut self, turn: &Turn) {
        let Phase::Listen(listener) = &mut self.phase else { return };
        if self.wait != Wait::Heartbeat || !self.place.entry.has_passed(turn.ms) {
            return;
        }
        // The deadline is not moved by each event.
        let until = listener.until_heartbeat();
        if until <= turn.ms {
            let Some(heartbeat) = listener.subscription.heartbeat() else { return };
            listener.own = heartbeat.frame.bytes(listener.framing);
        }
        self.wait_for(Wait::Heartbeat, until.max(turn.ms + 1));
    }

    /// Whether what has gone out is whole frames.
    fn is_in_between(&self) -> bool {
        matches!(&self.phase, Phase::Listen(listener) if listener.own.is_empty() && listener.sent == 0)
    }

    /// Ends the answer; the last frame has gone out whole.
    fn end_listening(&mut self, work: &mut Work) -> Flow {
        self.phase = Phase::Flush;
        self.wait_for_nothing();
        self.conn.finish(&Fields::new(), &mut work.output.bytes);
        Flow::Again
    }
}

impl Listener {
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(over) = &mut self.over
            && Pin::new(over).poll(cx).is_ready()
        {
            self.over = None;
            self.is_over = true;
        }
        self.is_over
    }

    /// Writes until there is nothing more, or the client takes no more; tells whether it took something.
    fn write(
        &mut self,
        io: &dyn Transport,
        moved: &mut bool,
        cx: &mut Context<'_>,
    ) -> io::Result<Heard> {
        loop {
            let (result, is_last) = if !self.own.is_empty() {
                let result = io.try_write(&self.own);
                (result.inspect(|&written| self.own = self.own.slice(written..)), false)
            } else {
                match self.subscription.look(self.framing) {
                    Look::Frame(frame, true) => (self.write_several(&frame, io), false),
                    Look::Frame(frame, false) => {
                        let result = io.try_write(&frame[self.sent..]);
                        let result = result.inspect(|&written| {
                            self.advance(written, &frame);
                        });
                        (result, self.sent == 0)
                    }
                    Look::Nothing => return heard_all(io, cx),
                    Look::Lost => return Ok(Heard::Lost),
                    Look::End => return Ok(Heard::End),
                }
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {
                    *moved = true;
                    if is_last {
                        // What has been sent to all since then wakes this connection again.
                        return heard_all(io, cx);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match io.poll_write_ready(cx) {
                        Poll::Pending => return Ok(Heard::Blocked),
                        Poll::Ready(result) => result?,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// This connection is behind: writes several frames with one call.
    fn write_several(&mut self, first: &Bytes, io: &dyn Transport) -> io::Result<usize> {
        let mut more = [const { Bytes::new() }; FRAMES - 1];
        let count = self.subscription.behind(self.framing, &mut more);
        let mut slices = [IoSlice::new(&[]); FRAMES];
        slices[0] = IoSlice::new(&first[self.sent..]);
        for (slice, frame) in slices[1..].iter_mut().zip(&more) {
            *slice = IoSlice::new(frame);
        }
        let written = io.try_write_vectored(&slices[..=count])?;
        let mut left = written;
        for frame in std::iter::once(first).chain(&more[..count]) {
            left = self.advance(left, frame);
            if left == 0 {
                break;
            }
        }
        Ok(written)
    }

    /// So many bytes were sent, of which the first are of this frame; returns how many are not.
    fn advance(&mut self, written: usize, frame: &Bytes) -> usize {
        let of_frame = written.min(frame.len() - self.sent);
        self.sent += of_frame;
        if self.sent == frame.len() {
            self.sent = 0;
            self.subscription.advance();
        }
        written - of_frame
    }

    fn until_heartbeat(&self) -> u64 {
        let heartbeat = self.subscription.heartbeat();
        heartbeat.map_or(u64::MAX, |heartbeat| self.sent_ms + heartbeat.after_ms)
    }
}

/// There is nothing to write; what was written may still wait for the client.
fn heard_all(io: &dyn Transport, cx: &mut Context<'_>) -> io::Result<Heard> {
    match io.poll_flush(cx) {
        Poll::Ready(result) => result.map(|()| Heard::Nothing),
        Poll::Pending => Ok(Heard::Blocked),
    }
}
