//! Whether the workers of a server still come round: what a watchdog asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock;
use crate::metrics::Sheet;

/// A worker without connections has nothing to come round for.
const AT_REST: u64 = u64::MAX;

/// When one worker came round last, in milliseconds of [`clock::monotonic_ms`].
#[derive(Debug)]
pub(crate) struct Beat(AtomicU64);

impl Beat {
    /// The worker has come round.
    pub(crate) fn come_round(&self) {
        self.0.store(clock::monotonic_ms(), Ordering::Relaxed);
    }

    /// The worker has nothing left to do.
    pub(crate) fn rest(&self) {
        self.0.store(AT_REST, Ordering::Relaxed);
    }

    /// The worker has something to do from now on, if it had nothing.
    pub(crate) fn begin(&self) {
        let now = clock::monotonic_ms();
        // Where this fails, the worker is at it already.
        let _ = self.0.compare_exchange(AT_REST, now, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// The beats of all workers of a server.
#[derive(Debug, Default)]
pub(crate) struct Beats(Mutex<Vec<Arc<Beat>>>);

impl Beats {
    /// One for another worker, at rest.
    pub(crate) fn add(&self) -> Arc<Beat> {
        let beat = Arc::new(Beat(AtomicU64::new(AT_REST)));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&beat));
        beat
    }

    /// Adds to the sheet how long ago each came round.
    pub(crate) fn measure(&self, sheet: &mut Sheet) {
        let now = clock::monotonic_ms();
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, beat) in beats.iter().enumerate() {
            let age = now.saturating_sub(beat.0.load(Ordering::Relaxed)) as f64 / 1000.0;
            let help = "How long ago a worker looked at its connections; 0 where it has none.";
            let labels = [("worker", &*number.to_string())];
            sheet.gauge("number8_worker_beat_age_seconds", help, &labels, age);
        }
    }

    /// How long ago the worker came round that did so longest ago.
    pub(crate) fn slowest(&self) -> Duration {
        let now = clock::monotonic_ms();
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ages = beats.iter().map(|beat| now.saturating_sub(beat.0.load(Ordering::Relaxed)));
        Duration::from_millis(ages.max().unwrap_or_default())
    }
}
