//! Time as a connection needs it: cheap, and in milliseconds.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds on a clock that never goes back. Coarse: a tick of the kernel, a few milliseconds.
pub(crate) fn monotonic_ms() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> i64 {
    clock_gettime(ClockId::RealtimeCoarse).tv_sec
}

/// The time since 1970, in ticks as above.
pub(crate) fn unix_time() -> Duration {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    // No nanosecond is 10^9 or more, and no time here is before 1970.
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

/// A duration in whole milliseconds, such that it can be added to any time here.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_however_far_away_is_later_than_now() {
        for duration in
            [Duration::MAX, Duration::from_millis(u64::MAX), Duration::from_millis(u64::MAX - 1)]
        {
            assert!(monotonic_ms().checked_add(millis(duration)).is_some(), "{duration:?}");
        }
        assert_eq!(millis(Duration::from_secs(8)), 8000);
    }
}
