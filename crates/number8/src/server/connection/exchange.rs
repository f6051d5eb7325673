//! One request and its answer: from the head to the last byte that is encoded.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use number8_proto::headers::Fields;
use number8_proto::http1::{BodyLength, SendBody, Version};
use number8_proto::negotiate::takes_trailers;

use super::super::exchange::{Answered, Asker, Exchange, dump};
use super::super::shared::Stop;
use super::super::transport::Security;
use super::feed::Feed;
use super::gathering::Gathering;
use super::output::COPY_MAX;
use super::{BATCH_BYTES, Connection, Flow, Phase, Read, Turn, Unlogged, Work};
use crate::app::Asked;
use crate::body::{Body, BodyError, Kind, Part, channel};
use crate::response::{Response, busy};
use crate::session::INPUT_BYTES_MAX;

/// What was asked, and what its client still sends of it.
pub(super) struct Asking<'a> {
    pub(super) exchange: Exchange<'a>,
    pub(super) feed: Option<Feed>,
}

impl<'a> Asking<'a> {
    /// A request without content.
    fn begin(turn: &'a Turn) -> Self {
        Self { exchange: Exchange::begin(turn), feed: None }
    }
}

/// A request whose answer is not complete.
pub(super) struct Answering {
    asking: Asking<'static>,
    making: Making,
    /// The client has closed its half: nothing more is read.
    input_ended: bool,
}

impl Answering {
    /// The fields behind the content, for a client that says it reads them (RFC 9110 §6.5.1).
    fn trailers(&self, work: &Work) -> Fields {
        let Making::Content { body, .. } = &self.making else { return Fields::new() };
        let Some(trailers) = body.trailers_to_client() else { return Fields::new() };
        let te = work.parser.head(work.input.head()).named("te").unwrap_or_default();
        if takes_trailers(te) { trailers } else { Fields::new() }
    }
}

/// What is being made.
enum Making {
    /// The answer.
    Answer(Asked),
    /// Its content.
    Content {
        body: Body,
        answered: Answered,
        gathering: Gathering,
        /// The end of the connection is all that tells the client where the content ends.
        until_close: bool,
        /// Where the server stops, it ends instead of waiting for more.
        ends_at_stop: bool,
    },
}

/// Where an exchange has got to.
enum Step {
    /// The app has answered.
    Answer(Response),
    /// All content has been encoded.
    End,
    /// Neither of the two, yet.
    Not(Flow),
}

impl Connection {
    /// A head is complete: finds out who answers, and begins.
    pub(super) fn dispatch(&mut self, turn: &Turn, work: &mut Work, cx: &mut Context<'_>) -> Flow {
        if let Some(sink) = turn.current.app.dump_sink() {
            dump(sink, b"< ", work.input.head());
        }
        self.caller.begin_again(&self.peer, self.is_secure());
        self.received = 0;
        let mut asking = Asking::begin(turn);
        if self.security == Security::Missed {
            let answer = self.lead_to_https(work);
            return self.answer(turn, work, asking, answer);
        }
        let (worker, head) = (&self.place.worker, work.input.head());
        let exchange = &asking.exchange;
        if let Some(answer) = exchange.unasked(worker, &mut work.parser, head, &mut self.caller) {
            return self.answer(turn, work, asking, answer);
        }
        let shared = &turn.current.shared;
        let body = match self.conn.body() {
            BodyLength::None => Body::empty(),
            length @ (BodyLength::Known(_) | BodyLength::Chunked) => {
                let length = match length {
                    BodyLength::Known(length) => Some(length),
                    _ => None,
                };
                let limit = shared.options.limits.body_bytes_max;
                let (feeder, incoming) = channel(cx.waker().clone(), length, limit);
                asking.feed = Some(Feed::new(feeder));
                Body::incoming(incoming)
            }
        };
        let head = work.parser.head(work.input.head());
        let app = asking.exchange.app();
        match app.ask(app.call(&head, &mut self.caller, body, &shared.lane), cx) {
            Ok(response) => self.answer(turn, work, asking, response),
            Err(asked) => self.begin(asking, Making::Answer(asked)),
        }
    }

    fn begin(&mut self, asking: Asking<'_>, making: Making) -> Flow {
        let Asking { exchange, feed } = asking;
        let asking = Asking { exchange: exchange.kept(), feed };
        self.phase = Phase::Exchange(Box::new(Answering { asking, making, input_ended: false }));
        Flow::Again
    }

