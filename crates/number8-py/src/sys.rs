//! The unsafe code of this crate: what the interpreter offers and pyo3 has no safe way to say.
#![allow(unsafe_code, reason = "the interpreter is C")]

use std::cell::Cell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::slice;

use bytes::BufMut;
use bytes::buf::UninitSlice;
use pyo3::buffer::PyBuffer;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

thread_local! {
    /// What this thread was in the interpreter before [`let_go`].
    static LET_GO: Cell<*mut ffi::PyThreadState> = const { Cell::new(ptr::null_mut()) };
}

/// Lets other threads of the interpreter run while this one waits: for a runtime that is about to park. Does nothing in a
/// thread that does not have the interpreter.
///
/// Between this and [`take_back`] nothing of Python may be touched in this thread. tokio keeps that: between its two hooks
/// it runs nothing but its own driver, which wakes tasks and runs none.
pub(crate) fn let_go() {
    // SAFETY: the check may be called at any time once the interpreter runs, and this is a module of it.
    if !LET_GO.get().is_null() || unsafe { ffi::PyGILState_Check() } == 0 {
        return;
    }
    // SAFETY: this thread is attached, as was just checked, and it is attached again by `take_back` before anything of
    // Python is touched.
    LET_GO.set(unsafe { ffi::PyEval_SaveThread() });
}

/// Undoes [`let_go`]; does nothing without one.
pub(crate) fn take_back() {
    let state = LET_GO.replace(ptr::null_mut());
    if !state.is_null() {
        // SAFETY: it is what PyEval_SaveThread gave to this very thread, and it is used once.
        unsafe { ffi::PyEval_RestoreThread(state) };
    }
}

/// Has the interpreter know this thread until it ends, so that what Python keeps for each thread (`threading.local`) stays
/// between calls. Without it a thread is a new one each time it attaches.
pub(crate) fn settle() {
    SETTLED.with(|_| ());
}

thread_local! {
    static SETTLED: Settled = Settled::here();
}

/// A thread that the interpreter knows, and that is not attached to it.
struct Settled(*mut ffi::PyThreadState);

impl Settled {
    fn here() -> Self {
        // SAFETY: the interpreter runs, as this is a module of it; Ensure may be called in any thread, and what it begins is
        // ended by `drop` in the same one.
        unsafe { ffi::PyGILState_Ensure() };
        // SAFETY: this thread is attached by the line before, and attaches again before it touches Python.
        Self(unsafe { ffi::PyEval_SaveThread() })
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        // SAFETY: it may be called at any time.
        if unsafe { ffi::Py_IsInitialized() } == 0 {
            return;
        }
        // SAFETY: the state is this thread's own, which is not attached: nothing runs in it any more. The host waits for its
        // threads before it returns to the interpreter, so that is not about to end.
        unsafe { ffi::PyEval_RestoreThread(self.0) };
        // SAFETY: it ends what `here` began: the only one that is left in this thread.
        unsafe { ffi::PyGILState_Release(ffi::PyGILState_STATE::PyGILState_UNLOCKED) };
    }
}

/// A copy of the context (`contextvars`) that this thread is in.
///
/// # Errors
/// There is no memory for it.
pub(crate) fn copy_context(py: Python<'_>) -> PyResult<Py<PyAny>> {
    // SAFETY: this thread is attached; what it returns is a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }.map(Bound::unbind)
}

/// Calls `function` with this context for the one that this thread is in; without, where a thread is in it already.
pub(crate) fn in_context<T>(context: &Bound<'_, PyAny>, function: impl FnOnce() -> T) -> T {
    /// Leaves it, also where `function` panics.
    struct Inside<'a, 'py>(&'a Bound<'py, PyAny>);

    impl Drop for Inside<'_, '_> {
        fn drop(&mut self) {
            // SAFETY: this thread is attached, as `Bound` says, and entered this very context. An exception that is set would be one of
            // `function`'s, which pyo3 has taken.
            if unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } != 0 {
                drop(PyErr::take(self.0.py()));
            }
        }
    }

    // SAFETY: this thread is attached; whatever is no context, or is entered, is an error that it returns.
    let inside = match unsafe { ffi::PyContext_Enter(context.as_ptr()) } {
        0 => Some(Inside(context)),
        _ => {
            drop(PyErr::take(context.py()));
            None
        }
    };
    let result = function();
    drop(inside);
    result
}

