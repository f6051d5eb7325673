//! Range requests (RFC 9110 §14): which bytes to send, and the fields that say so.
//!
//! A Range field is a wish that a server may ignore, so whatever is malformed, strange or costly
//! gets the whole representation; only a well-formed wish for bytes that are not there is refused.

use alloc::vec;
use alloc::vec::Vec;

use crate::decimal;

/// Bytes of a representation, never none, always within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    first: u64,
    last: u64,
}

impl Span {
    /// Position of the first byte, from 0.
    #[must_use]
    pub fn first(self) -> u64 {
        self.first
    }

    /// Position of the last byte, which belongs to the span.
    #[must_use]
    pub fn last(self) -> u64 {
        self.last
    }

    /// Number of bytes, at least 1.
    #[must_use]
    pub fn size(self) -> u64 {
        self.last - self.first + 1
    }
}

/// The spans that a request asks for, in its order; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spans {
    /// One span: the content is its bytes, and a Content-Range field names them.
    One(Span),
    /// Two or more spans: the content is `multipart/byteranges`, see [`Multipart`].
    Many(Vec<Span>),
}

impl Spans {
    /// The spans as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[Span] {
        match self {
            Self::One(span) => core::slice::from_ref(span),
            Self::Many(spans) => spans,
        }
    }

    fn push(&mut self, span: Span) {
        match self {
            Self::One(first) => *self = Self::Many(vec![*first, span]),
            Self::Many(spans) => spans.push(span),
        }
    }

    /// RFC 9110 §14.2 names what an attacker asks for: more bytes than there are, or more than two
    /// overlapping ranges.
    fn is_abusive(&self, length: u64) -> bool {
        let Self::Many(spans) = self else { return false };
        let total: u128 = spans.iter().map(|span| u128::from(span.size())).sum();
        if total > u128::from(length) {
            return true;
        }
        let mut sorted = spans.clone();
        sorted.sort_unstable_by_key(|span| span.first);
        let (mut overlaps, mut last) = (0, sorted[0].last);
        for span in &sorted[1..] {
            overlaps += usize::from(span.first <= last);
            last = last.max(span.last);
        }
        overlaps > 1
    }
}

/// What to do with a Range field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeOutcome {
    /// Serve the whole representation, as if there was no Range field.
    Ignore,
    /// Serve these bytes: 206 (Partial Content).
    Satisfiable(Spans),
    /// No byte asked for is there: 416 (Range Not Satisfiable), see [`content_range_unsatisfied`].
    Unsatisfiable,
}

/// Decides what a Range field asks for, of a representation of `length` bytes (RFC 9110 §14.2).
///
/// Only the unit `bytes` is known. A set of more than `ranges_max` ranges is ignored, as is one
/// with more than two ranges that overlap or with more bytes than the representation has.
/// Numbers past `u64` count as its greatest.
///
/// The field means something for GET only, and after If-Range allowed it: the caller checks both.
///
/// ```
/// use number8_proto::range::{RangeOutcome, resolve};
/// let RangeOutcome::Satisfiable(spans) = resolve(b"bytes=-5", 13, 16) else { panic!() };
/// assert_eq!((spans.as_slice()[0].first(), spans.as_slice()[0].last()), (8, 12));
/// assert_eq!(resolve(b"bytes=13-", 13, 16), RangeOutcome::Unsatisfiable);
/// assert_eq!(resolve(b"lines=1-2", 13, 16), RangeOutcome::Ignore);
/// ```
#[must_use]
pub fn resolve(value: &[u8], length: u64, ranges_max: usize) -> RangeOutcome {
    let Some(set) = byte_range_set(value) else { return RangeOutcome::Ignore };
    let mut asked = 0;
    let mut satisfiable: Option<Spans> = None;
    for element in set.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
        if element.is_empty() {
            continue;
        }
        asked += 1;
        let Some(spec) = Spec::parse(element) else { return RangeOutcome::Ignore };
        if asked > ranges_max {
            return RangeOutcome::Ignore;
        }
        // The end of an empty representation is satisfiable (RFC 9110 §14.1.2), but no
        // Content-Range can say so.
        if length == 0 && matches!(spec, Spec::Suffix(1..)) {
            return RangeOutcome::Ignore;
        }
        match (spec.span(length), &mut satisfiable) {
            (None, _) => {}
            (Some(span), None) => satisfiable = Some(Spans::One(span)),
            (Some(span), Some(spans)) => spans.push(span),
        }
    }
    match satisfiable {
        _ if asked == 0 => RangeOutcome::Ignore,
        None => RangeOutcome::Unsatisfiable,
        Some(spans) if spans.is_abusive(length) => RangeOutcome::Ignore,
        Some(spans) => RangeOutcome::Satisfiable(spans),
    }
}

