//! `wsgi.input`: of requests without content, and of large content in memory.

use bytes::Bytes;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList};

use super::spool::Held;
use crate::sys;

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

/// Content in memory, in the pieces that it came in, as what Python's own readers read from (`io.RawIOBase`): so that they
/// copy it once, from where the server has received it to where it is wanted.
#[pyclass(module = "number8")]
pub(super) struct Pieces {
    pieces: Vec<Bytes>,
    /// What is next: which piece, and where in it.
    place: (usize, usize),
    length: usize,
    is_closed: bool,
    /// Memory that is counted for as long as this is there.
    _held: Held,
}

impl Pieces {
    /// A reader of all that Python's have to offer.
    pub(super) fn reader(
        py: Python<'_>,
        pieces: Vec<Bytes>,
        length: usize,
        held: Held,
    ) -> PyResult<Bound<'_, PyAny>> {
        let this = Self { pieces, place: (0, 0), length, is_closed: false, _held: held };
        static READER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        READER.import(py, "io", "BufferedReader")?.call1((this,))
    }

    /// What is left of the piece that is next.
    fn rest(&self) -> Option<&[u8]> {
        let (number, start) = self.place;
        self.pieces.get(number)?.get(start..)
    }

    fn advance(&mut self, count: usize) {
        self.place.1 += count;
        while self.pieces.get(self.place.0).is_some_and(|piece| piece.len() <= self.place.1) {
            self.place = (self.place.0 + 1, 0);
        }
    }

    /// Calls that with what is next until it has taken so many bytes, or all; returns how many.
    fn take(&mut self, most: usize, mut with: impl FnMut(usize, &[u8])) -> usize {
        let mut taken = 0;
        while let Some(rest) = self.rest().filter(|_| taken < most) {
            let count = rest.len().min(most - taken);
            with(taken, &rest[..count]);
            taken += count;
            self.advance(count);
        }
        taken
    }

    fn position(&self) -> usize {
        let (number, start) = self.place;
        self.pieces.iter().take(number).map(Bytes::len).sum::<usize>() + start
    }
}

#[pymethods]
impl Pieces {
    fn readable(&self) -> bool {
        true
    }

    fn seekable(&self) -> bool {
        true
    }

    fn writable(&self) -> bool {
        false
    }

    fn isatty(&self) -> bool {
        false
    }

    fn flush(&self) {}

    fn close(&mut self) {
        self.is_closed = true;
        self.pieces.clear();
    }

    #[getter]
    fn closed(&self) -> bool {
        self.is_closed
    }

    #[allow(clippy::needless_pass_by_value, reason = "an argument of Python's")]
    fn readinto(&mut self, py: Python<'_>, buffer: PyBuffer<u8>) -> PyResult<usize> {
        let room = buffer.item_count();
        let mut fits = true;
        let count = self.take(room, |start, from| fits &= sys::put(py, &buffer, start, from));
        match fits {
            true => Ok(count),
            false => Err(PyValueError::new_err("readinto() needs a buffer that can be written to")),
        }
    }

    fn readall<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let left = self.length.saturating_sub(self.position());
        PyBytes::new_with(py, left, |to| {
            self.take(left, |start, from| to[start..start + from.len()].copy_from_slice(from));
            Ok(())
        })
    }

    fn tell(&self) -> usize {
        self.position()
    }

    /// Goes to so many bytes behind the start (0), the place that is next (1) or the end (2).
    #[pyo3(signature = (offset, whence=0))]
    fn seek(&mut self, offset: i64, whence: u8) -> PyResult<usize> {
        let from = match whence {
            0 => 0,
            1 => self.position(),
            2 => self.length,
            other => return Err(PyValueError::new_err(format!("whence={other}: it is 0, 1 or 2"))),
        };
        let to = i64::try_from(from).ok().and_then(|from| from.checked_add(offset));
        let Some(to) = to.and_then(|to| usize::try_from(to).ok()) else {
            return Err(PyValueError::new_err("a place before the start"));
        };
        self.place = (0, 0);
        let mut left = to;
        while let Some(piece) = self.pieces.get(self.place.0) {
            let count = piece.len().min(left);
            left -= count;
            self.advance(count);
            if left == 0 {
                break;
            }
        }
        Ok(to)
    }
}
