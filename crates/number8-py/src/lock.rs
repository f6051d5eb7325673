//! How this crate takes its locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, also one under which somebody panicked: what is done under those of this crate leaves what they guard whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
