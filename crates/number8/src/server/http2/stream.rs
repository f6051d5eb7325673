//! One request and its answer, on a stream of their own.

use std::task::{Context, Poll};

use h2::Reason;
use number8_proto::http1::{Head, OwnedHead};

use super::super::shared::Stop;
use super::content::Cut;
use super::desk::Desk;
use super::logged::shortened;
use super::patience::{Patience, Wait};
use super::request::{Making, Request};
use super::upload::{News, Upload};
use crate::body::{Body, BodyError};
use crate::response::Response;

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

impl Stream {
    /// Asks the app; a stream where the answer is not complete then.
    pub(super) fn begin(
        mut request: Request,
        desk: &mut Desk<'_>,
        head: &Head<'_>,
        body: Body,
        cx: &mut Context<'_>,
    ) -> Option<Self> {
        let lane = &desk.turn.current.shared.lane;
        let app = request.exchange.app();
        match app.ask(app.call(head, &mut request.caller, body, lane), cx) {
            Ok(response) => Self::begin_with(request, desk, head, response, cx),
            Err(asked) => Self::new(request, head, Making::Answer(asked), desk, cx),
        }
    }

    /// Sends this answer; a stream where it is not complete then.
    pub(super) fn begin_with(
        mut request: Request,
        desk: &mut Desk<'_>,
        head: &Head<'_>,
        response: Response,
        cx: &mut Context<'_>,
    ) -> Option<Self> {
        match request.answer(desk, Some(head), response) {
            Some(making) => Self::new(request, head, making, desk, cx),
            None => {
                request.over();
                None
            }
        }
    }

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
                request.over();
                return None;
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
                        self.request.over();
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
            self.request.over();
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
