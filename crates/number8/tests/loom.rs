//! The lane, and the listeners of a broadcast, under loom: every case below runs once for each order in which its threads can reach a lock.
//!
//! Time passes only while a thread waits for it to, and then at once, so that a short patience or idle time may be over
//! at any point where others could run. A long one is never over.

#![allow(clippy::unwrap_used, reason = "an unwrap that fails is the test's answer")]

/// What `src/sync.rs` is in the library.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use loom::{thread, thread_local};

    use std::cell::Cell;
    use std::time::Duration;

    std::thread_local! {
        /// loom runs all threads of a model on the one of its test.
        static CLOCK: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub(crate) struct Instant(Duration);

    impl Instant {
        pub(crate) fn now() -> Self {
            Self(CLOCK.get())
        }

        pub(crate) fn elapsed(self) -> Duration {
            CLOCK.get() - self.0
        }
    }

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }

    pub(crate) fn wait_timeout<'a, T>(
        condvar: &Condvar,
        mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> MutexGuard<'a, T> {
        if time > crate::LONG / 2 {
            return condvar.wait(guard).unwrap();
        }
        drop(guard);
        thread::yield_now();
        let guard = mutex.lock().unwrap();
        CLOCK.set(CLOCK.get() + time);
        guard
    }
}

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports,
    reason = "the library's own source, of which this uses a part"
)]
#[path = "../src/server/lane/mod.rs"]
mod lane;

#[allow(dead_code, unreachable_pub, reason = "the library's own source, of which this uses a part")]
#[path = "../src/broadcast/group.rs"]
mod group;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use group::{Group, Seat};
use lane::{Lane, LaneOptions, batch_wakes};
use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::mpsc::channel;
use loom::sync::{Arc, Mutex, Notify};
use loom::thread;
use sync::lock;

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn every_job_completes_once_and_close_ends() {
    for (threads_max, patience) in [(1, LONG), (2, SHORT), (2, LONG)] {
        model(move || {
            let lane = lane(threads_max, patience);
            let calls = Arc::new(AtomicUsize::new(0));
            let [first, second] = [1, 2].map(|value| {
                let calls = calls.clone();
                let call = move || {
                    calls.fetch_add(1, Ordering::Relaxed);
                    value
                };
                lane.submit(call).unwrap()
            });
            assert_eq!(block_on(second), Ok(2));
            assert_eq!(block_on(first), Ok(1));
            assert!(lane.close(LONG));
            assert_eq!(calls.load(Ordering::Relaxed), 2);
        });
    }
}

#[test]
fn jobs_of_two_threads_complete() {
    for patience in [SHORT, LONG] {
        model(move || {
            let lane = lane(1, patience);
            let other = lane.clone();
            let other = thread::spawn(move || block_on(other.submit(|| 1).unwrap()));
            assert_eq!(block_on(lane.submit(|| 2).unwrap()), Ok(2));
            assert_eq!(other.join().unwrap(), Ok(1));
        });
    }
}

#[test]
fn a_lane_at_rest_wakes_again() {
    for patience in [SHORT, LONG] {
        model(move || {
            let lane = lane(2, patience);
            for value in 0..3 {
                assert_eq!(block_on(lane.submit(move || value).unwrap()), Ok(value));
            }
        });
    }
}

#[test]
fn a_job_that_waits_for_the_next_one_does_not_hold_it_up() {
    model(|| {
        let lane = lane(2, SHORT);
        let (release, released) = channel();
        let slow = lane.submit(move || released.recv().unwrap()).unwrap();
        let quick = lane.submit(move || release.send(7).unwrap()).unwrap();
        assert_eq!(block_on(slow), Ok(7));
        assert_eq!(block_on(quick), Ok(()));
    });
}

#[test]
fn a_finished_job_is_reported_although_the_next_one_is_slow() {
    for threads_max in [1, 2] {
        model(move || {
            let lane = lane(threads_max, SHORT);
            let (release, released) = channel();
            let quick = lane.submit(|| 1).unwrap();
            let slow = lane.submit(move || released.recv().unwrap()).unwrap();
            assert_eq!(block_on(quick), Ok(1));
            release.send(2).unwrap();
            assert_eq!(block_on(slow), Ok(2));
        });
    }
}

#[test]
fn a_lane_of_one_that_groups_its_jobs_reports_and_ends() {
    for patience in [SHORT, LONG] {
        model(move || {
            let around = Some(lane::Around::new(|jobs| jobs()));
            let options = LaneOptions {
                threads_max: 1,
                queue_max: 3,
                idle: patience,
                patience,
                ..LaneOptions::default()
            };
            let lane = Lane::new(LaneOptions { around, ..options });
            let (release, released) = channel();
            let quick = lane.submit(|| 1).unwrap();
            let slow = lane.submit(move || released.recv().unwrap()).unwrap();
            if patience == SHORT {
                assert_eq!(block_on(quick), Ok(1));
                release.send(2).unwrap();
            } else {
                release.send(2).unwrap();
                assert_eq!(block_on(quick), Ok(1));
            }
            assert_eq!(block_on(slow), Ok(2));
            assert!(lane.close(LONG));
        });
    }
}

