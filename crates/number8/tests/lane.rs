use std::cell::RefCell;
use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use number8::server::lane::{Around, Job, Lane, LaneFull, LaneOptions, batch_wakes};
use tokio::runtime::{Builder, Runtime};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_call_runs_on_a_lane_thread_and_gives_its_result() {
    let lane = Lane::new(LaneOptions::default());
    let job = lane.submit(|| thread::current().name().map(str::to_owned)).unwrap();
    assert_eq!(wait(job), Ok(Some("number8-lane-0".to_owned())));
}

#[test]
fn a_job_is_a_future_for_any_runtime() {
    fn check<T: Send + Unpin + Future>() {}
    check::<Job<RefCell<u8>>>();
}

#[test]
fn quick_jobs_are_left_to_one_thread_at_a_time() {
    let lane = Lane::new(LaneOptions { patience: LONG, ..LaneOptions::default() });
    let at_work = Arc::new(AtomicUsize::new(0));
    let jobs: Vec<_> = (0..500)
        .map(|_| {
            let at_work = at_work.clone();
            lane.submit(move || {
                let others = at_work.fetch_add(1, Ordering::SeqCst);
                thread::yield_now();
                at_work.fetch_sub(1, Ordering::SeqCst);
                (others, thread::current().id())
            })
            .unwrap()
        })
        .collect();
    let (others, threads): (Vec<_>, HashSet<ThreadId>) =
        jobs.into_iter().map(|job| wait(job).unwrap()).unzip();
    assert!(others.iter().all(|others| *others == 0));
    assert!(threads.len() <= 2, "one works, one watches: {threads:?}");
}

#[test]
fn a_slow_job_holds_up_no_other() {
    let lane = Lane::new(LaneOptions { threads_max: 4, ..LaneOptions::default() });
    // Each waits for the next one, and the last one for all of them to have started.
    let started = Arc::new(Barrier::new(4));
    let jobs: Vec<_> = (0..4)
        .map(|_| {
            let started = started.clone();
            lane.submit(move || started.wait()).unwrap()
        })
        .collect();
    for job in jobs {
        wait(job).unwrap();
    }
}

#[test]
fn a_finished_job_is_reported_while_the_next_one_is_slow() {
    let lane = Lane::new(LaneOptions { threads_max: 2, ..LaneOptions::default() });
    let (release, released) = channel();
    let [quick, other] = [1, 2].map(|value| lane.submit(move || value).unwrap());
    let slow = lane.submit(move || released.recv().unwrap()).unwrap();
    assert_eq!((wait(quick), wait(other)), (Ok(1), Ok(2)));
    release.send(3).unwrap();
    assert_eq!(wait(slow), Ok(3));
}

#[test]
fn a_full_queue_refuses_and_takes_again_later() {
    let options = LaneOptions { threads_max: 1, queue_max: 2, ..LaneOptions::default() };
    let lane = Lane::new(options);
    let (slow, release) = occupy(&lane);
    let waiting = [1, 2].map(|value| lane.submit(move || value).unwrap());
    assert_eq!(lane.submit(|| 3).unwrap_err(), LaneFull);
    release.send(()).unwrap();
    wait(slow).unwrap();
    assert_eq!(waiting.map(wait), [Ok(1), Ok(2)]);
    assert_eq!(wait(lane.submit(|| 3).unwrap()), Ok(3));
}

#[test]
fn what_has_begun_goes_on_where_the_queue_is_full() {
    let options = LaneOptions { threads_max: 1, queue_max: 1, ..LaneOptions::default() };
    let lane = Lane::new(options);
    let (slow, release) = occupy(&lane);
    let waiting = lane.submit(|| 1).unwrap();
    assert_eq!(lane.submit(|| 2).unwrap_err(), LaneFull);
    let going_on = lane.go_on(|| 3).unwrap();
    release.send(()).unwrap();
    wait(slow).unwrap();
    assert_eq!((wait(waiting), wait(going_on)), (Ok(1), Ok(3)));
    assert!(lane.close(LONG));
    assert_eq!(lane.go_on(|| 4).unwrap_err(), LaneFull);
}

