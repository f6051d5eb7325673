//! One request and its answer: from the head to the last byte that is encoded.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use number8_proto::headers::Fields;
use number8_proto::http1::{BodyLength, Event, SendBody};

use super::super::clock;
use super::super::transport::Transport;
use super::super::worker::Stop;
use super::{BATCH_BYTES, Connection, Flow, Phase, Read, Turn, Unlogged, Wait, Work};
use crate::body::{Body, BodyError, Feeder, Kind, Part, channel};
use crate::handler::{Answer, Call};
use crate::layers::access_log::Sink;
use crate::response::Response;

/// Contents up to this size are copied behind their head; larger ones are sent from where they are.
const COPY_MAX: usize = 16 * 1024;

/// A request whose answer is not complete.
pub(super) struct Exchange {
    since: Option<Instant>,
    making: Making,
    feed: Option<Feed>,
}

/// What is being made.
enum Making {
    /// The answer.
    Answer(Pin<Box<dyn Future<Output = Response> + Send>>),
    /// Its content.
    Content { body: Body, status: u16, bytes: u64 },
}

/// The body of the request on its way to the handler.
struct Feed {
    feeder: Feeder,
    received: u64,
    limit: u64,
    /// When the client was first waited for.
    since_ms: Option<u64>,
    /// When its last bytes came.
    last_ms: u64,
}

impl<T: Transport + Unpin> Connection<T> {
    /// A head is complete: finds out who answers, and begins.
    pub(super) fn dispatch(&mut self, turn: &Turn, work: &mut Work, cx: &mut Context<'_>) -> Flow {
        let since = turn.begun;
        let (shared, app) = (&turn.worker.shared, &turn.current.app);
        if let Some(sink) = app.dump_sink() {
            dump(sink, b"< ", work.input.head());
        }
        if !shared.has_room() {
            let busy = busy("the server holds as much as it may");
            return self.answer(turn, work, since, busy, None);
        }
        let head = work.parser.head(work.input.head());
        let (feed, body) = match self.conn.body() {
            BodyLength::None => (None, Body::empty()),
            length @ (BodyLength::Known(_) | BodyLength::Chunked) => {
                let limit = shared.options.limits.body_bytes_max;
                let (feeder, incoming) = channel(cx.waker().clone());
                if matches!(length, BodyLength::Known(length) if length > limit) {
                    // Whoever wants to read it learns so; whoever does not may have a better answer.
                    feeder.end(Err(BodyError::TooLarge));
                }
                let feed = Feed { feeder, received: 0, limit, since_ms: None, last_ms: 0 };
                (Some(feed), Body::incoming(incoming))
            }
        };
        let call = Call {
            head: &head,
            path: head.path(),
            peer: self.peer,
            body,
            lane: &shared.lane,
            now: turn.now(),
        };
        // An answer that needs no waiting after all is common enough to be spared the trouble.
        let answer = catch_unwind(AssertUnwindSafe(|| match app.handle(call) {
            Answer::Ready(response) => Answer::Ready(response),
            Answer::Later(mut future) => match future.as_mut().poll(cx) {
                Poll::Ready(response) => Answer::Ready(response),
                Poll::Pending => Answer::Later(future),
            },
        }));
        match answer {
            Ok(Answer::Ready(response)) => self.answer(turn, work, since, response, feed),
            Ok(Answer::Later(future)) => {
                let making = Making::Answer(future);
                self.phase = Phase::Exchange(Box::new(Exchange { since, making, feed }));
                Flow::Again
            }
            Err(_) => self.answer(turn, work, since, panicked(), feed),
        }
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
        loop {
            match &mut exchange.making {
                Making::Answer(future) => {
                    let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
                    let response = match polled {
                        Ok(Poll::Ready(response)) => Some(response),
                        Ok(Poll::Pending) => None,
                        Err(_) => Some(panicked()),
                    };
                    if let Some(response) = response {
                        self.wait_for_nothing();
                        let Exchange { since, making, feed } = *exchange;
                        drop(making);
                        return Ok(self.answer(turn, work, since, response, feed));
                    }
                }
                Making::Content { body, bytes, .. } => {
                    match self.pull(turn, work, body, bytes, cx)? {
                        Pulled::Some => continue,
                        Pulled::Waits => {}
                        Pulled::Full => {
                            self.phase = Phase::Exchange(exchange);
                            return Ok(Flow::Wait);
                        }
                        Pulled::End => {
                            self.wait_for_nothing();
                            self.end_content(work, *exchange);
                            return Ok(Flow::Again);
                        }
                    }
                }
            }
            // Neither answer nor content is ready. What is there already goes out, and the client may
            // be what is waited for.
            let sent = work.output.is_empty() || self.poll_send(turn, work, cx)?.is_ready();
            if let Some(feed) = &mut exchange.feed
                && self.feed(turn, work, feed, cx)?
            {
                continue;
            }
            if sent && exchange.feed.is_none() {
                self.wait_for_nothing();
            }
            self.phase = Phase::Exchange(exchange);
            return Ok(Flow::Wait);
        }
    }