/// ranges-specifier = range-unit "=" range-set; the set, when the unit is `bytes`.
fn byte_range_set(value: &[u8]) -> Option<&[u8]> {
    let (unit, set) = value.split_at_checked(b"bytes=".len())?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(set)
}

/// One range as asked for, before the length is known.
enum Spec {
    /// int-range = first-pos "-" [ last-pos ]
    From { first: u64, last: u64 },
    /// suffix-range = "-" suffix-length
    Suffix(u64),
}

impl Spec {
    fn parse(element: &[u8]) -> Option<Self> {
        let dash = element.iter().position(|&b| b == b'-')?;
        let (first, last) = (&element[..dash], &element[dash + 1..]);
        if first.is_empty() {
            return Some(Self::Suffix(saturating_number(last)?));
        }
        let first = saturating_number(first)?;
        let last = if last.is_empty() { u64::MAX } else { saturating_number(last)? };
        (first <= last).then_some(Self::From { first, last })
    }

    /// The bytes this is about, if the representation has any of them.
    fn span(&self, length: u64) -> Option<Span> {
        let last_there = length.checked_sub(1)?;
        match *self {
            Self::From { first, last } => {
                (first < length).then(|| Span { first, last: last.min(last_there) })
            }
            Self::Suffix(0) => None,
            Self::Suffix(size) => {
                Some(Span { first: length.saturating_sub(size), last: last_there })
            }
        }
    }
}

/// 1*DIGIT, where a number that is too great is `u64::MAX`: no representation reaches that far.
fn saturating_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append =
        |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, append))
}

/// Appends the Content-Range value of a 206 answer (RFC 9110 §14.4).
///
/// ```
/// # use number8_proto::range::{RangeOutcome, content_range, resolve};
/// # let RangeOutcome::Satisfiable(spans) = resolve(b"bytes=0-4", 13, 16) else { panic!() };
/// # let span = spans.as_slice()[0];
/// let mut value = Vec::new();
/// content_range(span, 13, &mut value);
/// assert_eq!(value, b"bytes 0-4/13");
/// ```
pub fn content_range(span: Span, length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"bytes ");
    decimal::push(span.first, out);
    out.push(b'-');
    decimal::push(span.last, out);
    out.push(b'/');
    decimal::push(length, out);
}

/// Appends the Content-Range value of a 416 answer (RFC 9110 §15.5.17).
///
/// ```
/// let mut value = Vec::new();
/// number8_proto::range::content_range_unsatisfied(13, &mut value);
/// assert_eq!(value, b"bytes */13");
/// ```
pub fn content_range_unsatisfied(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"bytes */");
    decimal::push(length, out);
}

/// The frame around the parts of a `multipart/byteranges` answer (RFC 9110 §14.6).
///
/// The content is, for every span, [`part_head`](Self::part_head) and then the span's bytes, and
/// at the end [`end`](Self::end).
///
/// ```
/// use number8_proto::range::{Multipart, RangeOutcome, resolve};
/// let text = b"hello, world\n";
/// let RangeOutcome::Satisfiable(spans) = resolve(b"bytes=0-4,7-11", 13, 16) else { panic!() };
/// let frame = Multipart { boundary: b"8w", content_type: Some(b"text/plain"), length: 13 };
/// let mut content = Vec::new();
/// for &span in spans.as_slice() {
///     frame.part_head(span, &mut content);
///     content.extend_from_slice(&text[span.first() as usize..=span.last() as usize]);
/// }
/// frame.end(&mut content);
/// assert_eq!(content.len() as u64, frame.content_length(spans.as_slice()));
/// assert!(content.ends_with(b"Content-Range: bytes 7-11/13\r\n\r\nworld\r\n--8w--\r\n"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Multipart<'a> {
    /// Stands between the parts: 1 to 70 letters and digits that no part holds. The caller draws
    /// it at random, since nobody can plant what nobody can foresee.
    pub boundary: &'a [u8],
    /// Media type of the representation, which every part repeats.
    pub content_type: Option<&'a [u8]>,
    /// Bytes in the whole representation.
    pub length: u64,
}

