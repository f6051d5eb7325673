//! What a connection holds, while it has something to do and while it waits.

use number8_proto::http1::{Head, HeadParser};

use super::super::worker::Turn;
use super::input::Input;
use super::output::Output;
use super::{Connection, Phase};

/// Received bytes that a connection takes out of its buffer while its answer is made; with more it keeps the buffer.
const ASIDE_BYTES: usize = 4 * 1024;

/// What a connection holds while it has something to do.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(super) input: Input,
    pub(super) parser: HeadParser,
    pub(super) output: Output,
}

impl Work {
    /// The head of the request that is being answered, if that much of it has come.
    #[inline]
    pub(super) fn head(&self) -> Option<Head<'_>> {
        let head = self.input.head();
        (!head.is_empty()).then(|| self.parser.head(head))
    }
}

/// What a connection holds.
#[derive(Debug)]
pub(super) enum Held {
    /// Nothing: it is idle.
    Nothing,
    /// What was received and is still needed, in no more memory than that takes.
    Aside(Box<Aside>),
    /// Buffers.
    Work(Box<Work>),
}

/// The beginning of a head; or the head of a request that is being answered, and what has come after it.
#[derive(Debug)]
pub(super) struct Aside {
    bytes: Vec<u8>,
    /// How many of the bytes are a whole head.
    head: usize,
    parser: HeadParser,
}

impl Connection {
    /// Takes buffers, with what was put away.
    pub(super) fn take_up(&mut self) -> (Turn, Box<Work>) {
        let worker = &self.place.worker;
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Work(work) => (worker.turn(), work),
            Held::Nothing => worker.begin(),
            Held::Aside(aside) => {
                let (turn, mut work) = worker.begin();
                work.input.restore(&aside.bytes, aside.head);
                work.parser = aside.parser;
                (turn, work)
            }
        }
    }

    /// Gives buffers back or keeps what of them is needed.
    pub(super) fn put_away(&mut self, mut work: Box<Work>, is_end: bool) {
        let is_receiving = matches!(
            self.phase,
            Phase::Announced
                | Phase::Handshake
                | Phase::Receive
                | Phase::Listen(_)
                | Phase::Session(_)
                | Phase::Multiplex(_)
                | Phase::Linger(_)
                | Phase::Drain
        );
        let unread = work.input.unread();
        let head = if is_receiving { b"" } else { work.input.head() };
        // Many may wait for their answers at once, so these give the buffers back, too.
        let is_little = is_receiving || head.len() + unread.len() <= ASIDE_BYTES;
        if is_end || (is_little && work.output.is_empty()) {
            let is_needed = !head.is_empty() || !unread.is_empty();
            if is_needed && !is_end {
                let (bytes, head) = ([head, unread].concat(), head.len());
                // A copy: the one that stays with the buffers keeps its memory, too.
                let parser = work.parser.clone();
                self.held = Held::Aside(Box::new(Aside { bytes, head, parser }));
            }
            // SECURITY: the next to use these buffers is another client.
            work.parser.reset();
            work.output.clear();
            if work.input.is_large() {
                work.input = Input::default();
            } else {
                work.input.clear();
            }
            self.place.worker.give_back(work);
        } else {
            if self.is_sending() {
                // That takes as long as the client likes.
                work.input.compact();
            }
            self.held = Held::Work(work);
        }
        self.count_held();
    }

    /// Has the server count what this connection holds now.
    fn count_held(&mut self) {
        let holds = match &self.held {
            Held::Nothing => 0,
            Held::Aside(aside) => aside.bytes.len(),
            Held::Work(work) => {
                work.input.head().len() + work.input.unread().len() + work.output.held()
            }
        };
        let holds = holds
            + self.held_in_queues()
            + self.held_by_streams
            + self.io.held()
            + self.held_by_system();
        if holds != self.counted {
            self.place.worker.shared.holds(self.counted, holds);
            self.counted = holds;
        }
    }
}
