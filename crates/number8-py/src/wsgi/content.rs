//! Content that an application makes part by part, as the client takes it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;
use number8::Body;
use number8::server::lane::{Job, Lane};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};

use super::log;
use super::parts::Parts;
use crate::lock::lock;

/// The parts of an answer, and how much they may be.
pub(super) struct Source {
    pub(super) parts: Parts,
    /// Bytes given so far.
    pub(super) given: u64,
    /// What the application announced.
    pub(super) length: Option<u64>,
}

impl Source {
    /// The next part, which may be empty: who asks looks then whether others have waited long enough.
    fn next(&mut self, py: Python<'_>) -> Option<io::Result<Bytes>> {
        match self.parts.next(py) {
            Ok(Some(part)) if part.is_empty() => Some(Ok(part)),
            Ok(Some(part)) => {
                self.given += part.len() as u64;
                check(py, self.length, self.given, false);
                Some(Ok(part))
            }
            Ok(None) => {
                self.parts.close(py);
                check(py, self.length, self.given, true);
                None
            }
            Err(error) => {
                self.parts.close(py);
                log(py, "the application failed after its answer had begun", &error);
                Some(Err(io::Error::other("the application failed")))
            }
        }
    }

    /// Lets the application end, once everything that it announced was given.
    fn finish(mut self, py: Python<'_>, lane: Option<&Lane>) {
        let begun = Instant::now();
        // One more part is one too many, which is logged.
        while let Some(Ok(part)) = self.next(py) {
            if !part.is_empty() {
                break;
            }
            if begun.elapsed() >= TURN {
                return self.finish_later(lane);
            }
        }
        self.parts.close(py);
    }

    /// Lets the application end, after the answer has had its chance to be sent.
    pub(super) fn finish_later(self, lane: Option<&Lane>) {
        match lane {
            None => drop(tokio::spawn(async {
                tokio::task::yield_now().await;
                Python::attach(|py| self.finish(py, None));
            })),
            // A lane that has ended takes nothing; to be dropped closes it, too.
            Some(lane) => {
                let ours = lane.clone();
                if let Ok(job) =
                    lane.go_on(move || Python::attach(|py| self.finish(py, Some(&ours))))
                {
                    job.detach();
                }
            }
        }
    }
}

/// Logs content that is not of the length which the application announced.
pub(super) fn check(py: Python<'_>, length: Option<u64>, given: u64, is_end: bool) {
    if let Some(length) = length
        && (given > length || (is_end && given < length))
    {
        let kind = if given > length { "more" } else { "less" };
        let error = PyValueError::new_err(format!("{given} bytes instead of {length}"));
        log(py, format_args!("the application gave {kind} content than it announced"), &error);
    }
}

/// Bytes of content that the application is ahead of the client, at most, and one part: for a client that is slow, and for one
/// that keeps up. Each time that there is nothing left, two threads have to change places.
const AHEAD_BYTES: usize = 128 * 1024;
const AHEAD_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A client keeps up that takes what the application is ahead within this time.
const KEEPS_UP: Duration = Duration::from_millis(20);

/// How long an application is asked for parts before others on the lane have their turn, unless a part takes longer.
const TURN: Duration = Duration::from_millis(1);

/// How long a thread that an iterable keeps waits for a client that takes nothing. Then others have it.
const KEPT: Duration = Duration::from_secs(5);

/// How long a part may wait for the next ones, to go with them.
const PATIENCE: Duration = Duration::from_millis(1);

/// Content whose parts are asked for one by one: on the lane, no further ahead of the client than [`Ahead`] says, by one thread where there
/// is a [`Place`] and else by any, in turns with others; where the application is called in the thread that serves, each after the one before was sent as far as the client takes it.
///
/// A part that is there is on its way within [`PATIENCE`], whatever the application waits for next (PEP 3333).
pub(super) struct Content {
    first: Option<Bytes>,
    next: Next,
    /// Where the application is asked; `None` is here.
    lane: Option<Lane>,
    made: Arc<Between>,
    ahead: Ahead,
    /// From when on each part is told of by itself.
    hurries: Option<Pin<Box<Sleep>>>,
}

/// How far the application goes ahead of the client.
struct Ahead {
    bytes: usize,
    /// When it was asked last.
    asked: Option<Instant>,
}

impl Ahead {
    fn new() -> Self {
        Self { bytes: AHEAD_BYTES, asked: None }
    }

    /// Everything was taken, and the application is asked again: how far it may go.
    fn again(&mut self) -> usize {
        let now = Instant::now();
        let keeps_up = self.asked.is_some_and(|asked| now.duration_since(asked) < KEEPS_UP);
        self.asked = Some(now);
        self.bytes = match keeps_up {
            true => (self.bytes * 4).min(AHEAD_BYTES_MAX),
            false => AHEAD_BYTES,
        };
        self.bytes
    }
}

