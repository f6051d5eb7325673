//! What a stream waits for, and for how long.

use super::super::clock;
use super::SEND_BUFFER_BYTES;
use super::desk::Desk;

/// What the deadline of a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    Nothing,
    Body,
    Write,
    Heartbeat,
}

/// The deadline of a stream.
pub(super) struct Patience {
    wait: Wait,
    deadline_ms: u64,
    /// Content of this stream that had been sent when its client was last seen to take some.
    sent: u64,
    /// How much content of the connection will have been written when it is this stream's turn, and how much had been when
    /// that was last looked at.
    turn_at: u64,
    written: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { wait: Wait::Nothing, deadline_ms: u64::MAX, sent: 0, turn_at: 0, written: 0 }
    }
}

impl Patience {
    pub(super) fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// What the deadline that has passed was for; `None` where none has.
    pub(super) fn overdue(&self, now_ms: u64) -> Option<Wait> {
        (self.deadline_ms <= now_ms).then_some(self.wait)
    }

    /// Sets what is waited for, and until when.
    pub(super) fn set(&mut self, wait: Wait, deadline_ms: u64) {
        (self.wait, self.deadline_ms) = (wait, deadline_ms);
    }

    /// Until when the client is waited for, which is to take content of a stream of which so much has been sent.
    pub(super) fn until_taken(&mut self, sent: u64, desk: &Desk<'_>) -> u64 {
        if self.wait == Wait::Write && self.sent == sent {
            return self.deadline_ms;
        }
        self.sent = sent;
        self.written = desk.held.written();
        // What the protocol has goes out before this, and of each stream as much as it may have.
        let others = (desk.streams as u64 + 1) * SEND_BUFFER_BYTES as u64;
        self.turn_at = self.written + desk.held.waiting() as u64 + others;
        desk.turn.ms + clock::millis(desk.timeouts().write)
    }

    /// The client has taken nothing of a stream for long. Waits again where others keep it waiting: the client takes what is
    /// theirs, and this one's turn is still to come. Says whether that is so; else the client does not want it.
    ///
    /// SECURITY: a byte now and then of one stream is no reason to keep all others; it has to be as much as a client has to send
    /// of a content.
    pub(super) fn waits_for_its_turn(&mut self, desk: &Desk<'_>) -> bool {
        let written = desk.held.written();
        let taken = written - std::mem::replace(&mut self.written, written);
        let timeouts = desk.timeouts();
        let least = timeouts.body_rate_min.saturating_mul(timeouts.write.as_secs()).max(1);
        if taken < least || written > self.turn_at {
            return false;
        }
        self.deadline_ms = desk.turn.ms + clock::millis(desk.timeouts().write);
        true
    }
}
