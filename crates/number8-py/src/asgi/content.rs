//! Content on its way: from the client part by part, and from Python's bytes.

use std::io;
use std::os::fd::RawFd;
use std::task::{Context, Poll};

use bytes::Bytes;
use number8::Body;
use number8::store::File;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes};

use crate::sys;

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

/// Opens a regular file that an application names by its whole path.
pub(super) fn file_at(path: &Bound<'_, PyAny>) -> PyResult<File> {
    let py = path.py();
    let os = py.import("os")?;
    if !os.getattr("path")?.call_method1("isabs", (path,))?.is_truthy()? {
        return Err(PyValueError::new_err("'path' has to be a whole path"));
    }
    // What is no file, such as a pipe, must not be waited for.
    let flags = ["O_RDONLY", "O_CLOEXEC", "O_NONBLOCK"];
    let flags = flags
        .iter()
        .try_fold(0, |all, flag| Ok::<i32, PyErr>(all | os.getattr(*flag)?.extract::<i32>()?))?;
    let number: RawFd = os.call_method1("open", (path, flags))?.extract()?;
    let ours = sys::duplicate(number);
    os.call_method1("close", (number,))?;
    Ok(File::adopt(ours?)?)
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
