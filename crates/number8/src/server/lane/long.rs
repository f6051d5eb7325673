//! Calls that may take long for little that is asked, such as the listing of a large folder: half of the threads are for others.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::{JobPanicked, Lane, LaneFull};

/// Calls that may wait for their turn; each may hold a descriptor meanwhile.
const WAITING_MAX: usize = 256;

/// Whose turn it is.
pub(super) struct Turns {
    turns: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Turns {
    pub(super) fn of(threads_max: usize) -> Self {
        let turns = (threads_max / 2).clamp(1, Semaphore::MAX_PERMITS);
        Self { turns: Arc::new(Semaphore::new(turns)), waiting: Arc::default() }
    }
}

/// One that waits.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lane {
    /// As [`submit`](Self::submit), for a function that may take long: it is called when it is its turn among those, which have
    /// half of the threads at most.
    ///
    /// # Errors
    /// [`LaneFull`], also later, where too many wait for their turn.
    pub(crate) fn take_turns<F, T>(
        &self,
        function: F,
    ) -> Result<impl Future<Output = Result<Result<T, JobPanicked>, LaneFull>> + use<F, T>, LaneFull>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let Turns { turns, waiting } = &self.0.turns;
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(Arc::clone(waiting));
        if before >= WAITING_MAX || self.is_full() {
            return Err(LaneFull);
        }
        let (lane, turns) = (self.clone(), Arc::clone(turns));
        Ok(async move {
            // It is never closed.
            let turn = turns.acquire_owned().await.map_err(|_| LaneFull)?;
            drop(waiting);
            // The turn is over when the call is, whoever still waits for that.
            let job = lane.submit(move || {
                let result = function();
                drop(turn);
                result
            })?;
            Ok(job.await)
        })
    }
}
