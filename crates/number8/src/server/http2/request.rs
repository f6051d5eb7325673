//! One request by HTTP/2, up to the head of its answer.

use std::task::Context;

use h2::Reason;
use h2::server::SendResponse;
use number8_proto::Error;
use number8_proto::http1::{Head, HeadParser, Version, is_without_content};
use number8_proto::negotiate::takes_trailers;

use super::super::counts::Opened;
use super::super::exchange::{Asker, Exchange};
use super::content::{Sending, Source};
use super::data::Data;
use super::desk::Desk;
use super::message;
use super::upload::Upload;
use crate::app::Asked;
use crate::body::{Body, Kind, Part};
use crate::caller::Caller;
use crate::response::Response;
use crate::standing::Standing;

/// A request on its way to its answer.
pub(super) struct Request {
    pub(super) exchange: Exchange<'static>,
    pub(super) caller: Caller,
    pub(super) upload: Option<Upload>,
    pub(super) respond: SendResponse<Data>,
    /// The client waits for `100 Continue`.
    awaits_continue: bool,
    is_head: bool,
}

/// What is being made.
pub(super) enum Making {
    Answer(Asked),
    Content(Box<Sending>, u16),
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

    /// Whoever leaves from here on has its answer.
    pub(super) fn over(&mut self) {
        self.caller.departure = None;
    }

    /// Sends the head of an answer; its content where there is any.
    pub(super) fn answer(
        &mut self,
        desk: &mut Desk<'_>,
        head: Option<&Head<'_>>,
        response: Response,
    ) -> Option<Making> {
        let asked = || head.map(|head| (*head, &self.caller));
        let response = self.exchange.app().finish(asked, response, in_place_of_session);
        let slow = self.exchange.answered(response.status(), 0);
        slow.log_slow(desk.worker, &desk.turn.current, || self.asker(head));
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

    pub(super) fn log(&self, desk: &Desk<'_>, head: Option<&Head<'_>>, status: u16, bytes: u64) {
        let answered = self.exchange.answered(status, bytes);
        answered.log(desk.worker, &desk.turn.current, || self.asker(head));
    }

    fn asker<'a>(&'a self, head: Option<&Head<'a>>) -> Asker<'a> {
        let received = self.upload.as_ref().map_or(0, Upload::received);
        Asker { head: head.copied(), caller: &self.caller, version: Version::Http2, received }
    }

    /// Tells the client to send its content, where it waits for that and somebody wants it.
    pub(super) fn send_continue(&mut self) {
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
fn in_place_of_session(response: &Response) -> Option<Response> {
    let is_session = matches!(response.body.kind, Kind::Session(_));
    is_session.then(|| Response::error(505, "this is for HTTP/1.1 alone"))
}

impl Drop for Request {
    /// A departure that was not told is of an answer that did not come to its end.
    fn drop(&mut self) {
        self.caller.depart();
    }
}
