//! Content that an application makes part by part, as the client takes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use number8::Body;
use number8::server::lane::{Job, Lane};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tokio::sync::oneshot;

use super::log;
use super::parts::Parts;

/// The parts of an answer, and how much they may be.
pub(super) struct Source {
    pub(super) parts: Parts,
    /// Bytes given so far.
    pub(super) given: u64,
    /// What the application announced.
    pub(super) length: Option<u64>,
}

impl Source {
    fn next(&mut self, py: Python<'_>) -> Option<io::Result<Bytes>> {
        match self.parts.next(py) {
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
    fn finish(mut self, py: Python<'_>) {
        // One more part is one too many, which is logged.
        let _ = self.next(py);
        self.parts.close(py);
    }

    /// Lets the application end, after the answer has had its chance to be sent.
    pub(super) fn finish_later(self, lane: Option<&Lane>) {
        match lane {
            None => drop(tokio::spawn(async { Python::attach(|py| self.finish(py)) })),
            // A lane that has ended takes nothing; to be dropped closes it, too.
            Some(lane) => {
                if let Ok(job) = lane.go_on(|| Python::attach(|py| self.finish(py))) {
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

/// Content whose parts are asked for one by one, each after the one before was sent as far as the client takes it.
pub(super) struct Content {
    first: Option<Bytes>,
    next: Next,
    /// Where the application is asked; `None` is here.
    lane: Option<Lane>,
}

enum Next {
    Ask(Source),
    /// What was given is to be sent before there is more.
    Flush(Source),
    Asked(Job<Asked>),
    End,
}

impl Content {
    pub(super) fn new(first: Option<Bytes>, source: Source, lane: Option<Lane>) -> Self {
        Self { first, next: Next::Ask(source), lane }
    }

    /// What is next once a part was given.
    fn after(&self, source: Source) -> Next {
        match self.lane {
            // To ask takes time in any case, in which the part is sent.
            Some(_) => Next::Ask(source),
            None => Next::Flush(source),
        }
    }
}

impl Stream for Content {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            if let Next::Ask(source) = std::mem::replace(&mut self.next, Next::End) {
                self.next = self.after(source);
            }
            return Poll::Ready(Some(Ok(first)));
        }
        let mut job = match std::mem::replace(&mut self.next, Next::End) {
            Next::End => return Poll::Ready(None),
            Next::Flush(source) => {
                self.next = Next::Ask(source);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Next::Ask(source) => match &self.lane {
                None => return Poll::Ready(self.given(ask(source))),
                Some(lane) => lane.go_on(|| ask(source)).map_err(io::Error::other)?,
            },
            Next::Asked(job) => job,
        };
        match Pin::new(&mut job).poll(cx) {
            Poll::Ready(asked) => Poll::Ready(self.given(asked.map_err(io::Error::other)?)),
            Poll::Pending => {
                self.next = Next::Asked(job);
                Poll::Pending
            }
        }
    }
}

impl Content {
    /// The part that was given, which may be followed by others.
    fn given(&mut self, (part, source): Asked) -> Option<io::Result<Bytes>> {
        if matches!(part, Some(Ok(_))) {
            self.next = self.after(source);
        }
        part
    }
}

type Asked = (Option<io::Result<Bytes>>, Source);

fn ask(mut source: Source) -> Asked {
    let part = Python::attach(|py| source.next(py));
    (part, source)
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
