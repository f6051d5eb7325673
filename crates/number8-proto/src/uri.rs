//! Request targets in origin-form (RFC 9112 §3.2.1): path, query, percent-encoding.
//!
//! A path names a file, so a wrong escape in it is an error. A query is free text for a handler,
//! so a wrong escape in it stands for itself, as in the URL standard that browsers follow.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A request target in origin-form, cut at its first `?`. Both parts are as they came.
///
/// ```
/// use number8_proto::uri::Target;
/// let target = Target::split(b"/a%20b?x=1?2");
/// assert_eq!(target, Target { path: b"/a%20b", query: Some(b"x=1?2") });
/// assert_eq!(Target::split(b"/a").query, None);
/// assert_eq!(Target::split(b"/a?").query, Some(&b""[..]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// What stands before the `?`.
    pub path: &'a [u8],
    /// What stands after it; `None` when there is no `?`.
    pub query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    /// Cuts `target`, which is taken as checked.
    #[must_use]
    pub fn split(target: &'a [u8]) -> Self {
        match target.iter().position(|&b| b == b'?') {
            Some(mark) => Self { path: &target[..mark], query: Some(&target[mark + 1..]) },
            None => Self { path: target, query: None },
        }
    }
}

/// One entry of a query, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// What stands before the first `=`, or everything.
    pub key: Cow<'a, [u8]>,
    /// What stands after the first `=`; `None` for `key`, empty for `key=`.
    pub value: Option<Cow<'a, [u8]>>,
}

/// The entries of a query or of an `application/x-www-form-urlencoded` body, in order.
///
/// Entries are separated by `&`; empty ones are left out. `+` is a space, `%XX` a byte, and a `%`
/// that no two hexadecimal digits follow stands for itself.
///
/// ```
/// use number8_proto::uri::Query;
/// let first = |key: &[u8]| Query::new(b"name=a+b&on&name=%C3%A9").find(|pair| pair.key == key);
/// assert_eq!(first(b"name").unwrap().value.as_deref(), Some(&b"a b"[..]));
/// assert_eq!(first(b"on").unwrap().value, None);
/// assert_eq!(first(b"off"), None);
/// ```
#[derive(Clone, Debug)]
pub struct Query<'a> {
    rest: &'a [u8],
}

impl<'a> Query<'a> {
    /// The entries of `query`, which holds no leading `?`.
    #[must_use]
    pub fn new(query: &'a [u8]) -> Self {
        Self { rest: query }
    }
}

impl<'a> Iterator for Query<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        while !self.rest.is_empty() {
            let (entry, rest) = cut(self.rest, b'&');
            self.rest = rest.unwrap_or_default();
            if !entry.is_empty() {
                let (key, value) = cut(entry, b'=');
                return Some(Pair { key: decode_form(key), value: value.map(decode_form) });
            }
        }
        None
    }
}

/// What stands before the first `separator`, and, if there is one, what stands after it.
fn cut(bytes: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|&b| b == separator) {
        Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
        None => (bytes, None),
    }
}

fn decode_form(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|&b| b == b'+' || b == b'%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => out.push(b' '),
            b'%' => match escaped(after) {
                Some((byte, after)) => {
                    out.push(byte);
                    rest = after;
                }
                None => out.push(b'%'),
            },
            &b => out.push(b),
        }
    }
    Cow::Owned(out)
}

/// A `%` in a path that two hexadecimal digits do not follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEscape;

impl fmt::Display for BadEscape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a percent sign in a path has to be followed by two hexadecimal digits")
    }
}

impl core::error::Error for BadEscape {}

/// Decodes the percent-encoding of a path (RFC 3986 §2.1). `+` stands for itself.
///
/// The bytes that come out are not checked: they may be `/`, NUL, or no UTF-8. Where a segment
/// must not reach into others, split at `/` first and decode the segments.
///
/// # Errors
/// [`BadEscape`] when a `%` is not followed by two hexadecimal digits.
///
/// ```
/// use number8_proto::uri::{BadEscape, decode_path};
/// assert_eq!(*decode_path(b"/a%20b")?, *b"/a b");
/// assert_eq!(decode_path(b"/100%"), Err(BadEscape));
/// # Ok::<(), BadEscape>(())
/// ```
pub fn decode_path(path: &[u8]) -> Result<Cow<'_, [u8]>, BadEscape> {
    let Some(plain) = path.iter().position(|&b| b == b'%') else { return Ok(Cow::Borrowed(path)) };
    let mut out = Vec::with_capacity(path.len());
    out.extend_from_slice(&path[..plain]);
    let mut rest = &path[plain..];
    while let [first, after @ ..] = rest {
        let (byte, after) = match first {
            b'%' => escaped(after).ok_or(BadEscape)?,
            &b => (b, after),
        };
        out.push(byte);
        rest = after;
    }
    Ok(Cow::Owned(out))
}

/// The byte that the two hexadecimal digits after a `%` spell, and what follows them.
fn escaped(after_percent: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], rest) = after_percent.split_first_chunk()?;
    let digit = |b: u8| char::from(b).to_digit(16);
    Some(((digit(high)? << 4 | digit(low)?) as u8, rest))
}

