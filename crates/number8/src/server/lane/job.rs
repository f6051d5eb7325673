//! One call on the lane: the function on its way in, its result on the way out.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use super::mailbox::{Mailbox, Wake};
use crate::sync::{Mutex, MutexGuard};

/// The result to come of a function on the [`Lane`](super::Lane).
///
/// Dropping it abandons the result, and the call too where that has not started; [`Job::detach`] only the result.
#[must_use = "dropping a job abandons it"]
pub struct Job<T> {
    task: Arc<dyn Outcome<T>>,
    /// The result is taken, or to be dropped where it is made: there is nothing to abandon.
    is_over: bool,
}

/// The function panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPanicked {
    message: String,
}

/// A function and its result in one allocation, shared by the [`Job`] and the queue.
pub(super) struct Task<F, T>(Mutex<Progress<F, T>>);

struct Progress<F, T> {
    stage: Stage<F, T>,
    wake: Option<Wake>,
}

enum Stage<F, T> {
    Waiting(F),
    Running,
    Done(Result<T, JobPanicked>),
    /// The result is taken, or nobody wants it any more.
    Over,
}

/// What the queue sees of a [`Task`].
pub(super) trait Run: Send + Sync {
    /// Calls the function, unless it is abandoned, and returns whom to tell.
    fn run(&self) -> Option<Wake>;
}

/// What the [`Job`] sees of a [`Task`].
trait Outcome<T>: Send + Sync {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, JobPanicked>>;
    fn abandon(&self);
}

impl<T: Send + 'static> Job<T> {
    pub(super) fn new<F: FnOnce() -> T + Send + 'static>(function: F) -> (Self, Arc<dyn Run>) {
        let progress = Progress { stage: Stage::Waiting(function), wake: None };
        let task = Arc::new(Task(Mutex::new(progress)));
        (Self { task: task.clone(), is_over: false }, task)
    }

    /// Has the function called although nobody waits for its result, which is dropped where the function ran.
    pub fn detach(mut self) {
        self.is_over = true;
    }
}

impl<T> Future for Job<T> {
    type Output = Result<T, JobPanicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = self.task.poll(cx);
        self.is_over = result.is_ready();
        result
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        if !self.is_over {
            self.task.abandon();
        }
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

impl<F, T> Task<F, T> {
    fn lock(&self) -> MutexGuard<'_, Progress<F, T>> {
        // User code never runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, stage: Stage<F, T>) -> Stage<F, T> {
        std::mem::replace(&mut self.lock().stage, stage)
    }
}

impl<F: FnOnce() -> T + Send, T: Send> Run for Task<F, T> {
    fn run(&self) -> Option<Wake> {
        let Stage::Waiting(function) = self.replace(Stage::Running) else {
            self.abandon();
            return None;
        };
        let result = panic::catch_unwind(AssertUnwindSafe(function));
        let result = result.map_err(|payload| JobPanicked::new(&*payload));
        let mut progress = self.lock();
        if matches!(progress.stage, Stage::Running) {
            progress.stage = Stage::Done(result);
            return progress.wake.take();
        }
        drop(progress);
        // Abandoned meanwhile. The value's destructor is user code too, and the thread has to survive it.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(result)));
        None
    }
}

impl<F: Send, T: Send> Outcome<T> for Task<F, T> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, JobPanicked>> {
        let mut progress = self.lock();
        if matches!(progress.stage, Stage::Waiting(_) | Stage::Running) {
            if !progress.wake.as_ref().is_some_and(|wake| wake.will_wake(cx.waker())) {
                progress.wake = Some(Wake::new(cx.waker().clone(), Mailbox::of_this_thread()));
            }
            return Poll::Pending;
        }
        match std::mem::replace(&mut progress.stage, Stage::Over) {
            Stage::Done(result) => Poll::Ready(result),
            _ => panic!("a job is polled after its result was taken"),
        }
    }

    fn abandon(&self) {
        // What is dropped here is user code: outside the lock.
        let (_stage, _wake) = {
            let mut progress = self.lock();
            (std::mem::replace(&mut progress.stage, Stage::Over), progress.wake.take())
        };
    }
}

impl JobPanicked {
    fn new(payload: &(dyn Any + Send)) -> Self {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(message), _) => (*message).to_owned(),
            (_, Some(message)) => message.clone(),
            _ => "a panic without a message".to_owned(),
        };
        Self { message }
    }
}

impl fmt::Display for JobPanicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for JobPanicked {}
