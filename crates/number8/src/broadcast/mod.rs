//! One sender and any number of connections: what is sent is encoded once, kept once, and read by each
//! connection at its own pace.
//!
//! A [`Channel`] keeps what was sent last in a ring of bounded size. A [`Subscription`] is a place in it: so a
//! connection that waits holds nothing of its own, one that is slow costs no more than one that is not, and one
//! that comes back goes on where it was. Whoever falls out of the ring is cut off.

mod group;
mod ring;

use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;

use crate::sync::thread::{self, ThreadId};
use crate::sync::{AtomicUsize, Mutex, Ordering, lock};
use group::{Group, Seat};
use ring::Ring;
pub(crate) use ring::{Frame, Framing, Look};

/// The sending side. When the last clone is gone, the subscriptions end.
#[derive(Debug)]
pub(crate) struct Channel {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    heartbeat: Option<Heartbeat>,
    /// Those who listen, by the thread that serves them.
    groups: Mutex<Vec<(ThreadId, Arc<Group>)>>,
    listeners: AtomicUsize,
    channels: AtomicUsize,
}

/// What a listener gets where it got nothing for some time.
#[derive(Debug, Clone)]
pub(crate) struct Heartbeat {
    pub(crate) frame: Frame,
    pub(crate) after_ms: u64,
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start<'a> {
    /// With what is sent from now on.
    Now,
    /// After the frame with this key; with everything that is kept where there is none such.
    After(&'a str),
}

impl Channel {
    /// A channel that keeps frames up to so many bytes together.
    pub(crate) fn new(bytes_max: usize, heartbeat: Option<Heartbeat>) -> Self {
        let shared = Shared {
            ring: Mutex::new(Ring::new(bytes_max)),
            heartbeat,
            groups: Mutex::default(),
            listeners: AtomicUsize::new(0),
            channels: AtomicUsize::new(1),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sends what `encode` makes of its number, which counts from 1, under the key that it returns with it. Returns
    /// how many listen.
    pub(crate) fn send(&self, encode: impl FnOnce(u64) -> (Box<str>, Frame)) -> usize {
        lock(&self.shared.ring).push(encode);
        self.shared.call();
        self.listeners()
    }

    /// The number of what was sent last; 0 before anything was.
    #[cfg(feature = "runner")]
    pub(crate) fn sent(&self) -> u64 {
        lock(&self.shared.ring).position(Start::Now) - 1
    }

    pub(crate) fn subscribe(&self, start: Start<'_>) -> Subscription {
        let position = lock(&self.shared.ring).position(start);
        self.shared.listeners.fetch_add(1, Ordering::AcqRel);
        Subscription { shared: Arc::clone(&self.shared), position, seat: None }
    }

    pub(crate) fn listeners(&self) -> usize {
        self.shared.listeners.load(Ordering::Acquire)
    }

    /// True when nobody listens and nothing is kept for those who come back.
    pub(crate) fn is_idle(&self) -> bool {
        self.listeners() == 0 && lock(&self.shared.ring).is_empty()
    }
}

impl Clone for Channel {
    fn clone(&self) -> Self {
        self.shared.channels.fetch_add(1, Ordering::AcqRel);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if self.shared.channels.fetch_sub(1, Ordering::AcqRel) == 1 {
            lock(&self.shared.ring).close();
            self.shared.call();
        }
    }
}

/// One listener's place.
#[derive(Debug)]
pub(crate) struct Subscription {
    shared: Arc<Shared>,
    /// The number of the next frame.
    position: u64,
    seat: Option<Seat>,
}

impl Subscription {
    /// To be called first whenever the listener's task is polled: it may have been woken for others too.
    pub(crate) fn woken(&mut self, waker: &Waker) {
        match &self.seat {
            Some(seat) => seat.pass_on(),
            None => self.seat = Some(self.shared.join(waker)),
        }
    }

    /// The next frame; it stays the next one until [`Subscription::advance`].
    pub(crate) fn look(&self, framing: Framing) -> Look {
        lock(&self.shared.ring).look(self.position, framing)
    }

    /// Those that follow it, as many as there are and fit; returns how many.
    pub(crate) fn behind(&self, framing: Framing, frames: &mut [Bytes]) -> usize {
        lock(&self.shared.ring).behind(self.position, framing, frames)
    }

    pub(crate) fn heartbeat(&self) -> Option<&Heartbeat> {
        self.shared.heartbeat.as_ref()
    }

    /// The next frame has been sent.
    pub(crate) fn advance(&mut self) {
        self.position += 1;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.listeners.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    /// There is something new.
    fn call(&self) {
        let here = thread::current().id();
        for (thread, group) in lock(&self.groups).iter() {
            group.call(*thread == here);
        }
    }

    /// A place among those that this thread serves.
    fn join(&self, waker: &Waker) -> Seat {
        let here = thread::current().id();
        let mut groups = lock(&self.groups);
        // Threads that are gone leave groups without members.
        groups.retain(|(thread, group)| *thread == here || !group.is_empty());
        let known = groups.iter().position(|(thread, _)| *thread == here);
        let at = known.unwrap_or_else(|| {
            groups.push((here, Arc::default()));
            groups.len() - 1
        });
        // Under the lock, so that the group is not taken for one that was left.
        groups[at].1.join(waker)
    }
}
