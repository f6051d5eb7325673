//! One request and its answer, on a stream of their own.

use std::task::{Context, Poll};

use h2::Reason;
use h2::server::SendResponse;
use number8_proto::Error;
use number8_proto::http1::{Head, HeadParser, OwnedHead, Version, is_without_content};
use number8_proto::negotiate::takes_trailers;

use super::super::counts::Opened;
use super::super::exchange::{Asker, Exchange};
use super::super::options::Timeouts;
use super::super::shared::Stop;
use super::super::worker::{Turn, Worker};
use super::content::{Cut, Sending, Source};
use super::data::{Data, Held};
use super::logged::shortened;
use super::message::{self, Stamped};
use super::patience::{Patience, Wait};
use super::upload::{News, Upload};
use crate::app::Asked;
use crate::body::{Body, BodyError, Kind, Part};
use crate::caller::Caller;
use crate::response::Response;
use crate::standing::Standing;

/// What the streams of a connection have in common during a turn.
pub(super) struct Desk<'a> {
    pub(super) turn: &'a Turn,
    pub(super) worker: &'a Worker,
    pub(super) stamped: &'a mut Stamped,
    /// The content that the protocol holds.
    pub(super) held: Held,
    /// How many streams there were when the turn began.
    pub(super) streams: usize,
    /// Bytes of content that were handed to the protocol in this turn.
    pub(super) given: usize,
    /// Heads of answers.
    pub(super) heads: usize,
    /// Frames of content.
    pub(super) frames: u32,
    /// Streams that were ended by force.
    pub(super) resets: u32,
}

/// A request on its way to its answer.
pub(super) struct Request {
    exchange: Exchange<'static>,
    caller: Caller,
    upload: Option<Upload>,
    respond: SendResponse<Data>,
    /// The client waits for `100 Continue`.
    awaits_continue: bool,
    is_head: bool,
}

/// What is being made.
enum Making {
    Answer(Asked),
    Content(Box<Sending>, u16),
}

/// What the log says of a request whose client left before there was an answer: no server sends it, and nginx says the same.
const CLIENT_LEFT: u16 = 499;

/// A stream whose answer is not complete.
pub(super) struct Stream {
    /// Goes before `request`, which tells whoever works for it that the client has left: what they send then has nobody to take it.
    making: Making,
    request: Request,
    head: OwnedHead,
    patience: Patience,
    /// Why it ends, once what came before has had its turn to be sent.
    cut: Option<Cut>,
}

impl Request {
    pub(super) fn new(
        exchange: Exchange<'static>,
        caller: Caller,
        respond: SendResponse<Data>,
        is_head: bool,
    ) -> Self {
        Self { exchange, caller, upload: None, respond, awaits_continue: false, is_head }
    }

    /// Shows a head to whoever wants to see what comes.
    pub(super) fn dump(&self, head: &[u8]) {
        if let Some(sink) = self.exchange.app().dump_sink() {
            message::dump_request(sink, head);
        }
    }

    /// Finds out who asks; an answer where the app is not to be asked.
    pub(super) fn unasked(
        &mut self,
        desk: &Desk<'_>,
        parser: &mut HeadParser,
        head: &[u8],
    ) -> Option<Response> {
        self.exchange.unasked(desk.worker, parser, head, &mut self.caller)
    }

    pub(super) fn expect_content(&mut self, upload: Upload, awaits_continue: bool) {
        self.upload = Some(upload);
        self.awaits_continue = awaits_continue;
    }

    /// Ends a request that is no request (RFC 9113 §8.1.1).
    pub(super) fn reset(mut self, desk: &mut Desk<'_>) {
        desk.resets += 1;
        self.respond.send_reset(Reason::PROTOCOL_ERROR);
    }

    /// Answers a request that cannot be read; `line` is what the log tells of it, where that much can be.
    pub(super) fn refuse(
        mut self,
        desk: &mut Desk<'_>,
        line: Option<&Head<'_>>,
        error: Error,
        cx: &mut Context<'_>,
    ) {
        let response = Response::error(error.status(), error.text());
        if let Some(Making::Content(mut sending, status)) = self.answer(desk, None, response) {
            // Whatever the client's window does not take of such a page is not worth waiting for.
            let _ = sending.poll(&desk.turn.current.shared.lane, desk.turn.ms, cx);
            desk.account(&mut sending);
            self.log(desk, line, status, sending.sent);
        }
    }

