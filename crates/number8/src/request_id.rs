//! What one request is called in logs, in its answer and by handlers.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of an id that a proxy gives; a longer one is none.
const TOLD_BYTES_MAX: usize = 128;

/// Names one request ([`App::request_ids`](crate::App::request_ids)): a trusted proxy's X-Request-Id, or a number of ours
/// as 16 digits.
///
/// ```
/// use number8::RequestId;
///
/// assert_eq!(RequestId::told(b"a1-b2").unwrap().to_string(), "a1-b2");
/// assert_eq!(RequestId::told(b"two words"), None);
/// assert_eq!(RequestId::next().to_string().len(), 16);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Made(u64),
    Told(Box<str>),
}

impl RequestId {
    /// The next one of this process. Its first half was drawn when the process asked first, so that the logs of two
    /// processes can be joined; it is no secret, and can be guessed.
    #[must_use]
    pub fn next() -> Self {
        static DRAWN: OnceLock<u64> = OnceLock::new();
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let drawn = *DRAWN.get_or_init(|| RandomState::new().hash_one(0) << 32);
        Self::from(drawn | u64::from(COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// What a proxy says; `None` where it is not well-formed: 1 to 128 letters, digits and any of `+-./:=@_`.
    #[must_use]
    pub fn told(value: &[u8]) -> Option<Self> {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-./:=@_".contains(byte);
        if value.is_empty() || value.len() > TOLD_BYTES_MAX || !value.iter().all(is_plain) {
            return None;
        }
        Some(Self(Kind::Told(str::from_utf8(value).ok()?.into())))
    }

    /// Appends it as text.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Kind::Made(number) => out.extend_from_slice(&hexadecimal(*number)),
            Kind::Told(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
}

impl From<u64> for RequestId {
    fn from(number: u64) -> Self {
        Self(Kind::Made(number))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Made(number) => write!(f, "{number:016x}"),
            Kind::Told(text) => f.write_str(text),
        }
    }
}

fn hexadecimal(number: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|place| DIGITS[(number >> (60 - 4 * place) & 15) as usize])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn o3_an_id_is_well_formed_or_none() {
        let long = "a".repeat(TOLD_BYTES_MAX);
        for told in ["7", "0b7c4a8e-1", "a/b:c=d@e_f.g+h", &long] {
            assert_eq!(RequestId::told(told.as_bytes()).unwrap().to_string(), told);
        }
        let too_long = format!("{long}a");
        for told in ["", "a b", "a\"b", "a,b", "é", "a\r\nb", "a\0", &too_long] {
            assert_eq!(RequestId::told(told.as_bytes()), None, "{told:?}");
        }
    }

    #[test]
    fn o3_no_two_requests_have_one_id() {
        assert_ne!(RequestId::next(), RequestId::next());
    }

    proptest! {
        #[test]
        fn o3_both_ways_to_write_a_number_agree(number: u64) {
            let (id, mut written) = (RequestId::from(number), Vec::new());
            id.write(&mut written);
            prop_assert_eq!(id.to_string().into_bytes(), written);
        }
    }
}
