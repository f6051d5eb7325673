//! The lane: where everything that may block runs, so that no connection ever waits for another one's call.
//!
//! A bounded queue and a few threads under one lock. Waking a thread costs more than most jobs, so:
//!
//! - A job wakes a thread only if none is at work. A thread at work drains the queue.
//! - While a thread is at work and jobs wait, one other thread *watches*: it sleeps until the oldest job has waited for
//!   [`LaneOptions::patience`], and only then takes it. So quick jobs stay on one thread, and a slow one holds up
//!   nobody for longer than that. When it starts to work it leaves the watch to the next one.
//! - Finished jobs are reported together when the queue is empty, after some dozens, or after the same patience,
//!   which the watching thread sees to where the working one is inside a slow job.
//!
//! `tests/loom.rs` checks all interleavings of small cases: no job and no wake-up is lost, and `close` ends.

mod job;
#[cfg(feature = "uploads")]
mod kept;
mod mailbox;

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::sync::{self, Condvar, Instant, Mutex, MutexGuard, thread};

use self::job::Run;
pub use self::job::{Job, JobPanicked};
#[cfg(feature = "uploads")]
pub(crate) use self::kept::{LaneFailure, OnLane, on_lane};
pub use self::mailbox::batch_wakes;
use self::mailbox::{Mailbox, Wake};

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
    /// How long a call may take that was promised not to wait ([`inline`](crate::inline)); a longer one is logged and
    /// counted. Default 10 ms.
    pub inline_max: Duration,
    /// What is done around jobs. Default nothing.
    pub around: Option<Around>,
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
            inline_max: Duration::from_millis(10),
            around: None,
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
        Self(Arc::new(Handle(Arc::new(Shared {
            options,
            state,
            ended: Condvar::new(),
            slow_inline: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))))
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
        self.put(function, self.0.0.options.queue_max)
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
        let shared = &self.0.0;
        let (job, task) = Job::new(function);
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
        Ok(job)
    }

    /// Whether it takes no more jobs now.
    pub(crate) fn is_full(&self) -> bool {
        let shared = &self.0.0;
        let state = shared.lock();
        state.closed || state.queue.len() >= shared.options.queue_max
    }

    /// How it is now.
    pub(crate) fn look(&self) -> Look {
        let shared = &self.0.0;
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
        let shared = &self.0.0;
        let is_slow = took > shared.options.inline_max;
        if is_slow {
            shared.slow_inline.fetch_add(1, Ordering::Relaxed);
        }
        is_slow
    }

    /// Calls that were promised not to wait, and took longer than [`LaneOptions::inline_max`].
    #[must_use]
    pub fn slow_inline_calls(&self) -> u64 {
        self.0.0.slow_inline.load(Ordering::Relaxed)
    }

    /// Refuses new jobs, lets those accepted before run, and blocks until all threads have ended or `deadline` is over.
    /// Returns whether they have; those that have not end after their jobs.
    pub fn close(&self, deadline: Duration) -> bool {
        let shared = &self.0.0;
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
        f.debug_tuple("Lane").field(&self.0.0.options).finish()
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
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.refuse();
    }
}

struct Shared {
    options: LaneOptions,
    state: Mutex<State>,
    /// Signals that the last thread has ended.
    ended: Condvar,
    /// Calls beside the lane that belonged on it.
    slow_inline: AtomicU64,
    /// Jobs that were not taken.
    refused: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Entry>,
    /// Jobs done whose tasks are not woken yet, since when. While there are any, a thread is watching or on its way.
    finished: Vec<Wake>,
    finished_since: Option<Instant>,
    /// Counts up with each job, to tell a quiet lane from a busy one.
    submitted: u64,
    threads: usize,
    started: usize,
    /// Threads inside jobs.
    working: usize,
    /// Threads that are called (or started) and have not looked at this state since.
    called: usize,
    /// Threads at rest, the latest last: it is called first, and the others reach their idle time.
    idle: Vec<Arc<Condvar>>,
    watcher: Option<Arc<Condvar>>,
    /// Whether the watcher may be called to work.
    watcher_works: bool,
    /// The thread that only watches, where it is at rest.
    watchman: Option<Arc<Condvar>>,
    has_watchman: bool,
    closed: bool,
}

struct Entry {
    task: Arc<dyn Run>,
    since: Instant,
}

/// What a thread is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// To run jobs, and to watch while others do.
    Works,
    /// Only to watch.
    Watches,
}

/// What a thread does next.
enum Duty {
    Work,
    Watch,
    Rest,
    End,
}

impl State {
    fn duty(&self, role: Role, options: &LaneOptions) -> Duty {
        let waiting = !self.queue.is_empty();
        let works = role == Role::Works;
        if works && waiting && (self.working == 0 || self.needs_another(options)) {
            Duty::Work
        } else if (waiting || !self.finished.is_empty()) && self.watcher.is_none() {
            Duty::Watch
        } else if self.closed {
            Duty::End
        } else {
            Duty::Rest
        }
    }

