//! How much the system holds for a client that takes a large answer, beside what is on its way.

use super::super::listener::UNSENT_BYTES;
use super::{Connection, Turn};

/// For a client that keeps up: each time that it is sent more somebody is woken at either end, and where that is another core of
/// a virtual machine it costs as much as what is sent.
const UNSENT_BYTES_MAX: u32 = 2 * 1024 * 1024;

/// Bytes that a client takes without falling behind before it is one that keeps up.
const STREAK_BYTES: u64 = 4 * 1024 * 1024;

/// A client falls behind that takes more than so long for what it was sent…
const LATE_MS: u64 = 20;

/// …and one more for each so many bytes of it.
const BYTES_PER_MS: u64 = 4 * 1024;

/// How a client takes what does not go out at once.
#[derive(Debug)]
pub(super) struct Unsent {
    streak: u64,
    since_ms: u64,
    is_more: bool,
}

impl Unsent {
    fn new(now_ms: u64) -> Self {
        Self { streak: 0, since_ms: now_ms, is_more: false }
    }

    /// The client has taken so many bytes by now. Returns what the system is to hold from now on where that changes.
    fn taken(&mut self, bytes: u64, now_ms: u64, may_grow: bool) -> Option<u32> {
        let late_ms = LATE_MS + bytes / BYTES_PER_MS;
        let keeps_up = now_ms.saturating_sub(self.since_ms) <= late_ms;
        self.streak = if keeps_up { self.streak + bytes } else { 0 };
        self.since_ms = now_ms;
        let is_more = self.streak >= STREAK_BYTES && (self.is_more || may_grow);
        (std::mem::replace(&mut self.is_more, is_more) != is_more).then_some(match is_more {
            true => UNSENT_BYTES_MAX,
            false => UNSENT_BYTES,
        })
    }
}

impl Connection {
    /// So many bytes were sent in this turn, of an answer that does not go out at once.
    pub(super) fn note_taken(&mut self, turn: &Turn, bytes: u64) {
        let may_grow = turn.current.shared.has_much_room();
        let unsent = self.unsent.get_or_insert_with(|| Box::new(Unsent::new(turn.ms)));
        if let Some(most) = unsent.taken(bytes, turn.ms, may_grow) {
            self.io.set_unsent_max(most);
        }
    }

    /// What the system holds for the client beyond what it may hold for all.
    pub(super) fn held_by_system(&self) -> usize {
        match &self.unsent {
            Some(unsent) if unsent.is_more => UNSENT_BYTES_MAX as usize,
            _ => 0,
        }
    }

    /// The answer is sent. Whether the client keeps up with the next one is seen then.
    pub(super) fn forget_taken(&mut self) {
        if self.unsent.take().is_some_and(|unsent| unsent.is_more) {
            self.io.set_unsent_max(UNSENT_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wish_15_more_is_held_for_a_client_that_keeps_up_alone() {
        const MIB: u64 = 1024 * 1024;
        let steps = [
            // Bytes, after so long, with room for it; what is to be held.
            (2 * MIB, 5, true, None),
            (2 * MIB, 5, false, None),
            (MIB, 5, true, Some(UNSENT_BYTES_MAX)),
            // It is asked less often.
            (MIB, 270, true, None),
            (2 * MIB, 530, true, None),
            // Who has it keeps it.
            (MIB, 5, false, None),
            (MIB, 300, true, Some(UNSENT_BYTES)),
            (3 * MIB, 5, true, None),
            (0, 21, true, None),
            (3 * MIB, 5, true, None),
            (MIB, 5, true, Some(UNSENT_BYTES_MAX)),
        ];
        let (mut now_ms, mut unsent) = (1000, Unsent::new(1000));
        for (step, (bytes, after, may_grow, expected)) in steps.into_iter().enumerate() {
            now_ms += after;
            assert_eq!(unsent.taken(bytes, now_ms, may_grow), expected, "step {step}");
        }
    }
}