    /// Goes on with an answer that is not complete.
    pub(super) fn exchange(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        cx: &mut Context<'_>,
    ) -> io::Result<Flow> {
        let Phase::Exchange(mut exchange) = std::mem::replace(&mut self.phase, Phase::Flush) else {
            return Ok(Flow::Again);
        };
        match self.step(turn, work, &mut exchange, cx) {
            Ok(Step::Answer(response)) => {
                self.wait_for_nothing();
                let Answering { asking, making, .. } = *exchange;
                drop(making);
                Ok(self.answer(turn, work, asking, response))
            }
            Ok(Step::End) => {
                self.wait_for_nothing();
                let trailers = exchange.trailers(work);
                self.phase = Phase::Exchange(exchange);
                work.output.encode(|bytes| self.conn.finish(&trailers, bytes));
                self.end_content();
                Ok(Flow::Again)
            }
            Ok(Step::Not(flow)) => {
                self.phase = Phase::Exchange(exchange);
                Ok(flow)
            }
            Err(error) => {
                self.phase = Phase::Exchange(exchange);
                Err(error)
            }
        }
    }

    fn step(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        exchange: &mut Answering,
        cx: &mut Context<'_>,
    ) -> io::Result<Step> {
        let asking = &mut exchange.asking;
        match &mut exchange.making {
            Making::Answer(asked) => {
                let (app, head) = (asking.exchange.app(), work.parser.head(work.input.head()));
                let lane = &turn.current.shared.lane;
                if let Poll::Ready(response) = app.poll(asked, &head, &mut self.caller, lane, cx) {
                    return Ok(Step::Answer(response));
                }
            }
            Making::Content { body, answered, gathering, ends_at_stop, .. } => {
                match self.pull(turn, work, (body, gathering), &mut answered.sent, cx) {
                    Ok(Pulled::Some) => return Ok(Step::Not(Flow::Again)),
                    Ok(Pulled::Waits)
                        if *ends_at_stop && turn.current.shared.stop() != Stop::No =>
                    {
                        self.caller.part();
                        return Ok(Step::End);
                    }
                    Ok(Pulled::Waits) => {}
                    Ok(Pulled::Full) => return Ok(Step::Not(Flow::Wait)),
                    Ok(Pulled::End) => return Ok(Step::End),
                    // The head has gone out: the client sees the fault as an answer that is cut, after what
                    // came before it.
                    Err(error) => {
                        let _ = self.poll_send(turn, work, cx);
                        return Err(error);
                    }
                }
            }
        }
        // Neither answer nor content is ready. What is there already goes out, and the client may be what is
        // waited for.
        let sent = work.output.is_empty() || self.poll_send(turn, work, cx)?.is_ready();
        if let Some(feed) = &mut asking.feed
            && self.feed(turn, work, feed, cx)?
        {
            return Ok(Step::Not(Flow::Again));
        }
        if sent && asking.feed.is_none() {
            self.wait_for_nothing();
        }
        self.watch(work, exchange, cx)?;
        Ok(Step::Not(Flow::Wait))
    }

    /// Notices a client that is gone, which fails here. One that has only closed its half still gets its
    /// answer; the next requests are kept, as far as they may wait.
    fn watch(
        &mut self,
        work: &mut Work,
        exchange: &mut Answering,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        if exchange.input_ended {
            // Behind a layer that waited there may be somebody else who wants to know.
            self.caller.depart();
        }
        if exchange.input_ended || self.conn.is_receiving() {
            return Ok(());
        }
        while work.input.unread().len() < INPUT_BYTES_MAX {
            match self.read(work, cx)? {
                Read::Bytes => {}
                Read::Nothing => break,
                Read::End => {
                    exchange.input_ended = true;
                    self.caller.depart();
                    break;
                }
            }
        }
        Ok(())
    }

    /// Takes chunks of content until a batch is full.
    fn pull(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        (body, gathering): (&mut Body, &mut Gathering),
        bytes: &mut u64,
        cx: &mut Context<'_>,
    ) -> io::Result<Pulled> {
        if work.output.queued() >= BATCH_BYTES || gathering.is_full(work.output.unsent()) {
            if self.poll_send(turn, work, cx)?.is_pending() {
                return Ok(Pulled::Full);
            }
            let may_grow = turn.current.shared.has_much_room();
            gathering.sent(turn.ms, may_grow);
            body.may_grow(may_grow);
        }
        match catch_unwind(AssertUnwindSafe(|| body.poll_to_client(cx))) {
            Ok(Poll::Ready(Ok(Some(chunk)))) => {
                *bytes += chunk.len() as u64;
                work.output.push(&mut self.conn, chunk);
                Ok(Pulled::Some)
            }
            Ok(Poll::Ready(Ok(None))) => Ok(Pulled::End),
            Ok(Poll::Pending) => Ok(Pulled::Waits),
            Ok(Poll::Ready(Err(error))) => Err(error),
            Err(_) => Err(io::Error::other("the content panicked")),
        }
    }

