//! `wsgi.input` of requests without content.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

/// A stream that is at its end. One serves all requests, as nothing can change it.
#[pyclass(frozen, module = "number8")]
pub(super) struct NoInput;

impl NoInput {
    pub(super) fn new(py: Python<'_>) -> PyResult<Bound<'_, Self>> {
        Bound::new(py, Self)
    }
}

#[pymethods]
impl NoInput {
    #[pyo3(signature = (_size=None))]
    fn read<'py>(&self, py: Python<'py>, _size: Option<isize>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, b"")
    }

    #[pyo3(signature = (_size=None))]
    fn readline<'py>(&self, py: Python<'py>, _size: Option<isize>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, b"")
    }

    #[pyo3(signature = (_hint=None))]
    fn readlines<'py>(&self, py: Python<'py>, _hint: Option<isize>) -> Bound<'py, PyList> {
        PyList::empty(py)
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self) -> Option<Py<PyAny>> {
        None
    }

    /// Nothing: the next request has it, too.
    fn close(&self) {}
}
