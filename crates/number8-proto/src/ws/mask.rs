//! Masking (RFC 6455 §5.3).

/// Takes the mask off, in place, or puts it on: eight bytes at a time, which compilers widen further.
pub(super) fn apply(key: [u8; 4], bytes: &mut [u8]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (blocks, rest) = bytes.as_chunks_mut::<8>();
    for block in blocks {
        *block = (u64::from_ne_bytes(*block) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_masked_as_byte_by_byte() {
        let key = [0x12, 0x34, 0x56, 0x78];
        for length in 0..70 {
            let plain: [u8; 70] = core::array::from_fn(|at| at as u8);
            let mut masked = plain;
            apply(key, &mut masked[..length]);
            for at in 0..70 {
                let mask = if at < length { key[at % 4] } else { 0 };
                assert_eq!(masked[at], plain[at] ^ mask, "{at} of {length}");
            }
        }
    }
}