#[test]
fn a_panic_is_an_error_and_the_thread_lives_on() {
    let lane = Lane::new(LaneOptions { threads_max: 1, ..LaneOptions::default() });
    let thread = wait(lane.submit(|| thread::current().id()).unwrap()).unwrap();
    let formatted = lane.submit(|| -> u8 { panic!("no {}", "luck") }).unwrap();
    assert_eq!(wait(formatted).unwrap_err().to_string(), "no luck");
    let literal = lane.submit(|| -> u8 { panic!("no luck") }).unwrap();
    assert_eq!(wait(literal).unwrap_err().to_string(), "no luck");
    let value = lane.submit(|| -> u8 { std::panic::panic_any(7) }).unwrap();
    assert_eq!(wait(value).unwrap_err().to_string(), "a panic without a message");
    assert_eq!(wait(lane.submit(|| thread::current().id()).unwrap()), Ok(thread));
}

#[test]
fn an_abandoned_job_is_skipped_and_frees_what_it_holds_at_once() {
    let lane = Lane::new(LaneOptions { threads_max: 1, ..LaneOptions::default() });
    let (slow, release) = occupy(&lane);
    let (held, dropped) = channel::<()>();
    drop(lane.submit(move || held.send(()).unwrap()).unwrap());
    assert!(dropped.recv().is_err(), "the function is gone, and was not called");
    release.send(()).unwrap();
    wait(slow).unwrap();
    assert_eq!(wait(lane.submit(|| 1).unwrap()), Ok(1));
}

#[test]
fn a_result_that_nobody_wants_is_dropped_even_if_that_panics() {
    struct Bad(Sender<()>);
    impl Drop for Bad {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
            panic!("dropped");
        }
    }

    for leave in [drop::<Job<Bad>> as fn(_), Job::detach] {
        let lane = Lane::new(LaneOptions { threads_max: 1, ..LaneOptions::default() });
        let (begun, has_begun) = channel();
        let (release, released) = channel();
        let (dropped, is_dropped) = channel();
        let job = lane.submit(move || {
            begun.send(()).unwrap();
            released.recv().unwrap();
            Bad(dropped)
        });
        has_begun.recv().unwrap();
        leave(job.unwrap());
        release.send(()).unwrap();
        is_dropped.recv().unwrap();
        assert_eq!(wait(lane.submit(|| 1).unwrap()), Ok(1));
    }
}

#[test]
fn close_refuses_finishes_and_ends_the_threads() {
    let lane = Lane::new(LaneOptions { threads_max: 1, ..LaneOptions::default() });
    let (slow, release) = occupy(&lane);
    let waiting = lane.submit(|| 1).unwrap();
    assert!(!lane.close(Duration::ZERO), "a job still runs");
    assert_eq!(lane.submit(|| 2).unwrap_err(), LaneFull);
    release.send(()).unwrap();
    assert!(lane.close(LONG));
    assert_eq!((wait(slow), wait(waiting)), (Ok(()), Ok(1)));
    assert!(lane.close(Duration::ZERO), "closing twice is closing once");
}

#[test]
fn threads_end_with_the_last_handle() {
    let lane = Lane::new(LaneOptions::default());
    let (ended, has_ended) = channel();
    wait(lane.submit(move || announce_end(ended)).unwrap()).unwrap();
    drop(lane.clone());
    assert_eq!(wait(lane.submit(|| 1).unwrap()), Ok(1));
    drop(lane);
    has_ended.recv().unwrap();
}

