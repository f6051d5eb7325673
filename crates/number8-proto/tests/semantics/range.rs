use number8_proto::range::{
    Multipart, RangeOutcome, Span, content_range, content_range_unsatisfied, resolve,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::field_value;

/// A range as the grammar has it: positions, or the size of a suffix.
#[derive(Clone, Debug)]
enum Asked {
    From(u64, Option<u64>),
    Suffix(u64),
}

impl Asked {
    fn text(&self) -> String {
        match self {
            Self::From(first, Some(last)) => format!("{first}-{last}"),
            Self::From(first, None) => format!("{first}-"),
            Self::Suffix(size) => format!("-{size}"),
        }
    }

    fn means(&self, position: u64, length: u64) -> bool {
        match *self {
            Self::From(first, last) => {
                first <= position && last.is_none_or(|last| position <= last)
            }
            Self::Suffix(size) => position + size >= length,
        }
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let position = || prop_oneof![8 => 0..40_u64, 1 => any::<u64>()];
    prop_oneof![
        (position(), proptest::option::of(0..20_u64)).prop_map(|(first, more)| Asked::From(
            first,
            more.map(|more| first.saturating_add(more))
        )),
        (0..40_u64).prop_map(Asked::Suffix),
    ]
}

fn positions(span: Span) -> Vec<u64> {
    (span.first()..=span.last()).collect()
}

proptest! {
    #[test]
    fn spans_are_the_bytes_that_each_range_means(
        asked in vec(asked(), 1..6), length in 1..30_u64, separator in "[ \t]{0,2},[ \t,]{0,3}",
    ) {
        let texts: Vec<_> = asked.iter().map(Asked::text).collect();
        let value = format!("bytes={}", texts.join(&separator));
        let meant = asked.iter().map(|asked| (0..length).filter(|&at| asked.means(at, length)));
        let meant = meant.map(Iterator::collect).filter(|meant: &Vec<_>| !meant.is_empty());
        let meant: Vec<Vec<u64>> = meant.collect();
        let counts = (0..length).map(|at| meant.iter().filter(|m| m.contains(&at)).count());
        match resolve(value.as_bytes(), length, 6) {
            RangeOutcome::Unsatisfiable => prop_assert!(meant.is_empty()),
            RangeOutcome::Satisfiable(spans) => {
                let spans: Vec<_> = spans.as_slice().iter().copied().map(positions).collect();
                prop_assert_eq!(&spans, &meant);
                prop_assert!(counts.max() <= Some(2));
            }
            RangeOutcome::Ignore => prop_assert!(counts.max() >= Some(2)),
        }
    }

    #[test]
    fn whatever_is_asked_the_answer_is_within_the_representation(
        value in field_value(),
        length in any::<u64>(),
        short in 0..20_u64,
        ranges_max in 0..5_usize,
    ) {
        for length in [length, short] {
            if let RangeOutcome::Satisfiable(spans) = resolve(&value, length, ranges_max) {
                let spans = spans.as_slice();
                prop_assert!((1..=ranges_max).contains(&spans.len()));
                prop_assert!(spans.iter().all(|s| s.first() <= s.last() && s.last() < length));
                let total: u128 = spans.iter().map(|s| u128::from(s.size())).sum();
                prop_assert!(total <= length.into());
            }
        }
    }

    #[test]
    fn content_range_says_what_was_resolved(
        first in 0..1000_u64, more in 0..1000_u64, left in 1..9_u64,
    ) {
        let (last, length) = (first + more, first + more + left);
        let value = format!("bytes={first}-{last}");
        let RangeOutcome::Satisfiable(spans) = resolve(value.as_bytes(), length, 1) else {
            return Err(TestCaseError::fail("a range within the length"));
        };
        let mut written = Vec::new();
        content_range(spans.as_slice()[0], length, &mut written);
        prop_assert_eq!(written, format!("bytes {first}-{last}/{length}").into_bytes());
        let mut written = Vec::new();
        content_range_unsatisfied(length, &mut written);
        prop_assert_eq!(written, format!("bytes */{length}").into_bytes());
    }

    #[test]
    fn the_length_of_a_multipart_is_known_before_it_is_written(
        asked in vec(asked(), 1..6),
        length in 1..2000_u64,
        boundary in "[0-9a-zA-Z]{1,70}",
        content_type in proptest::option::of("[a-z]{1,9}/[a-z]{1,9}"),
    ) {
        let texts: Vec<_> = asked.iter().map(Asked::text).collect();
        let value = format!("bytes={}", texts.join(","));
        if let RangeOutcome::Satisfiable(spans) = resolve(value.as_bytes(), length, 6) {
            let content_type = content_type.as_deref().map(str::as_bytes);
            let frame = Multipart { boundary: boundary.as_bytes(), content_type, length };
            let mut content = Vec::new();
            for &span in spans.as_slice() {
                frame.part_head(span, &mut content);
                content.extend(positions(span).iter().map(|_| b'.'));
            }
            frame.end(&mut content);
            prop_assert_eq!(frame.content_length(spans.as_slice()), content.len() as u64);
        }
    }
}
