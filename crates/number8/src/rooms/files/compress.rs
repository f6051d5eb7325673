//! A compressed copy of a text, made once and served from memory.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use number8_proto::http1::{Head, Method};
use number8_proto::negotiate::Coding;

use super::entry::Entry;
use super::representation::Content;
use super::{Inner, encode, respond};
use crate::server::lane::Lane;

impl Inner {
    /// Has a compressed copy made of a kept file, if the client would take it and nobody has begun one.
    /// This client gets the file as it is: nobody waits for a compressor. Returns the coding of a copy that was begun.
    pub(super) fn compress(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        head: &Head<'_>,
        path: &[u8],
        lane: &Lane,
    ) -> Option<Coding> {
        // A copy that is pushed out at once would be made again for each request; and whoever does not take the content
        // has work made for nobody.
        if !entry.is_compressible()
            || !self.cache.may_hold_twice(entry.meta.size)
            || head.method() == Method::Head
        {
            return None;
        }
        let mut lacking = encode::MADE.to_vec();
        lacking.retain(|&coding| entry.lacks(coding));
        let coding = respond::accepted(head).best(&lacking)?;
        if coding == Coding::Identity {
            return None;
        }
        // SECURITY: one at a time, so that whoever asks for many texts leaves the lane to others.
        let busy = Busy::begin(self)?;
        if !entry.begin_compressing(coding) {
            return None;
        }
        let job = lane.submit({
            let (inner, entry, path) = (Arc::clone(self), Arc::clone(entry), path.to_vec());
            move || {
                let _busy = busy;
                match coded(&entry, coding) {
                    Ok(Some(coded)) => {
                        let bytes = entry.add_copy(coded.into(), coding, &inner.settings);
                        inner.cache.grown(&path, &entry, bytes);
                    }
                    Ok(None) => entry.forgo_compressing(),
                    Err(_) => entry.failed_compressing(coding),
                }
            }
        });
        match job {
            // Nobody waits for the copy: the next request finds it.
            Ok(job) => job.detach(),
            Err(_) => {
                entry.failed_compressing(coding);
                return None;
            }
        }
        Some(coding)
    }
}

/// A copy is being made.
struct Busy(Arc<Inner>);

impl Busy {
    fn begin(inner: &Arc<Inner>) -> Option<Self> {
        let was_busy = inner.is_compressing.swap(true, Ordering::Acquire);
        (!was_busy).then(|| Self(Arc::clone(inner)))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.is_compressing.store(false, Ordering::Release);
    }
}

/// The content of a file in another coding; `None` when that is hardly smaller.
fn coded(entry: &Entry, coding: Coding) -> io::Result<Option<Vec<u8>>> {
    let content = match &entry.identity.content {
        Content::Memory(bytes) => bytes.clone(),
        Content::File(file, size) => {
            // The size is one of `encode::SIZES`.
            let bytes = file.read_range(0, *size as usize)?;
            if !file.is_unchanged() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            bytes.into()
        }
    };
    let coded = encode::encode(&content, coding)?;
    // A copy that saves less than a tenth is not worth its memory.
    Ok((coded.len() <= content.len() - content.len() / 10).then_some(coded))
}