#[test]
fn an_accepted_job_runs_although_the_lane_closes() {
    for patience in [SHORT, LONG] {
        model(move || {
            let lane = lane(2, patience);
            let job = lane.submit(|| 1).unwrap();
            let closing = thread::spawn(move || lane.close(LONG));
            assert_eq!(block_on(job), Ok(1));
            assert!(closing.join().unwrap());
        });
    }
}

#[test]
fn an_abandoned_job_runs_at_most_once_and_harms_no_other() {
    model(|| {
        let lane = lane(1, LONG);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        drop(lane.submit(move || counted.fetch_add(1, Ordering::Relaxed)).unwrap());
        assert_eq!(block_on(lane.submit(|| 2).unwrap()), Ok(2));
        assert!(lane.close(LONG));
        assert!(calls.load(Ordering::Relaxed) <= 1);
    });
}

#[test]
fn a_mailbox_loses_no_call_and_no_wake() {
    for patience in [SHORT, LONG] {
        model(move || {
            let lane = lane(2, patience);
            // With a thread at rest, submitting calls it instead of starting one.
            assert_eq!(block_on(lane.submit(|| 0).unwrap()), Ok(0));
            block_on(async {
                let mut mailbox = Box::pin(batch_wakes());
                let mut jobs = Vec::new();
                poll_fn(|cx| {
                    let Poll::Pending = mailbox.as_mut().poll(cx);
                    if jobs.is_empty() {
                        jobs.extend([1, 2].map(|value| Some(lane.submit(move || value).unwrap())));
                    }
                    for job in &mut jobs {
                        if job.as_mut().is_some_and(|job| pin!(job).poll(cx).is_ready()) {
                            *job = None;
                        }
                    }
                    if jobs[0].is_none() { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                // What was to come by the mailbox comes without it.
                drop(mailbox);
                if let Some(second) = jobs.pop().unwrap() {
                    assert_eq!(second.await, Ok(2));
                }
            });
        });
    }
}

/// Whoever is sent something hears of it, whoever else is woken first, and whoever leaves.
#[test]
fn every_listener_hears_of_everything() {
    // How much each of the listeners waits for before it leaves; how much each sender sends; who sends from the thread of
    // the listeners.
    for (wanted, senders, from_here) in [
        (&[2, 2][..], &[2][..], 0),
        (&[2, 2], &[1, 1], 0),
        (&[1, 2], &[2], 0),
        (&[0, 1], &[1], 0),
        (&[2, 2], &[1], 1),
        (&[1, 2], &[1], 1),
    ] {
        model(move || {
            let channel = Arc::new(Channel::default());
            let send = |count: &usize| {
                let (channel, count) = (channel.clone(), *count);
                thread::spawn(move || (0..count).for_each(|_| channel.send(false)))
            };
            let senders: Vec<_> = senders.iter().map(send).collect();
            listen(&channel, wanted, from_here);
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            assert!(lock(&channel.group).is_empty());
        });
    }
}

/// What `Shared` of the library is, with one thread that listens.
#[derive(Default)]
struct Channel {
    sent: Mutex<usize>,
    /// Whoever calls a group or joins it has the lock of the list in which it stands.
    group: Mutex<std::sync::Arc<Group>>,
}

impl Channel {
    fn send(&self, is_here: bool) {
        *lock(&self.sent) += 1;
        lock(&self.group).call(is_here);
    }
}

/// Runs listeners as one thread of a server does, until each has left.
fn listen(channel: &Channel, wanted: &[usize], mut from_here: usize) {
    let woken = Arc::new(Notify::new());
    let listener = |&wanted: &usize| {
        let task = Task { is_due: Mutex::new(true), woken: woken.clone() };
        (wanted, std::sync::Arc::new(task), None::<Seat>)
    };
    let mut listeners: Vec<_> = wanted.iter().map(listener).collect();
    while !listeners.is_empty() {
        let mut has_run = false;
        listeners.retain_mut(|(wanted, task, seat)| {
            if !std::mem::replace(&mut *lock(&task.is_due), false) {
                return true;
            }
            has_run = true;
            match seat {
                Some(seat) => seat.pass_on(),
                None => *seat = Some(lock(&channel.group).join(&Waker::from(task.clone()))),
            }
            if from_here > 0 {
                from_here -= 1;
                channel.send(true);
            }
            *lock(&channel.sent) < *wanted
        });
        if !has_run && !listeners.is_empty() {
            woken.wait();
        }
    }
}

/// What a runtime has of a task.
struct Task {
    is_due: Mutex<bool>,
    woken: Arc<Notify>,
}

impl Wake for Task {
    fn wake(self: std::sync::Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        *lock(&self.is_due) = true;
        self.woken.notify();
    }
}

/// `patience` is the idle time as well.
fn lane(threads_max: usize, patience: Duration) -> Lane {
    let default = LaneOptions::default();
    Lane::new(LaneOptions { threads_max, queue_max: 2, idle: patience, patience, ..default })
}

fn model(case: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // Exhaustive up to this many involuntary switches; bugs that need more are rare, and the time grows steeply.
    builder.preemption_bound.get_or_insert(2);
    builder.check(case);
}