    /// Takes chunks of content until a batch is full.
    fn pull(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        body: &mut Body,
        bytes: &mut u64,
        cx: &mut Context<'_>,
    ) -> io::Result<Pulled> {
        if work.output.queued() >= BATCH_BYTES && self.poll_send(turn, work, cx)?.is_pending() {
            return Ok(Pulled::Full);
        }
        match catch_unwind(AssertUnwindSafe(|| body.poll_chunk(cx))) {
            Ok(Poll::Ready(Ok(Some(chunk)))) => {
                *bytes += chunk.len() as u64;
                self.conn.send_body(&chunk, &mut work.output.bytes);
                Ok(Pulled::Some)
            }
            Ok(Poll::Ready(Ok(None))) => Ok(Pulled::End),
            Ok(Poll::Pending) => Ok(Pulled::Waits),
            // The head has gone out: the client sees the fault as an answer that is cut.
            Ok(Poll::Ready(Err(error))) => Err(error),
            Err(_) => Err(io::Error::other("the content panicked")),
        }
    }

    fn end_content(&mut self, work: &mut Work, exchange: Exchange) {
        let Making::Content { body, status, bytes } = exchange.making else { return };
        drop(body);
        self.conn.finish(&Fields::new(), &mut work.output.bytes);
        self.unlogged = Some(Box::new(Unlogged { status, bytes, since: exchange.since }));
        self.phase = Phase::Flush;
    }

    /// Reads the body of the request for whoever wants it; true when there is something new for them.
    fn feed(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        feed: &mut Feed,
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        let options = &turn.worker.shared.options;
        if !feed.feeder.wants_more() {
            // Whoever reads takes its time: the client is not to blame.
            feed.since_ms = None;
            if self.wait == Wait::Body {
                self.wait_for_nothing();
            }
            return Ok(false);
        }
        self.conn.send_continue(&mut work.output.bytes);
        loop {
            let received =
                self.conn.receive(&mut work.parser, work.input.unread(), &options.limits.http);
            let (used, event) = match received {
                Ok(received) => received,
                Err(error) => {
                    feed.feeder.end(Err(BodyError::Malformed(error)));
                    return Ok(true);
                }
            };
            let (has_news, needs_more) = match event {
                Event::Data(data) => {
                    feed.received += data.len() as u64;
                    if feed.received > feed.limit {
                        feed.feeder.end(Err(BodyError::TooLarge));
                        self.conn.close_after();
                    } else {
                        feed.feeder.push(Bytes::copy_from_slice(data));
                    }
                    (true, false)
                }
                Event::Trailer { name, value } => {
                    feed.feeder.push_trailer(name, value);
                    (false, false)
                }
                Event::End => {
                    feed.feeder.end(Ok(()));
                    (true, false)
                }
                Event::NeedMore | Event::Head(_) => (false, true),
            };
            work.input.used(used);
            if has_news {
                self.wait_for_nothing();
                return Ok(true);
            }
            if !needs_more {
                continue;
            }
            if work.output.queued() > 0 && self.poll_send(turn, work, cx)?.is_pending() {
                return Ok(false);
            }
            match self.read(work, cx)? {
                Read::Bytes => feed.last_ms = turn.ms,
                Read::Nothing => {
                    let now_ms = turn.ms;
                    let since_ms = *feed.since_ms.get_or_insert_with(|| {
                        feed.last_ms = now_ms;
                        now_ms
                    });
                    let silent = feed.last_ms + clock::millis(options.timeouts.body);
                    let slow = match options.timeouts.body_rate_min {
                        0 => u64::MAX,
                        // Later than this, the average would be below the lowest rate.
                        rate => {
                            since_ms
                                + clock::millis(options.timeouts.body_rate_after)
                                + feed.received.saturating_mul(1000) / rate
                        }
                    };
                    self.wait_for(Wait::Body, silent.min(slow));
                    return Ok(false);
                }
                Read::End => {
                    // The client will not hear an answer to what it left unfinished.
                    let _ = self.conn.receive_eof(true);
                    feed.feeder.end(Err(BodyError::Disconnected));
                    return Ok(true);
                }
            }
        }
    }

