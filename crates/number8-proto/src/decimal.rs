//! Numbers as decimal digits.

use alloc::vec::Vec;

/// As many digits as the largest number has.
const DIGITS: usize = 20;

/// Appends `number` in decimal.
///
/// ```
/// let mut out = Vec::new();
/// number8_proto::decimal::push(1024, &mut out);
/// assert_eq!(out, b"1024");
/// ```
pub fn push(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 2 * DIGITS];
    let mut at = DIGITS;
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    // A copy of fixed length is a few instructions, one of any length is a call.
    if let Some(fixed) = digits[at..].first_chunk::<DIGITS>() {
        let end = out.len() + DIGITS - at;
        out.extend_from_slice(fixed);
        out.truncate(end);
    }
}

/// How many digits [`push`] writes.
pub(crate) fn digits(number: u64) -> u64 {
    u64::from(number.checked_ilog10().unwrap_or(0)) + 1
}
