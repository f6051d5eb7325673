//! `wsgi.input`: of requests without content, and of large content in memory.

use std::mem;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyTuple};

use super::spool::{Held, Piece};
use crate::sys;

/// An empty file (`io.BufferedIOBase`), which is at its end wherever one goes. One serves all requests, as nothing can change it.
#[pyclass(frozen, module = "number8")]
pub(super) struct NoInput;

impl NoInput {
    pub(super) fn new(py: Python<'_>) -> PyResult<Bound<'_, Self>> {
        call_file::<Self>(py)?;
        Bound::new(py, Self)
    }
}

/// For those who ask whether it is a file.
fn call_file<T: pyo3::PyTypeInfo>(py: Python<'_>) -> PyResult<()> {
    let base = py.import("io")?.getattr("BufferedIOBase")?;
    base.call_method1("register", (py.get_type::<T>(),)).map(drop)
}

/// What has no descriptor says so when it is asked for it.
fn no_descriptor(py: Python<'_>) -> PyErr {
    let unsupported = py.import("io").and_then(|io| io.getattr("UnsupportedOperation"));
    let error = unsupported.and_then(|kind| kind.call1(("content in memory has no descriptor",)));
    error.map_or_else(|error| error, PyErr::from_value)
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

    #[pyo3(signature = (_size=None, /))]
    fn read1<'py>(&self, py: Python<'py>, _size: Option<isize>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, b"")
    }

    #[allow(clippy::needless_pass_by_value, reason = "an argument of Python's")]
    fn readinto(&self, _buffer: PyBuffer<u8>) -> usize {
        0
    }

    #[allow(clippy::needless_pass_by_value, reason = "an argument of Python's")]
    fn readinto1(&self, _buffer: PyBuffer<u8>) -> usize {
        0
    }

    fn tell(&self) -> usize {
        0
    }

    /// There is one place alone.
    #[pyo3(signature = (_offset, _whence=0, /))]
    fn seek(&self, _offset: i64, _whence: u8) -> usize {
        0
    }

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

    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        Err(no_descriptor(py))
    }

    fn flush(&self) {}

    /// Nothing: the next request has it, too.
    fn close(&self) {}

    #[getter]
    fn closed(&self) -> bool {
        false
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, _raised: &Bound<'_, PyTuple>) {}
}

/// Content in memory, in the pieces that it came in, as a file that is read (`io.BufferedIOBase`). What is asked for in the very pieces
/// in which it was received is not copied any more.
#[pyclass(module = "number8")]
pub(super) struct Content {
    pieces: Vec<Piece>,
    /// What is next: which piece, and where in it.
    place: (usize, usize),
    /// The same, in bytes behind the start.
    position: usize,
    length: usize,
    is_closed: bool,
    /// Memory that is counted for as long as this is there.
    held: Held,
}

impl Content {
    pub(super) fn reader(
        py: Python<'_>,
        pieces: Vec<Piece>,
        length: usize,
        held: Held,
    ) -> PyResult<Bound<'_, PyAny>> {
        static REGISTERED: PyOnceLock<()> = PyOnceLock::new();
        REGISTERED.get_or_try_init(py, || call_file::<Self>(py))?;
        let this = Self { pieces, place: (0, 0), position: 0, length, is_closed: false, held };
        Ok(Bound::new(py, this)?.into_any())
    }

    fn open(&self) -> PyResult<()> {
        match self.is_closed {
            true => Err(PyValueError::new_err("I/O operation on closed file.")),
            false => Ok(()),
        }
    }

    /// What is left of the piece that is next.
    fn rest(&self) -> Option<&[u8]> {
        let (number, start) = self.place;
        self.pieces.get(number)?.as_ref().get(start..)
    }

    fn advance(&mut self, count: usize) {
        self.place.1 += count;
        self.position += count;
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

    /// So many bytes, or all that are left.
    fn bytes<'py>(&mut self, py: Python<'py>, most: usize) -> PyResult<Bound<'py, PyBytes>> {
        let count = most.min(self.left());
        let (number, start) = self.place;
        let piece = self.pieces.get(number).filter(|piece| start == 0 && piece.len() == count);
        if let Some(object) = piece.and_then(|piece| piece.object(py).cloned()) {
            self.advance(count);
            return Ok(object);
        }
        PyBytes::new_with(py, count, |to| {
            self.take(count, |start, from| to[start..start + from.len()].copy_from_slice(from));
            Ok(())
        })
    }

    /// Bytes up to the end of the line that is next, or `most`.
    ///
    /// SECURITY: no further is looked, as a client chooses how long its lines are, and `most` is what protects from that.
    fn line_length(&self, most: usize) -> usize {
        let mut length = 0;
        let (number, mut start) = self.place;
        for piece in self.pieces.iter().skip(number) {
            let rest = &piece.as_ref()[start..];
            let rest = &rest[..rest.len().min(most - length)];
            match rest.iter().position(|&byte| byte == b'\n') {
                Some(end) => return length + end + 1,
                None => length += rest.len(),
            }
            if length == most {
                break;
            }
            start = 0;
        }
        length
    }

    fn left(&self) -> usize {
        self.length.saturating_sub(self.position)
    }

    /// Lets the content go, and has as much room ready for the next one.
    fn let_go(&mut self, py: Python<'_>) {
        let pieces = mem::take(&mut self.pieces);
        if !pieces.is_empty() {
            drop(pieces);
            self.held.restock(py, self.length);
        }
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        Python::attach(|py| self.let_go(py));
    }
}

