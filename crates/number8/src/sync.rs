//! The blocking primitives of the parts that are model-checked: std's here, loom's in `tests/loom.rs`.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
pub(crate) use std::{thread, thread_local};
