//! The content of a request on its way to whoever reads it. The client may send as much as the window of its stream is
//! large; the window opens again as the reader takes what has come.

use std::task::{Context, Poll};

use h2::RecvStream;
use number8_proto::Error;
use number8_proto::http1::is_forbidden_in_trailers;

use super::super::options::Timeouts;
use super::super::pace::Pace;
use crate::body::{BodyError, Feeder};

pub(super) struct Upload {
    stream: RecvStream,
    feeder: Feeder,
    pace: Pace,
    /// Bytes of the window that have not been given back.
    owed: usize,
    has_ended: bool,
}

/// What has happened to an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Nothing,
    /// There is something new for the reader.
    Some,
    /// The client does not send the rest.
    Gone,
}

impl Upload {
    pub(super) fn new(stream: RecvStream, feeder: Feeder) -> Self {
        Self { stream, feeder, pace: Pace::default(), owed: 0, has_ended: false }
    }

    /// Bytes of the window that have not been given back.
    pub(super) fn owed(&self) -> usize {
        self.owed
    }

    /// Bytes that wait for their reader, or that it gathers.
    pub(super) fn held(&self) -> usize {
        self.feeder.held()
    }

    /// Bytes that have come.
    pub(super) fn received(&self) -> u64 {
        self.pace.received()
    }

    /// The reader wants what has not come, and nothing has come at all.
    pub(super) fn is_waited_for(&self) -> bool {
        self.received() == 0 && !self.has_ended && self.feeder.wants_more()
    }

    /// It is over before its end.
    pub(super) fn fail(&mut self, error: BodyError) {
        self.has_ended = true;
        self.feeder.end(Err(error));
    }

    /// Takes what has come.
    pub(super) fn poll(&mut self, now_ms: u64, cx: &mut Context<'_>) -> News {
        let mut news = News::Nothing;
        self.give_back();
        while !self.has_ended {
            match self.stream.poll_data(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(data))) => {
                    self.pace.count(data.len());
                    self.pace.heard(now_ms);
                    self.owed += data.len();
                    if self.feeder.is_too_much(self.received()) {
                        self.fail(BodyError::TooLarge);
                    } else if !data.is_empty() {
                        self.feeder.push(data);
                    }
                    news = News::Some;
                }
                Poll::Ready(None) => match self.poll_trailers(cx) {
                    Poll::Pending => break,
                    Poll::Ready(end) => {
                        self.has_ended = true;
                        self.feeder.end(end);
                        news = News::Some;
                    }
                },
                Poll::Ready(Some(Err(_))) => {
                    self.fail(BodyError::Disconnected);
                    return News::Gone;
                }
            }
        }
        news
    }

    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let Poll::Ready(trailers) = self.stream.poll_trailers(cx) else { return Poll::Pending };
        Poll::Ready(match trailers {
            Ok(None) => Ok(()),
            Ok(Some(fields)) => {
                if fields.keys().any(|name| is_forbidden_in_trailers(name.as_str().as_bytes())) {
                    return Poll::Ready(Err(BodyError::Malformed(Error::TrailerForbidden)));
                }
                for (name, value) in &fields {
                    self.feeder.push_trailer(name.as_str().as_bytes(), value.as_bytes());
                }
                Ok(())
            }
            Err(_) => Err(BodyError::Disconnected),
        })
    }

    /// Opens the window again by what the reader has taken.
    pub(super) fn give_back(&mut self) {
        let taken = self.owed.saturating_sub(self.feeder.queued());
        if taken > 0 {
            self.owed -= taken;
            // It fails where the stream is over, and then it does not matter.
            let _ = self.stream.flow_control().release_capacity(taken);
        }
    }

    /// When the client will have been too slow; `None` while it is not waited for.
    pub(super) fn deadline(&mut self, now_ms: u64, timeouts: &Timeouts) -> Option<u64> {
        // The reader may be another thread, and take what has come with nobody here to see it.
        if self.has_ended || !self.feeder.is_empty_or_tells() || !self.feeder.wants_more() {
            self.pace.rest();
            return None;
        }
        Some(self.pace.deadline(now_ms, timeouts))
    }
}
