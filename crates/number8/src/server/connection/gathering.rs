//! How much of the content that is made while it is sent goes with one call.

/// For a client that takes its time: as much as the system takes for it. More would lie in memory.
const BYTES: u64 = 128 * 1024;

/// For a client that keeps up. Each call wakes who reads at the other end, which is dear where that is another core of the same
/// machine: a proxy, a test.
const BYTES_MAX: u64 = 1024 * 1024;

/// A client keeps up that takes all that was gathered within so many milliseconds, and its content is made as fast.
const KEEPS_UP_MS: u64 = 20;

/// What is gathered for one answer before it is sent.
pub(super) struct Gathering {
    bytes: u64,
    since_ms: u64,
}

impl Gathering {
    pub(super) fn new(now_ms: u64) -> Self {
        Self { bytes: BYTES, since_ms: now_ms }
    }

    /// Whether so many bytes are enough.
    pub(super) fn is_full(&self, unsent: u64) -> bool {
        unsent >= self.bytes
    }

    /// All is sent, and gathering begins again; with more where the server has the memory for it.
    pub(super) fn sent(&mut self, now_ms: u64, may_grow: bool) {
        let keeps_up = now_ms.saturating_sub(self.since_ms) < KEEPS_UP_MS;
        self.bytes = if keeps_up && may_grow { (self.bytes * 4).min(BYTES_MAX) } else { BYTES };
        self.since_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_keeps_up_gets_more_at_once_and_one_that_does_not_holds_little() {
        let mut gathering = Gathering::new(0);
        for (now_ms, may_grow, most) in [
            (1, true, 4 * BYTES),
            (2, true, BYTES_MAX),
            (3, true, BYTES_MAX),
            (23, true, BYTES),
            (42, true, 4 * BYTES),
            (43, false, BYTES),
        ] {
            gathering.sent(now_ms, may_grow);
            assert!(gathering.is_full(most) && !gathering.is_full(most - 1), "{now_ms} ms");
        }
    }
}
