//! The lane: where everything that may block runs, so that no connection ever waits for another one's call.
//!
//! A bounded queue and a few threads under one lock. Waking a thread costs more than most jobs, so:
//!
//! - A job wakes a thread only if none is at work. A thread at work drains the queue.
//! - While a thread is at work and jobs wait, one other thread *watches*: it sleeps until the oldest job has waited for
//!   [`LaneOptions::patience`], and only then takes it. So quick jobs stay on one thread, and a slow one holds up
//!   nobody for longer than that. When it starts to work it leaves the watch to the next one.
//! - Finished jobs are reported together when the queue is empty, after some dozens, or after [`LaneOptions::together`],
//!   which the watching thread sees to where the working one is inside a slow job.
//!
//! `tests/loom.rs` checks all interleavings of small cases: no job and no wake-up is lost, and `close` ends.

#[cfg(feature = "runner")]
mod guests;
mod job;
#[cfg(any(feature = "uploads", feature = "repl"))]
mod kept;
#[cfg(feature = "files")]
mod long;
mod mailbox;
mod threads;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::sync::{Condvar, Instant, Mutex};

#[cfg(feature = "runner")]
use self::guests::Guests;
#[cfg(feature = "runner")]
pub(crate) use self::guests::{Guest, SeesOff};
use self::job::Run;
pub use self::job::{Job, JobPanicked};
#[cfg(any(feature = "uploads", feature = "repl"))]
pub(crate) use self::kept::{LaneFailure, OnLane, begin_on_lane, on_lane};
#[cfg(feature = "files")]
use self::long::Turns;
use self::mailbox::Mailbox;
pub use self::mailbox::batch_wakes;
use self::threads::{Entry, Shared, State};

/// The sizes and times of a [`Lane`].
#[derive(Clone, Debug)]
pub struct LaneOptions {
    /// The most threads (at least 1). Default 64: functions that wait 100 ms each for a database are called 640 times a
    /// second. A thread is started only when a job has waited for [`patience`](Self::patience).
    pub threads_max: usize,
    /// The most jobs that wait. Default 1,024.
    pub queue_max: usize,
    /// How long a thread stays without work; one stays for ever. Default 10 s.
    pub idle: Duration,
    /// How long a job may wait before another thread is woken for it. Default 1 ms.
    pub patience: Duration,
    /// How long the result of a job may wait for those of others that are in the queue, to be told of with them. Each time that
    /// results are told of, who waits for them runs, and finds the caches taken, as do the next jobs. Default 1 ms.
    pub together: Duration,
    /// How long a call may take that was promised not to wait ([`inline`](crate::inline)); a longer one is logged and
    /// counted. Default 10 ms.
    pub inline_max: Duration,
    /// What is done around jobs. Default nothing.
    pub around: Option<Around>,
    /// Bytes of each thread's stack, for jobs that go deep, such as those of an interpreter. Default what Rust gives a thread (2 MiB).
    pub stack: Option<usize>,
}

/// Called with jobs to run, up to [`AROUND_JOBS_MAX`] of them: what they all need is had once for all, such as the lock
/// of an interpreter. A lane that has one may have a thread more than [`LaneOptions::threads_max`], which runs no job: it sees
/// to it that the results of the first ones do not wait for the others.
///
/// ```
/// use number8::server::{Around, LaneOptions};
/// use number8::server::lane::Lane;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let around = Around::new(|jobs| {
///     // Have it, run them, give it back.
///     jobs();
/// });
/// let lane = Lane::new(LaneOptions { around: Some(around), ..LaneOptions::default() });
/// assert_eq!(lane.submit(|| 1 + 1).unwrap().await.unwrap(), 2);
/// # }
/// ```
#[derive(Clone)]
pub struct Around(Arc<AroundFn>);

type AroundFn = dyn Fn(&mut dyn FnMut()) + Send + Sync;

impl Around {
    /// Calls `function` with what runs the jobs, which it has to call once.
    pub fn new(function: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }
}

impl fmt::Debug for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Around")
    }
}

/// The most jobs that run in one call of an [`Around`]: others may wait for what it has.
pub const AROUND_JOBS_MAX: usize = 16;

impl Default for LaneOptions {
    fn default() -> Self {
        Self {
            threads_max: 64,
            queue_max: 1024,
            idle: Duration::from_secs(10),
            patience: Duration::from_millis(1),
            together: Duration::from_millis(1),
            inline_max: Duration::from_millis(10),
            around: None,
            stack: None,
        }
    }
}

/// A handle to the lane; clones share it. It closes when the last one is dropped.
#[derive(Clone)]
pub struct Lane(Arc<Handle>);

