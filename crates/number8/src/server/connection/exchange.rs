//! One request and its answer: from the head to the last byte that is encoded.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use number8_proto::headers::Fields;
use number8_proto::http1::{BodyLength, SendBody, Version};
use number8_proto::negotiate::takes_trailers;

use super::super::counts::Counts;
use super::super::shared::Stop;
use super::super::transport::Security;
use super::super::worker::Told;
use super::feed::Feed;
use super::gathering::Gathering;
use super::output::COPY_MAX;
use super::{BATCH_BYTES, Connection, Flow, Phase, Read, Turn, Unlogged, Work};
use crate::app::{App, Asked, readiness};
use crate::body::{Body, BodyError, Kind, Part, channel};
use crate::layers::access_log::Sink;
use crate::response::{Response, busy};
use crate::session::INPUT_BYTES_MAX;

/// A request whose answer is not complete.
pub(super) struct Exchange {
    /// Who answers; the server may serve another app by now.
    app: Arc<App>,
    since: Option<Instant>,
    making: Making,
    feed: Option<Feed>,
    /// The client has closed its half: nothing more is read.
    input_ended: bool,
}

impl Exchange {
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
        status: u16,
        bytes: u64,
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
        let since = turn.begun;
        let (shared, app) = (&turn.current.shared, &turn.current.app);
        if let Some(sink) = app.dump_sink() {
            dump(sink, b"< ", work.input.head());
        }
        self.caller.begin_again(self.peer, self.is_secure());
        self.received = 0;
        if self.security == Security::Missed {
            let answer = self.lead_to_https(work);
            return self.answer(turn, app, work, since, answer, None);
        }
        if !shared.has_room() {
            self.place.worker.count(Counts::over_buffered);
            let busy = busy("the server holds as much as it may");
            return self.answer(turn, app, work, since, busy, None);
        }
        if let Some(refusal) = app.identify(&mut work.parser, work.input.head(), &mut self.caller) {
            return self.answer(turn, app, work, since, refusal, None);
        }
        let head = work.parser.head(work.input.head());
        if app.is_readiness(head.path()) {
            let ready = readiness(head.method(), shared.unready());
            return self.answer(turn, app, work, since, ready, None);
        }
        let (feed, body) = match self.conn.body() {
            BodyLength::None => (None, Body::empty()),
            length @ (BodyLength::Known(_) | BodyLength::Chunked) => {
                let length = match length {
                    BodyLength::Known(length) => Some(length),
                    _ => None,
                };
                let limit = shared.options.limits.body_bytes_max;
                let (feeder, incoming) = channel(cx.waker().clone(), length, limit);
                (Some(Feed::new(feeder)), Body::incoming(incoming))
            }
        };
        let head = work.parser.head(work.input.head());
        let call = app.call(&head, &mut self.caller, body, &shared.lane);
        match app.ask(call, cx) {
            Ok(response) => self.answer(turn, app, work, since, response, feed),
            Err(asked) => {
                let (app, making) = (Arc::clone(app), Making::Answer(asked));
                self.begin(Exchange { app, since, making, feed, input_ended: false })
            }
        }
    }

    fn begin(&mut self, exchange: Exchange) -> Flow {
        self.phase = Phase::Exchange(Box::new(exchange));
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
                let Exchange { app, since, making, feed, .. } = *exchange;
                drop(making);
                Ok(self.answer(turn, &app, work, since, response, feed))
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
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> io::Result<Step> {
        match &mut exchange.making {
            Making::Answer(asked) => {
                let (app, head) = (&exchange.app, work.parser.head(work.input.head()));
                let lane = &turn.current.shared.lane;
                if let Poll::Ready(response) = app.poll(asked, &head, &mut self.caller, lane, cx) {
                    return Ok(Step::Answer(response));
                }
            }
            Making::Content { body, bytes, gathering, ends_at_stop, .. } => {
                match self.pull(turn, work, (body, gathering), bytes, cx) {
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
        if let Some(feed) = &mut exchange.feed
            && self.feed(turn, work, feed, cx)?
        {
            return Ok(Step::Not(Flow::Again));
        }
        if sent && exchange.feed.is_none() {
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
        exchange: &mut Exchange,
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
            && let Exchange { since, making, .. } = *exchange
            && let Making::Content { status, bytes, until_close, .. } = making
        {
            self.unlogged = Some(Box::new(Unlogged { status, bytes, since, until_close }));
        }
    }

    /// The connection ends: an answer that is cut is logged too, with what of it was sent.
    pub(super) fn ended(&mut self, turn: &Turn, work: &Work) {
        let is_cut = matches!(self.phase, Phase::Exchange(_)) || !work.output.is_empty();
        self.end_content();
        self.caller.depart();
        if let Some(unlogged) = &mut self.unlogged {
            unlogged.bytes = unlogged.bytes.saturating_sub(work.output.unsent());
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
                matches!(exchange.making, Making::Content { .. }) && exchange.feed.is_none()
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
        exchange.feed.as_ref().map_or(0, Feed::held) + of_answer
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
        if let Some(feed) = &exchange.feed {
            feed.fail(BodyError::TimedOut);
        }
        let response = Response::error(408, BodyError::TimedOut.to_string()).closing();
        self.answer(turn, &exchange.app, work, exchange.since, response, None);
        true
    }

    /// Encodes an answer, or as much of it as is there.
    pub(super) fn answer(
        &mut self,
        turn: &Turn,
        app: &Arc<App>,
        work: &mut Work,
        since: Option<Instant>,
        response: Response,
        feed: Option<Feed>,
    ) -> Flow {
        // Layers see what is sent, so what cannot be handed over is refused before.
        let mut response = self.permitted(work, response);
        if !app.is_finished(&response) {
            let head = work.input.head();
            let head = (!head.is_empty()).then(|| work.parser.head(head));
            response = app.finish(head.as_ref().map(|head| (head, &self.caller)), response);
            if matches!(response.body.kind, Kind::Session(_)) {
                // It may be a layer's.
                response = app.finish(None, self.permitted(work, response));
            }
        }
        self.send(turn, app, work, since, response, feed)
    }

    /// Encodes an answer that layers have seen.
    pub(super) fn send(
        &mut self,
        turn: &Turn,
        app: &Arc<App>,
        work: &mut Work,
        since: Option<Instant>,
        response: Response,
        feed: Option<Feed>,
    ) -> Flow {
        let shared = &turn.current.shared;
        self.log_slow(turn, work, response.status(), since);
        if matches!(response.body.kind, Kind::Session(_)) {
            drop(feed);
            return self.hand_over(turn, app, work, since, response);
        }
        if response.close || shared.stop() != Stop::No || self.place.entry.is_evicted() {
            self.conn.close_after();
        }
        let start = work.output.bytes.len();
        let limits = &shared.options.limits.http;
        let send =
            self.conn.respond(response.head(), &turn.current.stamp, limits, &mut work.output.bytes);
        if let Some(sink) = app.dump_sink() {
            dump(sink, b"> ", &work.output.bytes[start..]);
        }
        let status = response.status();
        let ends_at_stop = response.body.len().is_none() && {
            let head = work.input.head();
            !head.is_empty() && response.is_asked_for_again(work.parser.head(head).method())
        };
        let mut bytes = 0;
        match (send, response.body.kind) {
            (SendBody::Omit, _) | (_, Kind::Empty) => {}
            (_, Kind::Bytes(content, _))
                if send == SendBody::Chunked || content.len() <= COPY_MAX =>
            {
                bytes = content.len() as u64;
                self.conn.send_body(&content, &mut work.output.bytes);
            }
            (_, Kind::Bytes(content, whose)) => {
                bytes = content.len() as u64;
                self.conn.sent(bytes);
                work.output.parts.push_back(Part::Bytes(content, whose));
            }
            (_, Kind::Parts(parts)) => {
                bytes = parts.iter().map(Part::len).sum();
                self.conn.sent(bytes);
                work.output.parts = parts;
            }
            (_, Kind::Broadcast(broadcast)) => {
                drop(feed);
                return self.begin_listening(turn, work, since, send, status, *broadcast);
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
                    Making::Content { body, status, bytes, gathering, until_close, ends_at_stop };
                let app = Arc::clone(app);
                return self.begin(Exchange { app, since, making, feed, input_ended: false });
            }
        }
        drop(feed);
        self.conn.finish(&Fields::new(), &mut work.output.bytes);
        self.unlogged = None;
        if work.output.parts.is_empty() && work.output.queued() < BATCH_BYTES {
            // The common case: the whole answer is encoded, and the next request may share its write.
            self.log_answer(turn, work, status, bytes, since);
            return self.after_answer(turn, work);
        }
        self.unlogged = Some(Box::new(Unlogged { status, bytes, since, until_close: false }));
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
            self.caller.begin_again(self.peer, self.is_secure());
            self.received = 0;
        }
        let response = match status {
            503 => busy(why),
            _ => Response::error(status, why),
        };
        self.phase = Phase::Flush;
        self.answer(turn, &turn.current.app, work, turn.begun, response.closing(), None);
    }

    /// Logs the answer that has just been sent.
    pub(super) fn log_sent(&mut self, turn: &Turn, work: &Work) {
        if let Some(unlogged) = self.unlogged.take() {
            let Unlogged { status, bytes, since, .. } = *unlogged;
            self.log_answer(turn, work, status, bytes, since);
        }
    }

    pub(super) fn log_answer(
        &self,
        turn: &Turn,
        work: &Work,
        status: u16,
        bytes: u64,
        since: Option<Instant>,
    ) {
        let app = &turn.current.app;
        if app.log().is_none() && !self.place.worker.counts() {
            return;
        }
        let head = work.input.head();
        let head = (!head.is_empty()).then(|| work.parser.head(head));
        if head.is_some_and(|head| app.is_probe(head.path())) {
            return;
        }
        let duration = since.map(|since| since.elapsed()).unwrap_or_default();
        let version = head.map_or(Version::Http11, |head| head.version());
        let told = Told { version, status, sent: bytes, received: self.received, duration };
        self.place.worker.log(&turn.current, &self.caller, head.as_ref(), told);
    }

    /// Tells of an answer that begins late.
    fn log_slow(&self, turn: &Turn, work: &Work, status: u16, since: Option<Instant>) {
        let Some(slow) = turn.current.app.slow() else { return };
        let duration = since.map(|since| since.elapsed()).unwrap_or_default();
        if duration >= slow.after {
            let head = work.input.head();
            let head = (!head.is_empty()).then(|| work.parser.head(head));
            let version = head.map_or(Version::Http11, |head| head.version());
            let told = Told { version, status, sent: 0, received: self.received, duration };
            self.place.worker.log_slow(&turn.current, &self.caller, head.as_ref(), told);
        }
    }
}

enum Pulled {
    Some,
    Waits,
    Full,
    End,
}

/// Writes a head to the dump, each line marked, whatever it holds.
pub(in super::super) fn dump(sink: &Sink, mark: &[u8], head: &[u8]) {
    let mut lines = Vec::with_capacity(head.len() + 64);
    for line in head.split(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            lines.extend_from_slice(mark);
            lines.extend(line.iter().flat_map(|&b| std::ascii::escape_default(b)));
            lines.push(b'\n');
        }
    }
    sink.push(&lines);
}
