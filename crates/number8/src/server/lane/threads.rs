//! The queue of a lane, and its threads: which one works, which one watches, and when those who wait are told.

use std::collections::VecDeque;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::job::Run;
use super::mailbox::Wake;
use super::{AROUND_JOBS_MAX, LaneOptions};
use crate::sync::{self, Condvar, Instant, Mutex, MutexGuard, thread};

/// What the clones of a [`Lane`](super::Lane) and the threads share.
pub(super) struct Shared {
    pub(super) options: LaneOptions,
    pub(super) state: Mutex<State>,
    /// Signals that the last thread has ended.
    pub(super) ended: Condvar,
    /// Calls beside the lane that belonged on it.
    pub(super) slow_inline: AtomicU64,
    /// Jobs that were not taken.
    pub(super) refused: AtomicU64,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Entry>,
    /// Jobs done whose tasks are not woken yet, since when. While there are any, a thread is watching or on its way.
    finished: Vec<Wake>,
    finished_since: Option<Instant>,
    /// Counts up with each job, to tell a quiet lane from a busy one.
    pub(super) submitted: u64,
    pub(super) threads: usize,
    started: usize,
    /// Threads inside jobs.
    pub(super) working: usize,
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
    pub(super) closed: bool,
}

pub(super) struct Entry {
    pub(super) task: Arc<dyn Run>,
    pub(super) since: Instant,
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

    fn report_is_due(&self, options: &LaneOptions) -> bool {
        self.finished_since.is_some_and(|since| since.elapsed() >= options.together)
    }

    /// When there is something to do for the watcher, at the latest.
    fn next_look(&self, options: &LaneOptions) -> Duration {
        let patience = options.patience;
        // What is due already is on its way to another thread, or has to wait for one that works.
        let comes = self.working < options.threads_max && !self.oldest_is_due(patience);
        let oldest = self.queue.front().filter(|_| comes).map(|entry| (entry.since, patience));
        let finished = self.finished_since.map(|since| (since, options.together));
        let left = |(since, most): (Instant, Duration)| most.saturating_sub(since.elapsed());
        oldest.into_iter().chain(finished).map(left).min().unwrap_or(patience)
    }

    fn is_watched_by(&self, thread: &Arc<Condvar>) -> bool {
        self.watcher.as_ref().is_some_and(|watcher| Arc::ptr_eq(watcher, thread))
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No user code runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait<'a>(
        &'a self,
        condvar: &Condvar,
        state: MutexGuard<'a, State>,
        time: Duration,
    ) -> MutexGuard<'a, State> {
        sync::wait_timeout(condvar, &self.state, state, time)
    }

    /// Finds a thread for what waits, if one is needed: to work where none does, else to watch. The caller notifies it
    /// after unlocking.
    pub(super) fn call_thread(
        self: &Arc<Self>,
        state: &mut State,
    ) -> io::Result<Option<Arc<Condvar>>> {
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
        let mut builder = thread::Builder::new().name(name);
        if let Some(stack) = self.options.stack {
            builder = builder.stack_size(stack);
        }
        builder.spawn(move || shared.run(role))?;
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
                    && state.report_is_due(&self.options)))
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
        // A result that nobody waits for is dropped here, by code of the user's that the thread has to survive.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(entry)));
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
        let (mut seen, mut quiet) = (state.submitted, 0);
        state.watcher = Some(me.clone());
        state.watcher_works = role == Role::Works;
        loop {
            if state.report_is_due(&self.options) {
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
    pub(super) fn refuse(&self) {
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
