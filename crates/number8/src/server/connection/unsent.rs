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
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// Bytes that it took without falling behind, of this answer and of those before.
    streak: u64,
    /// When it took the last of them; `None` where that was of another answer.
    since_ms: Option<u64>,
    is_more: bool,
}

impl Unsent {
    /// The client has taken so many bytes by now. Returns what the system is to hold from now on where that changes.
    fn taken(&mut self, bytes: u64, now_ms: u64, may_grow: bool) -> Option<u32> {
        let late_ms = LATE_MS + bytes / BYTES_PER_MS;
        let since_ms = self.since_ms.replace(now_ms).unwrap_or(now_ms);
        let keeps_up = now_ms.saturating_sub(since_ms) <= late_ms;
        self.streak = if keeps_up { self.streak + bytes } else { 0 };
        let is_more = self.streak >= STREAK_BYTES && (self.is_more || may_grow);
        (std::mem::replace(&mut self.is_more, is_more) != is_more).then_some(match is_more {
            true => UNSENT_BYTES_MAX,
            false => UNSENT_BYTES,
        })
    }

    /// The answer is sent. Returns what the system is to hold from now on where that changes.
    ///
    /// Who kept up with it is trusted with the next one as soon as that does not go out at once.
    fn ended(&mut self) -> Option<u32> {
        self.since_ms = None;
        std::mem::take(&mut self.is_more).then_some(UNSENT_BYTES)
    }
}

impl Connection {
    /// So many bytes were sent in this turn, of an answer that does not go out at once.
    pub(super) fn note_taken(&mut self, turn: &Turn, bytes: u64) {
        let may_grow = turn.current.shared.has_much_room();
        let unsent = self.unsent.get_or_insert_default();
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

    /// Whether some of this answer was sent that did not go out at once.
    pub(super) fn is_taking(&self) -> bool {
        self.unsent.as_ref().is_some_and(|unsent| unsent.since_ms.is_some())
    }

    /// The answer is sent.
    pub(super) fn end_taking(&mut self) {
        if let Some(least) = self.unsent.as_mut().and_then(|unsent| unsent.ended()) {
            self.io.set_unsent_max(least);
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
        let (mut now_ms, mut unsent) = (1000, Unsent::default());
        for (step, (bytes, after, may_grow, expected)) in steps.into_iter().enumerate() {
            now_ms += after;
            assert_eq!(unsent.taken(bytes, now_ms, may_grow), expected, "step {step}");
        }
    }

    #[test]
    fn wish_15_a_client_that_kept_up_with_an_answer_is_trusted_with_the_next() {
        const MIB: u64 = 1024 * 1024;
        let mut unsent = Unsent::default();
        assert_eq!(unsent.taken(4 * MIB, 1000, true), Some(UNSENT_BYTES_MAX));
        // Between answers nothing is held.
        assert_eq!(unsent.ended(), Some(UNSENT_BYTES));
        assert_eq!(unsent.ended(), None);
        // How long it asks for nothing says nothing.
        assert_eq!(unsent.taken(1, 90_000, false), None);
        assert_eq!(unsent.taken(1, 90_001, true), Some(UNSENT_BYTES_MAX));
        assert_eq!(unsent.taken(1, 90_022, true), Some(UNSENT_BYTES));
        assert_eq!(unsent.ended(), None);
        // Who fell behind begins anew.
        assert_eq!(unsent.taken(3 * MIB, 180_000, true), None);
        assert_eq!(unsent.taken(MIB, 180_001, true), Some(UNSENT_BYTES_MAX));
    }
}
