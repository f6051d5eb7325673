//! The grammar of HTTP/1.1 as byte classes, each under its ABNF.
//!
//! One table, built at compile time, so that a check is one load and one mask.

const TCHAR: u8 = 1;
const TARGET: u8 = 2;
const VALUE: u8 = 4;
const HEX: u8 = 8;
const PATH: u8 = 16;
const NAME: u8 = 32;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        let mut class = 0;
        // RFC 9110 §5.6.2: tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." /
        // "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA
        if b.is_ascii_alphanumeric() || is_one_of(b, b"!#$%&'*+-.^_`|~") {
            class |= TCHAR;
        }
        // RFC 9112 §3.2 wants only URI characters. Browsers leave `|`, `^`, `{`, `}` and others as
        // they are in queries, and people type raw UTF-8, so every visible byte passes; a fragment
        // never belongs in a request.
        if (b > 0x20 && b != 0x7f && b != b'#') || b >= 0x80 {
            class |= TARGET;
            // RFC 3986 §3.3: the first question mark ends the path.
            if b != b'?' {
                class |= PATH;
            }
        }
        // RFC 9110 §5.5: field-vchar = VCHAR / obs-text; SP and HTAB may stand between them.
        // Other controls are refused: they have no use, and proxies disagree about them.
        if b == b'\t' || (b >= 0x20 && b != 0x7f) {
            class |= VALUE;
        }
        // RFC 5234 B.1: HEXDIG, in either case.
        if b.is_ascii_hexdigit() {
            class |= HEX;
        }
        // RFC 3986 §3.2.2: what in a reg-name stands for itself: unreserved / sub-delims, but no comma,
        // which is what two Host fields look like when an intermediary has joined them.
        if b.is_ascii_alphanumeric() || is_one_of(b, b"-._~!$&'()*+;=") {
            class |= NAME;
        }
        table[i] = class;
        i += 1;
    }
    table
}

const fn is_one_of(b: u8, set: &[u8]) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set[i] == b {
            return true;
        }
        i += 1;
    }
    false
}

/// A byte that may stand in a token: methods and field names (RFC 9110 §5.6.2).
#[inline]
pub(crate) const fn is_tchar(b: u8) -> bool {
    CLASS[b as usize] & TCHAR != 0
}

/// A byte that may stand in a field value (RFC 9110 §5.5).
#[inline]
pub(crate) const fn is_value(b: u8) -> bool {
    CLASS[b as usize] & VALUE != 0
}

/// A hexadecimal digit (RFC 5234 B.1).
#[inline]
pub(crate) fn is_hex(b: u8) -> bool {
    CLASS[b as usize] & HEX != 0
}

