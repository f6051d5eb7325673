//! A connection that no longer speaks HTTP: bytes go to a session and come from it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Context;

use number8_proto::headers::Known;
use number8_proto::http1::Head;
use number8_proto::{CloseReason, syntax};

use super::super::clock;
use super::super::counts::{OneOpen, Opened};
use super::super::exchange::Exchange;
use super::super::shared::Stop;
use super::exchange::Asking;
use super::{BATCH_BYTES, Closed, Connection, Flow, Phase, Read, Turn, Wait, Work};
use crate::body::{Kind, Takeover};
use crate::response::{self, Response};
use crate::session::{INPUT_BYTES_MAX, Session, SessionInput, SessionStep};

/// A session, and how far it has got.
pub(super) struct Conversation {
    session: Box<dyn Session>,
    input_ended: bool,
    is_over: bool,
    /// Counts this one.
    _one: OneOpen,
}

impl Conversation {
    /// Bytes that the session holds.
    pub(super) fn held(&self) -> usize {
        self.session.held()
    }
}

/// Whether a request asks for a protocol: to no other may the server change (RFC 9110 §7.8).
fn asks_for(head: &Head<'_>, protocol: &str) -> bool {
    let names = |known, name: &str| {
        let value = head.joined(known).unwrap_or_default();
        syntax::list(&value).any(|member| member.eq_ignore_ascii_case(name.as_bytes()))
    };
    names(Known::Upgrade, protocol) && names(Known::Connection, "upgrade")
}

impl Connection {
    /// 400 in place of an answer that would change to a protocol without the request allowing that.
    #[inline]
    pub(super) fn in_place_of_unasked(&self, work: &Work, response: &Response) -> Option<Response> {
        let Kind::Session(takeover) = &response.body.kind else { return None };
        let protocol = takeover.protocol?;
        if self.conn.may_upgrade() && asks_for(&work.parser.head(work.input.head()), protocol) {
            return None;
        }
        let how = format!(
            "this is for those who ask for \"Upgrade: {protocol}\" with \"Connection: upgrade\", by HTTP/1.1 and without content"
        );
        Some(Response::error(400, how))
    }

    /// Hands the connection to the session that is the content of this answer.
    pub(super) fn hand_over(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        exchange: Exchange<'_>,
        response: Response,
    ) -> Flow {
        let (status, is_prepared) = (response.status(), response.is_prepared());
        let (fields, takeover) = match response.body.kind {
            Kind::Session(takeover) if !is_prepared => (response.fields, *takeover),
            // A session comes with a head of its own.
            _ => {
                let failed = exchange.app().explain(None, response::failed());
                return self.send(turn, work, Asking { exchange, feed: None }, failed);
            }
        };
        let Takeover { protocol, session } = takeover;
        match protocol {
            Some(protocol) => {
                let out = &mut work.output.bytes;
                self.conn.upgrade(protocol, &fields, &turn.current.stamp, out);
            }
            None => self.conn.hand_over(),
        }
        // Now, since it may go on for days.
        self.log_answer(turn, work, exchange.answered(status, 0));
        work.input.forget_head();
        let conversation = Conversation {
            session,
            input_ended: false,
            is_over: false,
            _one: self.place.worker.open(Opened::Session),
        };
        self.phase = Phase::Session(Box::new(conversation));
        Flow::Again
    }

    /// Goes on with a session.
    pub(super) fn session(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        cx: &mut Context<'_>,
    ) -> io::Result<Flow> {
        let Phase::Session(mut conversation) = std::mem::replace(&mut self.phase, Phase::Flush)
        else {
            return Ok(Flow::Again);
        };
        let flow = self.converse(turn, work, &mut conversation, cx)?;
        if conversation.is_over && work.output.is_empty() {
            self.note(Closed::Answered(CloseReason::HandedOver));
            self.wait_for_nothing();
            return Ok(self.close(turn, work));
        }
        self.phase = Phase::Session(conversation);
        Ok(flow)
    }

    /// Reads, lets the session use it, and sends what it says, until nothing more comes.
    fn converse(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        conversation: &mut Conversation,
        cx: &mut Context<'_>,
    ) -> io::Result<Flow> {
        let mut was_polled = false;
        loop {
            if !work.output.is_empty() {
                let is_much = work.output.queued() >= BATCH_BYTES;
                let has_left = self.poll_send(turn, work, cx)?.is_ready();
                // A client that takes nothing is not listened to.
                if !has_left && (conversation.is_over || work.output.queued() >= BATCH_BYTES) {
                    return Ok(Flow::Wait);
                }
                // It may have had more to say than may wait; nobody else wakes it.
                was_polled &= !(is_much && has_left);
            }
            if conversation.is_over || self.budget == 0 {
                return Ok(Flow::Again);
            }
            let has_room = work.input.unread().len() < INPUT_BYTES_MAX;
            let has_news = match has_room && !conversation.input_ended {
                false => false,
                true => match self.read(work, cx)? {
                    Read::Bytes => true,
                    Read::Nothing => false,
                    Read::End => {
                        conversation.input_ended = true;
                        true
                    }
                },
            };
            if was_polled && !has_news {
                return Ok(Flow::Wait);
            }
            let step = poll_session(turn, work, conversation, cx);
            was_polled = true;
            // Where it had as much as may wait, the system may hold more.
            was_polled &= has_room || step.used == 0;
            work.input.used(step.used.min(work.input.unread().len()));
            conversation.is_over = step.is_over;
            // While something is to be sent, that is what there is a deadline for; then the session is polled again.
            match step.wake_after {
                _ if self.wait == Wait::Write => {}
                Some(after) => self.wait_for(Wait::Session, turn.ms + clock::millis(after)),
                None => self.wait_for_nothing(),
            }
        }
    }
}

fn poll_session(
    turn: &Turn,
    work: &mut Work,
    conversation: &mut Conversation,
    cx: &mut Context<'_>,
) -> SessionStep {
    let input = SessionInput {
        has_ended: conversation.input_ended,
        is_stopping: turn.current.shared.stop() != Stop::No,
        bytes: work.input.unread_mut(),
    };
    let (session, output) = (&mut conversation.session, &mut work.output.bytes);
    // The panic has been printed by the hook; only this connection ends.
    catch_unwind(AssertUnwindSafe(|| session.poll(cx, input, output)))
        .unwrap_or(SessionStep::close(0))
}