impl Multipart<'_> {
    /// Appends the Content-Type value of the answer.
    pub fn content_type(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"multipart/byteranges; boundary=");
        out.extend_from_slice(self.boundary);
    }

    /// Appends what stands before the bytes of a part.
    ///
    /// It begins with the line end that closes the part before it. In front of the first part that
    /// is an empty preamble, which RFC 9110 §14.6 allows.
    pub fn part_head(&self, span: Span, out: &mut Vec<u8>) {
        out.extend_from_slice(DELIMITER);
        out.extend_from_slice(self.boundary);
        if let Some(content_type) = self.content_type {
            out.extend_from_slice(CONTENT_TYPE);
            out.extend_from_slice(content_type);
        }
        out.extend_from_slice(CONTENT_RANGE);
        content_range(span, self.length, out);
        out.extend_from_slice(HEAD_END);
    }

    /// Appends what stands after the bytes of the last part.
    pub fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(DELIMITER);
        out.extend_from_slice(self.boundary);
        out.extend_from_slice(CLOSE);
    }

    /// Bytes in the whole content: every part's head and bytes, and the end.
    #[must_use]
    pub fn content_length(&self, spans: &[Span]) -> u64 {
        let delimiter = size(DELIMITER) + size(self.boundary);
        let content_type = self.content_type.map_or(0, |value| size(CONTENT_TYPE) + size(value));
        let fixed_head = delimiter + content_type + size(CONTENT_RANGE) + size(HEAD_END);
        let parts = spans.iter().fold(0, |total: u64, span| {
            let content_range = size(b"bytes -/")
                + decimal::digits(span.first)
                + decimal::digits(span.last)
                + decimal::digits(self.length);
            total.saturating_add(fixed_head + content_range).saturating_add(span.size())
        });
        parts.saturating_add(delimiter + size(CLOSE))
    }
}

