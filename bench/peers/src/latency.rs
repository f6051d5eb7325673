//! How long things took.

use std::time::Duration;

/// What is asked of a list of durations, in microseconds.
#[derive(Default)]
pub struct Latencies {
    us: Vec<u32>,
}

impl Latencies {
    pub fn push(&mut self, duration: Duration) {
        self.us.push(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX));
    }

    pub fn count(&self) -> usize {
        self.us.len()
    }

    /// The value that so many in a hundred do not exceed, for each of `shares`; nought where
    /// nothing was timed.
    pub fn percentiles<const N: usize>(&mut self, shares: [usize; N]) -> [u32; N] {
        self.us.sort_unstable();
        shares.map(|share| {
            let rank = (self.us.len() * share).div_ceil(100);
            self.us.get(rank.saturating_sub(1)).copied().unwrap_or(0)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Latencies;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentiles([50]), [0]);
        for ms in (1..=200).rev() {
            latencies.push(Duration::from_millis(ms));
        }
        assert_eq!(latencies.percentiles([50, 99, 100]), [100_000, 198_000, 200_000]);
    }
}