/// Encodes one segment of a path, such as a file name, for a link.
///
/// Unreserved characters and `! $ ( ) * , =` stay; every other byte becomes `%XX`. What comes out
/// means the same in a path, in an HTML attribute and in a Location field, and never starts a
/// scheme, a query or another segment. The names `.` and `..` have no other spelling: a link to
/// them is relative, however they are encoded.
///
/// ```
/// use number8_proto::uri::encode_path_segment;
/// assert_eq!(encode_path_segment("a/b é?.txt".as_bytes()), "a%2Fb%20%C3%A9%3F.txt");
/// ```
#[must_use]
pub fn encode_path_segment(segment: &[u8]) -> Cow<'_, str> {
    let plain = segment.iter().take_while(|&&b| stays(b)).count();
    if plain == segment.len()
        && let Ok(segment) = str::from_utf8(segment)
    {
        return Cow::Borrowed(segment);
    }
    let mut out = String::with_capacity(segment.len() + 16);
    for &b in segment {
        if stays(b) {
            out.push(char::from(b));
        } else {
            out.push('%');
            out.push(char::from(HEX_DIGITS[usize::from(b >> 4)]));
            out.push(char::from(HEX_DIGITS[usize::from(b & 15)]));
        }
    }
    Cow::Owned(out)
}

/// Unreserved (RFC 3986 §2.3), and those sub-delims that mean nothing to HTML, to form decoding or
/// to servers that hang parameters on segments.
fn stays(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~!$()*,=".contains(&b)
}

const HEX_DIGITS: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use super::*;

    type Decoded<'a> = (&'a [u8], Option<&'a [u8]>);

    fn pairs(query: &str) -> Vec<Pair<'_>> {
        Query::new(query.as_bytes()).collect()
    }

    #[test]
    fn r4_path_is_without_the_query() {
        for (target, path, query) in [
            ("/", "/", None),
            ("/hello.txt?a=b&c=%20", "/hello.txt", Some("a=b&c=%20")),
            ("/a?", "/a", Some("")),
            ("/a?a?b/c:d@e", "/a", Some("a?b/c:d@e")),
            ("/a?x=/../../etc/passwd", "/a", Some("x=/../../etc/passwd")),
            ("", "", None),
            ("*", "*", None),
        ] {
            let expected = Target { path: path.as_bytes(), query: query.map(str::as_bytes) };
            assert_eq!(Target::split(target.as_bytes()), expected, "{target}");
        }
    }

    #[test]
    fn r6_a_key_without_value_differs_from_an_empty_value() {
        let cases: [(&str, &[Decoded<'_>]); 12] = [
            ("", &[]),
            ("&&", &[]),
            ("a", &[(b"a", None)]),
            ("a=", &[(b"a", Some(b""))]),
            ("a=1&b", &[(b"a", Some(b"1")), (b"b", None)]),
            ("a=1=2", &[(b"a", Some(b"1=2"))]),
            ("=v", &[(b"", Some(b"v"))]),
            ("name=John&surname=Doe", &[(b"name", Some(b"John")), (b"surname", Some(b"Doe"))]),
            ("a+b=c+d%2B", &[(b"a b", Some(b"c d+"))]),
            ("%61%3D=%26%00%ff", &[(b"a=", Some(b"&\0\xff"))]),
            (
                "a=100%&b=%zz&c=%4",
                &[(b"a", Some(b"100%")), (b"b", Some(b"%zz")), (b"c", Some(b"%4"))],
            ),
            ("&a&&b&", &[(b"a", None), (b"b", None)]),
        ];
        for (query, expected) in cases {
            let found = pairs(query);
            let found: Vec<Decoded<'_>> =
                found.iter().map(|pair| (&*pair.key, pair.value.as_deref())).collect();
            assert_eq!(found, expected, "{query}");
        }
    }

    #[test]
    fn r7_repeated_keys_all_come_in_order() {
        let found = pairs("k=1&j=2&k=3");
        let values: Vec<_> = found
            .iter()
            .filter(|pair| *pair.key == *b"k")
            .map(|pair| pair.value.as_deref())
            .collect();
        assert_eq!(values, [Some(&b"1"[..]), Some(b"3")]);
    }

    #[test]
    fn h12_paths_are_decoded() {
        for (path, expected) in [
            ("/", Some(&b"/"[..])),
            ("/a+b", Some(b"/a+b")),
            ("/a%20b", Some(b"/a b")),
            ("%2e%2E%2f", Some(b"../")),
            ("/%00%ff", Some(b"/\0\xff")),
            ("/%2541", Some(b"/%41")),
            ("/%", None),
            ("/%4", None),
            ("/%zz", None),
            ("/%+1", None),
            ("/%4\u{e9}", None),
            ("/a%20b%", None),
        ] {
            let decoded = decode_path(path.as_bytes());
            assert_eq!(decoded.as_deref().ok(), expected, "{path}");
        }
    }

    #[test]
    fn segments_are_encoded_for_links() {
        for (segment, expected) in [
            (&b""[..], ""),
            (b"index.html", "index.html"),
            (b"a-b_c~d!$()*,=", "a-b_c~d!$()*,="),
            (b"a b", "a%20b"),
            (b"javascript:x", "javascript%3Ax"),
            (b"a/b?c#d", "a%2Fb%3Fc%23d"),
            (b"100%", "100%25"),
            (b"\"<'&>+;@[\\]", "%22%3C%27%26%3E%2B%3B%40%5B%5C%5D"),
            (b"\0\r\n\x7f\xff", "%00%0D%0A%7F%FF"),
        ] {
            assert_eq!(encode_path_segment(segment), expected);
        }
    }
}
