//! What a program writes: kept up to a bound, and cut where characters end.

use std::collections::VecDeque;

/// The last of what was written to both streams, as it came.
#[derive(Debug)]
pub(super) struct Kept {
    pieces: VecDeque<String>,
    bytes: usize,
    bytes_max: usize,
}

impl Kept {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { pieces: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.bytes += text.len();
        match self.pieces.back_mut() {
            // A piece takes memory besides its text, so small ones are put together.
            Some(last) if last.len() + text.len() <= (self.bytes_max / 8).min(PIECE_BYTES) => {
                last.push_str(text);
            }
            _ => self.pieces.push_back(text.to_owned()),
        }
        while self.bytes > self.bytes_max {
            let Some(first) = self.pieces.pop_front() else { break };
            self.bytes -= first.len();
        }
    }

    /// All of it that is kept.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(self.bytes);
        self.pieces.iter().for_each(|piece| text.push_str(piece));
        text
    }

    /// Whether the last that was written is what Python says of a MemoryError.
    pub(super) fn tells_of_a_memory_error(&self) -> bool {
        let mut end = String::new();
        for piece in self.pieces.iter().rev() {
            end.insert_str(0, piece);
            if end.len() > END_BYTES {
                break;
            }
        }
        let mut lines = end.trim_end().rsplit('\n');
        match lines.next() {
            // Python 3.13 and later, where a traceback takes more memory than there is.
            Some("lost sys.stderr") => {
                lines.take(2).any(|line| line == "object type name: MemoryError")
            }
            last => last.is_some_and(|line| line.starts_with("MemoryError")),
        }
    }
}

/// What a terminal of the simplest kind would have in its lines: they are written over after a return, colours and all else that a
/// terminal can be told is left out.
pub(super) fn plain(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    let mut line: Vec<char> = Vec::new();
    let mut column = 0_usize;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\n' => {
                all.extend(line.drain(..));
                all.push('\n');
                column = 0;
            }
            '\r' => column = 0,
            '\u{8}' => column = column.saturating_sub(1),
            '\u{1b}' => match sequence(&mut rest) {
                Some(('K', "2")) => {
                    line.clear();
                    column = 0;
                }
                Some(('K', "" | "0")) => line.truncate(column),
                // Never beyond what is there: a few bytes must not become many.
                Some(('G', to)) => column = to.parse().unwrap_or(1).clamp(1, line.len() + 1) - 1,
                _ => {}
            },
            '\t' => column = put(&mut line, column, character),
            other if other.is_control() => {}
            other => column = put(&mut line, column, other),
        }
    }
    all.extend(line);
    all
}

fn put(line: &mut Vec<char>, column: usize, character: char) -> usize {
    if line.len() <= column {
        line.resize(column + 1, ' ');
    }
    if let Some(place) = line.get_mut(column) {
        *place = character;
    }
    column + 1
}

