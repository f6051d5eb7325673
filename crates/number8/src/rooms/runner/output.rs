//! What a program writes: kept up to a bound, and cut where characters end.

use std::collections::VecDeque;

use bytes::Bytes;

/// The last of what was written to both streams, as it came.
#[derive(Debug)]
pub(super) struct Kept {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    bytes_max: usize,
}

impl Kept {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { pieces: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.bytes += text.len();
        self.pieces.push_back(Bytes::copy_from_slice(text.as_bytes()));
        while self.bytes > self.bytes_max {
            let Some(first) = self.pieces.pop_front() else { break };
            self.bytes -= first.len();
        }
    }

    /// All of it that is kept.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(self.bytes);
        // Pieces are whole characters.
        self.pieces.iter().for_each(|piece| text.push_str(&String::from_utf8_lossy(piece)));
        text
    }

    /// The last line that is not empty.
    pub(super) fn last_line(&self) -> String {
        let mut line = String::new();
        for piece in self.pieces.iter().rev() {
            line.insert_str(0, &String::from_utf8_lossy(piece));
            let text = line.trim_end();
            if line.len() > LINE_BYTES_MAX || text.contains('\n') {
                break;
            }
        }
        line.trim_end().rsplit('\n').next().unwrap_or_default().to_owned()
    }
}

/// Turns bytes into text, whose last character may come with the next bytes.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    part: Vec<u8>,
}

impl Decoder {
    /// Bytes that are no UTF-8 become U+FFFD.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        self.part.extend_from_slice(bytes);
        let cut = self.part.len() - unfinished(&self.part);
        let rest = self.part.split_off(cut);
        let whole = std::mem::replace(&mut self.part, rest);
        String::from_utf8_lossy(&whole).into_owned()
    }

    /// What is left when nothing comes any more.
    pub(super) fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.part)).into_owned()
    }
}

/// How many bytes at the end may be the beginning of a character.
fn unfinished(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(3).enumerate() {
        let length = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => return 0,
        };
        return if length > back + 1 { back + 1 } else { 0 };
    }
    0
}

/// A line is looked for among so many bytes.
const LINE_BYTES_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn x2_the_last_of_the_output_is_kept() {
        let mut kept = Kept::new(10);
        for piece in ["one\n", "two\n", "three\n"] {
            kept.push(piece);
        }
        assert_eq!((kept.text(), kept.last_line()), ("two\nthree\n".into(), "three".into()));
        kept.push("far too long for this\n");
        assert_eq!((kept.text(), kept.last_line()), (String::new(), String::new()));
        let mut kept = Kept::new(100);
        ["a\nMem", "ory", "Error", "\n", "\n"].iter().for_each(|piece| kept.push(piece));
        assert_eq!(kept.last_line(), "MemoryError");
    }

    proptest! {
        #[test]
        fn x2_characters_are_never_cut(text in "\\PC{0,40}", cuts in proptest::collection::vec(0usize..160, 0..6)) {
            let mut decoder = Decoder::default();
            let mut bytes = text.as_bytes();
            let mut read = String::new();
            for cut in cuts {
                let (first, rest) = bytes.split_at(cut.min(bytes.len()));
                read.push_str(&decoder.push(first));
                bytes = rest;
            }
            read.push_str(&decoder.push(bytes));
            read.push_str(&decoder.finish());
            prop_assert_eq!(read, text);
        }

        #[test]
        fn x2_any_bytes_become_text(bytes in proptest::collection::vec(any::<u8>(), 0..40), cut in 0usize..40) {
            let mut decoder = Decoder::default();
            let (first, rest) = bytes.split_at(cut.min(bytes.len()));
            let mut read = decoder.push(first);
            read.push_str(&decoder.push(rest));
            read.push_str(&decoder.finish());
            let valid = |text: &str| text.chars().filter(|c| *c != '\u{fffd}').collect::<String>();
            prop_assert_eq!(valid(&read), valid(&String::from_utf8_lossy(&bytes)));
        }
    }
}
