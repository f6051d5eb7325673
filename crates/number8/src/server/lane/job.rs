//! One call on the lane: the function on its way in, its result on the way out.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::mailbox::{Mailbox, Wake};
use crate::sync::{Mutex, lock};

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
///
/// Nearly all of it is the same for every function, and so is compiled once: what has become of the call, which says who may
/// touch the work.
struct Task<F, T> {
    progress: Mutex<Progress>,
    work: Mutex<Work<F, T>>,
}

pub(super) struct Progress {
    stage: Stage,
    wake: Option<Wake>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running,
    Done,
    /// The result is taken, or nobody wants it any more.
    Over,
}

enum Work<F, T> {
    None,
    Function(F),
    Result(Result<T, JobPanicked>),
}

/// What the queue sees of a [`Task`].
pub(super) trait Run: Send + Sync {
    fn progress(&self) -> &Mutex<Progress>;
    /// Calls the function, and keeps its result.
    fn call(&self);
    /// Drops the function or its result.
    fn discard(&self);
}

/// What the [`Job`] sees of a [`Task`].
trait Outcome<T>: Run {
    /// The result of a function that is done.
    fn take(&self) -> Result<T, JobPanicked>;
}

impl dyn Run {
    /// Calls the function, unless it is abandoned, and returns whom to tell.
    pub(super) fn run(&self) -> Option<Wake> {
        {
            let mut progress = lock(self.progress());
            if progress.stage != Stage::Waiting {
                return None;
            }
            progress.stage = Stage::Running;
        }
        self.call();
        {
            let mut progress = lock(self.progress());
            if progress.stage == Stage::Running {
                progress.stage = Stage::Done;
                return progress.wake.take();
            }
        }
        // Abandoned meanwhile. The value's destructor is user code too, and the thread has to survive it.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| self.discard()));
        None
    }

    /// Whether the result is there; otherwise who polls is told when it is.
    ///
    /// # Panics
    /// The result was taken.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut progress = lock(self.progress());
        match progress.stage {
            Stage::Waiting | Stage::Running => {
                if !progress.wake.as_ref().is_some_and(|wake| wake.will_wake(cx.waker())) {
                    progress.wake = Some(Wake::new(cx.waker().clone(), Mailbox::of_this_thread()));
                }
                Poll::Pending
            }
            Stage::Done => {
                progress.stage = Stage::Over;
                Poll::Ready(())
            }
            Stage::Over => panic!("a job is polled after its result was taken"),
        }
    }

    fn abandon(&self) {
        // What is dropped here is user code: outside the lock.
        let (before, _wake) = {
            let mut progress = lock(self.progress());
            (mem::replace(&mut progress.stage, Stage::Over), progress.wake.take())
        };
        // While the function runs, its thread sees to the result.
        if before != Stage::Running {
            self.discard();
        }
    }
}

impl<T: Send + 'static> Job<T> {
    pub(super) fn new<F: FnOnce() -> T + Send + 'static>(function: F) -> (Self, Arc<dyn Run>) {
        let progress = Mutex::new(Progress { stage: Stage::Waiting, wake: None });
        let task = Arc::new(Task { progress, work: Mutex::new(Work::Function(function)) });
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
        let task: &dyn Run = &*self.task;
        ready!(task.poll(cx));
        self.is_over = true;
        Poll::Ready(self.task.take())
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        if !self.is_over {
            let task: &dyn Run = &*self.task;
            task.abandon();
        }
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

impl<F, T> Task<F, T> {
    fn replace(&self, work: Work<F, T>) -> Work<F, T> {
        // User code never runs under this lock.
        mem::replace(&mut *lock(&self.work), work)
    }
}

impl<F: FnOnce() -> T + Send, T: Send> Run for Task<F, T> {
    fn progress(&self) -> &Mutex<Progress> {
        &self.progress
    }

    fn call(&self) {
        if let Work::Function(function) = self.replace(Work::None) {
            let result = panic::catch_unwind(AssertUnwindSafe(function));
            self.replace(Work::Result(result.map_err(|payload| JobPanicked::new(&*payload))));
        }
    }

    fn discard(&self) {
        drop(self.replace(Work::None));
    }
}

impl<F: FnOnce() -> T + Send, T: Send> Outcome<T> for Task<F, T> {
    fn take(&self) -> Result<T, JobPanicked> {
        match self.replace(Work::None) {
            Work::Result(result) => result,
            Work::None | Work::Function(_) => unreachable!("what is done has left a result"),
        }
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
