//! A stream from elsewhere as the content of a request, of which so much may come.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::{Body, BodyError, ChunkStream, Kind};

/// Content that a client sends and another server reads.
pub(crate) struct Limited {
    stream: ChunkStream,
    /// What is known of its length.
    length: Option<u64>,
    received: u64,
    pub(super) limit: u64,
}

impl Body {
    pub(crate) fn limited(stream: ChunkStream, length: Option<u64>, limit: u64) -> Self {
        Self { kind: Kind::Limited(Box::new(Limited { stream, length, received: 0, limit })) }
    }
}

impl Limited {
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.length.is_some_and(|length| length > self.limit) {
            // Whoever wants to read it learns so at once; whoever does not may have a better answer.
            return Poll::Ready(Err(io::Error::other(BodyError::TooLarge)));
        }
        let chunk = ready!(self.stream.as_mut().poll_next(cx)).transpose()?;
        self.received += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        match self.received > self.limit {
            true => Poll::Ready(Err(io::Error::other(BodyError::TooLarge))),
            false => Poll::Ready(Ok(chunk)),
        }
    }
}
