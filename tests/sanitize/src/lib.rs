//! What crates/number8-py/src/sys.rs has, as functions of Python's, so that check.py can call it with all that may come.

#[path = "../../../crates/number8-py/src/sys.rs"]
mod sys;

use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::thread;

use bytes::BufMut;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::runtime;

#[pyfunction]
fn put(py: Python<'_>, buffer: PyBuffer<u8>, start: usize, bytes: &[u8]) -> bool {
    sys::put(py, &buffer, start, bytes)
}

/// Fills an object with these bytes, a few at once in another thread; returns it, and what there is before it is full.
#[pyfunction]
fn filled<'py>(
    py: Python<'py>,
    length: usize,
    bytes: Vec<u8>,
    at_once: usize,
) -> PyResult<(Option<Bound<'py, PyBytes>>, Vec<u8>)> {
    let mut blank = sys::Blank::new(py, length)?;
    let fill = move || {
        for piece in bytes.chunks(at_once) {
            let room = blank.chunk_mut();
            let count = piece.len().min(room.len());
            room[..count].copy_from_slice(&piece[..count]);
            // SAFETY: so many were just written.
            unsafe { blank.advance_mut(count) };
        }
        blank
    };
    let blank = py.detach(|| thread::spawn(fill).join());
    let blank = blank.map_err(|_| PyRuntimeError::new_err("the thread panicked"))?;
    Ok((blank.object(py).cloned(), blank.as_ref().to_vec()))
}

/// Makes objects and has them end where there is no interpreter.
#[pyfunction]
fn forgotten(py: Python<'_>, times: usize) -> PyResult<()> {
    let blanks: PyResult<Vec<_>> = (0..times).map(|_| sys::Blank::new(py, 1000)).collect();
    let blanks = blanks?;
    py.detach(|| thread::spawn(move || drop(blanks)).join()).map_err(|_| PyRuntimeError::new_err("the thread panicked"))
}

#[pyfunction]
fn duplicate(number: i32) -> PyResult<i32> {
    Ok(sys::duplicate(number)?.as_raw_fd())
}

/// Gives the interpreter away and takes it back; both twice, as a second one does nothing.
#[pyfunction]
fn park(_py: Python<'_>) {
    sys::let_go();
    sys::let_go();
    sys::take_back();
    sys::take_back();
}

/// Calls a function so often in a thread that the interpreter knows until it ends.
#[pyfunction]
fn settled(py: Python<'_>, function: Py<PyAny>, times: usize) -> PyResult<()> {
    let calls = move || {
        (0..times).try_for_each(|_| {
            sys::settle();
            Python::attach(|py| function.call0(py).map(drop))
        })
    };
    let ended = py.detach(|| thread::spawn(calls).join());
    ended.map_err(|_| PyRuntimeError::new_err("the thread panicked"))?
}

#[pyfunction]
fn copied(py: Python<'_>) -> PyResult<Py<PyAny>> {
    sys::copy_context(py)
}

/// Calls a function in that context, which is entered so often within itself.
#[pyfunction]
fn called_in<'py>(context: &Bound<'py, PyAny>, function: &Bound<'py, PyAny>, deep: usize) -> PyResult<Bound<'py, PyAny>> {
    sys::in_context(context, || match deep {
        0 | 1 => function.call0(),
        _ => called_in(context, function, deep - 1),
    })
}

/// The same in a thread of its own, which has the context alone; it lets it go where there is no interpreter.
#[pyfunction]
fn called_elsewhere(py: Python<'_>, context: Py<PyAny>, function: Py<PyAny>) -> PyResult<()> {
    let call = move || {
        let result = Python::attach(|py| called_in(context.bind(py), function.bind(py), 1).map(drop));
        drop(context);
        result
    };
    py.detach(|| thread::spawn(call).join()).map_err(|_| PyRuntimeError::new_err("the thread panicked"))?
}

/// Panics in that context, and says whether it has.
#[pyfunction]
fn panics_in(context: &Bound<'_, PyAny>) -> bool {
    catch_unwind(AssertUnwindSafe(|| sys::in_context(context, || resume_unwind(Box::new(()))))).is_err()
}

/// Waits until a descriptor can be read.
#[pyfunction]
fn watch(py: Python<'_>, number: i32) -> PyResult<()> {
    let descriptor = sys::duplicate(number)?;
    py.detach(|| {
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            sys::watch(descriptor)?.readable().await?.clear_ready();
            Ok(())
        })
    })
}

/// Reads memory that was freed: a sanitizer that does not see that sees nothing.
#[pyfunction]
fn wrong() -> u8 {
    let memory = vec![8_u8; 100];
    let freed = memory.as_ptr();
    drop(memory);
    unsafe { ptr::read_volatile(freed.add(7)) }
}

#[pymodule]
fn sanitized(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(put, module)?)?;
    module.add_function(wrap_pyfunction!(filled, module)?)?;
    module.add_function(wrap_pyfunction!(forgotten, module)?)?;
    module.add_function(wrap_pyfunction!(duplicate, module)?)?;
    module.add_function(wrap_pyfunction!(park, module)?)?;
    module.add_function(wrap_pyfunction!(settled, module)?)?;
    module.add_function(wrap_pyfunction!(copied, module)?)?;
    module.add_function(wrap_pyfunction!(called_in, module)?)?;
    module.add_function(wrap_pyfunction!(called_elsewhere, module)?)?;
    module.add_function(wrap_pyfunction!(panics_in, module)?)?;
    module.add_function(wrap_pyfunction!(watch, module)?)?;
    module.add_function(wrap_pyfunction!(wrong, module)?)
}