/// How much is asked for: all where it is `None` or less than 0.
fn most(size: Option<isize>) -> usize {
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX)
}

#[pymethods]
impl Content {
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&mut self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.open()?;
        self.bytes(py, most(size))
    }

    #[pyo3(signature = (size=None, /))]
    fn read1<'py>(
        &mut self,
        py: Python<'py>,
        size: Option<isize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.read(py, size)
    }

    #[allow(clippy::needless_pass_by_value, reason = "an argument of Python's")]
    fn readinto(&mut self, py: Python<'_>, buffer: PyBuffer<u8>) -> PyResult<usize> {
        self.open()?;
        if buffer.readonly() || !buffer.is_c_contiguous() {
            return Err(PyValueError::new_err("readinto() needs a buffer that can be written to"));
        }
        let room = buffer.item_count();
        Ok(self.take(room, |start, from| {
            // It was just asked whether it can be written to, and no more is taken than there is room for.
            sys::put(py, &buffer, start, from);
        }))
    }

    fn readinto1(&mut self, py: Python<'_>, buffer: PyBuffer<u8>) -> PyResult<usize> {
        self.readinto(py, buffer)
    }

    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(
        &mut self,
        py: Python<'py>,
        size: Option<isize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.open()?;
        self.bytes(py, self.line_length(most(size)))
    }

    /// All lines, or as many as have so many bytes.
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(
        &mut self,
        py: Python<'py>,
        hint: Option<isize>,
    ) -> PyResult<Bound<'py, PyList>> {
        let most = most(hint.filter(|&hint| hint > 0));
        let (lines, mut taken) = (PyList::empty(py), 0);
        self.open()?;
        while taken < most && self.left() > 0 {
            let line = self.readline(py, None)?;
            taken += line.as_bytes().len();
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.try_borrow()?.open()?;
        Ok(slf)
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.readline(py, None)?;
        Ok(Some(line).filter(|line| !line.as_bytes().is_empty()))
    }

    fn tell(&self) -> PyResult<usize> {
        self.open()?;
        Ok(self.position)
    }

    /// Goes to so many bytes behind the start (0), the place that is next (1) or the end (2). Behind the end there is nothing.
    #[pyo3(signature = (offset, whence=0, /))]
    fn seek(&mut self, offset: i64, whence: u8) -> PyResult<usize> {
        self.open()?;
        let from = match whence {
            0 => 0,
            1 => self.position,
            2 => self.length,
            other => return Err(PyValueError::new_err(format!("whence={other}: it is 0, 1 or 2"))),
        };
        let to = i64::try_from(from).ok().and_then(|from| from.checked_add(offset));
        let Some(to) = to.and_then(|to| usize::try_from(to).ok()) else {
            return Err(PyValueError::new_err("a place before the start"));
        };
        (self.place, self.position) = ((0, 0), 0);
        let mut left = to;
        while let Some(piece) = self.pieces.get(self.place.0) {
            let count = piece.len().min(left);
            left -= count;
            self.advance(count);
            if left == 0 {
                break;
            }
        }
        self.position = to;
        Ok(to)
    }

    fn readable(&self) -> PyResult<bool> {
        self.open().map(|()| true)
    }

    fn seekable(&self) -> PyResult<bool> {
        self.open().map(|()| true)
    }

    fn writable(&self) -> PyResult<bool> {
        self.open().map(|()| false)
    }

    fn isatty(&self) -> PyResult<bool> {
        self.open().map(|()| false)
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        Err(no_descriptor(py))
    }

    fn flush(&self) -> PyResult<()> {
        self.open()
    }

    fn close(&mut self, py: Python<'_>) {
        self.is_closed = true;
        self.let_go(py);
    }

    #[getter]
    fn closed(&self) -> bool {
        self.is_closed
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.try_borrow()?.open()?;
        Ok(slf)
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&mut self, py: Python<'_>, _raised: &Bound<'_, PyTuple>) {
        self.close(py);
    }
}