    /// Asks the app; a stream where the answer is not complete then.
    pub(super) fn begin(
        mut self,
        desk: &mut Desk<'_>,
        head: &Head<'_>,
        body: Body,
        cx: &mut Context<'_>,
    ) -> Option<Stream> {
        let lane = &desk.turn.current.shared.lane;
        let app = self.exchange.app();
        match app.ask(app.call(head, &mut self.caller, body, lane), cx) {
            Ok(response) => self.begin_with(desk, head, response, cx),
            Err(asked) => Stream::new(self, head, Making::Answer(asked), desk, cx),
        }
    }

    /// Sends this answer; a stream where it is not complete then.
    pub(super) fn begin_with(
        mut self,
        desk: &mut Desk<'_>,
        head: &Head<'_>,
        response: Response,
        cx: &mut Context<'_>,
    ) -> Option<Stream> {
        match self.answer(desk, Some(head), response) {
            Some(making) => Stream::new(self, head, making, desk, cx),
            None => self.over(),
        }
    }

    /// Whoever leaves from here on has its answer.
    fn over(&mut self) -> Option<Stream> {
        self.caller.departure = None;
        None
    }

    /// Sends the head of an answer; its content where there is any.
    fn answer(
        &mut self,
        desk: &mut Desk<'_>,
        head: Option<&Head<'_>>,
        response: Response,
    ) -> Option<Making> {
        let asked = head.map(|head| (*head, &self.caller));
        let response = self.exchange.app().finish(asked, response, without_session);
        let slow = self.exchange.answered(response.status(), 0);
        slow.log_slow(desk.worker, &desk.turn.current, self.asker(head));
        let stamp = &desk.turn.current.stamp;
        let (http, length) = message::head(&response, desk.stamped, stamp.wire());
        if let Some(sink) = self.exchange.app().dump_sink() {
            message::dump(sink, &http);
        }
        let status = response.status();
        let ends_at_stop =
            length.is_none() && head.is_some_and(|head| response.is_asked_for_again(head.method()));
        let is_empty = self.is_head
            || is_without_content(status)
            || length == Some(0)
            || matches!(response.body.kind, Kind::Empty);
        let Ok(stream) = self.respond.send_response(http, is_empty) else {
            self.caller.depart();
            return None;
        };
        desk.heads += 1;
        if is_empty {
            self.log(desk, head, status, 0);
            return None;
        }
        let source = match response.body.kind {
            Kind::Broadcast(broadcast) => {
                // Now, since it may go on for days.
                self.log(desk, head, status, 0);
                let over = self.caller.standing.take().map(Standing::over);
                let one = desk.worker.open(Opened::Listener);
                let held = desk.held.clone();
                let sending = Sending::listening(stream, held, *broadcast, over, one, desk.turn.ms);
                return Some(Making::Content(Box::new(sending), status));
            }
            Kind::Parts(parts) => Source::parts(parts),
            Kind::Bytes(bytes, whose) => Source::parts([Part::Bytes(bytes, whose)].into()),
            kind => Source::Body(Body { kind }),
        };
        let trailers = head.and_then(|head| head.named("te")).is_some_and(takes_trailers);
        let mut sending = Sending::new(stream, desk.held.clone(), source, length, trailers);
        sending.ends_at_stop = ends_at_stop;
        Some(Making::Content(Box::new(sending), status))
    }

    fn log(&self, desk: &Desk<'_>, head: Option<&Head<'_>>, status: u16, bytes: u64) {
        let answered = self.exchange.answered(status, bytes);
        answered.log(desk.worker, &desk.turn.current, self.asker(head));
    }

    fn asker<'a>(&'a self, head: Option<&Head<'a>>) -> Asker<'a> {
        let received = self.upload.as_ref().map_or(0, Upload::received);
        Asker { head: head.copied(), caller: &self.caller, version: Version::Http2, received }
    }

    /// Tells the client to send its content, where it waits for that and somebody wants it.
    fn send_continue(&mut self) {
        if self.awaits_continue && self.upload.as_ref().is_some_and(Upload::is_waited_for) {
            self.awaits_continue = false;
            let mut interim = http::Response::new(());
            *interim.status_mut() = http::StatusCode::CONTINUE;
            // It fails where the stream is over.
            let _ = self.respond.send_informational(interim);
        }
    }
}

/// A connection of many streams cannot be handed over.
fn without_session(response: Response) -> Response {
    match response.body.kind {
        Kind::Session(_) => Response::error(505, "this is for HTTP/1.1 alone"),
        _ => response,
    }
}

