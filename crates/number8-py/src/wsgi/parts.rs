//! The parts of content that an application gives, one by one.

use std::vec;

use bytes::Bytes;
use number8::server::lane::Lane;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyIterator};

use super::context::Context;
use super::log;

/// What an application returned: it is asked for its parts one by one, and closed once, whatever happens.
pub(super) struct Parts {
    /// What was written before.
    written: vec::IntoIter<Bytes>,
    returned: Option<Returned>,
    /// Where the application is called; `None` is the thread that this is dropped in.
    lane: Option<Lane>,
}

struct Returned {
    context: Context,
    object: Py<PyAny>,
    /// Made when the first part is asked for.
    iterator: Option<Py<PyIterator>>,
}

impl Parts {
    /// `context` is the one that the application was called in, in which it goes on.
    pub(super) fn new(returned: Bound<'_, PyAny>, context: Context, lane: Option<Lane>) -> Self {
        let returned = Returned { context, object: returned.unbind(), iterator: None };
        Self { written: Vec::new().into_iter(), returned: Some(returned), lane }
    }

    /// Has what was written come first.
    pub(super) fn after(&mut self, written: Vec<Bytes>) {
        self.written = written.into_iter();
    }

    /// The first part that is not empty; `None` where there is none.
    pub(super) fn first(&mut self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        loop {
            match self.next(py)? {
                Some(part) if part.is_empty() => {}
                part => return Ok(part),
            }
        }
    }

    /// The next part, which may be empty; `None` at the end.
    pub(super) fn next(&mut self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        if let Some(written) = self.written.next() {
            return Ok(Some(written));
        }
        let Some(Returned { context, object, iterator }) = &mut self.returned else {
            return Ok(None);
        };
        context.run(py, || {
            let iterator = match iterator {
                Some(iterator) => iterator,
                None => iterator.insert(object.bind(py).try_iter()?.unbind()),
            };
            iterator.bind(py).clone().next().map(|part| bytes(&part?)).transpose()
        })
    }

    /// Tells what the application returned that nothing more is asked of it.
    pub(super) fn close(&mut self, py: Python<'_>) {
        if let Some(returned) = self.returned.take() {
            returned.close(py);
        }
    }
}

impl Returned {
    fn close(self, py: Python<'_>) {
        let Self { context, object, iterator } = self;
        let closed = context.run(py, || {
            drop(iterator);
            let closed = match object.bind(py).getattr_opt(intern!(py, "close")) {
                Ok(Some(close)) => close.call0().map(drop),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            // A generator that is not at its end comes to it here.
            drop(object);
            closed
        });
        if let Err(error) = closed {
            log(py, "close() of what the application returned failed", &error);
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let Some(returned) = self.returned.take() else { return };
        let close = |returned: Returned| {
            // At the end of the interpreter there is nobody to tell.
            let _ = Python::try_attach(|py| returned.close(py));
        };
        let Some(lane) = &self.lane else { return close(returned) };
        if let Ok(job) = lane.go_on(move || close(returned)) {
            job.detach();
        }
    }
}

/// Parts up to this size, in bytes, are copied: that costs less than to give the object back to the interpreter, from a
/// thread that does not have it.
const COPY_MAX: usize = 4 * 1024;

/// A part as bytes: those of a large one are Python's still.
pub(super) fn bytes(part: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    match part.cast::<PyBytes>() {
        Ok(part) if part.as_bytes().len() <= COPY_MAX => {
            Ok(Bytes::copy_from_slice(part.as_bytes()))
        }
        Ok(part) => Ok(Bytes::from_owner(PyBackedBytes::from(part.clone()))),
        Err(_) => Err(PyTypeError::new_err(format!(
            "the application gave {}, not bytes, as content",
            part.get_type()
        ))),
    }
}
