//! A connection that turns out to speak HTTP/2.

use std::io;
use std::sync::Arc;
use std::task::Context;

use super::super::http2::{Http2, Preface, TurnEnd, preface};
use super::{Closed, Connection, Flow, Phase, Turn, Wait, Work};

impl Connection {
    /// Whether the first bytes are those of HTTP/2. It has taken over when none of them are left; until then more of
    /// them have to come.
    pub(super) fn begins_http2(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        cx: &mut Context<'_>,
    ) -> bool {
        match preface(work.input.unread()) {
            Preface::Begun => return true,
            // Whoever has chosen HTTP/2 is told by it what is wrong.
            Preface::No if self.io.has_chosen_http2() => {}
            Preface::No => {
                self.may_be_http2 = false;
                return false;
            }
            Preface::Whole => {}
        }
        let options = &turn.current.shared.options;
        let io = Arc::clone(&self.io);
        let http2 = Http2::new(io, work.input.unread(), options, self.peer, self.is_secure(), cx);
        work.input.clear();
        self.phase = Phase::Multiplex(Box::new(http2));
        true
    }

    /// Goes on with all that is asked on this connection.
    pub(super) fn multiplex(&mut self, turn: &Turn, work: &mut Work) -> io::Result<Flow> {
        let Phase::Multiplex(http2) = &mut self.phase else { return Ok(Flow::Again) };
        match http2.run(turn, &self.place) {
            TurnEnd::Wait(rest) => {
                self.wait = Wait::Streams;
                self.place.entry.set_deadline(rest.deadline_ms, rest.standing);
                self.held_by_streams = rest.holds;
                Ok(Flow::Wait)
            }
            TurnEnd::End(closed) => {
                self.note(closed);
                self.held_by_streams = 0;
                match closed {
                    Closed::Broken(_) => Ok(Flow::End),
                    Closed::WriteTimeout => {
                        self.io.reset_on_drop();
                        Ok(Flow::End)
                    }
                    _ => Ok(self.close(turn, work)),
                }
            }
        }
    }
}