#[test]
fn idle_threads_end_but_one() {
    let options = LaneOptions { threads_max: 3, idle: Duration::ZERO, ..LaneOptions::default() };
    let lane = Lane::new(options);
    let (ended, has_ended) = channel();
    let together = Arc::new(Barrier::new(3));
    let jobs: Vec<_> = (0..3)
        .map(|_| {
            let (ended, together) = (ended.clone(), together.clone());
            lane.submit(move || {
                together.wait();
                announce_end(ended);
                thread::current().id()
            })
            .unwrap()
        })
        .collect();
    let mut threads: HashSet<ThreadId> = jobs.into_iter().map(|job| wait(job).unwrap()).collect();
    for _ in 0..2 {
        assert!(threads.remove(&has_ended.recv().unwrap()));
    }
    let left = wait(lane.submit(|| thread::current().id()).unwrap()).unwrap();
    assert_eq!(threads, HashSet::from([left]));
}

#[test]
fn many_tasks_get_their_own_results_on_every_kind_of_runtime() {
    let runtimes =
        [current_thread(), Builder::new_multi_thread().worker_threads(2).build().unwrap()];
    for runtime in runtimes {
        for batched in [false, true] {
            runtime.block_on(async {
                if batched {
                    tokio::spawn(batch_wakes());
                    tokio::task::yield_now().await;
                }
                let lane = Lane::new(LaneOptions::default());
                let task = async |lane: Lane, task: u32| {
                    for round in 0..100 {
                        let job = lane.submit(move || (task, round)).unwrap();
                        assert_eq!(job.await, Ok((task, round)));
                    }
                };
                let tasks: Vec<_> =
                    (0..64).map(|number| tokio::spawn(task(lane.clone(), number))).collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
        }
    }
}

#[test]
fn jobs_complete_after_their_mailbox_is_gone() {
    let lane = Lane::new(LaneOptions { threads_max: 1, ..LaneOptions::default() });
    let (slow, release) = occupy(&lane);
    let mut slow = pin!(slow);
    current_thread().block_on(async {
        let mut mailbox = Box::pin(batch_wakes());
        poll_fn(|cx| {
            assert!(mailbox.as_mut().poll(cx).is_pending());
            assert!(slow.as_mut().poll(cx).is_pending(), "its wake-up is to come by the mailbox");
            Poll::Ready(())
        })
        .await;
        drop(mailbox);
        release.send(()).unwrap();
        slow.await.unwrap();
    });
}

#[test]
fn a_mailbox_that_ends_on_another_thread_is_used_no_more() {
    let mut mailbox = Box::pin(batch_wakes());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(mailbox.as_mut().poll(&mut cx).is_pending());
    thread::spawn(move || drop(mailbox)).join().unwrap();
    let lane = Lane::new(LaneOptions::default());
    for value in [1, 2] {
        assert_eq!(wait(lane.submit(move || value).unwrap()), Ok(value));
    }
}

/// Keeps one thread of `lane` inside a job until a message is sent.
fn occupy(lane: &Lane) -> (Job<()>, Sender<()>) {
    let (begun, has_begun) = channel();
    let (release, released): (_, Receiver<()>) = channel();
    let job = lane.submit(move || {
        begun.send(()).unwrap();
        released.recv().unwrap();
    });
    has_begun.recv().unwrap();
    (job.unwrap(), release)
}

/// Sends this thread's id when the thread ends.
fn announce_end(to: Sender<ThreadId>) {
    struct End(Sender<ThreadId>, ThreadId);
    impl Drop for End {
        fn drop(&mut self) {
            // A test is free not to wait for it.
            let _ = self.0.send(self.1);
        }
    }
    thread_local! {
        static END: RefCell<Option<End>> = const { RefCell::new(None) };
    }
    END.set(Some(End(to, thread::current().id())));
}

fn wait<F: Future>(future: F) -> F::Output {
    current_thread().block_on(future)
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

#[test]
fn design_9_what_jobs_need_is_had_around_several_of_them() {
    for threads_max in [1, 2] {
        let depth = Arc::new(AtomicUsize::new(0));
        let calls = Arc::new(AtomicUsize::new(0));
        let around = {
            let (depth, calls) = (Arc::clone(&depth), Arc::clone(&calls));
            Around::new(move |jobs| {
                calls.fetch_add(1, Ordering::SeqCst);
                depth.fetch_add(1, Ordering::SeqCst);
                jobs();
                depth.fetch_sub(1, Ordering::SeqCst);
            })
        };
        let options = LaneOptions { threads_max, around: Some(around), ..LaneOptions::default() };
        let lane = Lane::new(LaneOptions { patience: LONG, ..options });
        let (go, gone) = channel::<()>();
        let first = lane.submit(move || gone.recv()).unwrap();
        let jobs: Vec<_> = (0..100)
            .map(|_| {
                let depth = Arc::clone(&depth);
                lane.submit(move || depth.load(Ordering::SeqCst)).unwrap()
            })
            .collect();
        go.send(()).unwrap();
        assert_eq!(wait(first), Ok(Ok(())));
        for job in jobs {
            assert_eq!(wait(job), Ok(1));
        }
        assert!(lane.close(LONG));
        // 101 jobs, 16 at once at most.
        let calls = calls.load(Ordering::SeqCst);
        assert!((7..30).contains(&calls), "{calls}");
    }
}

#[test]
fn design_9_a_slow_job_holds_up_no_result_of_those_before_it() {
    let around = Some(Around::new(|jobs| jobs()));
    let lane = Lane::new(LaneOptions { threads_max: 1, around, ..LaneOptions::default() });
    let (go, gone) = channel::<()>();
    let (begun, begins) = channel();
    let blocked = lane.submit(move || begins.recv()).unwrap();
    let quick = lane.submit(|| 8).unwrap();
    let slow = lane.submit(move || gone.recv()).unwrap();
    let never_more_than_one = lane.submit(|| 9).unwrap();
    begun.send(()).unwrap();
    assert_eq!(wait(quick), Ok(8));
    go.send(()).unwrap();
    assert_eq!(wait(never_more_than_one), Ok(9));
    drop((blocked, slow));
}

#[test]
fn design_9_results_wait_for_one_another_as_long_as_they_may() {
    let around = Some(Around::new(|jobs| jobs()));
    let options = LaneOptions { threads_max: 1, around, ..LaneOptions::default() };
    let lane = Lane::new(LaneOptions { together: LONG, ..options });
    let (all_there, wait_for_all) = channel::<()>();
    let (begun, begins) = channel();
    let (go, gone) = channel::<()>();
    let mut quick = lane.submit(move || wait_for_all.recv()).unwrap();
    let told = Arc::new(Told::default());
    let waker = Waker::from(Arc::clone(&told));
    assert!(pin!(&mut quick).poll(&mut Context::from_waker(&waker)).is_pending());
    let slow = lane.submit(move || (begun.send(()), gone.recv())).unwrap();
    let last = lane.submit(|| 9).unwrap();
    all_there.send(()).unwrap();
    begins.recv().unwrap();
    assert!(!told.0.load(Ordering::SeqCst), "there are others in the queue");
    go.send(()).unwrap();
    assert_eq!(wait(last), Ok(9));
    assert!(told.0.load(Ordering::SeqCst));
    drop(slow);
}

#[derive(Default)]
struct Told(AtomicBool);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn l5_as_many_threads_run_jobs_as_may() {
    for threads_max in [1, 2] {
        let around = Some(Around::new(|jobs| jobs()));
        // So short that the thread that watches goes to rest between two rounds.
        let patience = Duration::from_micros(1);
        let options = LaneOptions { threads_max, around, patience, ..LaneOptions::default() };
        let lane = Lane::new(options);
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let jobs: Vec<_> =
                (0..4).map(|_| lane.submit(|| thread::current().id()).unwrap()).collect();
            seen.extend(jobs.into_iter().map(|job| wait(job).unwrap()));
        }
        assert!(seen.len() <= threads_max, "{threads_max}: {seen:?}");
    }
}
