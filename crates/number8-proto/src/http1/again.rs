//! The fields of the head before, for a client that sends the same ones with its next request: one look whether the bytes are
//! the same costs a tenth of reading them.

use alloc::vec::Vec;
use core::mem::swap;

use crate::http1::head::Field;
use crate::limits::Limits;

/// The fields of a head.
#[derive(Debug, Default, Clone)]
pub(super) struct FieldSet {
    pub(super) all: Vec<Field>,
    /// The set of known names that are there, one bit each: absence costs one test.
    pub(super) present: u32,
    /// How many of the fields are Host.
    pub(super) hosts: usize,
}

impl FieldSet {
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.present = 0;
        self.hosts = 0;
    }
}

/// Lines that were read, and their fields. Those are lent to the parser while its head is the one that they are of.
///
/// SECURITY: who sends the same bytes gets the same fields. What they say is read from the bytes that came now, so nothing of
/// one client's is told to another.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// With the empty line that ends them. Nothing where nothing is remembered.
    lines: Vec<u8>,
    /// Where they stood, from the first byte of their head.
    start: usize,
    fields: FieldSet,
    is_lent: bool,
}

/// Longer heads are read each time. A browser's fields are half of that, without cookies.
const BYTES_MAX: usize = 1024;

impl Clone for Again {
    /// A copy of a parser is for one head that waits, so it remembers nothing.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Again {
    /// Lends the fields of the lines that `input` begins with, `start` bytes behind the first byte of its head, where they are
    /// those that are remembered. Returns how long these lines are.
    #[inline]
    pub(super) fn lend(
        &mut self,
        input: &[u8],
        start: usize,
        limits: &Limits,
        to: &mut FieldSet,
    ) -> Option<usize> {
        if !begins(input, &self.lines) || self.fields.all.len() > limits.fields_max {
            return None;
        }
        if self.start != start {
            self.fields.all.iter_mut().for_each(|field| field.shift(self.start, start));
            self.start = start;
        }
        swap(to, &mut self.fields);
        self.is_lent = true;
        Some(self.lines.len())
    }

    /// Remembers these lines, whose fields the parser has read.
    pub(super) fn remember(&mut self, lines: &[u8], start: usize) {
        self.lines.clear();
        self.is_lent = lines.len() <= BYTES_MAX;
        if self.is_lent {
            self.lines.extend_from_slice(lines);
            self.start = start;
        }
    }

    /// The parser's fields are no longer those of the lines.
    pub(super) fn forget(&mut self) {
        self.lines.clear();
        self.is_lent = false;
    }

    /// Empties the parser's fields; what was lent comes back.
    #[inline]
    pub(super) fn take_back(&mut self, from: &mut FieldSet) {
        if self.is_lent {
            swap(from, &mut self.fields);
            self.is_lent = false;
        }
        from.clear();
    }
}

/// Whether `input` begins with these eight bytes or more.
#[inline]
fn begins(input: &[u8], lines: &[u8]) -> bool {
    let Some(input) = input.get(..lines.len()) else { return false };
    // Of few bytes a call would cost more than it compares.
    if lines.len() > SHORT_BYTES {
        return input == lines;
    }
    lines.len() >= 8 && input.last_chunk::<8>() == lines.last_chunk() && {
        let mut words = input.as_chunks::<8>().0.iter().zip(lines.as_chunks::<8>().0);
        words.all(|(word, of_lines)| word == of_lines)
    }
}

/// What is compared by words: the fields of a plain client.
const SHORT_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_remembered_up_to_a_bound_of_bytes() {
        for (length, expected) in [(BYTES_MAX, Some(BYTES_MAX)), (BYTES_MAX + 1, None)] {
            let lines = alloc::vec![b'a'; length];
            let (mut again, mut fields) = (Again::default(), FieldSet::default());
            again.remember(&lines, 16);
            again.take_back(&mut fields);
            assert_eq!(again.lend(&lines, 16, &Limits::default(), &mut fields), expected);
            assert!(again.lines.capacity() <= BYTES_MAX, "{length}");
        }
    }
}
