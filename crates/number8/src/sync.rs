//! What the model-checked parts block on and tell time by: std's here, loom's in `tests/loom.rs`.

#[cfg_attr(
    not(feature = "http2"),
    allow(unused_imports, reason = "the streams of HTTP/2 need it")
)]
pub(crate) use std::sync::atomic::AtomicBool;
pub(crate) use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock};
pub(crate) use std::time::Instant;
pub(crate) use std::{thread, thread_local};

use std::sync::PoisonError;
use std::time::Duration;

/// Locks; a panic of another holder is no reason to stop serving, and leaves nothing half done here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a signal, for at most `time`. May return early. (loom locks `_mutex` again itself.)
pub(crate) fn wait_timeout<'a, T>(
    condvar: &Condvar,
    _mutex: &'a Mutex<T>,
    guard: MutexGuard<'a, T>,
    time: Duration,
) -> MutexGuard<'a, T> {
    condvar.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0
}
