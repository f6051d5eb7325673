//! What threads share, under loom: the lane, departures, contents on their way, the streams of HTTP/2, the listeners of a
//! broadcast. Every case below runs once for each order in which its threads can reach a lock or an atomic.
//!
//! Time passes only while a thread waits for it to, and then at once, so that a short patience or idle time may be over
//! at any point where others could run. A long one is never over.
//!
//! loom does not compile where addresses have 32 bits.

#![cfg(target_pointer_width = "64")]
#![allow(clippy::unwrap_used, reason = "an unwrap that fails is the test's answer")]

/// What `src/sync.rs` is in the library.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, RwLock};
    pub(crate) use loom::{thread, thread_local};

    use std::cell::Cell;
    use std::time::Duration;

    std::thread_local! {
        /// loom runs all threads of a model on the one of its test.
        static CLOCK: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the library's own source, of which this uses a part"
)]
#[path = "../src/broadcast/mod.rs"]
mod broadcast;

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "the library's own source, of which this uses a part"
)]
#[path = "../src/departure.rs"]
mod departure;

#[allow(dead_code, unreachable_pub, reason = "the library's own source, of which this uses a part")]
#[path = "../src/body/incoming.rs"]
mod incoming;

#[allow(dead_code, unreachable_pub, reason = "the library's own source, of which this uses a part")]
#[path = "../src/server/http2/wakes.rs"]
mod wakes;

#[path = "../src/server/served.rs"]
mod served;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use broadcast::{Channel, Frame, Framing, Look, Start, Subscription};
use bytes::Bytes;
use departure::Departure;
use incoming::channel_in;
use lane::{Lane, LaneOptions, batch_wakes};
use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::mpsc::channel;
use loom::sync::{Arc, Mutex, Notify};
use loom::thread;
use number8::{BodyError, Chunk};
use served::Served;
use sync::lock;
use wakes::{StreamWake, Wakes};

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

/// Of two apps that take a third one's place at once one is served, and its id is told, and what goes on goes by its rules.
#[test]
fn what_is_served_is_what_its_id_says() {
    model(|| {
        let served = Arc::new(Served::new(1, 1));
        let rules = Arc::new(AtomicUsize::new(1));
        let others = [2, 3].map(|app| {
            let (served, rules) = (served.clone(), rules.clone());
            let follow =
                move |app: &mut u64, _: &u64| rules.store(*app as usize, Ordering::Relaxed);
            thread::spawn(move || served.replace(app, app, follow))
        });
        // What is told is there.
        let (id, app) = (served.id(), served.get());
        assert!(id == 1 || *app != 1);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(*served.get(), served.id());
        assert_eq!(*served.get(), rules.load(Ordering::Relaxed) as u64);
    });
}

/// A departure that is told reaches everybody who waits for it, also who begins to wait just then.
#[test]
fn a_departure_reaches_everybody() {
    model(|| {
        let departure = Departure::default();
        let [one, two] = [departure.clone(), departure.clone()];
        let one = thread::spawn(move || block_on(one.wait()));
        let telling = thread::spawn(move || two.tell(false));
        block_on(departure.wait());
        assert!(departure.is_known());
        one.join().unwrap();
        telling.join().unwrap();
    });
}

/// The content of a request: the connection brings as much as is wanted, the reader hears of all of it and of its end, and
/// each of the two only goes on when it is woken.
#[test]
fn content_arrives_as_it_is_wanted() {
    // How many pieces there are, and how many the reader takes before it leaves.
    for (pieces, wanted) in [(1, 2), (2, 3), (2, 1)] {
        model(move || {
            let woken = Arc::new(Notify::new());
            let task = Task { is_due: Mutex::new(false), woken: woken.clone() };
            let waker = Waker::from(std::sync::Arc::new(task));
            let (feeder, mut incoming) = channel_in(waker, None, u64::MAX, 1);
            let reader = thread::spawn(move || {
                let mut heard = 0;
                while heard < wanted && block_on(poll_fn(|cx| incoming.poll_chunk(cx))) != Ok(None)
                {
                    heard += 1;
                }
                heard
            });
            // As a connection: nobody has to take anything, and who has left is noticed elsewhere.
            let mut brought = 0;
            while brought < pieces.min(wanted) {
                match feeder.wants_more() {
                    true => {
                        feeder.push(Bytes::from_static(b"x"));
                        brought += 1;
                    }
                    false => woken.wait(),
                }
            }
            feeder.end(Ok(()));
            assert_eq!(reader.join().unwrap(), pieces.min(wanted));
        });
    }
}

