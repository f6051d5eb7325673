//! The listeners that one thread serves, woken together.
//!
//! To wake a task of another thread costs a system call; to wake one of one's own is a push to a queue. So
//! whoever sends from elsewhere wakes one member, and that one wakes the others when it is polled. And as long as
//! no member has been polled since all were woken, there is no need to wake any again: each will see all that was
//! sent until then.

use std::sync::Arc;
use std::task::Waker;

use crate::sync::{AtomicU8, AtomicUsize, Mutex, Ordering, lock};

/// Nobody has been woken since a member was polled.
const QUIET: u8 = 0;
/// One member has been woken, for all.
const ONE_WOKEN: u8 = 1;
/// All members have been woken.
const ALL_WOKEN: u8 = 2;

#[derive(Debug, Default)]
pub(super) struct Group {
    members: Mutex<Members>,
    count: AtomicUsize,
    state: AtomicU8,
}

#[derive(Debug, Default)]
struct Members {
    wakers: Vec<Option<Waker>>,
    vacant: Vec<u32>,
}

/// A member's place.
#[derive(Debug)]
pub(super) struct Seat {
    group: Arc<Group>,
    index: u32,
}

impl Group {
    /// A place for the task that is being polled. Not while another thread calls: `Shared` sees to that.
    pub(super) fn join(self: &Arc<Self>, waker: &Waker) -> Seat {
        let mut members = lock(&self.members);
        let index = match members.vacant.pop() {
            Some(index) => index,
            None => {
                members.wakers.push(None);
                (members.wakers.len() - 1) as u32
            }
        };
        members.wakers[index as usize] = Some(waker.clone());
        drop(members);
        self.count.fetch_add(1, Ordering::AcqRel);
        // Whoever has just come was not woken with the others.
        self.pass_on();
        Seat { group: Arc::clone(self), index }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// There is something new, told after it can be seen. Each of these writes the state, even the same one, so
    /// that whoever resets it later sees what was sent before.
    pub(super) fn call(&self, is_here: bool) {
        if is_here {
            if self.state.swap(ALL_WOKEN, Ordering::AcqRel) != ALL_WOKEN {
                self.wake_all();
            }
        } else if self.state.fetch_max(ONE_WOKEN, Ordering::AcqRel) == QUIET {
            let one = lock(&self.members).wakers.iter().flatten().next().cloned();
            match one {
                Some(waker) => waker.wake(),
                None => self.state.store(QUIET, Ordering::Release),
            }
        }
    }

    fn pass_on(&self) {
        if self.state.load(Ordering::Acquire) == QUIET {
            return;
        }
        if self.state.swap(QUIET, Ordering::AcqRel) == ONE_WOKEN {
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        lock(&self.members).wakers.iter().flatten().for_each(Waker::wake_by_ref);
    }
}

impl Seat {
    /// Its owner is being polled: if it was woken for all, the others are next.
    pub(super) fn pass_on(&self) {
        self.group.pass_on();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut members = lock(&self.group.members);
        members.wakers[self.index as usize] = None;
        members.vacant.push(self.index);
        drop(members);
        self.group.count.fetch_sub(1, Ordering::AcqRel);
        // It may have been the one that was woken for all.
        self.pass_on();
    }
}
