//! What was sent last, in its order.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use number8_proto::http1::put_chunk;

use super::Start;

/// Something that was sent, encoded once for all who get it.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// As a chunk of a body (RFC 9112 §7.1).
    chunk: Bytes,
    /// Where in it the content is.
    content: Range<usize>,
}

/// How a connection marks where its content ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Chunked,
    UntilClose,
}

/// What comes next for a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// This frame, and whether more follow.
    Frame(Bytes, bool),
    /// Nothing yet.
    Nothing,
    /// What came next is not kept any more.
    Lost,
    /// Nothing any more.
    End,
}

impl Frame {
    /// Content; not empty, or it would be the last chunk.
    pub(crate) fn new(content: &[u8]) -> Self {
        debug_assert!(!content.is_empty());
        let mut chunk = Vec::with_capacity(content.len() + 16);
        put_chunk(content, &mut chunk);
        let end = chunk.len() - 2;
        Self { chunk: chunk.into(), content: end - content.len()..end }
    }

    pub(crate) fn bytes(&self, framing: Framing) -> Bytes {
        match framing {
            Framing::Chunked => self.chunk.clone(),
            Framing::UntilClose => self.chunk.slice(self.content.clone()),
        }
    }
}

/// Memory that a frame takes besides its bytes.
const OVERHEAD_BYTES: usize = 128;

#[derive(Debug)]
pub(super) struct Ring {
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    bytes: usize,
    bytes_max: usize,
    is_closed: bool,
}

#[derive(Debug)]
struct Entry {
    key: Box<str>,
    frame: Frame,
}

impl Entry {
    fn cost(&self) -> usize {
        self.key.len() + self.frame.chunk.len() + OVERHEAD_BYTES
    }
}

impl Ring {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), first: 1, bytes: 0, bytes_max, is_closed: false }
    }

    pub(super) fn push(&mut self, encode: impl FnOnce(u64) -> (Box<str>, Frame)) {
        let (key, frame) = encode(self.next());
        let entry = Entry { key, frame };
        self.bytes += entry.cost();
        self.entries.push_back(entry);
        // The last one stays, however large.
        while self.bytes > self.bytes_max && self.entries.len() > 1 {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.cost();
            self.first += 1;
        }
    }

    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(super) fn position(&self, start: Start<'_>) -> u64 {
        let Start::After(key) = start else { return self.next() };
        // Those who come back were away for a short time, mostly.
        let known = self.entries.iter().rposition(|entry| *entry.key == *key);
        self.first + known.map_or(0, |at| at as u64 + 1)
    }

    pub(super) fn look(&self, position: u64, framing: Framing) -> Look {
        let Some(at) = position.checked_sub(self.first) else { return Look::Lost };
        match self.entries.get(at as usize) {
            Some(entry) => Look::Frame(entry.frame.bytes(framing), position + 1 < self.next()),
            None if self.is_closed => Look::End,
            None => Look::Nothing,
        }
    }

    /// The frames that follow the one at `position`, as many as there are and fit.
    pub(super) fn behind(&self, position: u64, framing: Framing, frames: &mut [Bytes]) -> usize {
        let Some(at) = position.checked_sub(self.first) else { return 0 };
        let entries = self.entries.iter().skip(at as usize + 1);
        frames
            .iter_mut()
            .zip(entries)
            .map(|(frame, entry)| *frame = entry.frame.bytes(framing))
            .count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }
}