    /// Whether one more thread is to work.
    fn needs_another(&self, options: &LaneOptions) -> bool {
        self.working < options.threads_max && self.oldest_is_due(options.patience)
    }

    /// Threads that run jobs.
    fn workers(&self) -> usize {
        self.threads - usize::from(self.has_watchman)
    }

    fn oldest_is_due(&self, patience: Duration) -> bool {
        self.queue.front().is_some_and(|oldest| oldest.since.elapsed() >= patience)
    }

    fn report_is_due(&self, patience: Duration) -> bool {
        self.finished_since.is_some_and(|since| since.elapsed() >= patience)
    }

    /// When there is something to do for the watcher, at the latest.
    fn next_look(&self, options: &LaneOptions) -> Duration {
        let patience = options.patience;
        // What is due already is on its way to another thread, or has to wait for one that works.
        let comes = self.working < options.threads_max && !self.oldest_is_due(patience);
        let oldest = self.queue.front().filter(|_| comes).map(|entry| entry.since);
        let first = oldest.into_iter().chain(self.finished_since).min();
        patience.saturating_sub(first.map_or(Duration::ZERO, |since| since.elapsed()))
    }

    fn is_watched_by(&self, thread: &Arc<Condvar>) -> bool {
        self.watcher.as_ref().is_some_and(|watcher| Arc::ptr_eq(watcher, thread))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No user code runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &'a self,
        condvar: &Condvar,
        state: MutexGuard<'a, State>,
        time: Duration,
    ) -> MutexGuard<'a, State> {
        sync::wait_timeout(condvar, &self.state, state, time)
    }

    /// Finds a thread for what waits, if one is needed: to work where none does, else to watch. The caller notifies it
    /// after unlocking.
    fn call_thread(self: &Arc<Self>, state: &mut State) -> io::Result<Option<Arc<Condvar>>> {
        let needed = state.working == 0 || state.watcher.is_none();
        if !needed || state.called > 0 || state.queue.is_empty() {
            return Ok(None);
        }
        let thread = state.idle.pop().or_else(|| match state.working {
            0 if state.watcher_works => state.watcher.take(),
            0 => None,
            _ => state.watchman.take(),
        });
        if thread.is_some() {
            state.called += 1;
        } else if state.workers() < self.options.threads_max {
            self.start(state, Role::Works)?;
        } else if state.working > 0 && self.options.around.is_some() && !state.has_watchman {
            self.start(state, Role::Watches)?;
        }
        // Else all threads are at work, and look at the queue before they rest.
        Ok(thread)
    }

    fn start(self: &Arc<Self>, state: &mut State, role: Role) -> io::Result<()> {
        let shared = self.clone();
        let name = format!("number8-lane-{}", state.started);
        thread::Builder::new().name(name).spawn(move || shared.run(role))?;
        state.started += 1;
        state.threads += 1;
        state.called += 1;
        state.has_watchman |= role == Role::Watches;
        Ok(())
    }

    /// The life of a thread.
    fn run(self: Arc<Self>, role: Role) {
        let me = Arc::new(Condvar::new());
        let mut state = self.lock();
        state.called -= 1;
        loop {
            state = match state.duty(role, &self.options) {
                Duty::Work => self.work(state),
                Duty::Watch => self.watch(state, role, &me),
                Duty::Rest => match self.rest(state, role, &me) {
                    Ok(state) => state,
                    Err(ended) => break state = ended,
                },
                Duty::End => break,
            };
        }
        state.threads -= 1;
        state.has_watchman &= role == Role::Works;
        if state.threads == 0 {
            self.ended.notify_all();
        }
        if state.closed
            && let Some(watcher) = state.watcher.take()
        {
            // Perhaps nothing is left to watch.
            state.called += 1;
            watcher.notify_one();
        }
    }

    /// Runs jobs until none waits.
    fn work<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.working += 1;
        loop {
            if self.should_report(&state) {
                state = self.report(state);
                continue;
            }
            if state.queue.is_empty() {
                break;
            }
            state = match &self.options.around {
                None => self.run_next(state),
                Some(around) => {
                    drop(state);
                    (around.0)(&mut || self.run_some());
                    self.lock()
                }
            };
        }
        state.working -= 1;
        state
    }

    fn should_report(&self, state: &State) -> bool {
        let observed = state.watcher.is_some() || state.called > 0;
        !state.finished.is_empty()
            && (state.queue.is_empty()
                || !observed
                || state.finished.len() >= REPORT_JOBS_MAX
                || (state.finished.len().is_multiple_of(CLOCK_JOBS)
                    && state.report_is_due(self.options.patience)))
    }

    /// Runs jobs until none waits, something is to be reported, or others may want what is had around them.
    fn run_some(self: &Arc<Self>) {
        let mut state = self.lock();
        for _ in 0..AROUND_JOBS_MAX {
            // Another thread may have taken what was there.
            if state.queue.is_empty() || self.should_report(&state) {
                break;
            }
            state = self.run_next(state);
        }
    }

    /// Runs the oldest job that waits; there is one.
    fn run_next<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
    ) -> MutexGuard<'a, State> {
        let Some(entry) = state.queue.pop_front() else { return state };
        // This job may be slow. Without a new thread the others have to wait.
        let called = self.call_thread(&mut state).unwrap_or(None);
        drop(state);
        if let Some(thread) = called {
            thread.notify_one();
        }
        let wake = entry.task.run();
        drop(entry);
        state = self.lock();
        if let Some(wake) = wake {
            state.finished.push(wake);
            state.finished_since.get_or_insert_with(Instant::now);
        }
        state
    }

    /// Waits beside threads at work, until a job is due or there is nothing to watch.
    fn watch<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        role: Role,
        me: &Arc<Condvar>,
    ) -> MutexGuard<'a, State> {
        let patience = self.options.patience;
        let (mut seen, mut quiet) = (state.submitted, 0);
        state.watcher = Some(me.clone());
        state.watcher_works = role == Role::Works;
        loop {
            if state.report_is_due(patience) {
                state = self.report(state);
            } else if role == Role::Works && state.needs_another(&self.options) {
                break;
            } else {
                if state.needs_another(&self.options) {
                    self.call_worker(&mut state);
                }
                if state.submitted != seen || !state.queue.is_empty() || !state.finished.is_empty()
                {
                    (seen, quiet) = (state.submitted, 0);
                } else if quiet == QUIET_LOOKS || state.closed {
                    break;
                }
                quiet += 1;
                let left = state.next_look(&self.options);
                state = self.wait(me, state, left);
            }
            if !state.is_watched_by(me) {
                state.called -= 1;
                return state;
            }
        }
        state.watcher = None;
        state
    }

    /// For one that only watches: has another thread take the job that is due, unless one is on its way.
    fn call_worker(self: &Arc<Self>, state: &mut State) {
        if state.called > 0 {
            return;
        }
        if let Some(thread) = state.idle.pop() {
            state.called += 1;
            thread.notify_one();
        } else if state.workers() < self.options.threads_max {
            // Without a new thread the job has to wait for those that there are.
            let _ = self.start(state, Role::Works);
        }
    }

    /// Waits to be called: `Ok`. `Err` is the end of the thread, after its idle time.
    fn rest<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        role: Role,
        me: &Arc<Condvar>,
    ) -> Result<MutexGuard<'a, State>, MutexGuard<'a, State>> {
        let since = Instant::now();
        match role {
            Role::Works => state.idle.push(me.clone()),
            Role::Watches => state.watchman = Some(me.clone()),
        }
        loop {
            // One stays, to run jobs.
            let stays = role == Role::Works && state.workers() == 1;
            let left = match stays {
                true => Duration::MAX,
                false => self.options.idle.saturating_sub(since.elapsed()),
            };
            state = self.wait(me, state, left);
            let place = state.idle.iter().position(|thread| Arc::ptr_eq(thread, me));
            let is_watchman = state.watchman.as_ref().is_some_and(|thread| Arc::ptr_eq(thread, me));
            if place.is_none() && !is_watchman {
                state.called -= 1;
                return Ok(state);
            }
            let is_last = role == Role::Works && state.workers() == 1;
            if since.elapsed() >= self.options.idle && !is_last {
                match place {
                    Some(place) => drop(state.idle.remove(place)),
                    None => state.watchman = None,
                }
                return Err(state);
            }
        }
    }

    /// Wakes the tasks of all finished jobs.
    fn report<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let mut batch = std::mem::take(&mut state.finished);
        state.finished_since = None;
        drop(state);
        Wake::all(&mut batch);
        let mut state = self.lock();
        if state.finished.is_empty() {
            // Its memory serves again.
            state.finished = batch;
        }
        state
    }

    /// Closes the queue and has every thread look at it.
    fn refuse(&self) {
        let mut state = self.lock();
        state.closed = true;
        let mut threads = std::mem::take(&mut state.idle);
        threads.extend(state.watcher.take());
        threads.extend(state.watchman.take());
        state.called += threads.len();
        drop(state);
        for thread in threads {
            thread.notify_one();
        }
    }
}

/// After how many finished jobs their tasks are woken, although more jobs wait.
const REPORT_JOBS_MAX: usize = 64;

/// A thread at work looks at the clock after as many finished jobs: the watcher sees to it that no report waits longer, and to
/// ask for the time costs as much as to take a job.
const CLOCK_JOBS: usize = 8;

/// How often a watcher finds nothing new before it rests. Under steady load none has to be called anew for each batch.
const QUIET_LOOKS: u32 = 4;
