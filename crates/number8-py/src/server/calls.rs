//! The one thread on which the callbacks of a server run, and the queue before it.
//!
//! The thread is Python's: `threading.Thread(target=calls.run)`. So its state lives from the first callback to the last, it
//! has a name in tracebacks, and nothing of the interpreter has to be set up for a call.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

use pyo3::prelude::*;
use tokio::runtime::Handle;

use crate::lock::lock;

/// Calls that may wait; one more is answered 503.
pub(crate) const CALLS_MAX: usize = 1024;

/// Calls that are made before other threads of Python get their turn.
const CALLS_AT_ONCE: usize = 16;

/// What the thread is to do.
pub(crate) type Job = Box<dyn FnOnce(Python<'_>) + Send>;

/// The queue; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// No callback runs under this lock.
    state: Mutex<State>,
    news: Condvar,
    /// Somebody is about to tell the thread.
    is_ringing: AtomicBool,
    thread: OnceLock<ThreadId>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    is_closed: bool,
}

/// The queue takes no more calls.
#[derive(Debug)]
pub(crate) struct Full;

impl Calls {
    /// Has the thread do this, after all that was asked for before.
    ///
    /// # Errors
    /// As many wait as may, or the server has stopped.
    pub(crate) fn submit(&self, job: impl FnOnce(Python<'_>) + Send + 'static) -> Result<(), Full> {
        self.put(Box::new(job), CALLS_MAX)
    }

    /// As [`submit`](Self::submit), for a call that goes on with what an earlier one has begun, such as an answer: it is taken also
    /// where as many wait as may. So each thing that has begun must have one such call at most that waits.
    ///
    /// # Errors
    /// The server has stopped.
    pub(crate) fn go_on(&self, job: impl FnOnce(Python<'_>) + Send + 'static) -> Result<(), Full> {
        self.put(Box::new(job), usize::MAX)
    }

    fn put(&self, job: Job, calls_max: usize) -> Result<(), Full> {
        let mut state = lock(&self.0.state);
        if state.is_closed || state.queue.len() >= calls_max {
            return Err(Full);
        }
        state.queue.push_back(job);
        drop(state);
        self.ring();
        Ok(())
    }

    /// Has the thread look at the queue: after the tasks that are ready together, once for all of them.
    fn ring(&self) {
        if !self.0.is_ringing.swap(true, Ordering::AcqRel) {
            let bell = Bell(Arc::clone(&self.0));
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(async move { drop(bell) });
            }
        }
    }

    /// Takes no more calls; the thread ends when it has made those that wait.
    pub(crate) fn close(&self) {
        lock(&self.0.state).is_closed = true;
        self.0.news.notify_one();
    }

    /// Whether this is the thread.
    pub(crate) fn is_here(&self) -> bool {
        self.0.thread.get() == Some(&thread::current().id())
    }

    /// Waits for calls; none once the queue is closed and empty.
    fn wait(&self) -> Vec<Job> {
        let mut state = lock(&self.0.state);
        while state.queue.is_empty() && !state.is_closed {
            state = self.0.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.queue.len().min(CALLS_AT_ONCE);
        state.queue.drain(..count).collect()
    }
}

/// Rings when it is dropped, with its task if that does not run any more.
struct Bell(Arc<Shared>);

impl Drop for Bell {
    fn drop(&mut self) {
        // Whoever comes after this rings again. The call of whoever came before is in the queue, where the thread sees it: it looks
        // under the same lock.
        {
            let _state = lock(&self.0.state);
            self.0.is_ringing.store(false, Ordering::Release);
        }
        self.0.news.notify_one();
    }
}

/// The body of the thread, for `threading.Thread`.
#[pyclass(frozen, module = "number8._native")]
pub(crate) struct CallThread(pub(crate) Calls);

#[pymethods]
impl CallThread {
    /// Makes calls until the server has stopped.
    fn run(&self, py: Python<'_>) {
        let _ = self.0.0.thread.set(thread::current().id());
        loop {
            let jobs = py.detach(|| self.0.wait());
            if jobs.is_empty() {
                return;
            }
            for job in jobs {
                job(py);
            }
        }
    }
}
