//! How lane threads and a runtime thread call each other once per batch instead of once per job.
//!
//! A waker that fires on another thread costs that thread's runtime a system call, and so does waking a lane thread. A
//! [`Mailbox`] collects both kinds of call: lane threads post finished jobs and one wake of the mailbox's own task
//! covers all of them; that task then wakes the jobs' tasks locally, which is a push to a queue. In the other
//! direction, `submit` leaves the call of a lane thread to the same task, which runs after the tasks that were ready
//! together, when all of them have submitted.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, PoisonError};
use std::task::{Poll, Waker};

use crate::sync::{Condvar, Mutex, thread_local};

/// Batches the wake-ups between the lane and this thread for as long as the future lives. It never ends: spawn it once
/// on a current-thread runtime. Without it everything works, at more system calls per job.
pub async fn batch_wakes() -> Infallible {
    let mailbox = Opened::on_this_thread();
    poll_fn(|cx| {
        mailbox.0.empty(Some(cx.waker()));
        Poll::Pending
    })
    .await
}

/// Letters for one runtime thread.
#[derive(Debug, Default)]
pub(super) struct Mailbox(Mutex<Letters>);

#[derive(Debug, Default)]
struct Letters {
    /// Tasks of this runtime whose jobs are done.
    finished: Vec<Waker>,
    /// Lane threads that have to look at the queue.
    called: Vec<Arc<Condvar>>,
    /// Wakes the mailbox's own task. It is taken by the first letter, so one batch wakes once.
    reader: Option<Waker>,
    closed: bool,
}

/// Whom to tell that a job is done, and by which way.
#[derive(Debug)]
pub(super) struct Wake {
    waker: Waker,
    mailbox: Option<Arc<Mailbox>>,
}

thread_local! {
    static HERE: RefCell<Option<Arc<Mailbox>>> = RefCell::default();
}

impl Mailbox {
    pub(super) fn of_this_thread() -> Option<Arc<Self>> {
        HERE.with(|here| here.borrow().clone())
    }

    /// Has the mailbox's task call the lane thread that waits at `thread`.
    pub(super) fn call(&self, thread: Arc<Condvar>) {
        let mut letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if letters.closed {
            drop(letters);
            return thread.notify_one();
        }
        letters.called.push(thread);
        let reader = letters.reader.take();
        drop(letters);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Returns the waker to call now: the mailbox's own, or none where it is called already.
    fn post(&self, waker: Waker) -> Option<Waker> {
        let mut letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if letters.closed {
            return Some(waker);
        }
        letters.finished.push(waker);
        letters.reader.take()
    }

    /// Passes all letters on. Without a `reader` it is the last time.
    fn empty(&self, reader: Option<&Waker>) {
        let mut letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        letters.closed = reader.is_none();
        letters.reader = reader.cloned();
        let finished = std::mem::take(&mut letters.finished);
        let called = std::mem::take(&mut letters.called);
        drop(letters);
        for thread in called {
            thread.notify_one();
        }
        for waker in finished {
            waker.wake();
        }
    }
}

impl Wake {
    pub(super) fn new(waker: Waker, mailbox: Option<Arc<Mailbox>>) -> Self {
        Self { waker, mailbox }
    }

    pub(super) fn will_wake(&self, waker: &Waker) -> bool {
        self.waker.will_wake(waker)
    }

    /// Posts all letters, and only then wakes: a reader that starts between two letters would need a second wake.
    pub(super) fn all(batch: &mut Vec<Self>) {
        let posted = batch.drain(..).filter_map(|wake| match wake.mailbox {
            Some(mailbox) => mailbox.post(wake.waker),
            None => Some(wake.waker),
        });
        let wakers: Vec<Waker> = posted.collect();
        for waker in wakers {
            waker.wake();
        }
    }
}

/// A mailbox in use by [`batch_wakes`].
struct Opened(Arc<Mailbox>);

impl Opened {
    fn on_this_thread() -> Self {
        let mailbox = Arc::<Mailbox>::default();
        HERE.with(|here| here.replace(Some(mailbox.clone())));
        Self(mailbox)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // At the end of a thread its locals may be gone already.
        let _ = HERE.try_with(|here| {
            here.borrow_mut().take_if(|mailbox| Arc::ptr_eq(mailbox, &self.0));
        });
        self.0.empty(None);
    }
}
