//! Counters that many threads add to.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Threads that count at the same time without waiting for each other's memory.
const STRIPES: usize = 8;

/// A counter for many threads: each adds to a place that it shares with few others.
#[derive(Debug, Default)]
pub(crate) struct Count([Stripe; STRIPES]);

/// Apart from its neighbours by a line of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Stripe(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        self.0[OWN.get()].0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn sum(&self) -> f64 {
        self.0.iter().map(|stripe| stripe.0.load(Ordering::Relaxed)).sum::<u64>() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o4_what_many_threads_count_adds_up() {
        let count = Count::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| (0..1000).for_each(|_| count.add(2)));
            }
        });
        assert_eq!(count.sum(), 4000.0 * STRIPES as f64);
    }
}