fn size(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

const DELIMITER: &[u8] = b"\r\n--";
const CONTENT_TYPE: &[u8] = b"\r\nContent-Type: ";
const CONTENT_RANGE: &[u8] = b"\r\nContent-Range: ";
const HEAD_END: &[u8] = b"\r\n\r\n";
const CLOSE: &[u8] = b"--\r\n";

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    /// An outcome in few letters: `whole`, `none`, or `first-last` of every span.
    fn outcome(value: &str, length: u64) -> String {
        match resolve(value.as_bytes(), length, 4) {
            RangeOutcome::Ignore => "whole".into(),
            RangeOutcome::Unsatisfiable => "none".into(),
            RangeOutcome::Satisfiable(spans) => {
                let spans = spans.as_slice().iter();
                spans.map(|s| format!("{}-{}", s.first, s.last)).collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn thirteen_bytes() {
        for (value, expected) in [
            ("bytes=0-4", "0-4"),
            ("bytes=0-0", "0-0"),
            ("bytes=12-12", "12-12"),
            ("bytes=7-", "7-12"),
            ("bytes=0-", "0-12"),
            ("bytes=-1", "12-12"),
            ("bytes=-13", "0-12"),
            ("bytes=-100", "0-12"),
            ("bytes=0-13", "0-12"),
            ("bytes=5-999999", "5-12"),
            ("bytes=00-04", "0-4"),
            ("BYTES=0-4", "0-4"),
            ("bytes= 0-4 ", "0-4"),
            ("bytes=,0-4,,", "0-4"),
            // Numbers past u64.
            ("bytes=0-18446744073709551616", "0-12"),
            ("bytes=-18446744073709551617", "0-12"),
            ("bytes=18446744073709551616-", "none"),
            ("bytes=18446744073709551617-18446744073709551620", "none"),
            // Nothing of it is there.
            ("bytes=13-", "none"),
            ("bytes=13-20", "none"),
            ("bytes=-0", "none"),
            ("bytes=100-,200-", "none"),
            // Malformed.
            ("", "whole"),
            ("bytes", "whole"),
            ("bytes=", "whole"),
            ("bytes=,", "whole"),
            ("bytes=-", "whole"),
            ("bytes=abc", "whole"),
            ("bytes=5", "whole"),
            ("bytes=5-2", "whole"),
            ("bytes 0-4", "whole"),
            ("bytes:0-4", "whole"),
            ("bytes =0-4", "whole"),
            ("bytes==0-4", "whole"),
            ("bytes=0-4-6", "whole"),
            ("bytes=--5", "whole"),
            ("bytes=a-4", "whole"),
            ("bytes=0-b", "whole"),
            ("bytes=+0-4", "whole"),
            ("bytes=0x0-0x4", "whole"),
            ("bytes=0 - 4", "whole"),
            ("bytes=0-4;x", "whole"),
            ("bytes=0-4,x", "whole"),
            ("bytes=0-4, 5-2", "whole"),
            // Another unit, or none.
            ("lines=0-4", "whole"),
            ("byte=0-4", "whole"),
            ("bytess=0-4", "whole"),
            ("=0-4", "whole"),
            ("0-4", "whole"),
            ("none", "whole"),
        ] {
            assert_eq!(outcome(value, 13), expected, "{value}");
        }
    }

    #[test]
    fn several_ranges_keep_their_order_and_abuse_gets_the_whole() {
        for (value, length, expected) in [
            ("bytes=0-4,7-11", 13, "0-4 7-11"),
            ("bytes=0-4 ,\t7-11", 13, "0-4 7-11"),
            ("bytes=7-11,0-4", 13, "7-11 0-4"),
            ("bytes=0-0,-1", 13, "0-0 12-12"),
            ("bytes=0-4,5-9", 13, "0-4 5-9"),
            ("bytes=0-4,5-12", 13, "0-4 5-12"),
            ("bytes=0-4,100-200", 13, "0-4"),
            ("bytes=100-,-0,3-3", 13, "3-3"),
            ("bytes=0-1,2-3,4-5,6-7", 13, "0-1 2-3 4-5 6-7"),
            ("bytes=0-1,2-3,4-5,6-7,8-9", 13, "whole"),
            ("bytes=0-1,20-,21-,22-,23-", 13, "whole"),
            ("bytes=0-4,3-7", 13, "0-4 3-7"),
            ("bytes=0-6,4-12", 13, "whole"),
            ("bytes=0-,0-", 13, "whole"),
            ("bytes=0-0,0-0,0-0", 13, "whole"),
            ("bytes=0-1,1-2,2-3", 13, "whole"),
            ("bytes=0-9,20-29,5-5,25-25", 100, "whole"),
            ("bytes=0-50,40-41,60-61", 100, "0-50 40-41 60-61"),
        ] {
            assert_eq!(outcome(value, length), expected, "{value}");
        }
    }

    #[test]
    fn the_ends_of_length() {
        for (value, length, expected) in [
            ("bytes=0-", 0, "none"),
            ("bytes=0-0", 0, "none"),
            ("bytes=-0", 0, "none"),
            ("bytes=-5", 0, "whole"),
            ("bytes=0-0,-5", 0, "whole"),
            ("bytes=5-x,-5", 0, "whole"),
            ("bytes=0-", 1, "0-0"),
            ("bytes=18446744073709551614-", u64::MAX, "18446744073709551614-18446744073709551614"),
            ("bytes=18446744073709551615-", u64::MAX, "none"),
            ("bytes=0-,0-", u64::MAX, "whole"),
        ] {
            assert_eq!(outcome(value, length), expected, "{value} of {length}");
        }
        assert_eq!(resolve(b"bytes=0-", 13, 0), RangeOutcome::Ignore);
    }

    #[test]
    fn multipart_frames_every_part() {
        let RangeOutcome::Satisfiable(spans) = resolve(b"bytes=0-0,-1", 13, 2) else {
            panic!("two ranges that are there");
        };
        for (content_type, expected) in [
            (
                None,
                "\r\n--B\r\nContent-Range: bytes 0-0/13\r\n\r\n?\
                 \r\n--B\r\nContent-Range: bytes 12-12/13\r\n\r\n?\r\n--B--\r\n",
            ),
            (
                Some(&b"a/b"[..]),
                "\r\n--B\r\nContent-Type: a/b\r\nContent-Range: bytes 0-0/13\r\n\r\n?\
                 \r\n--B\r\nContent-Type: a/b\r\nContent-Range: bytes 12-12/13\r\n\r\n?\
                 \r\n--B--\r\n",
            ),
        ] {
            let frame = Multipart { boundary: b"B", content_type, length: 13 };
            let mut content = Vec::new();
            for &span in spans.as_slice() {
                frame.part_head(span, &mut content);
                content.push(b'?');
            }
            frame.end(&mut content);
            assert_eq!(String::from_utf8_lossy(&content), expected);
            assert_eq!(frame.content_length(spans.as_slice()), content.len() as u64);
        }
    }
}
