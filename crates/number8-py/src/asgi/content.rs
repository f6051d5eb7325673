//! Content on its way: from the client part by part, and from Python's bytes.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use number8::Body;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes};

/// Up to this size bytes are copied, which is cheaper than to hold on to the object.
const COPY_MAX: usize = 4 * 1024;

/// The bytes of an object; those of a large `bytes` are not copied.
pub(super) fn bytes_of(object: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(match bytes.as_bytes() {
            little if little.len() <= COPY_MAX => Bytes::copy_from_slice(little),
            _ => Bytes::from_owner(PyBackedBytes::from(bytes.clone())),
        });
    }
    if let Ok(array) = object.cast::<PyByteArray>() {
        return Ok(array.to_vec().into());
    }
    if let Ok(view) = pyo3::buffer::PyBuffer::<u8>::get(object) {
        return Ok(view.to_vec(object.py())?.into());
    }
    let kind = object.get_type();
    Err(PyTypeError::new_err(format!("'body' has to be bytes, not {}", kind.name()?)))
}

/// The content of a request, given out with the word whether more follows.
pub(super) struct Content {
    body: Body,
    /// A part that came while it was found out whether the one before it was the last.
    next: Option<Bytes>,
    is_over: bool,
}

impl Content {
    pub(super) fn new(body: Body) -> Self {
        Self { body, next: None, is_over: false }
    }

    /// The next part, and whether there is more; `None` when all has been given out.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Poll<io::Result<(Bytes, bool)>>> {
        if self.is_over {
            return None;
        }
        let part = match self.next.take() {
            Some(part) => part,
            None => match self.body.poll_chunk(cx) {
                Poll::Pending => return Some(Poll::Pending),
                Poll::Ready(Ok(Some(part))) => part,
                Poll::Ready(Ok(None)) => {
                    self.is_over = true;
                    return Some(Poll::Ready(Ok((Bytes::new(), false))));
                }
                Poll::Ready(Err(error)) => {
                    self.is_over = true;
                    return Some(Poll::Ready(Err(error)));
                }
            },
        };
        // An error is for the next time, when it is found again.
        match self.body.poll_chunk(cx) {
            Poll::Ready(Ok(None)) => self.is_over = true,
            Poll::Ready(Ok(next)) => self.next = next,
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        Some(Poll::Ready(Ok((part, !self.is_over))))
    }
}
