//! Content on its way through the protocol, which counts as long as it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf, Bytes};

use crate::body::Whose;

/// How many bytes of content the protocol holds for one connection.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<AtomicUsize>);

impl Held {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Bytes that the protocol takes: they count until it has written them, or dropped them with their stream.
    pub(super) fn take(&self, bytes: Bytes, whose: Whose) -> Data {
        let counted = whose.count(bytes.len());
        self.0.fetch_add(counted, Ordering::Relaxed);
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
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            held.0.fetch_sub(self.counted, Ordering::Relaxed);
        }
    }
}
