//! Content on its way to the parser, one piece at a time.
//!
//! SECURITY: the parser takes whatever it is given and keeps it until it has found what it looks for. Given one piece at a
//! time it holds no more than that of what it passes on, and what it keeps of a part's head can be counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

use crate::body::Body;

/// The largest piece.
pub(super) const PIECE_BYTES: usize = 64 * 1024;

/// Whoever has the parser lets pieces through.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_open: AtomicBool,
    /// Something came through: a piece, or the end.
    has_given: AtomicBool,
    /// Bytes since somebody began to count.
    given: AtomicUsize,
}

impl Gate {
    /// Lets one piece through.
    pub(super) fn open(&self) {
        self.0.is_open.store(true, Ordering::Relaxed);
        self.0.has_given.store(false, Ordering::Relaxed);
    }

    /// Whether it came.
    pub(super) fn has_given(&self) -> bool {
        self.0.has_given.load(Ordering::Relaxed)
    }

    /// Begins to count.
    pub(super) fn count_anew(&self) {
        self.0.given.store(0, Ordering::Relaxed);
    }

    /// Bytes that came since then.
    pub(super) fn given(&self) -> usize {
        self.0.given.load(Ordering::Relaxed)
    }
}

/// What the parser reads.
pub(super) struct Feed {
    body: Body,
    /// What is left of a chunk that is larger than a piece.
    rest: Bytes,
    gate: Gate,
}

impl Feed {
    pub(super) fn new(body: Body, gate: Gate) -> Self {
        Self { body, rest: Bytes::new(), gate }
    }
}

impl Stream for Feed {
    type Item = io::Result<Bytes>;

    /// Pending without a waker where the gate is closed: whoever has the parser opens it and asks again.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let state = Arc::clone(&self.gate.0);
        if !state.is_open.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match ready!(self.body.poll_chunk(cx))? {
                Some(chunk) => self.rest = chunk,
                None => {
                    state.has_given.store(true, Ordering::Relaxed);
                    return Poll::Ready(None);
                }
            }
        }
        let length = self.rest.len().min(PIECE_BYTES);
        state.is_open.store(false, Ordering::Relaxed);
        state.has_given.store(true, Ordering::Relaxed);
        state.given.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}
