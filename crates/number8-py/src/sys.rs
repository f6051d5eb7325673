//! The unsafe code of this crate: what the interpreter offers and pyo3 has no safe way to say.
#![allow(unsafe_code, reason = "the interpreter is C")]

use std::cell::Cell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use pyo3::buffer::PyBuffer;
use pyo3::ffi;
use pyo3::prelude::*;
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