enum Next {
    Ask(Source),
    /// What was given is to be sent before there is more.
    Flush(Source, JoinHandle<()>),
    /// The lane asks, for one turn; at the end nothing comes back.
    Asked(Job<Option<Source>>),
    /// The thread that has called the application asks, to the end, or until it has waited for the client for too long.
    Kept(oneshot::Receiver<Option<Source>>),
    End,
}

impl Next {
    /// What was given is sent when the connection has ended its turn: then one begins that is nobody's. A mere wake would come within that
    /// of an HTTP/2 connection, which looks for more before it writes.
    fn flush(source: Source) -> Self {
        Self::Flush(source, tokio::spawn(async {}))
    }
}

/// Parts that wait for the client. No Python runs under the lock around them.
#[derive(Default)]
struct Made {
    parts: VecDeque<io::Result<Bytes>>,
    /// How many bytes they are, for the server to count.
    bytes: Arc<AtomicUsize>,
    /// Who waits for the next one, where that is to be told of by itself. All others go with the end of the turn.
    waiting: Option<Waker>,
    /// Nobody takes them any more.
    is_forgotten: bool,
}

/// What those who make parts and those who take them share.
#[derive(Default)]
struct Between {
    made: Mutex<Made>,
    /// All was taken, or nobody takes it any more.
    news: Condvar,
}

