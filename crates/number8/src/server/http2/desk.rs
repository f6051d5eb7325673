//! What the streams of a connection share during a turn.

use super::super::options::Timeouts;
use super::super::worker::{Turn, Worker};
use super::content::Sending;
use super::data::Held;
use super::message::Stamped;

/// What the streams of a connection have in common during a turn.
pub(super) struct Desk<'a> {
    pub(super) turn: &'a Turn,
    pub(super) worker: &'a Worker,
    pub(super) stamped: &'a mut Stamped,
    /// The content that the protocol holds.
    pub(super) held: Held,
    /// How many streams there were when the turn began.
    pub(super) streams: usize,
    /// Bytes of content that were handed to the protocol in this turn.
    pub(super) given: usize,
    /// Heads of answers.
    pub(super) heads: usize,
    /// Frames of content.
    pub(super) frames: u32,
    /// Streams that were ended by force.
    pub(super) resets: u32,
}

impl Desk<'_> {
    pub(super) fn timeouts(&self) -> &Timeouts {
        &self.turn.current.shared.options.timeouts
    }

    pub(super) fn account(&mut self, sending: &mut Sending) {
        self.frames += std::mem::take(&mut sending.frames);
        self.given += std::mem::take(&mut sending.given);
    }
}
