//! What the model-checked parts block on and tell time by: std's here, loom's in `tests/loom.rs`.

pub(crate) use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
pub(crate) use std::time::Instant;
pub(crate) use std::{thread, thread_local};

use std::sync::PoisonError;
use std::time::Duration;

pub(crate) use crate::server::worker::lock;

/// Waits for a signal, for at most `time`. May return early. (loom locks `_mutex` again itself.)
pub(crate) fn wait_timeout<'a, T>(
    condvar: &Condvar,
    _mutex: &'a Mutex<T>,
    guard: MutexGuard<'a, T>,
    time: Duration,
) -> MutexGuard<'a, T> {
    condvar.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0
}