/// Optional white space (RFC 9110 §5.6.3): SP or HTAB.
#[inline]
pub(crate) fn is_ows(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// A byte of a reg-name that stands for itself (RFC 3986 §3.2.2).
#[inline]
pub(crate) fn is_name(b: u8) -> bool {
    CLASS[b as usize] & NAME != 0
}

/// How many bytes at the start of `bytes` may stand in a token (RFC 9110 §5.6.2).
#[inline]
pub(crate) fn token_run(bytes: &[u8]) -> usize {
    run(bytes, TCHAR)
}

/// How many bytes at the start of `bytes` may stand in a request-target (RFC 9112 §3.2, with the
/// departure told above).
#[inline]
pub(crate) fn target_run(bytes: &[u8]) -> usize {
    run(bytes, TARGET)
}

/// As [`target_run`], up to and without the first question mark; eight bytes are looked at together.
#[inline]
pub(crate) fn path_run(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((&word, after)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(word);
        // DEL is a question mark with one bit more.
        let ends = below(word, b' ' + 1)
            | below(word ^ (EACH * u64::from(b'#')), 1)
            | below((word | (EACH * 0x40)) ^ (EACH * 0x7f), 1);
        if ends != 0 {
            return bytes.len() - rest.len() + ends.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    bytes.len() - rest.len() + run(rest, PATH)
}

/// How many bytes at the start of `bytes` stand for themselves in a reg-name (RFC 3986 §3.2.2).
#[inline]
pub(crate) fn name_run(bytes: &[u8]) -> usize {
    run(bytes, NAME)
}

/// How many bytes at the start of `bytes` are of a class; four at a time cost half of one by one.
#[inline]
fn run(bytes: &[u8], class: u8) -> usize {
    let mut at = 0;
    while let Some(&[a, b, c, d]) = bytes.get(at..).and_then(<[u8]>::first_chunk)
        && CLASS[a as usize] & CLASS[b as usize] & CLASS[c as usize] & CLASS[d as usize] & class
            != 0
    {
        at += 4;
    }
    while at < bytes.len() && CLASS[bytes[at] as usize] & class != 0 {
        at += 1;
    }
    at
}

/// True when `bytes` is a non-empty token (RFC 9110 §5.6.2).
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_tchar(b))
}

/// True when `bytes` may be sent or taken as a field value (RFC 9110 §5.5): no CR, LF, NUL or other
/// control byte but HTAB.
#[must_use]
pub fn is_field_value(bytes: &[u8]) -> bool {
    value_run(bytes) == bytes.len()
}

/// How many bytes at the start of `bytes` may stand in a field value.
///
/// Eight bytes are looked at together: most of a browser's request is field values.
#[inline]
pub(crate) fn value_run(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    loop {
        while let Some((&word, after)) = rest.split_first_chunk() {
            let word = u64::from_le_bytes(word);
            let controls = below(word, b' ') | below(word ^ (EACH * 0x7f), 1);
            if controls != 0 {
                rest = &rest[controls.trailing_zeros() as usize / 8..];
                break;
            }
            rest = after;
        }
        // A control, which may be a tab; or one of the last bytes.
        match rest {
            [b, after @ ..] if is_value(*b) => rest = after,
            _ => return bytes.len() - rest.len(),
        }
    }
}

/// A one in each byte of a word.
const EACH: u64 = 0x0101_0101_0101_0101;

/// Sets the high bit of the first byte of `word` that is less than `bound`, which is at most 128. What
/// it sets above that means nothing: the subtraction borrows from there.
#[inline]
const fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(EACH * (bound as u64)) & !word & (EACH << 7)
}

/// `bytes` without white space at either end (RFC 9110 §5.6.3).
#[must_use]
pub fn trim_ows(bytes: &[u8]) -> &[u8] {
    trim_ows_end(trim_ows_start(bytes))
}

#[inline]
pub(crate) fn trim_ows_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_ows(*first)
    {
        bytes = rest;
    }
    bytes
}

#[inline]
pub(crate) fn trim_ows_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes
        && is_ows(*last)
    {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list (RFC 9110 §5.6.1), trimmed, empty ones left out.
///
/// ```
/// let all: Vec<&[u8]> = number8_proto::syntax::list(b"a , ,b").collect();
/// assert_eq!(all, [&b"a"[..], b"b"]);
/// ```
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(trim_ows).filter(|element| !element.is_empty())
}

/// The number that `digits` spell: one or more ASCII digits and nothing else, within `u64`.
#[must_use]
pub fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &b| {
        if !b.is_ascii_digit() {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(b - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_run_stops_at_the_first_control_wherever_it_stands() {
        for at in 0..40 {
            let mut bytes = [b'v'; 40];
            for (bad, stops) in
                [(0u8, true), (b'\r', true), (0x7f, true), (b'\t', false), (0xff, false)]
            {
                bytes[at] = bad;
                assert_eq!(value_run(&bytes), if stops { at } else { 40 }, "{bad:#x} at {at}");
            }
        }
    }

    #[test]
    fn path_run_stops_at_the_first_byte_of_no_path_wherever_it_stands() {
        for b in 0..=255u8 {
            for at in 0..24 {
                let mut bytes = [b'/'; 24];
                bytes[at] = b;
                let stops = CLASS[b as usize] & PATH == 0;
                assert_eq!(path_run(&bytes), if stops { at } else { 24 }, "{b:#x} at {at}");
                // What is above the first is no matter.
                bytes[at + 1..].fill(b' ');
                assert_eq!(path_run(&bytes), at + usize::from(!stops), "{b:#x} at {at}");
            }
        }
    }

    #[test]
    fn decimal_takes_digits_in_range_only() {
        for (digits, number) in [
            (&b"0"[..], Some(0)),
            (b"007", Some(7)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"", None),
            (b"+1", None),
            (b"1 ", None),
        ] {
            assert_eq!(decimal(digits), number, "{digits:?}");
        }
    }
}