impl Lane {
    /// Makes a lane. It has no thread before the first job.
    pub fn new(mut options: LaneOptions) -> Self {
        options.threads_max = options.threads_max.max(1);
        let state = Mutex::new(State::default());
        #[cfg(feature = "files")]
        let turns = Turns::of(options.threads_max);
        let shared = Shared {
            options,
            state,
            ended: Condvar::new(),
            slow_inline: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        Self(Arc::new(Handle {
            shared: Arc::new(shared),
            #[cfg(feature = "files")]
            turns,
            #[cfg(feature = "runner")]
            guests: Guests::default(),
        }))
    }

    /// Has a lane thread call `function`.
    ///
    /// # Errors
    ///
    /// [`LaneFull`] where [`LaneOptions::queue_max`] jobs wait, the lane is closed, or the system gives no first thread.
    pub fn submit<F, T>(&self, function: F) -> Result<Job<T>, LaneFull>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.put(function, self.0.shared.options.queue_max)
    }

    /// As [`submit`](Self::submit), for a call that goes on with what an earlier one has begun: it is taken also where
    /// [`LaneOptions::queue_max`] jobs wait, since to give up what has begun costs more than to wait. So each thing that has
    /// begun must have one such call at most that waits.
    ///
    /// # Errors
    ///
    /// [`LaneFull`] where the lane is closed, or the system gives no first thread.
    pub fn go_on<F, T>(&self, function: F) -> Result<Job<T>, LaneFull>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.put(function, usize::MAX)
    }

    fn put<F, T>(&self, function: F, queue_max: usize) -> Result<Job<T>, LaneFull>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (job, task) = Job::new(function);
        self.enqueue(task, queue_max)?;
        Ok(job)
    }

    /// Puts a call behind the others, and has a thread come to it.
    fn enqueue(&self, task: Arc<dyn Run>, queue_max: usize) -> Result<(), LaneFull> {
        let shared = &self.0.shared;
        let mut state = shared.lock();
        if state.closed || state.queue.len() >= queue_max {
            drop(state);
            shared.refused.fetch_add(1, Ordering::Relaxed);
            return Err(LaneFull);
        }
        state.queue.push_back(Entry { task, since: Instant::now() });
        state.submitted = state.submitted.wrapping_add(1);
        let called = match shared.call_thread(&mut state) {
            Ok(called) => called,
            // The threads that there are will come to it.
            Err(_) if state.threads > 0 => None,
            Err(_) => {
                state.queue.pop_back();
                drop(state);
                shared.refused.fetch_add(1, Ordering::Relaxed);
                return Err(LaneFull);
            }
        };
        drop(state);
        if let Some(thread) = called {
            match Mailbox::of_this_thread() {
                Some(mailbox) => mailbox.call(thread),
                None => thread.notify_one(),
            }
        }
        Ok(())
    }

    /// Whether it takes no more jobs now.
    pub(crate) fn is_full(&self) -> bool {
        let shared = &self.0.shared;
        let state = shared.lock();
        state.closed || state.queue.len() >= shared.options.queue_max
    }

    /// How it is now.
    pub(crate) fn look(&self) -> Look {
        let shared = &self.0.shared;
        let state = shared.lock();
        Look {
            queue: state.queue.len(),
            queue_max: shared.options.queue_max,
            threads: state.threads,
            working: state.working,
            refused: shared.refused.load(Ordering::Relaxed),
        }
    }

    /// A call that was promised not to wait has taken so long: counted where that was too long. Says whether it was.
    pub(crate) fn judge_inline(&self, took: std::time::Duration) -> bool {
        let shared = &self.0.shared;
        let is_slow = took > shared.options.inline_max;
        if is_slow {
            shared.slow_inline.fetch_add(1, Ordering::Relaxed);
        }
        is_slow
    }

    /// Calls that were promised not to wait, and took longer than [`LaneOptions::inline_max`].
    #[must_use]
    pub fn slow_inline_calls(&self) -> u64 {
        self.0.shared.slow_inline.load(Ordering::Relaxed)
    }

    /// Refuses new jobs, lets those accepted before run, and blocks until all threads have ended or `deadline` is over.
    /// Returns whether they have; those that have not end after their jobs.
    pub fn close(&self, deadline: Duration) -> bool {
        let shared = &self.0.shared;
        shared.refuse();
        let begun = Instant::now();
        let mut state = shared.lock();
        while state.threads > 0 {
            let left = deadline.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            state = shared.wait(&shared.ended, state, left);
        }
        true
    }
}

/// How a [`Lane`] is at one moment.
pub(crate) struct Look {
    /// Jobs that wait, and how many may.
    pub(crate) queue: usize,
    pub(crate) queue_max: usize,
    pub(crate) threads: usize,
    /// Threads inside jobs.
    pub(crate) working: usize,
    /// Jobs that were not taken, since it was made.
    pub(crate) refused: u64,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lane").field(&self.0.shared.options).finish()
    }
}

/// The lane takes no more jobs now; a server answers 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneFull;

impl fmt::Display for LaneFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many calls are waiting")
    }
}

impl Error for LaneFull {}

/// What the clones of a [`Lane`] share, apart from what the threads keep alive.
struct Handle {
    shared: Arc<Shared>,
    #[cfg(feature = "files")]
    turns: Turns,
    #[cfg(feature = "runner")]
    guests: Guests,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.refuse();
    }
}