/// Copies bytes into a buffer of Python's, from `start` on; false, and nothing is copied, where they do not fit, or where it
/// cannot be written to.
pub(crate) fn put(_py: Python<'_>, buffer: &PyBuffer<u8>, start: usize, bytes: &[u8]) -> bool {
    let Some(to) = buffer.as_slice_ptr().filter(|_| !buffer.readonly()) else { return false };
    if start.checked_add(bytes.len()).is_none_or(|end| end > to.len()) {
        return false;
    }
    // SAFETY: the buffer is contiguous, writable and stays where it is while it is lent, which `buffer` sees to; all of
    // what is written is within it, as was just checked. This thread is attached, so that no Python writes to it meanwhile,
    // and `copy` allows for bytes that are Python's too.
    unsafe { ptr::copy(bytes.as_ptr(), to.cast::<u8>().as_ptr().add(start), bytes.len()) };
    true
}

/// A `bytes` object whose content is still to come: memory that content is received into, without the interpreter, to be given to
/// Python as it is. Nobody in Python knows of it before it is full.
pub(crate) struct Blank {
    object: Py<PyBytes>,
    start: NonNull<u8>,
    length: usize,
    filled: usize,
}

// SAFETY: the object may be let go in any thread (pyo3 waits with that until the interpreter is there), and the memory is
// written to by the one owner alone.
unsafe impl Send for Blank {}
// SAFETY: through a shared reference it is only read.
unsafe impl Sync for Blank {}

impl Blank {
    /// Room for so many bytes.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn new(py: Python<'_>, length: usize) -> PyResult<Self> {
        let size = ffi::Py_ssize_t::try_from(length)?;
        // SAFETY: without bytes to copy it makes an object that is not filled yet, for whoever called to do that; what it returns
        // is a new reference, or null with an exception.
        let object = unsafe {
            Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(ptr::null(), size))
        }?;
        // SAFETY: it is a bytes object, whose memory stays where it is as long as the object is there.
        let start = NonNull::new(unsafe { ffi::PyBytes_AsString(object.as_ptr()) });
        // SAFETY: it is a bytes object, as that function makes no other.
        let object = unsafe { object.cast_into_unchecked::<PyBytes>() }.unbind();
        match start {
            Some(start) => Ok(Self { object, start: start.cast(), length, filled: 0 }),
            None => Err(PyErr::fetch(py)),
        }
    }

    /// The object, once it is full: nothing changes in it any more.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyBytes>> {
        (self.filled == self.length).then(|| self.object.bind(py))
    }
}

impl AsRef<[u8]> for Blank {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: so many bytes at the start have been written, and the object that they are in is there.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.filled) }
    }
}

// SAFETY: what is given to be written to is the part of the object's memory that has not been written to, and `advance_mut` goes no
// further than its end.
unsafe impl BufMut for Blank {
    fn remaining_mut(&self) -> usize {
        self.length - self.filled
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        // SAFETY: it begins within the object's memory, or at its end, and ends with it. Nobody else has a reference to it, as the
        // object is given to nobody before it is full, and then there is nothing left here.
        unsafe {
            UninitSlice::from_raw_parts_mut(
                self.start.as_ptr().add(self.filled),
                self.remaining_mut(),
            )
        }
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        assert!(count <= self.remaining_mut(), "more was written than there is room for");
        self.filled += count;
    }
}

/// A descriptor of ours for what another one, given as a number, stands for.
///
/// # Errors
/// The number stands for nothing, or there is no descriptor left.
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it is used for one call alone, while the caller holds the interpreter and so keeps the owner of the number from
    // closing it. A number that stands for nothing makes that call fail.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned()
}

/// Has the runtime that was entered tell when a descriptor can be read.
///
/// # Errors
/// It cannot be watched.
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: it is owned by what watches it: it has the same number always, and is closed after it is no more watched.
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    watched.map_err(Into::into)
}