/// As before, where the reader lends memory for what comes.
#[test]
fn content_arrives_in_memory_that_is_lent() {
    model(|| {
        let woken = Arc::new(Notify::new());
        let task = Task { is_due: Mutex::new(false), woken: woken.clone() };
        let waker = Waker::from(std::sync::Arc::new(task));
        let (feeder, mut incoming) = channel_in(waker, None, u64::MAX, 8);
        let reader = thread::spawn(move || {
            let (mut heard, mut memory) = (0, Some(Box::new(Vec::with_capacity(8)) as Box<_>));
            loop {
                match block_on(poll_fn(|cx| incoming.poll_chunk_into(&mut memory, cx))).unwrap() {
                    Chunk::Received(count) => heard += count,
                    Chunk::Apart(bytes) => heard += bytes.len(),
                    Chunk::End => return heard,
                }
            }
        });
        while !feeder.wants_more() {
            woken.wait();
        }
        for _ in 0..2 {
            match feeder.memory() {
                Some(mut memory) => {
                    memory.put_u8(8);
                    feeder.received_into(memory, 1);
                }
                None => feeder.push(Bytes::from_static(b"x")),
            }
        }
        feeder.end(Ok(()));
        assert_eq!(reader.join().unwrap(), 2);
    });
}

/// The content of an answer: who makes it waits for room, and hears that nobody takes it any more.
#[test]
fn content_waits_for_room() {
    for (pieces, wanted) in [(2, 3), (3, 1)] {
        model(move || {
            let (feeder, mut incoming) = channel_in(Waker::noop().clone(), None, u64::MAX, 1);
            let sender = thread::spawn(move || {
                for _ in 0..pieces {
                    if block_on(poll_fn(|cx| feeder.poll_room(cx))).is_err() {
                        return false;
                    }
                    feeder.push(Bytes::from_static(b"x"));
                }
                feeder.end(Ok(()));
                true
            });
            let mut heard = 0;
            while heard < wanted && block_on(poll_fn(|cx| incoming.poll_chunk(cx))) != Ok(None) {
                heard += 1;
            }
            drop(incoming);
            assert_eq!(heard, pieces.min(wanted));
            assert!(sender.join().unwrap() || pieces > wanted);
        });
    }
}

/// Streams of one connection of HTTP/2: each is polled after it was woken, and sees what was there before.
#[test]
fn a_stream_that_is_woken_goes_on() {
    // What each stream waits for, and what each sender adds to which stream; whether the first turn ends in the middle.
    for (wanted, senders, pauses) in [
        (&[2][..], &[(0, 2)][..], false),
        (&[1, 1], &[(0, 1), (1, 1)], false),
        (&[2], &[(0, 1), (0, 1)], false),
        (&[1], &[(0, 1)], true),
    ] {
        model(move || {
            let woken = Arc::new(Notify::new());
            let task = Task { is_due: Mutex::new(true), woken: woken.clone() };
            let wakes = Wakes::new(Waker::from(std::sync::Arc::new(task)));
            let streams: Vec<_> = (0..wanted.len())
                .map(|place| (Arc::new(AtomicUsize::new(0)), StreamWake::new(place, &wakes)))
                .collect();
            let senders: Vec<_> = senders
                .iter()
                .map(|&(place, count)| {
                    let (sent, wake) = streams[place].clone();
                    let waker = Waker::from(wake);
                    thread::spawn(move || {
                        for _ in 0..count {
                            sent.fetch_add(1, Ordering::Release);
                            waker.wake_by_ref();
                        }
                    })
                })
                .collect();
            multiplex(&wakes, &streams, wanted, &woken, pauses);
            senders.into_iter().for_each(|sender| sender.join().unwrap());
        });
    }
}

