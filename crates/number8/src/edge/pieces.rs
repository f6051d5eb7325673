//! Parts of files as a stream: read by the lane, piece by piece.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

use crate::body::{FileRange, Part};
use crate::server::lane::{Job, Lane};

/// Bytes read at once: few calls of the lane, little memory for a client that is slow.
const PIECE_BYTES: u64 = 64 * 1024;

pub(super) struct Pieces {
    parts: VecDeque<Part>,
    lane: Lane,
    reading: Option<Job<io::Result<Vec<u8>>>>,
}

impl Pieces {
    pub(super) fn new(parts: VecDeque<Part>, lane: Lane) -> Self {
        Self { parts, lane, reading: None }
    }
}

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(job) = &mut self.reading {
                let piece = ready!(Pin::new(job).poll(cx));
                self.reading = None;
                return Poll::Ready(Some(piece.map_err(io::Error::other)?.map(Bytes::from)));
            }
            let Some(part) = self.parts.pop_front() else { return Poll::Ready(None) };
            let FileRange { file, start, end, warm } = match part {
                Part::Bytes(bytes, _) if bytes.is_empty() => continue,
                Part::Bytes(bytes, _) => return Poll::Ready(Some(Ok(bytes))),
                Part::File(range) if range.start >= range.end => continue,
                Part::File(range) => range,
            };
            let length = (end - start).min(PIECE_BYTES);
            let rest = FileRange { file: file.clone(), start: start + length, end, warm };
            self.parts.push_front(Part::File(rest));
            // A piece has so few bytes that their number is one of memory, too.
            let read = move || file.read_range(start, length as usize);
            match self.lane.go_on(read) {
                Ok(job) => self.reading = Some(job),
                Err(full) => return Poll::Ready(Some(Err(io::Error::other(full)))),
            }
        }
    }
}
