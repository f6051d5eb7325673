//! Content that is compressed while it is sent.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use number8_codings::{Effort, Encoder};
use number8_proto::negotiate::Coding;

use super::INLINE_BYTES_MAX;
use crate::body::{Body, Held, Kind, Trailing, Whose};
use crate::server::lane::{Job, Lane};

/// Bytes that are compressed at once: some milliseconds, so that others get their turn.
const PIECE_BYTES: usize = 256 * 1024;

/// The source, compressed. Small pieces are compressed where they are, large ones on the lane.
pub(super) struct Coded {
    source: Body,
    /// Whoever writes the source wants each chunk to arrive before the next.
    is_live: bool,
    lane: Option<Lane>,
    /// What of the last chunk has not been compressed.
    left: Bytes,
    /// How many bytes that is, where nobody else keeps them.
    held: Option<Arc<AtomicUsize>>,
    work: Arc<Work>,
    job: Option<Job<io::Result<Bytes>>>,
    trailers: Trailing,
}

struct Work {
    coding: Coding,
    /// Made at the first piece, as an answer to HEAD has none.
    encoder: Mutex<Stage>,
}

enum Stage {
    Unused,
    Begun(Encoder),
    Ended,
}

impl Coded {
    pub(super) fn new(source: Body, coding: Coding, lane: Option<Lane>) -> Self {
        let is_live = source.len().is_none();
        let held = match source.kind {
            Kind::Bytes(_, Whose::Kept) => None,
            _ => Some(Arc::default()),
        };
        let work = Arc::new(Work { coding, encoder: Mutex::new(Stage::Unused) });
        Self {
            source,
            is_live,
            lane,
            left: Bytes::new(),
            held,
            work,
            job: None,
            trailers: Trailing::default(),
        }
    }

    /// Where stands what this and its source hold.
    pub(super) fn held(&self) -> Vec<Held> {
        let mut held = self.source.held();
        held.extend(self.held.clone().map(Held::Told));
        held
    }

    /// Where the fields behind the source are at its end.
    pub(super) fn trailers(&self) -> Trailing {
        Arc::clone(&self.trailers)
    }

    /// Compresses a piece, here or on the lane; what of it is there already.
    fn compress(&mut self, piece: &Bytes) -> io::Result<Bytes> {
        let flush = self.is_live && self.left.is_empty();
        if piece.len() > INLINE_BYTES_MAX
            && let Some(lane) = &self.lane
        {
            let (work, piece) = (Arc::clone(&self.work), piece.clone());
            if let Ok(job) = lane.submit(move || work.compress(&piece, flush)) {
                self.job = Some(job);
                return Ok(Bytes::new());
            }
            // A full lane is no reason to cut an answer.
        }
        self.work.compress(piece, flush)
    }
}

impl Stream for Coded {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let coded = self.get_mut();
        loop {
            let out = if let Some(job) = &mut coded.job {
                let out = ready!(Pin::new(job).poll(cx));
                coded.job = None;
                out.map_err(io::Error::other)??
            } else {
                if coded.left.is_empty() {
                    match ready!(coded.source.poll_chunk(cx))? {
                        Some(chunk) => coded.left = chunk,
                        None => {
                            if let Some(fields) = coded.source.trailers_to_client() {
                                let trailers = coded.trailers.lock();
                                *trailers.unwrap_or_else(PoisonError::into_inner) = Some(fields);
                            }
                            return Poll::Ready(coded.work.finish().transpose());
                        }
                    }
                }
                let piece = coded.left.split_to(coded.left.len().min(PIECE_BYTES));
                if let Some(held) = &coded.held {
                    held.store(coded.left.len(), Ordering::Relaxed);
                }
                coded.compress(&piece)?
            };
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(out)));
            }
        }
    }
}

impl Work {
    fn compress(&self, piece: &[u8], flush: bool) -> io::Result<Bytes> {
        // Whoever panicked with the lock has lost the answer; nobody goes on with it.
        let mut stage = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*stage, Stage::Unused) {
            *stage = Stage::Begun(Encoder::new(self.coding, Effort::Streamed)?);
        }
        match &mut *stage {
            Stage::Begun(encoder) => encoder.write(piece, flush),
            Stage::Unused | Stage::Ended => Ok(Bytes::new()),
        }
    }

    /// The last bytes, once.
    fn finish(&self) -> io::Result<Option<Bytes>> {
        let mut stage = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *stage, Stage::Ended) {
            Stage::Unused => Encoder::new(self.coding, Effort::Streamed)?.finish().map(Some),
            Stage::Begun(encoder) => encoder.finish().map(Some),
            Stage::Ended => Ok(None),
        }
    }
}
