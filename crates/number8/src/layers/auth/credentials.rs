//! The Authorization field (RFC 9110 §11.4): which credential a client sends.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a client claims to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::layers) enum Credentials {
    /// RFC 7617.
    Basic { name: String, password: Vec<u8> },
    /// RFC 6750.
    Bearer { token: Vec<u8> },
}

impl Credentials {
    /// Reads a value; `None` where it is no credential that anybody here could have.
    pub(in crate::layers) fn parse(value: &[u8]) -> Option<Self> {
        let space = value.iter().position(|&b| b == b' ')?;
        let (scheme, rest) = (&value[..space], value[space..].trim_ascii_start());
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return (!rest.is_empty()).then(|| Self::Bearer { token: rest.to_vec() });
        }
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return None;
        }
        let pair = STANDARD.decode(rest).ok()?;
        // RFC 7617 §2: the first colon ends the name; a password may have more of them.
        let colon = pair.iter().position(|&b| b == b':')?;
        let name = str::from_utf8(&pair[..colon]).ok()?.to_owned();
        Some(Self::Basic { name, password: pair[colon + 1..].to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn basic(name: &str, password: &[u8]) -> Option<Credentials> {
        Some(Credentials::Basic { name: name.to_owned(), password: password.to_vec() })
    }

    #[test]
    fn credentials_are_read() {
        let token = |token: &[u8]| Some(Credentials::Bearer { token: token.to_vec() });
        let cases: &[(&[u8], Option<Credentials>)] = &[
            (b"Basic YW5zd2VyOjQy", basic("answer", b"42")),
            (b"bAsIc   YW5zd2VyOjQy", basic("answer", b"42")),
            // A colon in the password, none in the name.
            (b"Basic YTpiOmM=", basic("a", b"b:c")),
            (b"Basic Og==", basic("", b"")),
            (b"Basic YTr/", basic("a", b"\xff")),
            (b"Bearer abc", token(b"abc")),
            (b"bearer  a b", token(b"a b")),
            (b"", None),
            (b"Basic", None),
            (b"Basic ", None),
            (b"Bearer ", None),
            (b"Basic YW5zd2Vy", None),
            (b"Basic YW5zd2VyOjQ", None),
            (b"Basic !!!!", None),
            (b"Basic /zpi", None),
            (b"Digest username=a", None),
            (b"YW5zd2VyOjQy", None),
        ];
        for (value, want) in cases {
            assert_eq!(Credentials::parse(value), *want, "{}", String::from_utf8_lossy(value));
        }
    }

    proptest! {
        #[test]
        fn every_pair_is_read_as_it_was_written(name in "[^:]*", password: Vec<u8>) {
            let pair = [name.as_bytes(), b":", &password].concat();
            let value = format!("Basic {}", STANDARD.encode(pair));
            prop_assert_eq!(Credentials::parse(value.as_bytes()), basic(&name, &password));
        }

        #[test]
        fn any_value_is_read_or_refused(value: Vec<u8>) {
            let _ = Credentials::parse(&value);
        }
    }
}
