//! The unsafe code of this crate: what the interpreter offers and pyo3 has no safe way to say.
#![allow(unsafe_code, reason = "the interpreter is C")]

use std::cell::Cell;
use std::ptr;

use pyo3::ffi;

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
