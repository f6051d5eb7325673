//! The context (`contextvars`) of each call of an application, and of the iterable that it returns.
//!
//! What an application sets in the middle of an iterable is to be there when it goes on, and not to be there for another request that is
//! answered in between. Flask's `stream_with_context` counts on it. A context is taken anew by the thread that it belongs to, once the
//! answer has ended: so it stays small, and what is set and not taken back stays, as where a thread has one context for all requests.

use std::sync::{Arc, Mutex};

use pyo3::prelude::*;

use crate::lock::lock;
use crate::sys;

/// Contexts that a thread keeps for answers to come: after a rush, what was set in more of them goes.
const FREE_MAX: usize = 64;

/// Contexts of a thread that no answer has.
type Free = Arc<Mutex<Vec<Py<PyAny>>>>;

thread_local! {
    static FREE: Free = Free::default();
}

/// The context of one answer.
pub(super) struct Context {
    context: Option<Py<PyAny>>,
    free: Free,
}

impl Context {
    /// One of this thread that is free, or a new one.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn take(py: Python<'_>) -> PyResult<Self> {
        let free = FREE.with(Arc::clone);
        let kept = lock(&free).pop();
        let context = match kept {
            Some(context) => context,
            None => sys::copy_context(py)?,
        };
        Ok(Self { context: Some(context), free })
    }

    /// Calls `function` in it.
    pub(super) fn run<T>(&self, py: Python<'_>, function: impl FnOnce() -> T) -> T {
        match &self.context {
            Some(context) => sys::in_context(context.bind(py), function),
            None => function(),
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let Some(context) = self.context.take() else { return };
        let mut free = lock(&self.free);
        if free.len() < FREE_MAX {
            free.push(context);
        } else {
            // What is in it may run code of Python's as it goes: not under the lock.
            drop(free);
            drop(context);
        }
    }
}