impl Desk<'_> {
    pub(super) fn timeouts(&self) -> &Timeouts {
        &self.turn.current.shared.options.timeouts
    }

    fn account(&mut self, sending: &mut Sending) {
        self.frames += std::mem::take(&mut sending.frames);
        self.given += std::mem::take(&mut sending.given);
    }
}

impl Stream {
    /// A stream that has come so far; `None` where that is all.
    fn new(
        mut request: Request,
        head: &Head<'_>,
        mut making: Making,
        desk: &mut Desk<'_>,
        cx: &mut Context<'_>,
    ) -> Option<Self> {
        // Most contents are small and go out at once: these need no copy of the head.
        if request.upload.is_none()
            && let Making::Content(sending, status) = &mut making
            && sending.listener().is_none()
        {
            let polled = sending.poll(&desk.turn.current.shared.lane, desk.turn.ms, cx);
            desk.account(sending);
            if let Poll::Ready(Ok(())) = polled {
                request.log(desk, Some(head), *status, sending.sent);
                return request.over();
            }
            if let Poll::Ready(Err(cut)) = polled {
                let mut stream = Self::hold(request, head, making);
                stream.cut_soon(cut, cx);
                return Some(stream);
            }
        }
        let mut stream = Self::hold(request, head, making);
        stream.poll(desk, cx).is_pending().then_some(stream)
    }

    fn hold(request: Request, head: &Head<'_>, making: Making) -> Self {
        let head = match &making {
            Making::Content(..) => shortened(head),
            Making::Answer(_) => head.to_owned(),
        };
        Self { request, head, making, patience: Patience::default(), cut: None }
    }

    pub(super) fn deadline_ms(&self) -> u64 {
        self.patience.deadline_ms()
    }

    /// Bytes that this holds: its head, and contents received and to be sent.
    pub(super) fn held(&self) -> usize {
        let of_answer = match &self.making {
            Making::Content(sending, _) => sending.held(),
            Making::Answer(_) => 0,
        };
        let of_upload = self.request.upload.as_ref().map_or(0, Upload::held);
        self.head.head().bytes().len() + of_answer + of_upload
    }

    /// Bytes of content that have come, and for which the client may not send others yet.
    pub(super) fn owed(&self) -> usize {
        self.request.upload.as_ref().map_or(0, Upload::owed)
    }

