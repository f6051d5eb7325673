//! What a terminal has shown: the last of it, for those who come later.

use std::collections::VecDeque;

/// The last text of a terminal. Every byte has a number, so that whoever reads it holds no more than that.
///
/// What is no UTF-8 is replaced as it comes in: from here on it can be cut between any two characters.
#[derive(Debug)]
pub(super) struct Screen {
    text: VecDeque<u8>,
    /// The number of the first byte.
    start: u64,
    bytes_max: usize,
    /// The beginning of a character whose end has not come yet.
    begun: Vec<u8>,
}

impl Screen {
    /// One that keeps so many bytes, or [`BYTES_LEAST`].
    pub(super) fn new(bytes_max: usize) -> Self {
        Self::with(bytes_max.max(BYTES_LEAST))
    }

    fn with(bytes_max: usize) -> Self {
        Self { text: VecDeque::new(), start: 0, bytes_max, begun: Vec::new() }
    }

    /// Appends what the program has written.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let mut input = std::mem::take(&mut self.begun);
        input.extend_from_slice(bytes);
        let mut chunks = input.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.text.extend(chunk.valid().as_bytes());
            let may_go_on = chunks.peek().is_none() && is_begun(chunk.invalid());
            match chunk.invalid() {
                [] => {}
                begun if may_go_on => self.begun = begun.to_vec(),
                _ => self.text.extend("\u{fffd}".as_bytes()),
            }
        }
        let mut excess = self.text.len().saturating_sub(self.bytes_max);
        while self.text.get(excess).is_some_and(|byte| is_inside(*byte)) {
            excess += 1;
        }
        self.text.drain(..excess);
        self.start += excess as u64;
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// The number of the byte that comes next.
    pub(super) fn end(&self) -> u64 {
        self.start + self.text.len() as u64
    }

    /// Where somebody begins who has seen nothing: with a line, where the first one is not whole.
    pub(super) fn first(&self) -> u64 {
        let line = self.text.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n');
        match line {
            Some(at) if self.start > 0 => self.start + at as u64 + 1,
            _ => self.start,
        }
    }

    /// Up to so many bytes of text from `place` on, which moves behind them; `Err` where what is there is gone.
    pub(super) fn read(&self, place: &mut u64, bytes_max: usize) -> Result<String, Gone> {
        let from = place.checked_sub(self.start).ok_or(Gone)?;
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(self.text.len());
        let mut to = from.saturating_add(bytes_max).min(self.text.len());
        while to > from && self.text.get(to).is_some_and(|byte| is_inside(*byte)) {
            to -= 1;
        }
        let bytes: Vec<u8> = self.text.range(from..to).copied().collect();
        *place = self.start + to as u64;
        // It is text, cut between characters: nothing is replaced here.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether this is the last that is shown.
    pub(super) fn ends_with(&self, end: &[u8]) -> bool {
        let from = self.text.len().saturating_sub(end.len());
        self.text.range(from..).eq(end)
    }
}

/// A reader was so slow that what it would read next is not kept any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// Whether these bytes lack only their end to be a character.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

fn is_inside(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Twice what is read from a program at once, and twice that: so much has to be kept for those who are not slow.
const BYTES_LEAST: usize = 64 * 1024;
/// How far the end of a first line is looked for.
const LINE_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn x8_a_screen_keeps_the_last() {
        let mut screen = Screen::with(8);
        screen.put(b"one\ntwo\n");
        assert_eq!((screen.first(), screen.end()), (0, 8));
        screen.put("\u{20ac}\u{20ac}".as_bytes());
        assert_eq!((screen.start, screen.end()), (6, 14));
        // The first line is not whole.
        assert_eq!(screen.first(), 8);
        assert_eq!(screen.read(&mut 0, 100), Err(Gone));
        let mut place = screen.first();
        assert_eq!(screen.read(&mut place, 5).as_deref(), Ok("\u{20ac}"));
        assert_eq!(screen.read(&mut place, 5).as_deref(), Ok("\u{20ac}"));
        assert_eq!(screen.read(&mut place, 5).as_deref(), Ok(""));
        assert!(screen.ends_with("\u{20ac}".as_bytes()) && !screen.ends_with(b">>> "));
    }

    #[test]
    fn x8_bytes_that_are_no_text_are_replaced() {
        let mut screen = Screen::with(100);
        for piece in [&b"a\xff"[..], b"\xe2\x82", b"\xac", b"\xe2", b"b\xf0\x9f"] {
            screen.put(piece);
        }
        assert_eq!(screen.read(&mut 0, 100).as_deref(), Ok("a\u{fffd}\u{20ac}\u{fffd}b"));
    }

    proptest! {
        #[test]
        fn x8_text_arrives_however_it_is_cut(text in "[aé€😀\n]{0,60}", cut in 1usize..9, room in 4usize..300) {
            let mut screen = Screen::with(room);
            let (mut seen, mut place) = (String::new(), 0);
            for piece in text.as_bytes().chunks(cut) {
                screen.put(piece);
                prop_assert!(screen.text.len() <= room);
                // Whoever keeps pace misses nothing, where a piece fits.
                while let Ok(read) = screen.read(&mut place, 4) {
                    if read.is_empty() {
                        break;
                    }
                    prop_assert!(read.len() <= 4);
                    seen.push_str(&read);
                }
            }
            if room > 12 {
                prop_assert_eq!(seen, text);
            }
        }
    }
}
