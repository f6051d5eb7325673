//! One writer at a time for each name of a folder.
//!
//! What a precondition has seen must still be so when the change is made, so whoever looks and changes holds the name in
//! between. This excludes the writers of this process, and no other.

use std::collections::HashSet;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use rustix::fs::Stat;

/// A name in a folder, held until this is dropped.
#[derive(Debug)]
pub(super) struct Hold(Key);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    device: u64,
    inode: u64,
    name: Vec<u8>,
}

static HELD: LazyLock<Mutex<HashSet<Key>>> = LazyLock::new(Mutex::default);
static RELEASED: Condvar = Condvar::new();

impl Key {
    pub(super) fn new(folder: &Stat, name: &[u8]) -> Self {
        // On vfat two names that differ in case are the same file; elsewhere the two only wait for each other.
        Self { device: folder.st_dev, inode: folder.st_ino, name: name.to_ascii_lowercase() }
    }
}

impl Hold {
    /// Waits until nobody else holds the name.
    pub(super) fn take(key: Key) -> Self {
        let mut held = held();
        while held.contains(&key) {
            held = RELEASED.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        held.insert(key.clone());
        Self(key)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        held().remove(&self.0);
        RELEASED.notify_all();
    }
}

fn held() -> MutexGuard<'static, HashSet<Key>> {
    // Nobody panics while holding the lock; if they did, the set would still be whole.
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}
