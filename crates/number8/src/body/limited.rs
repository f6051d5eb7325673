//! Streams of which so much may come: the content of a request from elsewhere, and that of an answer whose length was
//! announced.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

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

/// A stream that ends with the byte that was announced as the last, or with an error where it ends before.
pub(super) struct Sized<S> {
    stream: Pin<Box<S>>,
    left: u64,
}

impl<S> Sized<S> {
    pub(super) fn new(stream: S, length: u64) -> Self {
        Self { stream: Box::pin(stream), left: length }
    }
}

impl<S: Stream<Item = io::Result<Bytes>>> Stream for Sized<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, left } = self.get_mut();
        if *left == 0 {
            return Poll::Ready(None);
        }
        let Some(chunk) = ready!(stream.as_mut().poll_next(cx)) else {
            return Poll::Ready(Some(Err(io::Error::other(BodyError::Unfinished))));
        };
        let mut chunk = chunk?;
        chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= chunk.len() as u64;
        Poll::Ready(Some(Ok(chunk)))
    }
}