    /// No more content comes: what is encoded is to be sent, then the answer is logged.
    fn end_content(&mut self) {
        if let Phase::Exchange(exchange) = std::mem::replace(&mut self.phase, Phase::Flush)
            && let Making::Content { answered, until_close, .. } = exchange.making
        {
            self.unlogged = Some(Box::new(Unlogged { answered, until_close }));
        }
    }

    /// The connection ends: an answer that is cut is logged too, with what of it was sent.
    pub(super) fn ended(&mut self, turn: &Turn, work: &Work) {
        let is_cut = matches!(self.phase, Phase::Exchange(_)) || !work.output.is_empty();
        self.end_content();
        self.caller.depart();
        if let Some(unlogged) = &mut self.unlogged {
            let sent = &mut unlogged.answered.sent;
            *sent = sent.saturating_sub(work.output.unsent());
            if is_cut && unlogged.until_close {
                // A plain end would look like the end of the content.
                self.io.reset_on_drop();
            }
        }
        self.log_sent(turn, work);
    }

    /// True while an answer goes out and nothing comes in.
    pub(super) fn is_sending(&self) -> bool {
        match &self.phase {
            Phase::Exchange(exchange) => {
                matches!(exchange.making, Making::Content { .. }) && exchange.asking.feed.is_none()
            }
            Phase::Flush => true,
            Phase::Announced
            | Phase::Handshake
            | Phase::Receive
            | Phase::Listen(_)
            | Phase::Session(_)
            | Phase::Multiplex(_)
            | Phase::Drain
            | Phase::Linger(_) => false,
        }
    }

    /// Bytes of a body that wait for their reader, and of an answer that wait for the client.
    pub(super) fn held_in_queues(&self) -> usize {
        let exchange = match &self.phase {
            Phase::Exchange(exchange) => exchange,
            Phase::Session(conversation) => return conversation.held(),
            _ => return 0,
        };
        let of_answer = match &exchange.making {
            Making::Content { body, .. } => body.queued_for_client(),
            Making::Answer(_) => 0,
        };
        exchange.asking.feed.as_ref().map_or(0, Feed::held) + of_answer
    }

    /// The body did not come in time; false when that ends the connection at once.
    pub(super) fn body_timed_out(&mut self, turn: &Turn, work: &mut Work) -> bool {
        if !self.conn.may_respond() {
            return false;
        }
        let Phase::Exchange(exchange) = std::mem::replace(&mut self.phase, Phase::Flush) else {
            return false;
        };
        self.wait_for_nothing();
        let Asking { exchange, feed } = exchange.asking;
        if let Some(feed) = feed {
            feed.fail(BodyError::TimedOut);
        }
        let response = Response::error(408, BodyError::TimedOut.to_string()).closing();
        self.answer(turn, work, Asking { exchange, feed: None }, response);
        true
    }

    /// Encodes an answer, or as much of it as is there.
    pub(super) fn answer(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        asking: Asking<'_>,
        response: Response,
    ) -> Flow {
        // Another protocol may not be what was asked for.
        let is_session = matches!(response.body.kind, Kind::Session(_));
        if !is_session && asking.exchange.app().leaves(&response) {
            return self.send(turn, work, asking, response);
        }
        self.finish(turn, work, asking, response)
    }

    /// Has the app make of an answer what is sent, and encodes that. Apart, so that an answer that is sent as it is need not be moved.
    #[inline(never)]
    fn finish(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        asking: Asking<'_>,
        response: Response,
    ) -> Flow {
        let request = || work.head().map(|head| (head, &self.caller));
        let instead = |response: &Response| self.in_place_of_unasked(work, response);
        let response = asking.exchange.app().finish(request, response, instead);
        self.send(turn, work, asking, response)
    }

