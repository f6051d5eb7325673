//! Which line runs: what the program's side of it writes, and what listeners get of it.

use std::collections::BTreeMap;

/// Reads records, each the number of a line and a line end, and counts them.
///
/// SECURITY: the program can write to this pipe whatever it likes. What is no line of its code is nothing.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    /// How many lines the code has.
    last: u32,
    /// The digits of a record that has not come as a whole; `None` where it is none.
    part: Option<u32>,
    is_begun: bool,
    now: Option<u32>,
    heat: BTreeMap<u32, u32>,
}

/// The line that runs, and how often each was seen since the last such event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) line: u32,
    pub(super) heat: BTreeMap<u32, u32>,
}

impl Lines {
    /// For code with so many lines.
    pub(super) fn new(last: u32) -> Self {
        Self { last, part: Some(0), is_begun: false, now: None, heat: BTreeMap::new() }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'0'..=b'9' => {
                    self.is_begun = true;
                    let digit = u32::from(byte - b'0');
                    let so_far = self.part.and_then(|part| part.checked_mul(10));
                    self.part = so_far.and_then(|part| part.checked_add(digit));
                }
                b'\n' => {
                    let line = self.part.filter(|line| self.is_begun && self.is_line(*line));
                    if let Some(line) = line {
                        self.now = Some(line);
                        let count = self.heat.entry(line).or_default();
                        *count = count.saturating_add(1);
                    }
                    (self.part, self.is_begun) = (Some(0), false);
                }
                _ => self.part = None,
            }
        }
    }

    /// What was seen since the last call, if anything.
    pub(super) fn take(&mut self) -> Option<Seen> {
        let heat = std::mem::take(&mut self.heat);
        self.now.filter(|_| !heat.is_empty()).map(|line| Seen { line, heat })
    }

    pub(super) fn has_news(&self) -> bool {
        !self.heat.is_empty()
    }

    fn is_line(&self, line: u32) -> bool {
        (1..=self.last).contains(&line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn b19_records_are_counted_and_nonsense_is_nothing() {
        let mut lines = Lines::new(20);
        assert_eq!(lines.take(), None);
        lines.push(b"12\n13\n12\n0\n21\n\nx\n4294967297\n99999999999999\n1 2\n-3\n7");
        let heat = BTreeMap::from([(12, 2), (13, 1)]);
        assert_eq!(lines.take(), Some(Seen { line: 12, heat }));
        assert_eq!(lines.take(), None, "nothing since");
        lines.push(b"\n");
        assert_eq!(lines.take(), Some(Seen { line: 7, heat: BTreeMap::from([(7, 1)]) }));
    }

    proptest! {
        #[test]
        fn b19_where_bytes_are_cut_makes_no_difference(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), b'0'..=b'9', any::<u8>()], 0..200),
            cut in 0usize..200,
        ) {
            let mut whole = Lines::new(500);
            whole.push(&bytes);
            let mut parts = Lines::new(500);
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            parts.push(first);
            parts.push(second);
            let seen = whole.take();
            prop_assert_eq!(&seen, &parts.take());
            // By another reading: what stands between line ends, if it is a number in range.
            let text = bytes.rsplitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default();
            let numbers = text.split(|byte| *byte == b'\n').filter_map(|word| {
                let word = std::str::from_utf8(word).ok()?;
                let number: u32 = word.parse().ok()?;
                (!word.starts_with('+') && (1..=500).contains(&number)).then_some(number)
            });
            let mut heat = BTreeMap::new();
            numbers.for_each(|number| *heat.entry(number).or_insert(0) += 1);
            prop_assert_eq!(seen.map(|seen| seen.heat).unwrap_or_default(), heat);
        }
    }
}