impl Between {
    fn lock(&self) -> MutexGuard<'_, Made> {
        lock(&self.made)
    }

    /// The next part, for who takes them.
    fn pop(&self) -> Option<io::Result<Bytes>> {
        let mut made = self.lock();
        let part = made.pop()?;
        let is_empty = made.parts.is_empty();
        drop(made);
        if is_empty {
            self.news.notify_one();
        }
        Some(part)
    }

    /// Waits until all was taken, or nobody takes it; false where that takes too long.
    fn wait_for_room(&self) -> bool {
        let waits = |made: &mut Made| !made.parts.is_empty() && !made.is_forgotten;
        let waited = self.news.wait_timeout_while(self.lock(), KEPT, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Made {
    fn pop(&mut self) -> Option<io::Result<Bytes>> {
        let part = self.parts.pop_front()?;
        self.bytes.fetch_sub(part.as_ref().map_or(0, Bytes::len), Ordering::Relaxed);
        Some(part)
    }
}

impl Content {
    pub(super) fn new(first: Option<Bytes>, source: Source, lane: Option<Lane>) -> Self {
        let next = Next::Ask(source);
        Self { first, next, lane, made: Arc::default(), ahead: Ahead::new(), hurries: None }
    }

    /// Content for which the thread that has called the application goes on asking; by that.
    pub(super) fn kept(first: Bytes, source: Source, lane: Option<Lane>) -> (Self, Asking) {
        let (rest, returned) = oneshot::channel();
        let made = Arc::<Between>::default();
        let asking = Asking { source, made: Arc::clone(&made), rest };
        let next = Next::Kept(returned);
        let first = Some(first);
        (Self { first, next, lane, made, ahead: Ahead::new(), hurries: None }, asking)
    }

    /// As what is sent.
    pub(super) fn into_body(self) -> Body {
        let held = Arc::clone(&self.made.lock().bytes);
        Body::stream(self).holding(held)
    }

    /// The next part, of an application that is called here.
    fn poll_here(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        match std::mem::replace(&mut self.next, Next::End) {
            Next::Ask(mut source) => {
                let part = Python::attach(|py| source.next(py));
                if let Some(Ok(part)) = &part {
                    self.next = Next::flush(source);
                    if part.is_empty() {
                        return self.poll_here(cx);
                    }
                }
                Poll::Ready(part)
            }
            Next::Flush(source, mut turn) => {
                if Pin::new(&mut turn).poll(cx).is_pending() {
                    self.next = Next::Flush(source, turn);
                    return Poll::Pending;
                }
                self.next = Next::Ask(source);
                self.poll_here(cx)
            }
            Next::Asked(_) | Next::Kept(_) | Next::End => Poll::Ready(None),
        }
    }

    /// The next part that the lane has made; has it make more where there is none.
    fn poll_lane(&mut self, lane: &Lane, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(part) = self.made.pop() {
                if matches!(self.next, Next::Kept(_)) {
                    self.hurries = None;
                }
                return Poll::Ready(Some(part));
            }
            let mut next = match std::mem::replace(&mut self.next, Next::End) {
                Next::Ask(source) | Next::Flush(source, _) => {
                    let (made, ahead) = (Arc::clone(&self.made), self.ahead.again());
                    self.hurries = None;
                    let turn = move || ask_ahead(source, &made, ahead);
                    Next::Asked(lane.go_on(turn).map_err(io::Error::other)?)
                }
                Next::End => return Poll::Ready(None),
                next => next,
            };
            let polled = match &mut next {
                Next::Asked(job) => Pin::new(job).poll(cx).map_err(io::Error::other),
                Next::Kept(rest) => Pin::new(rest).poll(cx).map_err(io::Error::other),
                _ => Poll::Ready(Ok(None)),
            };
            match polled {
                Poll::Ready(asked) => {
                    if let Some(source) = asked? {
                        self.next = Next::Ask(source);
                    }
                    // What was made last may have come after the look.
                    if let Some(part) = self.made.pop() {
                        return Poll::Ready(Some(part));
                    }
                }
                Poll::Pending => {
                    self.next = next;
                    let hurries = self.hurries.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
                    ready!(hurries.as_mut().poll(cx));
                    let mut made = self.made.lock();
                    if made.parts.is_empty() {
                        made.waiting = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl Stream for Content {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(first) = this.first.take() else {
            return match this.lane.clone() {
                None => this.poll_here(cx),
                Some(lane) => this.poll_lane(&lane, cx),
            };
        };
        if this.lane.is_none()
            && let Next::Ask(source) = std::mem::replace(&mut this.next, Next::End)
        {
            this.next = Next::flush(source);
        }
        Poll::Ready(Some(Ok(first)))
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.made.lock().is_forgotten = true;
        self.made.news.notify_one();
    }
}

/// Asks for parts while there is room for them and somebody takes them, for one turn. Returns where to go on; `None` at the end.
fn ask_ahead(mut source: Source, between: &Between, ahead: usize) -> Option<Source> {
    let begun = Instant::now();
    loop {
        let bytes = ask(&mut source, between)?;
        if bytes >= ahead || begun.elapsed() >= TURN {
            return Some(source);
        }
    }
}

/// Asks for a part, and hands it on; returns how many bytes wait then, or `None` where there is nothing more to ask for.
fn ask(source: &mut Source, between: &Between) -> Option<usize> {
    let part = Python::attach(|py| source.next(py))?;
    let is_last = part.is_err();
    let is_part = part.as_ref().map_or(true, |part| !part.is_empty());
    let mut made = between.lock();
    if made.is_forgotten {
        drop(made);
        // Here: at the end the lane takes nothing more, as which it would be closed by being dropped.
        Python::attach(|py| source.parts.close(py));
        return None;
    }
    let bytes = part.as_ref().map_or(0, Bytes::len);
    let bytes = made.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
    let waiting = match is_part {
        true => {
            made.parts.push_back(part);
            made.waiting.take()
        }
        false => None,
    };
    drop(made);
    if let Some(waiting) = waiting {
        waiting.wake();
    }
    (!is_last).then_some(bytes)
}

/// Asks for the parts of an answer in the thread that has called the application, to the end.
pub(super) struct Asking {
    source: Source,
    made: Arc<Between>,
    rest: oneshot::Sender<Option<Source>>,
}

impl Asking {
    /// Goes on until the end, or until a client has taken nothing for too long: then any thread of the lane goes on, in turns.
    pub(super) fn run(self, py: Python<'_>) {
        let Self { mut source, made, rest } = self;
        let mut ahead = Ahead::new();
        let mut limit = ahead.again();
        let rest_of = loop {
            match ask(&mut source, &made) {
                None => break None,
                Some(bytes) if bytes < limit => {}
                // Others need the interpreter.
                Some(_) => match py.detach(|| made.wait_for_room()) {
                    true => limit = ahead.again(),
                    false => break Some(source),
                },
            }
        };
        // Nobody takes it: what is left is closed by being dropped.
        let _ = rest.send(rest_of);
    }
}

/// How many threads of a lane iterables may keep: half of them, so that those who take a long download leave as many for whoever comes.
pub(super) struct Places(AtomicUsize);

impl Places {
    pub(super) fn of(threads: usize) -> Self {
        Self(AtomicUsize::new(threads / 2))
    }

    /// A place, as long as it is held.
    pub(super) fn take(&self) -> Option<Place<'_>> {
        let left = |places: usize| places.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).ok().map(|_| Place(self))
    }
}

pub(super) struct Place<'a>(&'a Places);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Content that is written, then what the application returns.
pub(super) struct Continued {
    written: Option<Body>,
    rest: oneshot::Receiver<Content>,
    returned: Option<Content>,
}

impl Continued {
    pub(super) fn new(written: Body, rest: oneshot::Receiver<Content>) -> Self {
        Self { written: Some(written), rest, returned: None }
    }
}

impl Stream for Continued {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { written, rest, returned } = self.get_mut();
        if let Some(body) = written {
            match ready!(body.poll_chunk(cx)) {
                Ok(None) => *written = None,
                chunk => return Poll::Ready(chunk.transpose()),
            }
        }
        let returned = match returned {
            Some(returned) => returned,
            None => match ready!(Pin::new(rest).poll(cx)) {
                Ok(content) => returned.insert(content),
                // What is written is finished with what is returned, so this does not come.
                Err(error) => return Poll::Ready(Some(Err(io::Error::other(error)))),
            },
        };
        Pin::new(returned).poll_next(cx)
    }
}
