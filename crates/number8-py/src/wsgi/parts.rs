//! The parts of content that an application gives, one by one.

use std::vec;

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use super::log;

/// What an application returned: it is asked for its parts one by one, and closed once, whatever happens.
pub(super) struct Parts {
    /// What was written before.
    written: vec::IntoIter<Bytes>,
    returned: Option<Py<PyAny>>,
    /// Made when the first part is asked for.
    iterator: Option<Py<PyAny>>,
}

impl Parts {
    pub(super) fn new(returned: Bound<'_, PyAny>) -> Self {
        Self { written: Vec::new().into_iter(), returned: Some(returned.unbind()), iterator: None }
    }

    /// Has what was written come first.
    pub(super) fn after(&mut self, written: Vec<Bytes>) {
        self.written = written.into_iter();
    }

    /// The next part that is not empty; `None` at the end.
    pub(super) fn next(&mut self, py: Python<'_>) -> PyResult<Option<Bytes>> {
        if let Some(written) = self.written.next() {
            return Ok(Some(written));
        }
        let Some(returned) = &self.returned else { return Ok(None) };
        let iterator = match &self.iterator {
            Some(iterator) => iterator,
            None => self.iterator.insert(returned.bind(py).try_iter()?.into_any().unbind()),
        };
        let mut iterator = iterator.bind(py).cast::<pyo3::types::PyIterator>()?.clone();
        for part in &mut iterator {
            let part = bytes(&part?)?;
            if !part.is_empty() {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    /// Tells what the application returned that nothing more is asked of it.
    pub(super) fn close(&mut self, py: Python<'_>) {
        self.iterator = None;
        let Some(returned) = self.returned.take() else { return };
        let returned = returned.bind(py);
        let closed = match returned.getattr_opt(intern!(py, "close")) {
            Ok(Some(close)) => close.call0().map(drop),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = closed {
            log(py, "close() of what the application returned failed", &error);
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if self.returned.is_some() {
            // At the end of the interpreter there is nobody to tell.
            let _ = Python::try_attach(|py| self.close(py));
        }
    }
}

/// A part as bytes that are Python's still: nothing is copied.
pub(super) fn bytes(part: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    match part.cast::<PyBytes>() {
        Ok(part) => Ok(Bytes::from_owner(PyBackedBytes::from(part.clone()))),
        Err(_) => Err(PyTypeError::new_err(format!(
            "the application gave {}, not bytes, as content",
            part.get_type()
        ))),
    }
}
