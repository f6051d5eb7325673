//! What a connection has received and not yet used.

/// Bytes read at once. Memory that nothing was read into is never touched, so it costs nothing.
const READ_BYTES: usize = 64 * 1024;

/// Received bytes: `[ used | head | between, used | unread | room ]`.
///
/// The head of the request that is being answered stays where it is until the answer is over, for the log.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    head_start: usize,
    head_end: usize,
    unread_start: usize,
    unread_end: usize,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            bytes: vec![0; READ_BYTES],
            head_start: 0,
            head_end: 0,
            unread_start: 0,
            unread_end: 0,
        }
    }
}

impl Input {
    /// Bytes not yet used.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.unread_start..self.unread_end]
    }

    /// The same, to be changed in place.
    pub(crate) fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.unread_start..self.unread_end]
    }

    /// Room to read into; there is always some.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.unread_end == self.bytes.len() {
            self.make_room();
        }
        &mut self.bytes[self.unread_end..]
    }

    /// So many bytes were read into the room.
    pub(crate) fn filled(&mut self, count: usize) {
        self.unread_end += count;
    }

    /// The first unread bytes are a head: it is kept until [`Input::forget_head`].
    pub(crate) fn keep_head(&mut self, length: usize) {
        self.head_start = self.unread_start;
        self.head_end = self.unread_start + length;
        self.unread_start = self.head_end;
    }

    /// The bytes of the head that is kept; empty when there is none.
    pub(crate) fn head(&self) -> &[u8] {
        &self.bytes[self.head_start..self.head_end]
    }

    pub(crate) fn forget_head(&mut self) {
        self.head_start = self.unread_start;
        self.head_end = self.unread_start;
        if self.unread_start == self.unread_end {
            self.clear();
        }
    }

    /// The first unread bytes have been used.
    pub(crate) fn used(&mut self, count: usize) {
        self.unread_start += count;
        if self.unread_start == self.unread_end {
            self.unread_start = self.head_end;
            self.unread_end = self.head_end;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.head_start = 0;
        self.head_end = 0;
        self.unread_start = 0;
        self.unread_end = 0;
    }

    /// Takes over bytes that were put aside, the first of which are a head that is kept; nothing else is there.
    pub(crate) fn restore(&mut self, bytes: &[u8], head: usize) {
        self.clear();
        if self.bytes.len() <= bytes.len() {
            self.bytes.resize(bytes.len() + READ_BYTES, 0);
        }
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.head_end = head;
        self.unread_start = head;
        self.unread_end = bytes.len();
    }

    /// True when the memory is more than the next request will need.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes.len() > 2 * READ_BYTES
    }

    /// Gives back the memory that is not used; room is made again when there is something to read.
    pub(crate) fn compact(&mut self) {
        if self.bytes.len() - self.unread_end >= READ_BYTES / 2 {
            self.close_gaps();
            self.bytes.truncate(self.unread_end);
            self.bytes.shrink_to_fit();
        }
    }

    fn make_room(&mut self) {
        self.close_gaps();
        if self.unread_end == self.bytes.len() {
            // How far this goes is limited by those who leave bytes unread: the largest head.
            self.bytes.resize(self.bytes.len() + READ_BYTES, 0);
        }
    }

    /// Closes the gap between head and unread bytes, and what was before the head.
    fn close_gaps(&mut self) {
        let head = self.head_start..self.head_end;
        let unread = self.unread_start..self.unread_end;
        self.bytes.copy_within(head.clone(), 0);
        self.bytes.copy_within(unread.clone(), head.len());
        self.head_start = 0;
        self.head_end = head.len();
        self.unread_start = self.head_end;
        self.unread_end = self.head_end + unread.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &mut Input, bytes: &[u8]) {
        for chunk in bytes.chunks(1000) {
            let room = input.room();
            let count = chunk.len().min(room.len());
            room[..count].copy_from_slice(&chunk[..count]);
            input.filled(count);
            if count < chunk.len() {
                read(input, &chunk[count..]);
            }
        }
    }

    #[test]
    fn the_head_stays_while_a_body_of_any_size_passes() {
        let mut input = Input::default();
        read(&mut input, b"before");
        input.used(6);
        read(&mut input, b"the head");
        input.keep_head(8);
        for round in 0..300u32 {
            let body = vec![round as u8; 997];
            read(&mut input, &body);
            assert!(input.unread().ends_with(&body));
            let leave = (round % 7) as usize;
            input.used(input.unread().len() - leave);
        }
        assert_eq!(input.head(), b"the head");
        assert!(!input.is_large());
    }

    #[test]
    fn what_is_there_outlives_the_memory_that_is_not_used() {
        let mut input = Input::default();
        read(&mut input, b"before, the head, used, unread");
        input.used(8);
        input.keep_head(10);
        input.used(6);
        input.compact();
        assert!(input.bytes.capacity() < 100);
        assert_eq!((input.head(), input.unread()), (&b"the head, "[..], &b"unread"[..]));
        read(&mut input, b" and more");
        assert_eq!((input.head(), input.unread()), (&b"the head, "[..], &b"unread and more"[..]));
        // Not worth it: most of the memory is in use.
        read(&mut input, &[b'x'; 50_000]);
        input.compact();
        assert!(input.bytes.len() >= READ_BYTES);
    }

    #[test]
    fn what_was_put_aside_comes_back_as_it_was() {
        let mut input = Input::default();
        for (bytes, head, unread) in [
            ("", "", ""),
            ("partial", "", "partial"),
            ("the headand the next", "the head", "and the next"),
            ("the head", "the head", ""),
        ] {
            input.restore(bytes.as_bytes(), head.len());
            assert_eq!((input.head(), input.unread()), (head.as_bytes(), unread.as_bytes()));
            read(&mut input, b" and more");
            assert!(input.unread().ends_with(b" and more"));
            assert_eq!(input.head(), head.as_bytes());
        }
    }

    #[test]
    fn pipelined_requests_follow_one_another() {
        let mut input = Input::default();
        read(&mut input, b"onetwo");
        input.keep_head(3);
        input.forget_head();
        assert_eq!(input.unread(), b"two");
        input.keep_head(3);
        assert_eq!(input.head(), b"two");
        input.forget_head();
        assert_eq!((input.unread(), input.head()), (&b""[..], &b""[..]));
    }
}
