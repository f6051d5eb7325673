//! Content on its way through the protocol, which is counted as long as it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::{Buf, Bytes};

use crate::body::Whose;

/// The content that the protocol holds for one connection.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<Counts>);

#[derive(Default)]
struct Counts {
    counted: AtomicUsize,
    waiting: AtomicUsize,
    written: AtomicU64,
}

impl Held {
    /// Bytes of memory that count for this connection.
    pub(super) fn bytes(&self) -> usize {
        self.0.counted.load(Ordering::Relaxed)
    }

    /// Bytes of content that have not been written, whoever's memory they are in.
    pub(super) fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Bytes of content that have been written since the connection began.
    pub(super) fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Has the protocol take bytes: they count until it has written them, or dropped them with their stream.
    pub(super) fn take(&self, bytes: Bytes, whose: Whose) -> Data {
        let counted = whose.count(bytes.len());
        self.0.counted.fetch_add(counted, Ordering::Relaxed);
        self.0.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        Data { bytes, counted, held: Some(self.clone()) }
    }
}

/// The bytes of content as the protocol takes them.
pub(super) struct Data {
    bytes: Bytes,
    counted: usize,
    held: Option<Held>,
}

impl Data {
    /// No content, with which a stream ends.
    pub(super) const END: Self = Self { bytes: Bytes::new(), counted: 0, held: None };
}

impl Buf for Data {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(Held(counts)) = &self.held {
            counts.waiting.fetch_sub(count, Ordering::Relaxed);
            counts.written.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Some(Held(counts)) = &self.held {
            counts.counted.fetch_sub(self.counted, Ordering::Relaxed);
            counts.waiting.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        }
    }
}