    /// Encodes an answer that layers have seen.
    pub(super) fn send(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        asking: Asking<'_>,
        response: Response,
    ) -> Flow {
        let shared = &turn.current.shared;
        let mut answered = asking.exchange.answered(response.status(), 0);
        answered.log_slow(&self.place.worker, &turn.current, || self.asker(work));
        if matches!(response.body.kind, Kind::Session(_)) {
            return self.hand_over(turn, work, asking.exchange, response);
        }
        if response.close || shared.stop() != Stop::No || self.place.entry.is_evicted() {
            self.conn.close_after();
        }
        let start = work.output.bytes.len();
        let limits = &shared.options.limits.http;
        let send =
            self.conn.respond(response.head(), &turn.current.stamp, limits, &mut work.output.bytes);
        if let Some(sink) = asking.exchange.app().dump_sink() {
            dump(sink, b"> ", &work.output.bytes[start..]);
        }
        let ends_at_stop = response.body.is_endless()
            && work.head().is_some_and(|head| response.is_asked_for_again(head.method()));
        match (send, response.body.kind) {
            (SendBody::Omit, _) | (_, Kind::Empty) => {}
            (_, Kind::Bytes(content, _))
                if send == SendBody::Chunked || content.len() <= COPY_MAX =>
            {
                answered.sent = content.len() as u64;
                self.conn.send_body(&content, &mut work.output.bytes);
            }
            (_, Kind::Bytes(content, whose)) => {
                answered.sent = content.len() as u64;
                self.conn.sent(answered.sent);
                work.output.parts.push_back(Part::Bytes(content, whose));
            }
            (_, Kind::Parts(parts)) => {
                answered.sent = parts.iter().map(Part::len).sum();
                self.conn.sent(answered.sent);
                work.output.parts = parts;
            }
            (_, Kind::Broadcast(broadcast)) => {
                return self.begin_listening(turn, work, answered, send, *broadcast);
            }
            (
                _,
                kind @ (Kind::Stream(..) | Kind::Incoming(_) | Kind::Limited(_) | Kind::Session(_)),
            ) => {
                let until_close =
                    send == SendBody::Plain && !matches!(kind, Kind::Stream(_, Some(_), _));
                let gathering = Gathering::new(turn.ms);
                let body = Body { kind };
                body.may_grow(turn.current.shared.has_much_room());
                let making =
                    Making::Content { body, answered, gathering, until_close, ends_at_stop };
                return self.begin(asking, making);
            }
        }
        drop(asking);
        self.end_answer(turn, work, answered)
    }

    /// All of an answer is encoded, or lies where it goes out from.
    #[inline]
    fn end_answer(&mut self, turn: &Turn, work: &mut Work, answered: Answered) -> Flow {
        const NO_TRAILERS: &Fields = &Fields::new();
        self.conn.finish(NO_TRAILERS, &mut work.output.bytes);
        self.unlogged = None;
        if work.output.parts.is_empty() && work.output.queued() < BATCH_BYTES {
            // The common case: the whole answer is encoded, and the next request may share its write.
            self.log_answer(turn, work, answered);
            return self.after_answer(turn, work);
        }
        self.unlogged = Some(Box::new(Unlogged { answered, until_close: false }));
        self.phase = Phase::Flush;
        Flow::Again
    }

    /// Answers in place of a handler and ends the connection; only ends it if an answer has begun.
    pub(super) fn refuse(&mut self, turn: &Turn, work: &mut Work, status: u16, why: &'static str) {
        self.wait_for_nothing();
        self.conn.close_after();
        if !self.conn.may_respond() {
            self.phase = Phase::Flush;
            return;
        }
        if work.input.head().is_empty() {
            // Whoever sent the request before has not sent this.
            self.caller.begin_again(&self.peer, self.is_secure());
            self.received = 0;
        }
        let response = match status {
            503 => busy(why),
            _ => Response::error(status, why),
        };
        self.phase = Phase::Flush;
        self.answer(turn, work, Asking::begin(turn), response.closing());
    }

    /// Logs the answer that has just been sent.
    pub(super) fn log_sent(&mut self, turn: &Turn, work: &Work) {
        if let Some(unlogged) = self.unlogged.take() {
            self.log_answer(turn, work, unlogged.answered);
        }
    }

    pub(super) fn log_answer(&self, turn: &Turn, work: &Work, answered: Answered) {
        answered.log(&self.place.worker, &turn.current, || self.asker(work));
    }

    #[inline]
    fn asker<'a>(&'a self, work: &'a Work) -> Asker<'a> {
        let head = work.head();
        let version = head.map_or(Version::Http11, |head| head.version());
        Asker { head, caller: &self.caller, version, received: self.received }
    }
}

enum Pulled {
    Some,
    Waits,
    Full,
    End,
}