/// Takes what follows an escape; returns the last character of a control sequence, and its parameters.
fn sequence<'a>(rest: &mut std::str::Chars<'a>) -> Option<(char, &'a str)> {
    let text = rest.as_str();
    let length = match text.chars().next()? {
        '[' => {
            let inner = text.get(1..).unwrap_or_default();
            let parameters = inner.find(|c| !('0'..='?').contains(&c)).unwrap_or(inner.len());
            let (parameters, after) = inner.split_at(parameters);
            let between = after.find(|c| !(' '..='/').contains(&c)).unwrap_or(after.len());
            let last = after.get(between..).and_then(|text| text.chars().next());
            let last = last.filter(|last| ('@'..='~').contains(last));
            let taken = 1 + parameters.len() + between;
            *rest = text.get(taken + last.map_or(0, char::len_utf8)..).unwrap_or_default().chars();
            return Some((last?, parameters));
        }
        // Strings, such as the title of a window: until BEL, or the escape of their end.
        ']' | 'P' | 'X' | '^' | '_' => match text.find(['\u{7}', '\u{1b}']) {
            Some(end) if text.as_bytes().get(end) == Some(&7) => end + 1,
            Some(end) if text.as_bytes().get(end + 1) == Some(&b'\\') => end + 2,
            Some(end) => end,
            // It may be none, and the rest not part of it.
            None => 1,
        },
        _ => {
            let between = text.find(|c| !(' '..='/').contains(&c)).unwrap_or(text.len());
            let last = text.get(between..).and_then(|text| text.chars().next());
            between + last.filter(|last| ('0'..='~').contains(last)).map_or(0, char::len_utf8)
        }
    };
    *rest = text.get(length..).unwrap_or_default().chars();
    None
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

/// Bytes that are kept as one piece, and forgotten as one.
const PIECE_BYTES: usize = 8 * 1024;

/// An error is looked for among so many bytes, at the end.
const END_BYTES: usize = 8192;

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
        assert_eq!(kept.text(), "two\nthree\n");
        kept.push("far too long for this\n");
        assert_eq!(kept.text(), "");
    }

    #[test]
    fn x2_a_memory_error_is_known_by_what_python_writes() {
        let late =
            "object type name: MemoryError\nobject repr     : MemoryError()\nlost sys.stderr\n";
        for (pieces, is_one) in [
            (&["a\nMem", "ory", "Error", "\n", "\n"][..], true),
            (&["MemoryError: no more\n"], true),
            (&["Traceback …\n", late], true),
            (&[&late.replace("Memory", "Other")], false),
            (&["MemoryError\n", "another line\n"], false),
            (&["lost sys.stderr"], false),
            (&["\n"], false),
            (&[], false),
        ] {
            let mut kept = Kept::new(100_000);
            pieces.iter().for_each(|piece| kept.push(piece));
            assert_eq!(kept.tells_of_a_memory_error(), is_one, "{pieces:?}");
        }
    }

    #[test]
    fn x2_what_is_written_in_small_pieces_takes_little_more_than_its_text() {
        let mut kept = Kept::new(100_000);
        (0..200_000).for_each(|_| kept.push("x"));
        assert!(kept.pieces.len() <= 100_000 / PIECE_BYTES + 1, "{}", kept.pieces.len());
        assert!(kept.text().len() > 100_000 - 2 * PIECE_BYTES && kept.text().len() <= 100_000);
    }

    #[test]
    fn x2_progress_bars_and_colours_can_be_read() {
        for (text, shown) in [
            ("one\r\ntwo\n", "one\ntwo\n"),
            (" 10%\r 20%\r100%\ndone", "100%\ndone"),
            ("longer\rshort\n", "shortr\n"),
            ("longer\r\x1b[Kshort\n", "short\n"),
            ("longer\x1b[2K\x1b[1Gshort", "short"),
            ("ab\u{8}c", "ac"),
            ("\x1b[1;31mred\x1b[0m \x1b[38;5;9mplain\x1b[m", "red plain"),
            ("\x1b]0;title\x07a\x1b]8;;http://a\x1b\\b\x1b(Bc\x1b=d", "abcd"),
            ("a\x1b]0;never ended", "a0;never ended"),
            ("a\x1b[?25lb\x1b[", "ab"),
            ("\x1b[999999999999G|", "|"),
            ("漢字\r😀", "😀字"),
        ] {
            assert_eq!(plain(text), shown, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn x2_text_without_controls_stays(text in "[^\\pC]{0,20}(\n[^\\pC]{0,20}){0,3}") {
            prop_assert_eq!(plain(&text), text);
        }

        #[test]
        fn x2_no_control_character_is_shown(text in "[\u{1b}\\[\\]\u{7}\r\u{8}0-9;KGmP\\\\ab]{0,30}") {
            prop_assert!(plain(&text).chars().all(|c| !c.is_control()), "{}", plain(&text));
        }

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
