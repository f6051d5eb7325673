//! A request that is being answered, by whichever protocol it came: who answers it and since when, and what the counters and
//! the logs are told of its answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use number8_proto::http1::{Head, HeadParser, Version};

use super::counts::Counts;
use super::worker::{Current, Told, Turn, Worker};
use crate::app::{App, readiness};
use crate::caller::Caller;
use crate::layers::access_log::Sink;
use crate::response::{Response, busy};

/// A request on its way to its answer. Its app is lent by the turn in which it begins, and kept where somebody has to wait: the
/// server may serve another one by then.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    app: Cow<'a, Arc<App>>,
    since: Option<Instant>,
}

impl<'a> Exchange<'a> {
    /// One that begins in this turn.
    #[inline]
    pub(super) fn begin(turn: &'a Turn) -> Self {
        Self { app: Cow::Borrowed(&turn.current.app), since: turn.begun }
    }

    /// One that this app answers.
    #[cfg_attr(
        not(feature = "http2"),
        allow(dead_code, reason = "HTTP/1.1 waits for the next turn")
    )]
    pub(super) fn of(app: Arc<App>, turn: &Turn) -> Exchange<'static> {
        Exchange { app: Cow::Owned(app), since: turn.begun }
    }

    /// For longer than the turn.
    pub(super) fn kept(self) -> Exchange<'static> {
        Exchange { app: Cow::Owned(self.app.into_owned()), since: self.since }
    }

    /// Who answers.
    #[inline]
    pub(super) fn app(&self) -> &App {
        &self.app
    }

    /// Finds out who asks; an answer where the app is not to be asked: there is no memory, nobody can be meant, or somebody
    /// wants to know how the server is.
    #[inline]
    pub(super) fn unasked(
        &self,
        worker: &Worker,
        parser: &mut HeadParser,
        head: &[u8],
        caller: &mut Caller,
    ) -> Option<Response> {
        if !worker.shared.has_room() {
            worker.count(Counts::over_buffered);
            return Some(busy("the server holds as much as it may"));
        }
        if let Some(refusal) = self.app.identify(parser, head, caller) {
            return Some(refusal);
        }
        let head = parser.head(head);
        self.app.is_readiness(&head).then(|| readiness(head.method(), worker.shared.unready()))
    }

    /// What came of it, for the counters and the logs.
    #[inline]
    pub(super) fn answered(&self, status: u16, sent: u64) -> Answered {
        Answered { status, sent, since: self.since }
    }
}

/// An answer, as the counters and the logs know it: what is left of an exchange while its answer is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    status: u16,
    /// Bytes of content.
    pub(super) sent: u64,
    since: Option<Instant>,
}

/// What a protocol tells of a request that was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    /// What can be read of it.
    pub(super) head: Option<Head<'a>>,
    pub(super) caller: &'a Caller,
    pub(super) version: Version,
    /// Bytes of content.
    pub(super) received: u64,
}

impl Answered {
    /// Counts it and writes its line, where somebody wants to know. The log is that of the app that is served by now: whose
    /// place it has taken may have none any more.
    #[inline]
    pub(super) fn log<'a>(
        self,
        worker: &Worker,
        current: &Current,
        asker: impl FnOnce() -> Asker<'a>,
    ) {
        if current.app.log().is_none() && !worker.counts() {
            return;
        }
        let asker = asker();
        if !asker.head.is_some_and(|head| current.app.is_probe(&head)) {
            worker.log(current, asker.caller, asker.head.as_ref(), self.told(asker));
        }
    }

    /// Tells of it where it begins late.
    #[inline]
    pub(super) fn log_slow<'a>(
        self,
        worker: &Worker,
        current: &Current,
        asker: impl FnOnce() -> Asker<'a>,
    ) {
        let Some(slow) = current.app.slow() else { return };
        let asker = asker();
        let told = self.told(asker);
        if told.duration >= slow.after {
            worker.log_slow(current, asker.caller, asker.head.as_ref(), told);
        }
    }

    #[inline]
    fn told(self, asker: Asker<'_>) -> Told {
        let Self { status, sent, since } = self;
        let duration = since.map(|since| since.elapsed()).unwrap_or_default();
        Told { version: asker.version, status, sent, received: asker.received, duration }
    }
}

/// Writes a head to the dump, each line marked, whatever it holds.
pub(super) fn dump(sink: &Sink, mark: &[u8], head: &[u8]) {
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