/// Runs streams as a connection of HTTP/2 does, until each has got what it waits for.
fn multiplex(
    wakes: &Wakes,
    streams: &[(Arc<AtomicUsize>, std::sync::Arc<StreamWake>)],
    wanted: &[usize],
    woken: &Notify,
    mut pauses: bool,
) {
    let is_done = |place: usize| streams[place].0.load(Ordering::Acquire) >= wanted[place];
    let mut done: Vec<_> = (0..streams.len()).map(is_done).collect();
    let mut due = Vec::new();
    while done.contains(&false) {
        wakes.begin();
        loop {
            let _ = wakes.take_connection();
            wakes.take_streams(&mut due);
            for &place in &due {
                streams[place].1.begin();
                done[place] = is_done(place);
            }
            if std::mem::take(&mut pauses) {
                wakes.pause();
                break;
            }
            if wakes.may_wait() {
                break;
            }
        }
        if done.contains(&false) {
            woken.wait();
        }
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
            let channel = Channel::new(usize::MAX, None);
            let listeners = subscribe(&channel, wanted);
            let senders: Vec<_> = senders
                .iter()
                .map(|&count| {
                    let channel = channel.clone();
                    thread::spawn(move || (0..count).for_each(|_| send(&channel)))
                })
                .collect();
            listen(listeners, from_here, &channel);
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            assert_eq!(channel.listeners(), 0);
        });
    }
}

/// Also those of another thread, and when the last who could send something is gone.
#[test]
fn listeners_of_every_thread_hear_of_the_end() {
    model(|| {
        let channel = Channel::new(usize::MAX, None);
        let [here, there] = [&[1][..], &[1]].map(|wanted| subscribe(&channel, wanted));
        let other = thread::spawn(move || run(there, &mut || {}));
        let sender = thread::spawn(move || drop(channel));
        run(here, &mut || {});
        other.join().unwrap();
        sender.join().unwrap();
    });
}

fn send(channel: &Channel) {
    channel.send(|_| ("".into(), Frame::new(b"x")));
}

/// Listeners, each with how much it waits for.
fn subscribe(channel: &Channel, wanted: &[usize]) -> Vec<(usize, Subscription)> {
    wanted.iter().map(|&wanted| (wanted, channel.subscribe(Start::Now))).collect()
}

/// Runs listeners of which the first to run send something, too.
fn listen(listeners: Vec<(usize, Subscription)>, mut from_here: usize, channel: &Channel) {
    run(listeners, &mut || {
        if from_here > 0 {
            from_here -= 1;
            send(channel);
        }
    });
}

/// Runs listeners as one thread of a server does, until each has left: when it has heard enough, or that nothing more comes.
fn run(listeners: Vec<(usize, Subscription)>, say: &mut dyn FnMut()) {
    let woken = Arc::new(Notify::new());
    let task = |(wanted, subscription)| {
        let task = Task { is_due: Mutex::new(true), woken: woken.clone() };
        (wanted, subscription, std::sync::Arc::new(task))
    };
    let mut listeners: Vec<(usize, Subscription, _)> = listeners.into_iter().map(task).collect();
    while !listeners.is_empty() {
        let mut has_run = false;
        listeners.retain_mut(|(wanted, subscription, task)| {
            if !std::mem::replace(&mut *lock(&task.is_due), false) {
                return true;
            }
            has_run = true;
            subscription.woken(&Waker::from(task.clone()));
            say();
            while *wanted > 0 {
                match subscription.look(Framing::UntilClose) {
                    Look::Frame(..) => subscription.advance(),
                    Look::Nothing => return true,
                    Look::End | Look::Lost => return false,
                }
                *wanted -= 1;
            }
            false
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

/// `patience` is the idle time as well, and how long results wait for one another.
fn lane(threads_max: usize, patience: Duration) -> Lane {
    let default = LaneOptions::default();
    let (idle, together) = (patience, patience);
    Lane::new(LaneOptions { threads_max, queue_max: 2, idle, patience, together, ..default })
}

fn model(case: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // Exhaustive up to this many involuntary switches; bugs that need more are rare, and the time grows steeply.
    builder.preemption_bound.get_or_insert(2);
    builder.check(case);
}
