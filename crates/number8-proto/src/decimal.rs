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
#[inline]
pub fn push(number: u64, out: &mut Vec<u8>) {
    if number >= 10_000 {
        return push_large(number, out);
    }
    // Most lengths: four digits as one word, without the zeros before the first one that counts.
    let [a, b] = PAIRS[(number / 100) as usize];
    let [c, d] = PAIRS[(number % 100) as usize];
    let length =
        1 + usize::from(number >= 10) + usize::from(number >= 100) + usize::from(number >= 1_000);
    let digits = u32::from_le_bytes([a, b, c, d]) >> (8 * (4 - length));
    append(&digits.to_le_bytes(), length, out);
}

fn push_large(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 2 * DIGITS];
    let mut at = DIGITS;
    while number >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    // The first digit, unless it was that of a pair.
    if number > 0 {
        at -= 1;
        digits[at] = b'0' + number as u8;
    }
    if let Some(fixed) = digits[at..].first_chunk::<DIGITS>() {
        append(fixed, DIGITS - at, out);
    }
}

/// Appends the first bytes: a copy of fixed length is a few instructions, one of any length is a call.
#[inline]
fn append<const N: usize>(bytes: &[u8; N], count: usize, out: &mut Vec<u8>) {
    let end = out.len() + count;
    out.extend_from_slice(bytes);
    out.truncate(end);
}

/// The numbers below 100, with two digits each: half as many divisions.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    pairs
};

/// How many digits [`push`] writes.
pub(crate) fn digits(number: u64) -> u64 {
    u64::from(number.checked_ilog10().unwrap_or(0)) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_everybody_writes_them() {
        let powers = (0..20).map(|power| 10u64.pow(power));
        let around = powers.flat_map(|power| [power - 1, power, power + 1]);
        for number in around.chain([42, 105, 1_005, 65_535, u64::MAX]) {
            let mut out = b"before ".to_vec();
            push(number, &mut out);
            assert_eq!(out, alloc::format!("before {number}").as_bytes());
        }
    }
}