    /// The body did not come in time; false when that ends the connection at once.
    pub(super) fn body_timed_out(&mut self, turn: &Turn, work: &mut Work) -> bool {
        let Phase::Exchange(exchange) = std::mem::replace(&mut self.phase, Phase::Flush) else {
            return false;
        };
        self.wait_for_nothing();
        if let Some(feed) = &exchange.feed {
            feed.feeder.end(Err(BodyError::TimedOut));
        }
        if !self.conn.may_respond() {
            return false;
        }
        let response = Response::error(408, BodyError::TimedOut.to_string()).closing();
        self.answer(turn, work, exchange.since, response, None);
        true
    }

    /// Encodes an answer, or as much of it as is there.
    fn answer(
        &mut self,
        turn: &Turn,
        work: &mut Work,
        since: Option<Instant>,
        response: Response,
        feed: Option<Feed>,
    ) -> Flow {
        let (shared, app) = (&turn.worker.shared, &turn.current.app);
        let response = app.finish(response);
        if response.close || shared.stop() != Stop::No {
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
        let mut bytes = 0;
        match (send, response.body.kind) {
            (SendBody::Omit, _) | (_, Kind::Empty) => {}
            (_, Kind::Bytes(content)) if send == SendBody::Chunked || content.len() <= COPY_MAX => {
                bytes = content.len() as u64;
                self.conn.send_body(&content, &mut work.output.bytes);
            }
            (_, Kind::Bytes(content)) => {
                bytes = content.len() as u64;
                self.conn.sent(bytes);
                work.output.parts.push_back(Part::Bytes(content));
            }
            (_, Kind::Parts(parts)) => {
                bytes = parts.iter().map(Part::len).sum();
                self.conn.sent(bytes);
                work.output.parts = parts;
            }
            (_, kind @ (Kind::Stream(_) | Kind::Incoming(_))) => {
                let making = Making::Content { body: Body { kind }, status, bytes };
                self.phase = Phase::Exchange(Box::new(Exchange { since, making, feed }));
                return Flow::Again;
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
        self.unlogged = Some(Box::new(Unlogged { status, bytes, since }));
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
        let response = match status {
            503 => busy(why),
            _ => Response::error(status, why),
        };
        self.phase = Phase::Flush;
        self.answer(turn, work, turn.begun, response.closing(), None);
    }

    /// Logs the answer that has just been sent.
    pub(super) fn log_sent(&mut self, turn: &Turn, work: &Work) {
        if let Some(unlogged) = self.unlogged.take() {
            let Unlogged { status, bytes, since } = *unlogged;
            self.log_answer(turn, work, status, bytes, since);
        }
    }

    fn log_answer(
        &self,
        turn: &Turn,
        work: &Work,
        status: u16,
        bytes: u64,
        since: Option<Instant>,
    ) {
        let app = &turn.current.app;
        if app.log().is_none() {
            return;
        }
        let head = work.input.head();
        let head = (!head.is_empty()).then(|| work.parser.head(head));
        if head.is_some_and(|head| app.is_health(head.path())) {
            return;
        }
        let client = self.peer.map(|peer| peer.ip());
        let duration = since.map(|since| since.elapsed()).unwrap_or_default();
        let unix = turn.current.unix;
        turn.worker.log(app, client, head.as_ref(), status, bytes, duration, unix);
    }
}

enum Pulled {
    Some,
    Waits,
    Full,
    End,
}

fn busy(why: &'static str) -> Response {
    Response::error(503, why).with_known("Retry-After", "1").closing()
}

/// The panic has been printed by the hook; the client learns no more than that it was not its fault.
fn panicked() -> Response {
    Response::error(500, "the handler failed")
}

/// Writes a head to the dump, each line marked, whatever it holds.
fn dump(sink: &Sink, mark: &[u8], head: &[u8]) {
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
