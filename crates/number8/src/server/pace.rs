//! How fast the content of a request comes.

use super::clock;
use super::options::Timeouts;

/// What has come of a content, and since when the client is waited for.
#[derive(Debug, Default)]
pub(super) struct Pace {
    received: u64,
    since_ms: Option<u64>,
    /// When its last bytes came.
    last_ms: u64,
}

impl Pace {
    /// Bytes that have come.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// So many bytes more have come.
    pub(super) fn count(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// The client has sent something.
    pub(super) fn heard(&mut self, now_ms: u64) {
        self.last_ms = now_ms;
    }

    /// The client is not waited for: whoever reads takes its time.
    pub(super) fn rest(&mut self) {
        self.since_ms = None;
    }

    /// When the client, which is waited for, will have been too slow.
    pub(super) fn deadline(&mut self, now_ms: u64, timeouts: &Timeouts) -> u64 {
        let since_ms = *self.since_ms.get_or_insert_with(|| {
            self.last_ms = now_ms;
            now_ms
        });
        let silent = self.last_ms + clock::millis(timeouts.body);
        let slow = match timeouts.body_rate_min {
            0 => u64::MAX,
            // Later than this, the average would be below the lowest rate.
            rate => {
                since_ms
                    + clock::millis(timeouts.body_rate_after)
                    + self.received.saturating_mul(1000) / rate
            }
        };
        silent.min(slow)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_client_is_too_slow_when_it_is_silent_or_below_the_lowest_rate() {
        let timeouts = Timeouts {
            body: Duration::from_secs(30),
            body_rate_min: 1000,
            body_rate_after: Duration::from_secs(10),
            ..Timeouts::default()
        };
        let mut pace = Pace::default();
        assert_eq!(pace.deadline(5_000, &timeouts), 15_000, "it has sent nothing yet");
        pace.count(50_000);
        pace.heard(6_000);
        assert_eq!(pace.deadline(7_000, &timeouts), 36_000, "30 s from its last bytes");
        pace.heard(50_000);
        assert_eq!(pace.deadline(50_000, &timeouts), 65_000, "for 50,000 bytes there are 60 s");
        pace.rest();
        assert_eq!(pace.deadline(90_000, &timeouts), 120_000, "it is waited for anew");
        assert_eq!(pace.received(), 50_000);

        let any = Timeouts { body_rate_min: 0, ..timeouts };
        let mut pace = Pace::default();
        assert_eq!(pace.deadline(5_000, &any), 35_000, "no rate is too low");
    }
}