    /// Goes on; ready when this is over.
    pub(super) fn poll(&mut self, desk: &mut Desk<'_>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_reset(cx) {
            self.left(desk);
            return Poll::Ready(());
        }
        if let Some(cut) = self.cut.take() {
            self.reset(desk, &cut);
            self.end(desk);
            return Poll::Ready(());
        }
        let overdue = self.patience.overdue(desk.turn.ms);
        if overdue.is_some_and(|wait| !self.deadline_passed(wait, desk)) {
            self.end(desk);
            return Poll::Ready(());
        }
        let is_stopping = desk.turn.current.shared.stop() != Stop::No;
        loop {
            if let Making::Content(sending, status) = &mut self.making {
                let is_listener = sending.listener().is_some();
                sending.is_ending = is_stopping && sending.ends_at_stop;
                let polled = sending.poll(&desk.turn.current.shared.lane, desk.turn.ms, cx);
                desk.account(sending);
                match polled {
                    Poll::Ready(Ok(())) => {
                        let (sent, status) = (sending.sent, *status);
                        if sending.listener().is_none() {
                            self.request.log(desk, Some(&self.head.head()), status, sent);
                        }
                        if sending.is_ending {
                            self.request.caller.part();
                        }
                        // Whoever leaves from here on has its answer.
                        self.request.caller.departure = None;
                        return Poll::Ready(());
                    }
                    Poll::Ready(Err(cut)) => {
                        self.cut_soon(cut, cx);
                        return Poll::Pending;
                    }
                    // Nobody is waited for that takes nothing.
                    Poll::Pending if is_listener && is_stopping && sending.waits_for_client => {
                        sending.stream.send_reset(Reason::CANCEL);
                        self.end(desk);
                        return Poll::Ready(());
                    }
                    Poll::Pending => {}
                }
            } else if let Some(goes_on) = self.make(desk, cx) {
                match goes_on {
                    true => continue,
                    false => return Poll::Ready(()),
                }
            }
            self.request.send_continue();
            let upload = self.request.upload.as_mut();
            match upload.map_or(News::Nothing, |upload| upload.poll(desk.turn.ms, cx)) {
                News::Some => {}
                News::Nothing => break,
                News::Gone => self.request.caller.depart(),
            }
        }
        self.set_deadline(desk);
        Poll::Pending
    }

    /// Goes on with what is not yet content; tells whether that leads on, `None` while it has to wait.
    fn make(&mut self, desk: &mut Desk<'_>, cx: &mut Context<'_>) -> Option<bool> {
        let head = self.head.head();
        let next = match &mut self.making {
            Making::Content(..) => return None,
            Making::Answer(asked) => {
                let Request { exchange, caller, .. } = &mut self.request;
                let lane = &desk.turn.current.shared.lane;
                match exchange.app().poll(asked, &head, caller, lane, cx) {
                    Poll::Pending => return None,
                    Poll::Ready(response) => self.request.answer(desk, Some(&head), response),
                }
            }
        };
        let goes_on = next.is_some();
        if let Some(next) = next {
            if matches!(next, Making::Content(..)) {
                self.head = shortened(&head);
            }
            self.making = next;
        } else {
            self.request.caller.departure = None;
        }
        Some(goes_on)
    }

    /// Whether the client has ended the stream, or the connection is gone.
    fn is_reset(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.making {
            Making::Content(sending, _) => sending.stream.poll_reset(cx).is_ready(),
            Making::Answer(_) => self.request.respond.poll_reset(cx).is_ready(),
        }
    }

    /// A deadline has passed; false when that is the end of the stream.
    fn deadline_passed(&mut self, wait: Wait, desk: &mut Desk<'_>) -> bool {
        match wait {
            Wait::Nothing => true,
            Wait::Heartbeat => {
                if let Making::Content(sending, _) = &mut self.making {
                    sending.speak_up(desk.turn.ms);
                }
                true
            }
            Wait::Write if self.patience.waits_for_its_turn(desk) => true,
            Wait::Write => {
                self.reset(desk, &Cut::Unwanted);
                false
            }
            Wait::Body => {
                if let Some(upload) = &mut self.request.upload {
                    upload.fail(BodyError::TimedOut);
                }
                if matches!(self.making, Making::Content(..)) {
                    return true;
                }
                let response = Response::error(408, BodyError::TimedOut.to_string());
                let head = self.head.head();
                match self.request.answer(desk, Some(&head), response) {
                    Some(making) => {
                        self.making = making;
                        true
                    }
                    None => false,
                }
            }
        }
    }

    fn set_deadline(&mut self, desk: &mut Desk<'_>) {
        let mut next = (Wait::Nothing, u64::MAX);
        if let Making::Content(sending, _) = &mut self.making {
            if sending.waits_for_client {
                next = (Wait::Write, self.patience.until_taken(sending.sent, desk));
            } else if let Some(heartbeat_ms) = sending.speak_up(0) {
                next = (Wait::Heartbeat, heartbeat_ms);
            }
        }
        if let Some(upload) = &mut self.request.upload
            && let Some(body_ms) = upload.deadline(desk.turn.ms, desk.timeouts())
            && body_ms < next.1
        {
            next = (Wait::Body, body_ms);
        }
        self.patience.set(next.0, next.1);
    }

    /// Ends the stream by force in the next round of this turn: a reset takes away what the protocol has not written.
    fn cut_soon(&mut self, cut: Cut, cx: &mut Context<'_>) {
        self.cut = Some(cut);
        cx.waker().wake_by_ref();
    }

    /// Ends the stream by force, so that the client sees that something is missing.
    fn reset(&mut self, desk: &mut Desk<'_>, cut: &Cut) {
        if let Making::Content(sending, _) = &mut self.making {
            desk.resets += 1;
            sending.stream.send_reset(match cut {
                Cut::Failed => Reason::INTERNAL_ERROR,
                Cut::Behind | Cut::Unwanted => Reason::CANCEL,
            });
        }
    }

    /// The client does not want the stream any more, or is gone.
    pub(super) fn left(&mut self, desk: &Desk<'_>) {
        if matches!(self.making, Making::Answer(_)) {
            self.request.log(desk, Some(&self.head.head()), CLIENT_LEFT, 0);
        }
        self.end(desk);
    }

    /// The stream is over before its answer was complete; an answer that is cut is logged too.
    fn end(&mut self, desk: &Desk<'_>) {
        if let Making::Content(sending, status) = &mut self.making
            && sending.listener().is_none()
        {
            self.request.log(desk, Some(&self.head.head()), *status, sending.sent);
        }
    }
}

impl Drop for Request {
    /// A departure that was not told is of an answer that did not come to its end.
    fn drop(&mut self) {
        self.caller.depart();
    }
}
