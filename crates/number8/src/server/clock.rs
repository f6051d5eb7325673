//! Time as a connection needs it: cheap, and in milliseconds.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds on a clock that never goes back. Coarse: a tick of the kernel, a few milliseconds.
pub(crate) fn monotonic_ms() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// The time of those who are waited for, which stands still while nobody can hear them: where the process was stopped, or something held
/// up its thread, nobody has looked for a while, and what clients sent meanwhile is still to be read.
#[derive(Debug, Default)]
pub(crate) struct Attention {
    looked_ms: u64,
    missed_ms: u64,
}

/// Who looks this long after the last look was away: several times as long as a worker with connections lets pass.
const AWAY_MS: u64 = 1000;

impl Attention {
    /// What time it is for those who are waited for, at this time of [`monotonic_ms`].
    pub(crate) fn look(&mut self, now_ms: u64) -> u64 {
        let since = now_ms.saturating_sub(self.looked_ms);
        if since > AWAY_MS {
            self.missed_ms += since;
        }
        self.looked_ms += since;
        self.looked_ms - self.missed_ms
    }
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

    #[test]
    fn the_time_in_which_nobody_looked_is_held_against_nobody() {
        let mut attention = Attention::default();
        let mut since = |now_ms| attention.look(now_ms);
        let begin = since(5_000_000);
        let looks = [
            (250, 250),
            (500, 500),
            (1_500, 1_500),
            (61_500, 1_500),
            (61_750, 1_750),
            (61_740, 1_750),
        ];
        for (later, expected) in looks {
            assert_eq!(since(5_000_000 + later) - begin, expected, "after {later} ms");
        }
    }
}
